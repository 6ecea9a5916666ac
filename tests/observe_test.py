"""What is recorded of the intermediate results of running trials."""

from __future__ import annotations

import pytest

from amlc import observe
from amlc.attempts import Attempt
from amlc.ledger import open_ledger
from amlc.model import Metric, Observation, Status, Trial


def metric(trial, value, kind="intermediate"):
    return Metric(trial=trial, kind=kind, sequence=0, value=value, at=0.0)


@pytest.mark.parametrize(
    ("known", "metrics", "expected"),
    [
        pytest.param({}, [], None, id="none"),
        pytest.param({}, [metric("a", 1, "final")], None, id="only a final one"),
        pytest.param({}, [metric("a", None)], {"a": [None]}, id="null is a report"),
        pytest.param({}, [metric("a", 1), metric("b", 2), metric("a", {"x": 3})], {"a": [1, {"x": 3}], "b": [2]}, id="two"),
        pytest.param({"a": 1}, [metric("a", 1), metric("a", 2)], {"a": [2]}, id="one is known"),
        pytest.param({"a": 2}, [metric("a", 1), metric("a", 2)], None, id="all are known"),
        pytest.param({"a": 3}, [metric("a", 1), metric("a", 2)], None, id="fewer than were known"),
        pytest.param({"a": 1}, [metric("a", 1), metric("b", 2)], {"b": [2]}, id="the other trial's is new"),
    ],
)  # fmt: skip
def test_only_new_reports_are_recorded(known, metrics, expected):
    attempt = Attempt(
        id="j",
        number=1,
        trials=(Trial("a", 0, {}), Trial("b", 1, {})),
        revision="r",
        backend="local",
        losses=0,
        latest=Observation(job="j-1", status=Status.RUNNING),
        curves={trial: tuple((5, 0.0) for _ in range(count)) for trial, count in known.items()},
    )
    events = observe._news(attempt, metrics, lambda: 7.0)
    assert [event.data for event in events] == ([] if expected is None else [expected])
    assert all((event.kind, event.job, event.at) == ("reported", "j-1", 7.0) for event in events)


def test_what_a_back_end_tells_again_costs_no_look_at_its_job(tmp_path):
    attempt = Attempt(
        id="j",
        number=1,
        trials=(Trial("a", 0, {}),),
        revision="r",
        backend="local",
        losses=0,
        latest=Observation(job="j-1", status=Status.WAITING),
    )
    told = Observation(job="j-1", status=Status.RUNNING)
    with open_ledger(tmp_path / "ledger.db") as ledger:
        recorder = observe.Recorder(ledger, None, lambda: 7.0)
        observe.record(recorder, {"j-1": attempt}, [told])
        observe.record(recorder, {}, [told], known={"j-1": told})
        assert [event.data["status"] for event in ledger.events()] == ["running"]
        with pytest.raises(KeyError):  # the job is looked at, and is not live
            observe.record(recorder, {}, [Observation(job="j-1", status=Status.RUNNING)], known={"j-1": told})
