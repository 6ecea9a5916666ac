"""What compile says of what it wrote, and what `--check` and `--diff` show without writing."""

import io

import pytest

from amlc.commands.compile import compile_
from amlc.config import load_experiment
from amlc.console import Console
from amlc.display.building import changes, differences, show
from amlc.exit_codes import exit_code


def test_trials_outside_an_edited_space_are_said_for_those_that_learn_nothing_too(project):
    project.write(values=[1, 2]).compile().amlc("submit")
    project.write(values=[2, 3])
    text = "warning: 1 of 2 trials on record is outside of the search space as it is now: such trials stay among the "
    text += "results, and may be the best. To leave them behind, give the experiment another experimentName.\n"
    assert project.amlc("compile", "experiment.yml").stderr.startswith(text)


@pytest.mark.parametrize("tuner", [{"name": "Random"}, {"name": "GridSearch"}, {"name": "TPE"}], ids=lambda t: t["name"])
def test_what_is_at_work_keeps_what_it_works_on(project, wait_until, tuner):
    """Whoever edits meanwhile waits, or the jobs that are to follow would be gone."""
    space = {"x": {"_type": "choice", "_value": [1, 2, 3, 4]}}
    script = "while [ ! -e $PROBE/go ]; do sleep 0.05; done; final 1; exit"
    project.write(script, searchSpace=space, tuner=tuner, maxTrialNumber=4, trialConcurrency=1).compile()
    with project.start("run", "experiment.yml") as at_work:
        wait_until(lambda: project.starts, 60)
        before = (project.folders.build / "probe" / "manifest.json").read_bytes()
        project.write(script, searchSpace=space, tuner=tuner, maxTrialNumber=2, trialConcurrency=1)
        refused = project.amlc("compile", "experiment.yml", code=5).stderr
        assert "is working on this experiment. Wait for its end" in refused
        project.amlc("compile", "--check", "experiment.yml", code=3)
        assert (project.folders.build / "probe" / "manifest.json").read_bytes() == before
        (project.root / "go").touch()
        assert b"succeeded" in at_work.communicate(timeout=60)[0]
    assert project.statuses() == ["succeeded"] * 4


EVERY_TYPE = {
    "choice": {"_type": "choice", "_value": [1, 1.0, "a", None, [1]]},
    "randint": {"_type": "randint", "_value": [-3, 9]},
    "uniform": {"_type": "uniform", "_value": [0, 1]},
    "quniform": {"_type": "quniform", "_value": [0.1, 1, 0.3]},
    "loguniform": {"_type": "loguniform", "_value": [1e-5, 1]},
    "qloguniform": {"_type": "qloguniform", "_value": [0.01, 10, 0.5]},
    "normal": {"_type": "normal", "_value": [0, 2]},
    "qnormal": {"_type": "qnormal", "_value": [0, 2, 0.5]},
    "lognormal": {"_type": "lognormal", "_value": [0, 2]},
    "qlognormal": {"_type": "qlognormal", "_value": [0, 2, 0.5]},
    "equal": {"_type": "uniform", "_value": [0.1, 0.1]},
    "nested": {"_type": "choice", "_value": [{"_name": "a", "x": {"_type": "randint", "_value": [0, 3]}}]},
}


@pytest.mark.parametrize(("tuner", "space"), [
    pytest.param({"name": "Random"}, EVERY_TYPE, id="Random"),
    pytest.param({"name": "GridSearch"}, EVERY_TYPE, id="GridSearch"),
    pytest.param({"name": "Batch"}, {"c": {"_type": "choice", "_value": [{"x": 1}, {"x": 2}, {"x": 3}]}}, id="Batch"),
    pytest.param({"name": "Batch"}, {"c": {"_type": "choice", "_value": [1, 2, "a"]}}, id="Batch-plain"),
])  # fmt: skip
def test_what_a_space_proposes_never_lies_outside_it(project, tuner, space):
    project.write(searchSpace=space, tuner=tuner, maxTrialNumber=3).compile().amlc("submit")
    assert "no points" not in project.amlc("compile", "experiment.yml").stderr


def compiled(project, *, check=False, diff=False, quiet=False):
    out, err = io.StringIO(), io.StringIO()
    console = Console(out, err, quiet)
    preview = differences(console) if diff else changes(console) if check else None
    experiment, problems = load_experiment(project.root / "experiment.yml", environ={})
    for problem in problems:
        console.note(problem)
    build = compile_(experiment, backend=None, folders=project.folders, preview=preview)
    show(build, console)
    return exit_code("compile", build), out.getvalue(), err.getvalue()


def test_check_shows_what_would_change_and_writes_nothing(project):
    project.write(values=range(2))
    code, out, err = compiled(project, check=True)
    assert code == 3
    assert all(line.startswith("+ ") for line in out.splitlines())
    assert "would change" in err
    assert not project.folders.build.exists()
    assert compiled(project)[0] == 0
    assert compiled(project, check=True)[:2] == (0, "")
    project.write(values=range(1, 3))
    code, out, _ = compiled(project, check=True)
    assert (code, {line[0] for line in out.splitlines()}) == (3, {"+", "-"})


def test_a_file_that_was_changed_by_hand_is_shown(project):
    project.write().compile()
    path = next((project.folders.build / "probe" / "jobs").glob("*.yml"))
    path.write_text("by hand")
    code, out, _ = compiled(project, check=True)
    assert (code, out.startswith("~ "), path.name in out) == (3, True, True)


def test_diff_shows_how(project):
    project.write(values=[1]).compile()
    project.write(values=[2])
    code, out, _ = compiled(project, diff=True)
    assert code == 3
    assert "--- /dev/null\n+++ b/" in out
    assert "\n+++ /dev/null\n" in out
    assert out.endswith("\n")


@pytest.mark.parametrize(("quiet", "said"), [(False, True), (True, False)])
def test_warnings_and_counts_are_left_out_quietly(project, quiet, said):
    _, out, err = compiled(project.write(debug=True), quiet=quiet)
    assert (out, "W-no-effect" in err, "4 trials in 4 jobs" in err) == ("", said, said)
