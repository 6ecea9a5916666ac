"""What compile says of what it wrote, and what `--check` and `--diff` show without writing."""

import io

import pytest

from amlc.commands.compile import compile_
from amlc.config import load_experiment
from amlc.console import Console
from amlc.display.building import changes, differences, show
from amlc.exit_codes import exit_code


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
