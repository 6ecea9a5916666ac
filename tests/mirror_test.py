"""The mirror of a ledger: the same as reading all of it anew, whoever recorded what meanwhile."""

import pytest

from amlc.attempts import by_trial, fold
from amlc.events import early_stop, intent, observed, session, stop, submitted, tick, void
from amlc.ledger import open_ledger
from amlc.mirror import Mirror
from amlc.model import Observation, Status, Trial

TRIALS = tuple(Trial(name, number, {"x": number}) for number, name in enumerate("ab"))


def asked(job, trials=TRIALS[:1], *, number=1, backend="local", losses=0):
    return intent(
        job, at=1, identity=job[:1], attempt=number, trials=trials, revision="r", backend=backend, losses=losses
    )


def told(job, status, **fields):
    return observed(Observation(job=job, status=status, **fields), at=2)


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path / "ledger.db") as opened:
        yield opened


def assert_the_same(mirror, ledger):
    attempts = fold(ledger.events())
    assert mirror.attempts == attempts
    assert mirror.last == by_trial(attempts.values())
    assert mirror.live == {job: one for job, one in attempts.items() if one.working and one.backend == "local"}


STEPS = [
    pytest.param([asked("a")], [], id="intent"),
    pytest.param([asked("a"), submitted("a", at=1, url=None), told("a", Status.RUNNING)], [], id="running"),
    pytest.param([asked("a"), told("a", Status.SUCCEEDED)], ["a"], id="ended"),
    pytest.param([asked("a"), told("a", Status.SUCCEEDED), told("a", Status.FAILED)], ["a"], id="an end counts once"),
    pytest.param([asked("a"), told("a", Status.UNKNOWN)], [], id="unknown is no end"),
    pytest.param([asked("a"), void("a", at=2)], [], id="void"),
    pytest.param([asked("a"), told("a", Status.FAILED), asked("a-2", number=2), void("a-2", at=3)], ["a"], id="void retry"),
    pytest.param([asked("a", backend="aml"), told("a", Status.FAILED)], [], id="another back end"),
    pytest.param([asked("a", TRIALS), early_stop("a", at=2), told("a", Status.CANCELED)], ["a"], id="stopped early"),
    pytest.param([asked("a", TRIALS), asked("a-2", TRIALS[1:], number=2), told("a", Status.FAILED)], ["a"], id="late end"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "ended"), STEPS)
@pytest.mark.parametrize("at_once", [True, False])
def test_it_is_what_the_ledger_says_and_yields_each_end_once(ledger, events, ended, at_once):
    mirror = Mirror(ledger, "local")
    found = []
    for piece in [events] if at_once else [[event] for event in events]:
        ledger.append(piece)
        found += [attempt.job for attempt in mirror.catch_up()]
        assert_the_same(mirror, ledger)
    assert found == ended


@pytest.mark.parametrize(("events", "ended"), STEPS)
def test_what_was_there_before_is_no_news(ledger, events, ended):
    ledger.append([*events, stop(at=1)])
    mirror = Mirror(ledger, "local")
    assert_the_same(mirror, ledger)
    assert list(mirror.catch_up()) == []
    assert not mirror.stopped


def test_an_end_is_seen_before_what_was_recorded_after_it(ledger):
    mirror = Mirror(ledger, "local")
    ledger.append([asked("a"), told("a", Status.FAILED), asked("b", TRIALS[1:])])
    for attempt in mirror.catch_up():
        assert (attempt.job, list(mirror.attempts)) == ("a", ["a"])
    assert list(mirror.attempts) == ["a", "b"]


def test_the_last_attempts_stay_the_same_mapping(ledger):
    """A backlog that is under way holds it."""
    mirror = Mirror(ledger, "local")
    before = mirror.last
    ledger.append([asked("a"), void("a", at=2)])
    assert list(mirror.catch_up()) == []
    assert mirror.last is before


def test_a_sign_of_life_is_no_news_and_a_stop_is_noticed(ledger):
    mirror = Mirror(ledger, "local")
    ledger.append([session(at=1), tick(at=2)])
    assert list(mirror.catch_up()) == []
    assert (mirror.news, mirror.seen, mirror.stopped) == (1, 2, False)
    ledger.append([stop(at=3)])
    assert list(mirror.catch_up()) == []
    assert (mirror.news, mirror.seen, mirror.stopped) == (3, 3, True)
