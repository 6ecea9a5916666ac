"""The table that collect writes, what it says beside it, and its exit code."""

import csv
import io
import os

import pytest

from amlc.commands import collect as module
from amlc.commands.collect import best
from amlc.display.results import incomplete, show_collected
from amlc.errors import IncompleteError
from amlc.events import Event
from amlc.model import Metric, Status


@pytest.fixture
def written(story):
    """What collect writes, as rows."""

    def run(**options):
        console = story.console(quiet=options.pop("quiet", False))
        before = len(story.raw.getvalue())
        end = show_collected(story.manifest, console, story.folders, format_="csv", **options)
        story.rows = list(csv.DictReader(io.StringIO(story.raw.getvalue()[before:].decode())))
        if not end.complete:
            raise incomplete(end, story.manifest, story.folders)
        return story.rows

    return run


def test_incomplete_results_are_written_all_the_same(story, written):
    story.end(0, final=1.5)
    with pytest.raises(
        IncompleteError, match=r"probe: 1 of 4 trials done.*The rows are written all the same\."
    ):
        written()
    assert [row["metric.default"] for row in story.rows] == ["1.5", "", "", ""]


def test_complete_results_are_said_unless_quiet(story, written):
    for number in range(4):
        story.end(number, final=number)
    assert len(written()) == 4
    assert story.lines()[1] == ["probe: 4 of 4 trials done"]
    written(quiet=True)
    assert len(story.lines()[1]) == 1


@pytest.mark.parametrize(("numbers", "lines"), [(False, 1), (True, 2)])
def test_results_without_a_number_are_said_where_they_are_needed(story, written, numbers, lines):
    for number in range(4):
        story.end(number, final={"acc": 1})
    written(numbers=numbers)
    assert len(story.lines()[1]) == lines


AML = {
    "platform": "aml", "subscriptionId": "s", "resourceGroup": "g", "workspaceName": "w", "computeTarget": "c", "dockerImage": "i",
}  # fmt: skip


@pytest.mark.parametrize("prices", [{}, {"c": 3.0}])
def test_what_each_trial_cost_stands_in_columns_of_its_own(story, written, prices):
    job = {"resources": {"instance_count": 2}}
    story.project.write(
        values=range(2), trainingService=AML, amlc={"prices": prices, "job": job}
    ).compile()
    lost = {"status": Status.FAILED, "infrastructure": True}
    story.end(0, started=0.0, ended=1800.0, backend="aml", **lost)
    story.end(0, attempt=2, final=1, started=0.0, ended=3600.0, backend="aml")
    story.end(1, final=2, backend="aml")
    first, second = written(costs=True)
    assert (first["nodes"], first["node_hours"], second["node_hours"]) == ("2", "3.0", "0.0")
    assert (first.get("cost"), second.get("cost")) == (("9.0", "0.0") if prices else (None, None))
    assert "nodes" not in written()[0]


def test_the_cost_is_that_of_trials(story):
    story.project.amlc("collect", "--cost", "--history", code=2)
    story.project.amlc("collect", "--cost", "--aggregate", "mean", code=2)


def test_with_aggregates_there_is_a_row_for_each_set(story, written):
    for number in range(4):
        story.end(number, final=number)
    rows = written(aggregate=["mean", "count"])
    assert [row["metric.default.mean"] for row in rows] == ["0.0", "1.0", "2.0", "3.0"]


class Elsewhere:
    """A back end elsewhere, which is asked for the intermediate results of ended jobs."""

    slots = None

    def __init__(self):
        self.asked = []

    def history(self, jobs):
        self.asked += jobs
        for job in jobs:
            yield (
                job,
                [
                    Metric(
                        trial=self.trials[job], kind="intermediate", sequence=0, value=0.5, at=1.0
                    )
                ],
            )

    def _unused(self, *args, **kwargs):
        raise AssertionError

    submit = adopt = poll = cancel = fetch = log = reasons = _unused


def test_the_history_of_ended_jobs_is_fetched_once(story, written, monkeypatch):
    elsewhere = Elsewhere()
    monkeypatch.setattr(module, "open_backend", lambda header, runs: elsewhere)
    jobs = [story.end(number, final=1.0) for number in range(3)]
    elsewhere.trials = {
        job: entry.trials[0].id for job, entry in zip(jobs, story.entries, strict=False)
    }
    with story.project.ledger() as ledger:
        ledger.append([Event(kind="history", at=1.0, job=jobs[0])])
    for _ in range(2):
        with pytest.raises(IncompleteError):
            written(history=True)
    assert elsewhere.asked == jobs[1:]
    assert [row["metric.default"] for row in story.rows] == ["0.5", "0.5"]


def test_a_history_that_cannot_be_recorded_is_said_to_be_missing(story, written, monkeypatch):
    """Otherwise an empty table would say that the trials reported nothing."""
    elsewhere = Elsewhere()
    monkeypatch.setattr(module, "open_backend", lambda header, runs: elsewhere)
    story.end(0, final=1.0)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    said = r"the intermediate results of 1 job are not fetched, and not shown"
    with pytest.raises(IncompleteError), pytest.warns(RuntimeWarning, match=said):
        written(history=True)
    assert elsewhere.asked == []


def test_without_a_number_there_is_no_best_trial(story):
    with pytest.raises(IncompleteError, match="probe: no trial has a numeric final result yet"):
        best(story.manifest, folders=story.folders)
