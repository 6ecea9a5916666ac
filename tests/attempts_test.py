"""What the events of a job add up to, whichever they are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.attempts import by_trial, elapsed_s, fold
from amlc.events import Event, observed
from amlc.events import intent as intended
from amlc.model import Observation, Outcome, Status, Trial

JOBS = ("p-1", "p-2", "p-2-2")


def intent(job="p-1", at=1.0, **data):
    rest = {"id": job[:3], "attempt": 1, "trials": [{"id": "t1", "sequence": 0, "parameters": {"x": 1}}],
            "revision": "a1b2c3", "backend": "local", "losses": 0}  # fmt: skip
    return Event(kind="intent", at=at, job=job, data={**rest, **data})


def seen(job="p-1", status=Status.RUNNING, at=2.0, outcomes=(), **fields):
    return observed(Observation(job=job, status=status, **fields), at=at, outcomes=outcomes)


EVENTS = st.one_of(
    st.builds(intent, st.sampled_from(JOBS), st.floats(0, 1e9)),
    st.builds(seen, st.sampled_from(JOBS), st.sampled_from(Status), st.floats(0, 1e9),
              exit_code=st.none() | st.integers(0, 255), error=st.none() | st.text(), infrastructure=st.booleans(),
              begun=st.none() | st.tuples(st.sampled_from(["t0", "t1"])),
              outcomes=st.lists(st.builds(Outcome, trial=st.just("t1"), exit_code=st.integers(), started=st.none(), ended=st.floats(0, 1)), max_size=1)),
    st.builds(lambda kind, job, at: Event(kind=kind, at=at, job=job), st.sampled_from(["submitted", "void", "cancel"]),
              st.sampled_from(JOBS), st.floats(0, 1e9)),
    st.builds(lambda kind, at: Event(kind=kind, at=at), st.sampled_from(["session", "tick", "stop", "of-the-future"]),
              st.floats(0, 1e9)),
)  # fmt: skip


@given(st.lists(EVENTS, max_size=30))
def test_every_prefix_of_the_events_is_a_valid_state(events):
    attempts = {}
    for number, event in enumerate(events, 1):
        attempts = fold([event], attempts)
        assert attempts == fold(events[:number])
        for job, attempt in attempts.items():
            assert attempt.job == job
            assert attempt.status("t1") in Status
            assert attempt.working == (not attempt.latest.status.ended)
        last = by_trial(attempts.values())
        assert set(last) == {trial.id for attempt in attempts.values() for trial in attempt.trials}


INNER = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
    | st.sampled_from(['}},{"id":"', '}],"revision":"', '{"id":"t1","sequence":0,"parameters":{', "é🙂", '"\\']),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3) | st.sampled_from(["id", "parameters", "revision"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip
TRIALS = st.lists(st.builds(Trial, st.sampled_from(["t1", "t2", 'a"b', "\\", ""]), st.integers(-1, 10**19),
                            st.dictionaries(st.text(max_size=3) | st.just("id"), INNER, max_size=2)), max_size=3)  # fmt: skip


@given(
    trials=TRIALS | st.just([Trial("t1", 0, {"x": [{"a": {}}, {"id": "t2"}]})]),
    identity=st.sampled_from(["p-1", 'q"', ""]),
    attempt=st.integers(0, 10**10),
    sha256=st.none() | st.text(max_size=4),
    sweep=st.booleans(),
    draws=st.sampled_from([range(0), range(3, 5)]),
    losses=st.integers(-1, 3),
)
def test_an_intent_is_the_same_whether_it_is_read_or_not(**fields) -> None:
    event = intended("p-1-a1", at=1.0, revision="a1", backend="local", **fields)
    text = json.dumps(event.data, separators=(",", ":"))
    unread = Event.unread(kind=event.kind, at=1.0, job=event.job, text=text, number=4)
    (attempt,) = fold([unread]).values()
    assert attempt == fold([event])[event.job]
    assert attempt.asked == 4
    assert repr(attempt.trials) == repr(tuple(fields["trials"]))
    assert unread == event


def test_an_intent_alone_waits_and_a_void_one_is_forgotten():
    attempts = fold([intent()])
    assert attempts["p-1"].latest.status is Status.WAITING
    assert attempts["p-1"].submitted is None
    assert fold([intent(), Event(kind="void", at=2, job="p-1")]) == {}


def test_a_trial_of_a_running_pack_waits_until_it_begins():
    def status(trial, **fields):
        return fold([intent(), seen(**fields)])["p-1"].status(trial)

    assert status("t1", begun=("t0", "t1")) is Status.RUNNING
    assert status("t1", begun=("t0",)) is Status.WAITING
    assert status("t1", begun=()) is Status.WAITING
    assert status("t1") is Status.RUNNING, "nobody knows"
    assert status("t1", begun=("t0",), status=Status.FAILED) is Status.FAILED


def test_what_was_observed_counts_as_submitted():
    assert fold([intent(), seen(at=7.0)])["p-1"].submitted == 7.0


def at(kind, when, job=""):
    return Event(kind=kind, at=when, job=job)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([], 0, id="never"),
        pytest.param([at("session", 100)], 0, id="killed-at-once"),
        pytest.param([at("session", 100), at("tick", 130), at("tick", 160)], 60, id="ticks"),
        pytest.param([at("session", 100), at("tick", 110), at("session", 500), at("tick", 505)], 15, id="a-pause"),
        pytest.param([at("session", 100), at("submitted", 108, "p-1"), at("session", 500)], 8, id="killed-then-again"),
        pytest.param(
            [at("session", 100), at("tick", 110), seen(at=5000.0), at("session", 6000), at("tick", 6001)],
            11, id="status-looked-in-the-pause"),
        pytest.param([at("session", 100), at("tick", 110), at("cancel", 900, "p-1"), at("stop", 900)],
                     10, id="canceled-in-the-pause"),
    ],
)  # fmt: skip
def test_pauses_between_submits_do_not_count(events, expected):
    assert elapsed_s((event.kind, event.at) for event in events) == expected


@pytest.mark.parametrize(("asked", "expected"), [((), "unfinished"), (("cancel",), "canceled"), (("early_stop",), "early_stopped")])
@pytest.mark.parametrize("order", ["asked first", "seen again"])
def test_what_was_asked_to_end_is_not_unfinished_however_it_ended(asked, expected, order):
    """Where its mark could not be written, the back end says that it was killed; and that would be submitted again."""
    end = seen(status=Status.FAILED, infrastructure=True, at=4.0)
    words = [Event(kind=kind, at=3.0, job="p-1") for kind in asked]
    events = [intent(), seen(), *words, end, *([end] if order == "seen again" else [])]
    attempt = fold(events)["p-1"]
    assert attempt.status("t1").value == expected
    assert attempt.latest.infrastructure == (not asked)
    own = Outcome(trial="t1", exit_code=0, started=1.0, ended=2.0)
    assert fold([*events, seen(status=Status.FAILED, infrastructure=True, outcomes=[own])])["p-1"].status("t1").value == "succeeded"
