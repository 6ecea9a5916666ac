"""Trials from elsewhere are trials of the experiment: rows, experience, and not run again."""

import json

import pytest

from amlc.commands.import_ import import_
from amlc.config import load_experiment
from amlc.errors import UsageError

TPE = {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}


def imported(project, rows, **options):
    path = project.root / "export.json"
    path.write_text(json.dumps(rows))
    experiment, _ = load_experiment(project.root / "experiment.yml", environ={})
    return import_(experiment, path, folders=project.folders, **options)


def row(x, value=1.0):
    return {"parameter": {"x": x}, "value": json.dumps(value), "trialJobId": "a"}


def table(project, code=4):
    return json.loads(project.amlc("collect", "--format", "json", code=code).stdout)


def test_what_the_experiment_has_itself_keeps_its_id_and_number_and_is_not_run(project):
    project.write(values=range(4)).compile()
    ids = project.trials
    done = imported(project, [row(2), row(0, {"default": 3, "b": 4})])
    assert (done.trials, done.known, done.left_out) == (2, 0, "")
    assert project.trials == ids
    rows = table(project)
    assert [one["status"] for one in rows] == ["succeeded", "pending", "succeeded", "pending"]
    assert [one.get("metric.default") for one in rows] == [3, None, 1.0, None]
    assert [one.get("attempt") for one in rows] == [0, None, 0, None]
    project.amlc("submit")
    assert sorted(project.starts) == sorted([ids[1], ids[3]])
    project.amlc("retry", "0")
    assert project.starts[2:] == [ids[0]]
    assert table(project, code=0)[0]["attempt"] == 1


def test_the_same_trials_are_taken_once(project):
    project.write(values=range(4))
    assert imported(project, [row(1)]).trials == 1
    again = imported(project, [row(1), row(2), row(1)])
    assert (again.trials, again.known) == (2, 1)  # another one with the parameters of the first is a replicate
    assert len(project.trials) == 5


def test_what_was_run_here_is_not_replaced(project):
    project.write(values=range(2))
    project.amlc("run", "experiment.yml")
    assert imported(project, [row(1, 9.0)]).known == 1
    assert [one["metric.default"] for one in table(project, code=0)] == [1.5, 1.5]


def test_what_the_space_proposes_no_longer_follows_at_the_end(project):
    project.write(values=range(9)).compile()
    imported(project, [row(8)])
    with pytest.warns(RuntimeWarning, match="1 of 1 trial on record is outside"):
        project.write(values=range(2)).compile()
    assert [(one["sequence"], one["param.x"], one["status"]) for one in table(project)] == [
        (0, 0, "pending"),
        (1, 1, "pending"),
        (8, 8, "succeeded"),
    ]


def test_a_tuner_that_learns_counts_them_and_learns_from_them(project):
    space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    project.write(searchSpace=space, tuner=TPE, maxTrialNumber=3)
    done = imported(project, [row(0.25), row(0.75)])
    assert done.trials == 2
    assert [one["sequence"] for one in table(project)] == [0, 1]
    project.amlc("run", "experiment.yml")
    assert len(project.starts) == 1
    rows = table(project, code=0)
    assert [one["param.x"] for one in rows[:2]] == [0.25, 0.75]
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"maxTrialNumber": 2}, "; they count towards maxTrialNumber, 2: the tuner proposes no more. Raise it to go on from them"),
        ({"maxTrialNumber": 5}, "; they count towards maxTrialNumber, 5: 2 are left to propose"),
        ({"maxTrialNumber": 4}, "; they count towards maxTrialNumber, 4: 1 is left to propose"),
        ({}, ""),
        ({"maxTrialNumber": 1, "tuner": {"name": "Random"}}, "; beside the 1 trial of the experiment's own it has 3 now"),
    ],
)  # fmt: skip
def test_it_is_said_what_they_are_to_those_that_are_to_come(project, keys, said):
    rows = [row(0.25), row(0.5), row(0.75)]
    (project.root / "old.json").write_text(json.dumps(rows))
    common = {"searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}}, "tuner": TPE, "amlc": {"budget": {"trials": 2}}}
    project.write(**(common | keys | ({"amlc": {}} if keys.get("maxTrialNumber") in (4, 5) else {})))
    assert project.amlc("import", "old.json", "experiment.yml").stderr.endswith(f"probe: 3 trials imported{said}\n")
    project.amlc("plan")  # what was run elsewhere counts towards no budget


def test_replicates_of_a_parameter_set_are_numbered_in_a_block(project):
    space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    project.write(searchSpace=space, tuner=TPE, maxTrialNumber=6, amlc={"replicates": 2})
    imported(project, [row(0.25), row(0.75), row(0.25)])
    assert [(one["sequence"], one["param.x"]) for one in table(project)] == [(0, 0.25), (1, 0.25), (2, 0.75), (3, 0.75)]


def test_the_time_since_does_not_count_as_time_at_work(project):
    project.write(values=range(2), maxExperimentDuration="1h")
    project.amlc("run", "experiment.yml")
    with project.ledger() as ledger:
        kinds = [kind for kind, _ in ledger.times()]
    imported(project, [row(1), row(1)])
    with project.ledger() as ledger:
        assert [kind for kind, _ in ledger.times()][len(kinds) :] == ["brought", "observed"]


def test_what_cannot_be_taken_is_said(project):
    project.write(values=range(2))
    done = imported(project, [row(1), row(7), {"parameter": {"y": 1}, "value": "1"}])
    assert done.left_out == f"2 outside of the space ({project.root}/export.json: item 1: 'x' is 7)"
    with pytest.raises(UsageError, match=r"nothing to import: 1 outside of the space \(.*: the space has no 'y'\)"):
        imported(project, [{"parameter": {"y": 1}, "value": "1"}])
    with pytest.raises(UsageError, match="nothing to import: it has no trials"):
        imported(project, [])


def test_an_early_stop_needs_no_result_and_a_lost_trial_is_run(project):
    columns = "status,param.x,metric.default\n"
    (project.root / "old.csv").write_text(f"{columns}early_stopped,0,\nfailed,1,\nunfinished,2,\nrunning,3,\n")
    project.write(values=range(4))
    said = project.amlc("import", "old.csv", "experiment.yml").stderr
    assert said == "probe: 2 trials imported, left out: 2 had not ended (old.csv:4)\n"
    assert [one["status"] for one in table(project)] == ["early_stopped", "failed", "pending", "pending"]
    assert "without a final result" not in project.amlc("status").stderr
    assert "2 imported" in project.amlc("plan").stdout.decode()
    project.amlc("submit", code=1)
    assert len(project.starts) == 2


def test_a_compiled_experiment_goes_by_its_name_and_keeps_its_back_end(project):
    project.write(values=range(2)).compile()
    (project.root / "old.csv").write_text("param.x,metric.default\n1,2\n")
    assert "1 trial imported" in project.amlc("import", "old.csv").stderr
    assert "1 trial imported" not in project.amlc("import", "old.csv", "probe").stderr
    (project.root / "experiment.yml").rename(project.root / "elsewhere.yml")
    assert "experiment.yml is not here" in project.amlc("import", "old.csv", code=2).stderr


def test_its_log_is_where_it_ran(project):
    project.write(values=range(2))
    imported(project, [row(1)])
    assert "it was imported. Its log is where it ran" in project.amlc("logs", "1", code=2).stderr
    assert "it was imported" in project.amlc("open", "1", code=2).stderr
