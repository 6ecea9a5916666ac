"""A trial that failed or was stopped teaches a tuner that its place is a bad one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from amlc.catalogue import names
from amlc.model import Record, Status
from amlc.space.points import axes
from amlc.tuners import built_in
from amlc.tuners.shared.failures import elsewhere, lessons
from tests.tuners.simulation import arguments, simulate

LEARNING = [name for name in names("tuner") if built_in(name).by_value]


def record(value=None, status=Status.SUCCEEDED, curve=(), x=0.5):
    return Record(parameters={"x": x}, status=status, value=value, told=1, curve=tuple(enumerate(curve)))


GOOD, BETTER, BEST = record(3.0), record(2.0), record(1.0)


@pytest.mark.parametrize(
    ("one", "arguments", "value"),
    [
        pytest.param(record(status=Status.FAILED), {}, 3.0, id="a failure is the worst"),
        pytest.param(record(status=Status.FAILED), {"maximize": True}, 1.0, id="the worst is the least"),
        pytest.param(record(), {}, 3.0, id="no result, or NaN"),
        pytest.param(record(status=Status.FAILED), {"failed": 9}, 9, id="a number"),
        pytest.param(record(status=Status.FAILED), {"failed": 9, "maximize": True}, 9, id="a number of the metric"),
        pytest.param(record(status=Status.FAILED), {"failed": "ignore"}, None, id="nothing, as in NNI"),
        pytest.param(record(status=Status.FAILED, curve=[0.1]), {}, 3.0, id="a failure with a curve"),
        pytest.param(record(status=Status.EARLY_STOPPED), {}, 3.0, id="stopped: the worst"),
        pytest.param(record(status=Status.EARLY_STOPPED, curve=[0.1]), {}, 3.0, id="a curve that looks good"),
        pytest.param(record(status=Status.EARLY_STOPPED, curve=[0.1, 3.5]), {}, 3.5, id="a curve that looks bad"),
        pytest.param(record(status=Status.EARLY_STOPPED, curve=[2.5]), {"maximize": True}, 1.0, id="good if larger"),
        pytest.param(record(status=Status.EARLY_STOPPED, curve=[3.5, math.nan]), {}, 3.5, id="the last number"),
        pytest.param(record(status=Status.EARLY_STOPPED, curve=[{"default": 3.5}]), {}, 3.5, id="of a mapping"),
        pytest.param(record(status=Status.EARLY_STOPPED), {"failed": "ignore"}, None, id="stopped, as in NNI"),
        pytest.param(record(status=Status.EARLY_STOPPED), {"failed": 9}, 3.0, id="stopped is not failed"),
        pytest.param(record(status=Status.EARLY_STOPPED, curve=[0.1]), {"intermediate": True}, 0.1, id="the metric"),
        pytest.param(
            record(status=Status.EARLY_STOPPED, curve=[0.1]), {"intermediate": True, "failed": "ignore"}, 0.1, id="both"
        ),
        pytest.param(record(status=Status.CANCELED), {}, None, id="the user's doing"),
        pytest.param(record(status=Status.UNFINISHED), {}, None, id="the machine's doing"),
        pytest.param(record(status=Status.RUNNING), {}, None, id="it runs"),
    ],
)
def test_what_a_trial_without_a_result_counts_for(one, arguments, value):
    history = (GOOD, one, BEST, BETTER)
    taught = lessons(history, **{"maximize": False, **arguments})
    assert [r.value for r in taught] == [3.0, value, 1.0, 2.0]
    own = arguments.get("intermediate", False) or value is None
    assert [r.guessed for r in taught] == [False, not own, False, False]


def test_without_any_result_there_is_no_guess():
    history = (record(status=Status.FAILED), record(status=Status.EARLY_STOPPED))
    marked = lessons(history, maximize=False)
    assert [(r.value, r.guessed) for r in marked] == [(None, True), (None, False)]
    assert list(lessons(history, maximize=False, failed="ignore")) == list(history)
    assert [r.value for r in lessons((*history, BEST), maximize=False)] == [1.0, 1.0, 1.0]


def test_the_last_intermediate_result_is_given_as_it_was_reported():
    stopped = record(status=Status.EARLY_STOPPED, curve=[{"default": 0.1, "loss": 3}, {"default": 0.2, "loss": 2}])
    (taught,) = lessons([stopped], maximize=True, failed="ignore", intermediate=True)
    assert (taught.value, taught.reported, taught.guessed) == (0.2, {"default": 0.2, "loss": 2}, False)
    (ended,) = lessons([replace(stopped, reported=7)], maximize=True, failed="ignore", intermediate=True)
    assert (ended.value, ended.reported) == (None, 7), "it had reported a final result before it was stopped"


SPACE = {
    "x": {"_type": "uniform", "_value": [0, 1000]},
    "rate": {"_type": "loguniform", "_value": [1e-4, 1]},
    "size": {"_type": "randint", "_value": [0, 100_000]},
    "drop": {"_type": "quniform", "_value": [0, 1, 0.0001]},
    "kind": {"_type": "choice", "_value": ["a", "b"]},
}
HERE = {"x": 500.0, "rate": 0.1, "size": 5, "drop": 0.5, "kind": "a"}


@pytest.mark.parametrize(
    ("change", "apart"),
    [
        ({}, False),
        ({"x": 500.9}, False),
        ({"x": 501.1}, True),
        ({"rate": 0.1009}, False),
        ({"rate": 0.102}, True),
        ({"size": 6}, True),
        ({"drop": 0.5001}, True),
        ({"kind": "b"}, True),
    ],
)
def test_the_place_of_a_failure_is_as_wide_as_a_thousandth_of_what_is_continuous(change, apart, parsed):
    history = [
        Record(parameters=HERE, status=Status.FAILED, value=1.0, guessed=True),
        Record(parameters={**HERE, "x": 900.0}, status=Status.FAILED),  # of which the user wants to hear nothing
        Record(parameters={**HERE, "x": 100.0}, status=Status.EARLY_STOPPED, value=1.0, guessed=True),
        Record(parameters={**HERE, "x": 200.0}, status=Status.SUCCEEDED, value=1.0),
        Record(parameters={"gone": 1}, status=Status.FAILED, value=1.0, guessed=True),
    ]
    away = elsewhere(axes(parsed(SPACE)), history)
    assert away({**HERE, **change}) is apart
    assert all(away({**HERE, "x": x}) for x in (100.0, 200.0, 900.0))
    assert elsewhere(axes(parsed(SPACE)), [])(HERE)


CORNER = {"x": {"_type": "uniform", "_value": [0, 1]}, "y": {"_type": "uniform", "_value": [0, 1]}}


def lost(name, space, *, trials=40):
    """Return the places where trials failed, from trial 20 on; the best results are at the edge of the failing half."""

    def objective(p):
        return None if p["x"] > 0.5 else (p["x"] - 0.6) ** 2 + 0.1 * (p["y"] - 0.3) ** 2

    args = arguments(name, optimize_mode="minimize")
    history = simulate(built_in(name), space, objective, trials=trials, seed=3, args=args)
    return [r.parameters for r in history[20:] if r.status is Status.FAILED]


@pytest.mark.parametrize("name", LEARNING)
def test_a_tuner_that_learns_leaves_the_region_that_fails(name, parsed):
    places = lost(name, parsed(CORNER))
    by_chance = lost("Random", parsed(CORNER))
    assert len(places) < len(by_chance), f"{len(places)} of 20, {len(by_chance)} by chance"
    grid = [(round(p["x"], 3), round(p["y"], 3), p.get("TRIAL_BUDGET")) for p in places]
    assert len(set(grid)) == len(grid)
