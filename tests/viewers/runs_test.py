"""What a trial is as a run: which trials are runs, what is known of each, and its reports in order."""

import math

import pytest

from amlc.collect.results import Results
from amlc.model import Status
from amlc.viewers.runs import numbers, own_folder, runs, words


@pytest.fixture
def runs_of(story):
    def read(told):
        with told.project.ledger() as ledger:
            return list(runs((rows for _, rows in Results(told.project.manifest, ledger).jobs()), ledger))

    return read


def test_what_was_submitted_is_a_run_whatever_became_of_it(story, runs_of):
    told = story().everything()
    found = runs_of(told)
    assert [run.id for run in found] == [trial.id for trial in (*told.trials[:10], told.trials[11])]
    assert [run.status.value for run in found] == [
        "succeeded", "succeeded", "failed", "failed", "early_stopped", "early_stopped", "running", "running",
        "waiting", "waiting", "succeeded",
    ]  # fmt: skip
    assert [(run.started, run.ended) for run in found[::3]] == [(10.0, 30.5), (10.0, 20.0), (12.0, None), (1.5, None)]


def test_a_run_says_which_trial_it_is_of(story, runs_of):
    told = story().everything()
    first, failed, imported = runs_of(told)[0], runs_of(told)[2], runs_of(told)[-1]
    assert {**first.about, "set": ...} == {
        "trial": told.trials[0].id, "number": "0", "attempt": "1", "job": told.entries[0].name, "revision": "a1b2c3",
        "status": "succeeded", "set": ...,
    }  # fmt: skip
    assert first.parameters == {"lr": 0.1, "odd $name/..": {"_name": "conv", "k": 3}}
    assert first.name == "#0"
    assert failed.about["error"] == "bad | worse\nworst"
    assert (imported.about["attempt"], imported.about.get("revision"), imported.result) == ("0", None, {"default": 7})


def test_reports_of_a_packed_job_go_to_their_own_trials_the_final_one_last(story, runs_of):
    first, second, third, *_ = runs_of(story().everything())
    assert [(report.step, report.at) for report in first.reports] == [(0, 11), (1, 12), (2, 13), (3, 14), (4, 30)]
    assert first.reports[-1].values == first.result == {"default": 0.25, "ok": True, "note": "grüße|x"}
    assert [(report.step, report.values) for report in second.reports] == [(0, {"default": 2})]
    assert [(report.step, report.values) for report in third.reports] == [(0, {"default": 1})]


def test_the_last_attempt_is_the_run(story, runs_of):
    told = story()
    told.tell(0, Status.FAILED, ([1, 2, 3], 4), ([], ...))
    told.tell(0, Status.SUCCEEDED, ([9], 5), ([], 6), attempt=2)
    first, second = runs_of(told)
    assert (first.about["attempt"], [report.values["default"] for report in first.reports]) == ("2", [9, 5])
    assert second.result == {"default": 6}


def test_replicates_are_a_set(story, runs_of):
    told = story(searchSpace={"x": {"_type": "choice", "_value": [1, 2]}}, amlc={"replicates": 2})
    for number in range(4):
        told.tell(number, Status.SUCCEEDED, ([], number))
    sets = [run.about["set"] for run in runs_of(told)]
    assert sets[0] == sets[1] != sets[2] == sets[3]


def test_nothing_submitted_is_no_run(story, runs_of):
    assert runs_of(story()) == []


@pytest.mark.parametrize(
    ("values", "found", "rest"),
    [
        ({"a": 1, "b": True, "c": 2.5}, {"a": 1.0, "b": 1.0, "c": 2.5}, {}),
        ({"a": {"b": {"c": 1}, "d": "x"}}, {"a.b.c": 1.0}, {"a.d": "x"}),
        ({"inf": math.inf, "large": 10**400, "none": None}, {"inf": math.inf}, {"large": str(10**400), "none": "null"}),
        ({"list": [1, "ü"], "empty": {}}, {}, {"list": '[1, "ü"]', "empty": "{}"}),
    ],
    ids=["numbers", "nested", "beyond", "none"],
)
def test_what_is_a_number_and_what_is_not(values, found, rest):
    assert (numbers(values), words(values)) == (found, rest)


def test_what_is_written_is_no_trial_code(project):
    project.write()
    revision = project.compile().manifest.header.revision
    own = own_folder(project.root / "code" / "runs", "ünï/x")
    (own / "file").write_text("x")
    assert own.parent == project.root / "code" / "runs"
    assert project.compile().manifest.header.revision == revision
