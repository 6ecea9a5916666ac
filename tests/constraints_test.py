"""The sample of a search space that constraints are checked with, and the gate that parameter sets go through."""

from __future__ import annotations

from itertools import count, islice

import pytest

from amlc.constraints import Gate
from amlc.errors import PlanError
from amlc.model import Choice, Integer, Real
from amlc.space.draws import sample
from amlc.space.points import axes, locate, may_overflow

DEEP = Choice("inner", ("no", "yes"), ((), (Integer("k", 0, 9),)))
SPACE = (
    Choice("layer", ("none", "conv", *map(str, range(50))), ((), (DEEP,), *[()] * 50)),
    Choice("flat", tuple(range(60))),
    Real("lr", 0.0, 1.0),
)


def test_a_sample_takes_every_branch_and_its_members_are_points_of_the_space() -> None:
    found = list(sample(SPACE, seed=0, count=0, flat=False))
    assert {p["layer"]["_name"] for p in found} == {"none", "conv", *map(str, range(50))}
    assert sum("k" in p["layer"].get("inner", {}) for p in found) >= 10
    assert all(locate(axes(SPACE), p) is not None for p in found)


def test_a_flat_sample_takes_every_option() -> None:
    assert {p["flat"] for p in sample(SPACE, seed=0, count=5, flat=True)} == set(range(60))


def test_a_sample_is_a_function_of_the_seed_and_bounded() -> None:
    assert list(sample(SPACE, seed=1, count=9, flat=True)) == list(sample(SPACE, seed=1, count=9, flat=True))
    assert len(list(sample((Choice("a", tuple(range(10_000))),), seed=0, count=200, flat=True))) == 3_000


def test_a_constraint_behind_one_that_does_not_hold_is_not_asked() -> None:
    gate = Gate(["a < 2", "1 / (a - 2) < 0"])
    assert [gate({"a": a}) for a in (1, 2, 3)] == [True, False, False]


def test_a_gate_yields_lazily_what_went_through_it() -> None:
    gate = Gate(["a > 0"])
    assert list(islice(gate.some(filter(gate, ({"a": a} for a in count()))), 2)) == [{"a": 1}, {"a": 2}]


def test_the_only_parameter_set_is_called_so() -> None:
    gate = Gate(["a > 0"])
    with pytest.raises(PlanError, match="the search space's only parameter set is excluded"):
        list(gate.some(filter(gate, [{"a": 0}])))


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        pytest.param(Real("x", 0.0, 1.0), False, id="uniform"),
        pytest.param(Real("x", 1e-300, 1e308, log=True), False, id="loguniform"),
        pytest.param(Real("x", 0.0, 1.0, normal=True), False, id="normal"),
        pytest.param(Real("x", 0.0, 1e307, normal=True), True, id="wide normal"),
        pytest.param(Real("x", 0.0, 1.0, normal=True, log=True), False, id="lognormal"),
        pytest.param(Real("x", 0.0, 20.0, normal=True, log=True), True, id="wide lognormal"),
        pytest.param(Real("x", 800.0, 1.0, normal=True, log=True, q=2.0), True, id="high qlognormal"),
    ],
)
def test_spaces_whose_draws_may_be_too_large_are_known(dimension, expected) -> None:
    assert may_overflow((dimension,)) is expected
    assert may_overflow((Choice("c", ("a", "b"), ((), (dimension,))),)) is expected


@pytest.mark.parametrize("text", ["x ** 999999999 > 1", "(x ** x) ** (x ** x) > 1", "'a' * 10 ** 30 > 'b'"])
def test_a_constraint_that_would_take_hours_fails_at_once(text) -> None:
    with pytest.raises(PlanError, match="failed for"):
        Gate([text])({"x": 1000})


def test_ordinary_powers_hold() -> None:
    assert Gate(["2 ** x == 1024", "0.5 ** x < 1", "x ** -1 < 1"])({"x": 10})


def test_a_constraint_that_is_nested_too_deep_is_no_expression() -> None:
    with pytest.raises(PlanError, match="is not an expression"):
        Gate(["(" * 5000 + "x" + ")" * 5000])
