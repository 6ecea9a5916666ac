"""The jobs that a tuner gives up are ended, once, and again by a run that goes on."""

import pytest

from amlc.advising import Advising
from amlc.attempts import fold
from amlc.early_stopping import Ending
from amlc.errors import TransientError
from amlc.events import EventKind, intent
from amlc.ledger import open_ledger
from amlc.model import Trial
from amlc.observe import Recorder


class Backend:
    """Notes what is cancelled; may be down."""

    def __init__(self):
        self.canceled = []
        self.is_down = False

    def cancel(self, jobs):
        if jobs and self.is_down:
            raise TransientError("down")
        self.canceled += jobs


class Run:
    """A run over jobs `a`, `b` and `c`, whose tuner gives up what `unwanted` has."""

    def __init__(self, ledger):
        self.ledger, self.backend = ledger, Backend()
        self.unwanted, self.asked = set(), 0
        for number, job in enumerate("abc"):
            trials = [Trial(job, number, {})]
            given = {"identity": job, "attempt": 1, "trials": trials, "revision": "", "backend": "local", "losses": 0}
            ledger.append([intent(job, at=0.0, **given)])
        self.begin()

    def begin(self):
        """Be another process."""
        self.advising = Advising(Ending(Recorder(self.ledger, self.backend, lambda: 0.0)), self.given_up)

    def given_up(self, attempts):
        self.asked += 1
        assert list(attempts) == ["a", "b", "c"]
        return sorted(self.unwanted)

    def stop(self, *, seen, live="abc"):
        attempts = fold(self.ledger.events())
        before = len(self.backend.canceled)
        self.advising.stop(attempts, {job: attempts[job] for job in live}, seen=seen)
        return self.backend.canceled[before:]


@pytest.fixture
def run(tmp_path):
    with open_ledger(tmp_path / "ledger.db") as ledger:
        yield Run(ledger)


def test_what_the_tuner_gives_up_ends_and_the_ledger_knows_before(run):
    run.unwanted = {"a", "c"}
    assert run.stop(seen=3) == ["a", "c"]
    assert [event.job for event in run.ledger.events(kind=EventKind.EARLY_STOP)] == ["a", "c"]
    assert all(fold(run.ledger.events())[job].stopping for job in "ac")


def test_it_ends_once(run):
    run.unwanted = {"a"}
    assert run.stop(seen=3) == ["a"]
    assert run.stop(seen=4) == []
    assert len(list(run.ledger.events(kind=EventKind.EARLY_STOP))) == 1


def test_the_tuner_is_asked_only_when_something_happened_and_something_runs(run):
    run.stop(seen=3)
    run.stop(seen=3)
    assert run.asked == 1
    run.stop(seen=4, live="")
    assert run.asked == 1
    run.stop(seen=5)
    assert run.asked == 2


def test_what_does_not_run_is_not_ended(run):
    run.unwanted = {"a", "b", "gone"}
    assert run.stop(seen=3, live="bc") == ["b"]


def test_a_run_that_goes_on_carries_out_what_was_recorded(run):
    run.unwanted, run.backend.is_down = {"b"}, True
    assert run.stop(seen=3) == []
    assert [event.job for event in run.ledger.events(kind=EventKind.EARLY_STOP)] == ["b"]
    run.backend.is_down = False
    run.begin()
    assert run.stop(seen=4) == ["b"]
