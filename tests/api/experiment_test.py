"""An experiment from Python: the same as from the command line, as values."""

import csv
import io
import json
import threading
from pathlib import Path

import pytest
import yaml

import amlc
from amlc.api import load
from amlc.api.experiment import Experiment
from amlc.model import Status

SCRIPT = """import nni
x = nni.get_next_parameter()["x"]
nni.report_intermediate_result(x / 2)
nni.report_final_result({"default": x * x, "name": "n"})
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a trial script, where the test is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "trial.py").write_text(SCRIPT)
    return tmp_path


def experiment(**keys):
    values = {
        "search_space": {"x": {"_type": "choice", "_value": [1, 2, 3]}},
        "trial_command": "python3 trial.py",
        "trial_code_directory": "code",
        "trial_concurrency": 2,
        "tuner": {"name": "GridSearch"},
        **keys,
    }
    return amlc.Experiment(amlc.ExperimentConfig("local", **values))


def tree(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_from_python_and_from_a_file_it_is_the_same_build_to_the_byte(here):
    one = experiment(amlc={"replicates": 2}, max_trial_number=4)
    one.compile()
    from_python = tree(here / "build")
    one.to_yaml(here / "experiment.yml")
    two = amlc.load("experiment.yml")
    assert two.diff() == ""
    assert two.compile().changes == 0
    assert tree(here / "build") == from_python
    assert len(from_python) > 10


def test_it_is_compiled_planned_run_and_read(here):
    one = experiment()
    assert one.problems == ()
    assert [trial.parameters["x"] for trial in one.trials] == [1, 2, 3]
    assert "+trialCommand" not in one.diff()
    build = one.compile()
    assert [path.exists() for path in build.jobs] == [True] * 3
    assert (build.trials, len(build.revision)) == (3, 64)
    assert one.plan().verdict.statuses[Status.PENDING] == 3
    seen = []
    results = one.run(8080, watch=lambda now: seen.append(now.ended))
    assert max(seen) == 3
    assert results.complete
    assert [row["metric.default"] for row in results] == [1, 4, 9]
    with pytest.warns(RuntimeWarning, match="smaller is taken for better"):
        assert results.best()["param.x"] == 1
    assert results.best("maximize")["param.x"] == 3
    assert [row["metric.default"] for row in results.history(2)] == [1.5]
    assert "trial.py" not in one.log(0)
    assert b"</html>" in one.report().page
    assert one.submit().progress.submitted == 0


def test_the_table_is_what_collect_writes(here, project):
    one = experiment()
    results = one.run()
    project.root = here
    assert results.to_csv().encode() == project.amlc("collect").stdout
    rows = list(csv.DictReader(io.StringIO(results.to_csv(here / "r.csv"))))
    assert (here / "r.csv").read_bytes() == results.to_csv().encode()
    assert [row["metric.name"] for row in rows] == ["n"] * 3
    frame = results.to_pandas()
    assert list(frame.columns) == list(results.columns)
    assert list(frame["metric.default"]) == [1, 4, 9]
    table = results.to_arrow()
    assert table.column("metric.default").to_pylist() == [1, 4, 9]


def test_a_mistake_has_the_problems_of_the_command_line_with_the_path_of_the_key(here):
    one = experiment(max_trial_number="many")
    (problem,) = one.problems
    assert (problem.code, problem.path, problem.position.line) == ("E-type", "/maxTrialNumber", 0)
    assert str(problem).startswith("config /maxTrialNumber: ")
    with pytest.raises(amlc.ConfigError) as refused:
        one.submit()
    assert refused.value.problems == (problem,)
    assert not (here / "build").exists()


def test_a_file_keeps_its_lines_until_the_config_is_changed(here):
    text = experiment().to_yaml().replace("trialConcurrency: 2", "trialConcurrency: 0\nbogus: 1")
    Path("e.yml").write_text(text)
    one = amlc.load("e.yml")
    lines = text.splitlines()
    found = {problem.path: problem.position.line for problem in one.problems}
    assert found == {"/trialConcurrency": lines.index("trialConcurrency: 0") + 1, "/bogus": lines.index("bogus: 1") + 1}
    one.config.trial_concurrency = 1
    assert [(problem.path, problem.position.line) for problem in one.problems] == [("/bogus", 0)]


def test_what_compile_refuses_is_located_in_the_values(here):
    one = experiment(amlc={"constraints": ["x > 5"]})
    assert [problem.path for problem in one.problems] == ["/amlc/constraints/0"]


def test_relative_paths_count_from_the_file(here, tmp_path_factory, monkeypatch):
    experiment().to_yaml("experiment.yml")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    one = amlc.load(here / "experiment.yml")
    assert one.compile().folder.parent == Path.cwd() / "build"
    assert (Path.cwd() / "build" / "experiment" / "code" / "trial.py").read_text() == SCRIPT


def test_failed_trials_are_seen_and_run_again(here):
    (here / "code" / "trial.py").write_text("import os, sys\nsys.exit(not os.path.exists(os.environ['GO']))\n")
    one = experiment(trial_command=f"GO={here}/go python3 trial.py")
    run = one.submit()
    assert run.verdict.failed == 3
    assert {row["status"] for row in one.results()} == {"failed"}
    with pytest.raises(amlc.IncompleteError):
        one.results().best()
    (here / "go").touch()
    assert one.submit(retry="failed").verdict.statuses[Status.SUCCEEDED] == 3


@pytest.mark.parametrize("options", [{"rounds": 0}, {"rounds": "1"}, {"parallel": 0}, {"retry": "lost"}], ids=str)
def test_options_that_make_no_sense_are_refused_before_anything_runs(here, options):
    with pytest.raises(amlc.UsageError):
        experiment().submit(**options)
    assert not (here / "build").exists()


def test_a_config_that_was_changed_since_it_was_compiled_is_said(here):
    one = experiment(tuner={"name": "Random"}, max_trial_number=1)
    assert one.run().complete
    one.config.max_trial_number = 2
    with pytest.warns(RuntimeWarning, match="changed since it was compiled"):
        assert len(one.results()) == 1
    assert len(one.run()) == 2


def test_canceling_no_trials_cancels_none(here, wait_until):
    one = experiment(trial_command="sleep 60", search_space={"x": {"_type": "choice", "_value": [1]}})
    one.start()
    wait_until(lambda: one.get_status() == "RUNNING")
    assert one.cancel([]) == 0
    assert one.get_status() == "RUNNING"
    assert one.cancel([0]) == 1
    assert one.get_status() == "DONE"


def test_what_is_not_compiled_has_no_results(here):
    with pytest.raises(amlc.UsageError, match="not compiled yet"):
        experiment().results()


def test_two_threads_submit_and_one_of_them_is_told_of_the_other(here, wait_until):
    one = experiment(trial_command=f'touch "{here}/begun" && sleep 4')
    first = threading.Thread(target=one.submit)
    first.start()
    try:
        wait_until((here / "begun").exists)
        with pytest.raises(amlc.LockedError, match="is working on this experiment"):
            one.submit()
    finally:
        first.join()


def test_the_package_gives_its_names_when_they_are_asked_for():
    assert amlc.Experiment is Experiment
    assert amlc.load == load
    assert {*amlc.__all__} <= {*dir(amlc)}
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        amlc.nope  # noqa: B018 - it is what raises


def test_nothing_is_printed(here, capfd):
    one = experiment(max_trial_number=2, tuner={"name": "TPE"})
    one.run()
    one.status()
    repr(one)
    assert capfd.readouterr() == ("", "")


def test_the_command_line_goes_on_with_what_python_began(here, project):
    experiment().compile()
    project.root = here
    assert "3 of 3 trials done" in project.amlc("submit").stderr
    assert experiment().results().complete


def test_to_yaml_is_a_file_that_says_the_same(here):
    one = experiment()
    assert yaml.safe_load(one.to_yaml()) == one.config.as_dict()
    assert json.dumps(one.config.as_dict())


@pytest.mark.parametrize(
    "call",
    [
        lambda: Experiment(5),
        lambda: Experiment.load(5),
        lambda: Experiment("local").import_(5),
        lambda: load(5),
    ],
)
def test_what_is_no_config_or_path_is_an_error_of_amlcs(call):
    with pytest.raises(amlc.UsageError, match=r"\(5\): expected "):
        call()


def test_trials_from_elsewhere_are_its_own(here):
    (here / "old.json").write_text('[{"parameter": {"x": 1}, "value": "0.5", "trialJobId": "a"}]')
    one = experiment()
    done = one.import_("old.json")
    assert (done.trials, done.known, done.left_out) == (1, 0, "")
    assert [row["metric.default"] for row in one.results() if row["status"] == "succeeded"] == [0.5]
    with pytest.raises(amlc.UsageError, match="says itself what the results are"):
        one.import_("old.json", metric="acc")
