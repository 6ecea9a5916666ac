"""A model learns from finished trials that fit the space, and from a bounded number of them."""

from __future__ import annotations

import pytest

from amlc.model import Record, Status
from amlc.space.points import axes
from amlc.tuners.shared.model_based import gather

SPACE = {"x": {"_type": "randint", "_value": [0, 1000]}}


def record(x, value=None, status=Status.SUCCEEDED, told=None):
    return Record(parameters={"x": x}, value=value, status=status, told=told)


def test_failures_and_strangers_teach_nothing(parsed) -> None:
    history = [
        record(1, 1.5, told=5),
        record(2, status=Status.FAILED, told=3),
        record(3, status=Status.RUNNING),
        record(4, 0.5, Status.EARLY_STOPPED, told=4),
        record(5000, 0.25, told=1),
    ]
    evidence = gather(axes(parsed(SPACE)), history, maximize=False, most=10)
    assert evidence.points == ({("x",): 4}, {("x",): 1})
    assert evidence.values == (0.5, 1.5)
    assert evidence.running == ({("x",): 3},)


def test_of_many_results_the_best_and_the_latest_are_kept_in_the_order_they_came(parsed) -> None:
    values = [float(value) for value in [*range(20, 10, -1), 1, 2, *range(20, 30)]]
    history = [record(x, value, told=x) for x, value in enumerate(values)]
    evidence = gather(axes(parsed(SPACE)), history, maximize=False, most=4)
    assert evidence.values == (1.0, 2.0, 28.0, 29.0)
    evidence = gather(axes(parsed(SPACE)), history, maximize=True, most=5)
    assert evidence.values == (-25.0, -26.0, -27.0, -28.0, -29.0)
    assert len(gather(axes(parsed(SPACE)), history, maximize=False, most=22).values) == 22


@pytest.mark.parametrize(
    ("values", "tamed"),
    [
        pytest.param([1.0, 2.0, 3.0, 1e38], [1.0, 2.0, 3.0, 32.5], id="a training that diverged"),
        pytest.param([0.4, 40.0, 60.0, 200.0], [0.4, 40.0, 60.0, 200.0], id="a skewed function"),
        pytest.param([1.0, 1.0, 1.0, 5.0], [1.0, 1.0, 1.0, 5.0], id="most are the best"),
        pytest.param([-1e300, -1e300, 1e300], [-1e100, -1e100, 1e100], id="what cannot be squared"),
    ],
)
def test_no_result_hides_the_differences_of_all_others(values, tamed, parsed) -> None:
    history = [record(x, value, told=x) for x, value in enumerate(values)]
    assert gather(axes(parsed(SPACE)), history, maximize=False, most=9).values == pytest.approx(tuple(tamed))
