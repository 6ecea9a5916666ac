"""Which submission comes next, and how much room it takes."""

from types import SimpleNamespace

import pytest

from amlc import backlog
from amlc.backlog import Backlog
from amlc.events import intent, observed, void
from amlc.ledger import open_ledger
from amlc.manifest import Entry
from amlc.mirror import Mirror
from amlc.model import End, Observation, Outcome, Status, Trial
from amlc.reconcile import Policy


def entry(number, trials=1):
    own = tuple(Trial(f"{number}{letter}", number, {}) for letter in "abcd"[:trials])
    return Entry(str(number), f"job-{number}", f"jobs/{number}.yml", "", own)


class Desk:
    """A backlog of compiled jobs, and the ledger that says what became of them."""

    def __init__(self, ledger, entries, more=lambda attempts, room: ()):
        self.ledger = ledger
        self.mirror = Mirror(ledger, "local")
        trials = sum(len(one.trials) for one in entries)
        manifest = SimpleNamespace(trials=trials, entries=lambda: iter(entries))
        self.backlog = Backlog(manifest, self.mirror, Policy(losses=2), width=len, more=more)

    def take(self, room):
        """Return the names of the jobs that are taken, which are intended from then on."""
        batch = self.backlog.take(room)
        for action in batch:
            self.append(intent(action.name, at=1, identity=action.entry.id, attempt=action.number, trials=action.trials,
                               revision="r", backend="local", losses=action.losses,
                               sweep=action.entry.sweep))  # fmt: skip
        return [action.name for action in batch]

    def append(self, event):
        """Record an event; return the ids of the trials that come again."""
        self.ledger.append([event])
        return set().union(*(self.backlog.retry(attempt) for attempt in self.mirror.catch_up()))

    def lose(self, job):
        return self.append(observed(Observation(job=job, status=Status.FAILED, infrastructure=True), at=2))


@pytest.fixture
def desk(tmp_path):
    with open_ledger(tmp_path / "ledger.db") as ledger:
        yield lambda *entries, **keys: Desk(ledger, entries, **keys)


def test_what_finds_room_is_taken_in_order(desk):
    d = desk(*map(entry, range(5)))
    assert [d.take(room) for room in (2, 0, 1, 9, 9)] == [["job-0", "job-1"], [], ["job-2"], ["job-3", "job-4"], []]


def test_many_are_taken_in_pieces_and_what_comes_again_is_not_in_one_twice(desk, monkeypatch):
    monkeypatch.setattr(backlog, "MOST", 2)
    d = desk(*map(entry, range(5)))
    assert (d.take(4), d.backlog.is_cut) == (["job-0", "job-1"], True)
    d.lose("job-0")
    assert (d.take(9), d.backlog.is_cut) == (["job-0-2", "job-2"], True)
    assert (d.take(9), d.backlog.is_cut) == (["job-3", "job-4"], True)
    assert (d.take(9), d.backlog.is_cut) == ([], False)


def test_a_pack_waits_until_there_is_room_for_all_of_it_and_nothing_overtakes_it(desk):
    d = desk(entry(0), entry(1, trials=3), entry(2))
    assert [d.take(room) for room in (3, 2, 3, 1)] == [["job-0"], [], ["job-1"], ["job-2"]]


def test_what_was_cut_short_comes_before_the_rest(desk):
    d = desk(*map(entry, range(4)))
    d.take(2)
    assert d.lose("job-0") == {"0a"}
    assert d.take(2) == ["job-0-2", "job-2"]


def test_what_was_lost_too_often_does_not_come_again(desk):
    d = desk(entry(0))
    assert [d.take(1), d.lose("job-0"), d.take(1), d.lose("job-0-2")] == [["job-0"], {"0a"}, ["job-0-2"], {"0a"}]
    assert [d.take(1), d.lose("job-0-3"), d.take(1)] == [["job-0-3"], set(), []]


def test_what_never_arrived_comes_again_under_the_same_name(desk):
    d = desk(*map(entry, range(3)))
    d.take(2)
    d.append(void("job-0", at=2))
    d.backlog.put_back([entry(0)])
    assert d.take(9) == ["job-0", "job-2"]


def test_a_lost_job_of_an_earlier_run_is_not_taken_twice_after_a_void_intent(desk):
    """The backlog has not come to it yet when it is tried again."""
    d = desk(*map(entry, range(3)))
    last = entry(2)
    d.append(intent(last.name, at=1, identity=last.id, attempt=1, trials=last.trials, revision="r", backend="local",
                    losses=0))  # fmt: skip
    assert d.take(1) == ["job-0"]
    assert d.lose("job-2") == {"2a"}
    d.append(void("job-0", at=2))
    d.backlog.put_back([entry(0)])
    assert [d.take(2), d.take(1), d.take(9)] == [["job-2-2", "job-0"], ["job-1"], []]


def test_more_is_asked_for_once_for_each_piece_of_news(desk):
    rooms = []

    def more(attempts, room):
        rooms.append(room)
        return [entry(7), entry(8)] if attempts else []

    d = desk(more=more)
    assert [d.take(3), d.take(3)] == [[], []]
    assert rooms == [3]
    d.append(intent("other", at=1, identity="other", attempt=1, trials=[], revision="r", backend="local", losses=0))
    assert d.take(1) == ["job-7"]
    assert (d.take(5), d.backlog.trials, rooms) == (["job-8"], 2, [3, 1])


def test_a_lost_trial_of_a_sweep_comes_again_by_itself(desk):
    sweep = Entry("s", "probe-s-r", "sweep.yml", "", tuple(Trial(f"t{n}", n, {}) for n in range(3)), sweep=True)
    d = desk(sweep, entry(9))
    assert d.take(3) == ["probe-s-r"]
    lost = Outcome(trial="t1", exit_code=None, started=None, ended=None, end=End.LOST)
    good = [Outcome(trial=trial, exit_code=0, started=1, ended=2) for trial in ("t0", "t2")]
    seen = Observation(job="probe-s-r", status=Status.FAILED, infrastructure=True)
    assert d.append(observed(seen, at=2, outcomes=[lost, *good])) == {"t1"}
    assert d.take(9) == ["probe-t1-r-2", "job-9"]
    assert d.lose("probe-t1-r-2") == {"t1"}
    assert d.take(9) == ["probe-t1-r-3"]
