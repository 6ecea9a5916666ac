"""What a row says of its trial."""

import pytest

from amlc.attempts import Attempt
from amlc.collect.rows import Row, named
from amlc.model import Observation, Outcome, Status, Trial

TRIAL = Trial("1" * 16, 0, {"x": 1})


def attempt(status, outcome=None, **seen):
    latest = Observation(job="j", status=status, **seen)
    outcomes = {} if outcome is None else {TRIAL.id: outcome}
    return Attempt(
        id="j", number=1, trials=(TRIAL,), revision="0" * 64, backend="local", losses=0, latest=latest, outcomes=outcomes
    )


@pytest.mark.parametrize(
    ("value", "metrics"),
    [
        pytest.param(0.5, {"default": 0.5}, id="a number"),
        pytest.param(None, {"default": None}, id="null"),
        pytest.param([1, 2], {"default": [1, 2]}, id="a list"),
        pytest.param({"loss": 1}, {"loss": 1}, id="a mapping"),
        pytest.param({}, {}, id="an empty mapping"),
    ],
)
def test_a_reported_value_is_metrics_by_name(value, metrics):
    assert named(value) == metrics
    assert Row(TRIAL, final=(value,)).result == metrics


def test_a_trial_that_was_never_submitted_has_nothing():
    row = Row(TRIAL)
    assert (row.status, row.result, row.outcome, row.times, row.error) == (Status.PENDING, {}, None, (None, None), None)


def test_its_own_times_count_before_those_of_its_job():
    own = Outcome(trial=TRIAL.id, exit_code=0, started=20.0, ended=None)
    row = Row(TRIAL, attempt(Status.SUCCEEDED, own, started=10.0, ended=90.0))
    assert row.times == (20.0, 90.0)


@pytest.mark.parametrize(
    ("status", "final", "error"),
    [
        pytest.param(Status.SUCCEEDED, (0.5,), None, id="well"),
        pytest.param(Status.SUCCEEDED, (), "no final result", id="well without a result"),
        pytest.param(Status.FAILED, (0.5,), "out of memory", id="failed"),
        pytest.param(Status.CANCELED, (), "out of memory", id="canceled"),
    ],
)
def test_the_error_is_why_it_did_not_end_well(status, final, error):
    assert Row(TRIAL, attempt(status, error="out of memory"), final, status).error == error
