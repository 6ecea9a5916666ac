"""What an assessor is shown, and that its verdicts are the same for a run that was killed and goes on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from amlc.attempts import fold
from amlc.early_stopping import Assessing, Assessor
from amlc.events import Event, observed
from amlc.ledger import open_ledger
from amlc.model import Metric, Observation, Status
from amlc.observe import Recorder


class Jobs:
    """A back end whose jobs have reported what it is told."""

    def __init__(self):
        self.metrics = {}
        self.canceled = []

    def report(self, job, *values, at):
        known = self.metrics.setdefault(job, [])
        known += [
            Metric(trial=job.upper(), kind="intermediate", sequence=len(known) + n, value=value, at=at + n)
            for n, value in enumerate(values)
        ]

    def fetch(self, job):
        return SimpleNamespace(metrics=tuple(self.metrics.get(job, ())))

    def cancel(self, jobs):
        self.canceled += jobs


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def jobs():
    return Jobs()


def submit(ledger, *names):
    for name in names:
        trials = [{"id": name.upper(), "sequence": 0, "parameters": {}}]
        data = {"id": name, "attempt": 1, "trials": trials, "revision": "", "backend": "", "losses": 0}
        ledger.append([Event(kind="intent", at=0, job=name, data=data), Event(kind="submitted", at=0, job=name)])
        ledger.append([observed(Observation(job=name, status=Status.RUNNING), at=0)])


def end(ledger, jobs, name, status):
    ledger.append([observed(Observation(job=name, status=status), at=9)], jobs.metrics.get(name, ()), job=name)


def look(ledger, jobs, assess, *, among_all=True):
    """Assess once, as a run that has just begun; return the jobs that were given up."""
    before = len(jobs.canceled)
    live = {job: attempt for job, attempt in fold(ledger.events()).items() if attempt.working}
    assessor = Assessor(assess, among_all=among_all)
    Assessing(Recorder(ledger, jobs, lambda: 0.0), assessor).stop(live)
    return jobs.canceled[before:]


def shown(ledger, jobs, job_value, *, among_all):
    """Return what the assessor is shown with the trial whose last result is `job_value`."""
    found = []

    def assess(curve, others):
        if curve[-1] == job_value:
            found.append((curve, sorted(others)))
        return False

    look(ledger, jobs, assess, among_all=among_all)
    return found


def test_a_trial_is_compared_with_all_that_had_come_as_far_before(ledger, jobs) -> None:
    submit(ledger, "a", "b", "c", "d", "e")
    jobs.report("a", 1.0, 2.0, 3.0, at=10)  # succeeded
    jobs.report("b", 4.0, 5.0, at=10)  # was stopped
    jobs.report("c", 6.0, at=10)  # failed, before it had two
    jobs.report("d", 7.0, 8.0, at=12)  # runs, and its second came later than that of e
    jobs.report("e", 9.0, 99.0, at=11.5)
    end(ledger, jobs, "a", Status.SUCCEEDED)
    ledger.append([Event(kind="early_stop", at=1, job="b")])
    end(ledger, jobs, "b", Status.CANCELED)
    end(ledger, jobs, "c", Status.FAILED)
    assert shown(ledger, jobs, 99.0, among_all=True) == [([9.0, 99.0], [[1.0, 2.0], [4.0, 5.0]])]
    assert shown(ledger, jobs, 8.0, among_all=True) == [([7.0, 8.0], [[1.0, 2.0], [4.0, 5.0], [9.0, 99.0]])]
    assert shown(ledger, jobs, 99.0, among_all=False) == [([9.0, 99.0], [[1.0, 2.0, 3.0]])]


def test_what_is_being_stopped_counts_until_it_has_ended_and_after(ledger, jobs) -> None:
    submit(ledger, "a", "b")
    jobs.report("a", 1.0, at=1)
    ledger.append([Event(kind="early_stop", at=1, job="a")])
    jobs.report("b", 2.0, at=2)
    assert shown(ledger, jobs, 2.0, among_all=True) == [([2.0], [[1.0]])]
    assert shown(ledger, jobs, 1.0, among_all=True) == []
    end(ledger, jobs, "a", Status.CANCELED)
    assert shown(ledger, jobs, 2.0, among_all=True) == [([2.0], [[1.0]])]


def test_of_several_attempts_the_last_counts_and_none_is_compared_with_itself(ledger, jobs) -> None:
    submit(ledger, "a")
    jobs.report("a", 1.0, 2.0, at=1)
    end(ledger, jobs, "a", Status.FAILED)
    submit(ledger, "a-2", "b")
    jobs.metrics["a-2"] = [Metric(trial="A", kind="intermediate", sequence=0, value=7.0, at=5.0)]
    jobs.report("b", 9.0, at=6)
    assert shown(ledger, jobs, 7.0, among_all=True) == [([7.0], [])]
    assert shown(ledger, jobs, 9.0, among_all=True) == [([9.0], [[7.0]])]


def test_whoever_looks_and_whenever_the_verdicts_are_the_same(ledger, jobs) -> None:
    def worse_than_one(curve, others):
        return any(other[-1] > curve[-1] for other in others)

    submit(ledger, *"abcdef")
    order = list(enumerate([("c", 3.0), ("a", 2.0), ("f", 5.0), ("e", 4.0), ("b", 6.0), ("d", 1.0)]))
    for at, (name, value) in order:
        jobs.report(name, value, at=at)
    expected = ["a", "d", "e"]  # each has one before it that is better
    assert sorted(look(ledger, jobs, worse_than_one)) == expected
    assert [e.job for e in ledger.events(kind="early_stop")] == expected, "recorded before the call"
    for (
        name
    ) in "cfb":  # the same trials go on, whatever came later, for a run that begins anew and for one that goes on
        jobs.report(name, 0.0, at=20)
    assert "c" not in look(ledger, jobs, lambda curve, others: len(curve) == 1 and worse_than_one(curve, others))


def test_a_verdict_is_carried_out_by_the_next_run_if_this_one_was_killed(ledger, jobs) -> None:
    submit(ledger, "a", "b")
    ledger.append([Event(kind="early_stop", at=1, job="a")])
    assert look(ledger, jobs, lambda curve, others: False) == ["a"]
