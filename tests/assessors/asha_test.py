"""ASHA stops at rungs what is not among the best that reached them, and nothing else."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from amlc.assessors import asha
from amlc.catalogue import filled, find

NAN = math.nan


def args(**given: Any) -> Any:
    known = find("ASHA", "assessor")
    assert known is not None
    return filled(known.arguments, {"min_budget": 1, **given})


def flat(value: float, length: int = 30) -> list[float]:
    return [value] * length


def stops(curve, others, **given) -> bool:
    return asha.assess(curve, [other[: len(curve)] for other in others], args=args(**given))


def rungs(worst_of=9, **given) -> list[int]:
    """Return after which of 100 results a trial is stopped that is worse than all others."""
    others = [flat(1.0, 100) for _ in range(worst_of)]
    return [step for step in range(1, 101) if stops(flat(0.0, step), others, **given)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"min_budget": 3}, [3, 9, 27, 81], id="default"),
        pytest.param({"min_budget": 1}, [1, 3, 9, 27, 81], id="from the first result on"),
        pytest.param({"eta": 4, "min_budget": 2}, [2, 8, 32], id="eta and min_budget"),
        pytest.param({"max_budget": 27}, [1, 3, 9], id="none at the largest budget"),
        pytest.param({"max_budget": 28}, [1, 3, 9, 27], id="none beyond it"),
        pytest.param({"min_budget": 5, "max_budget": 5}, [], id="one budget"),
    ],
)
def test_it_stops_at_rungs_alone(given, expected) -> None:
    assert rungs(**given) == expected


def test_the_defaults_are_those_of_the_docs() -> None:
    known = find("ASHA", "assessor")
    assert known is not None
    expected = {"optimize_mode": "maximize", "eta": 3, "min_budget": 3, "max_budget": None}
    assert filled(known.arguments, {}) == expected


@pytest.mark.parametrize("value", [0.0, -1e300, NAN])
def test_the_first_to_reach_a_rung_goes_on(value) -> None:
    assert not stops([value], [])
    assert not stops(flat(value, 3), [])


@pytest.mark.parametrize("eta", [2, 3, 4])
def test_one_in_eta_goes_on_and_always_the_best(eta) -> None:
    values = [float(n) for n in range(30)]
    random.Random(eta).shuffle(values)
    for count in range(1, 30):
        own, others = values[count - 1], values[: count - 1]
        better = sum(other > own for other in others)
        expected = better >= max(count // eta, 1)
        assert stops([own], [[other] for other in others], eta=eta) == expected
        assert stops([-own], [[-other] for other in others], eta=eta, optimize_mode="minimize") == expected


def test_only_the_result_at_the_rung_counts() -> None:
    others = [[9.0, 9.0, 1.0], [9.0, 9.0, 2.0], [9.0, 9.0, 3.0]]
    assert not stops([0.0, 0.0, 4.0], others)
    assert stops([99.0, 99.0, 2.5], others)


def test_equal_results_are_equally_good() -> None:
    assert not stops([0.1], [[0.1]] * 50)
    assert stops([0.1], [[0.1]] * 50 + [[0.2]] * 25)
    assert not stops([0.1], [[0.1]] * 50 + [[0.2]] * 24)


@pytest.mark.parametrize("mode", ["maximize", "minimize"])
def test_nan_is_the_worst(mode) -> None:
    assert stops([NAN], [[-1e300], [1e300], [0.0]], optimize_mode=mode)
    assert not stops([0.0], [[NAN], [NAN], [NAN]], optimize_mode=mode)
    assert not stops([NAN], [[NAN], [NAN], [NAN]], optimize_mode=mode)
