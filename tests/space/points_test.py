"""Points on the axes of a space become what NNI would deliver."""

from __future__ import annotations

import math

import pytest

from amlc.model import Choice, Integer, Real
from amlc.space.points import (
    MODEL_DIGITS,
    SpaceError,
    as_delivered,
    axes,
    coordinate_of,
    deliver,
    endless,
    flattened,
    inexhaustible,
    value_at,
)

UNIFORM = Real("u", 0.0, 1.0)


@pytest.mark.parametrize(
    ("dimension", "x", "expected"),
    [
        pytest.param(Choice("c", ("a", None)), 1, None, id="choice"),
        pytest.param(Choice("c", ("a", "b"), ((), ())), 1, {"_name": "b"}, id="nested choice"),
        pytest.param(Integer("i", 5, 9), 2, 7, id="randint counts from its lower bound"),
        pytest.param(Real("u", 0.0, 1.0), 0.1, 0.1, id="uniform is delivered as drawn"),
        pytest.param(Real("l", 1e-4, 1.0, log=True), math.log(0.01), math.exp(math.log(0.01)), id="loguniform"),
        pytest.param(Real("q", 0.0, 1.0, q=0.3), 0.9, 0.8999999999999999, id="no decimal clean-up"),
        pytest.param(Real("q", 0.0, 10.0, q=1.0), 2.5, 2.0, id="half to even"),
        pytest.param(Real("q", 0.0, 10.0, q=1.0), 3.5, 4.0, id="half to even, upwards"),
        pytest.param(Real("q", 2.0, 10.0, q=5.0), 2.1, 2.0, id="clipped below"),
        pytest.param(Real("q", 1.0, 9.0, q=5.0), 8.0, 9.0, id="clipped above"),
        pytest.param(Real("n", 0.0, 1.0, normal=True, q=0.5), 7.3, 7.5, id="normal is never clipped"),
        pytest.param(Real("q", 1.0, 9.0, log=True, q=2.0), math.log(6.4), 6.0, id="exponent before rounding"),
    ],
)
def test_a_coordinate_becomes_the_value_that_nni_delivers(dimension, x, expected) -> None:
    found = value_at(dimension, x)
    assert found == expected
    assert type(found) is type(expected)


def test_the_coordinate_of_a_bound_is_no_value_beyond_it() -> None:
    """NNI delivers 9.999999999999997e-06, which only a draw of that very bound can bring; models look there often."""
    dimension = Real("l", 1e-5, 0.1, log=True)
    assert math.exp(math.log(1e-5)) < 1e-5
    assert value_at(dimension, math.log(1e-5)) == 1e-5


@pytest.mark.parametrize(
    ("dimension", "x"),
    [
        pytest.param(Real("n", 1000.0, 1.0, normal=True, log=True), 1000.0, id="exponent"),
        pytest.param(Real("q", 0.0, 1e300, q=1e-300), 1e299, id="rounding"),
    ],
)
def test_a_draw_beyond_all_numbers_is_a_clear_error(dimension, x) -> None:
    with pytest.raises(SpaceError, match=rf"'{dimension.name}' has draws beyond the largest number.*Narrow its bounds"):
        value_at(dimension, x)


def test_axes_are_depth_first_and_only_the_chosen_branch_is_delivered() -> None:
    inner = Choice("b", ("p", "q"), ((Integer("leaf", 0, 3),), ()))
    space = (Choice("a", ("x", "y"), ((inner,), (UNIFORM,))), Integer("last", 0, 2))
    keys = [("a",), ("a", 0, "b"), ("a", 0, "b", 0, "leaf"), ("a", 1, "u"), ("last",)]
    assert [axis.key for axis in axes(space)] == keys
    point = {("a",): 0, ("a", 0, "b"): 0, ("a", 0, "b", 0, "leaf"): 2, ("last",): 1}
    assert [axis.active(point) for axis in axes(space)] == [True, True, True, False, True]
    delivered = deliver(axes(space), point)
    assert delivered == {"a": {"_name": "x", "b": {"_name": "p", "leaf": 2}}, "last": 1}
    assert list(delivered) == ["a", "last"]


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        pytest.param((), False, id="empty"),
        pytest.param((Integer("i", 0, 2**60),), False, id="discrete"),
        pytest.param((UNIFORM,), True, id="continuous"),
        pytest.param((Real("q", 0.0, 1.0, q=0.1),), False, id="rounded"),
        pytest.param((Choice("c", ("x",), ((UNIFORM,),)),), False, id="continuous only in a branch"),
    ],
)
def test_only_an_unrounded_parameter_outside_branches_never_repeats(space, expected) -> None:
    assert endless(space) is expected


@pytest.mark.parametrize("equal", [Real("e", 9.9, 9.9), Real("e", 2.0, 2.0, q=5.0), Real("e", 0.1, 0.1, log=True)])
def test_between_equal_bounds_there_is_one_value(equal) -> None:
    (axis,) = axes((equal,))
    assert (axis.size, value_at(equal, 0), coordinate_of(equal, equal.a)) == (1, equal.a, 0)
    assert coordinate_of(equal, equal.a + 1) is None
    assert not endless((equal,))
    assert inexhaustible((equal,)) == ""


def test_the_first_parameter_with_endlessly_many_values_is_named() -> None:
    rounded = Real("q", 0.0, 1.0, q=0.1)
    assert inexhaustible((Integer("i", 0, 2), rounded)) == ""
    assert inexhaustible((rounded, Real("n", 0.0, 1.0, normal=True, q=1.0))) == "n"
    assert inexhaustible((Choice("c", ("x", "y"), ((rounded,), (UNIFORM,))),)) == f"c/{UNIFORM.name}"


def test_a_value_that_was_rounded_to_0_is_a_point_of_the_space() -> None:
    dimension = Real("x", 0.0, 2.0, normal=True, log=True, q=0.5)
    coordinate = coordinate_of(dimension, 0.0)
    assert coordinate is not None
    assert value_at(dimension, coordinate) == 0
    assert coordinate_of(dimension, -0.5) is None


@pytest.mark.parametrize(
    ("dimension", "x", "expected"),
    [
        pytest.param(Real("u", 0.0, 1.0), 0.1234567890123456, 0.123456789012, id="uniform"),
        pytest.param(Real("u", -10.0, 0.0), -1.2345678901297, -1.23456789013, id="below 0"),
        pytest.param(Real("u", 0.0, 1e-20), 1.2345678901234e-21, 1.23456789012e-21, id="digits, not places"),
        pytest.param(Real("u", 0.1234567890123456, 1.0), 0.1234567890123457, 0.1234567890123456, id="lower bound"),
        pytest.param(Real("u", 0.0, 0.1234567890126), 0.1234567890125999, 0.1234567890126, id="upper bound"),
        pytest.param(Real("l", 1e-4, 1.0, log=True), math.log(0.01), 0.01, id="loguniform"),
        pytest.param(Real("n", 0.0, 1.0, normal=True), 2.00000000000049, 2.0, id="normal"),
        pytest.param(Real("q", 0.0, 1.0, q=0.3), 0.9, 0.8999999999999999, id="a grid keeps NNI's digits"),
        pytest.param(Integer("i", 0, 2**60), 2**59 + 1, 2**59 + 1, id="whole numbers"),
        pytest.param(Choice("c", (0.12345678901234567, 1)), 0, 0.12345678901234567, id="options are the user's"),
    ],
)
def test_what_a_model_computed_has_no_more_digits_than_machines_agree_on(dimension, x, expected) -> None:
    parameters = deliver(axes((dimension,)), {(dimension.name,): x}, digits=MODEL_DIGITS)
    assert parameters == {dimension.name: expected}
    assert type(parameters[dimension.name]) is type(expected)
    assert deliver(axes((dimension,)), {(dimension.name,): x}) == {dimension.name: value_at(dimension, x)}


def test_parameters_are_flattened_with_dots() -> None:
    assert flattened({"a": {"b": {"c": 1}, "d": []}, "e": {}, "f": [{"g": 1}]}) == {
        "a.b.c": 1,
        "a.d": [],
        "e": {},
        "f": [{"g": 1}],
    }


ODD = (
    Choice("o", (0.5, 1.0, True, 1)),
    Choice("c", ("a", "b"), ((), (Real("q", 2.0, 8.0, q=2.0),))),
    Integer("i", 1, 6),
)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({"o": 1, "c": {"_name": "a"}, "i": 2.0}, {"o": 1, "c": {"_name": "a"}, "i": 2}, id="itself first"),
        pytest.param(
            {"o": 0.5, "c": {"_name": "b", "q": 4}, "i": 2}, {"o": 0.5, "c": {"_name": "b", "q": 4.0}, "i": 2}, id="a draw"
        ),
        pytest.param({"o": True, "c": {"_name": "a"}, "i": 2}, {"o": True, "c": {"_name": "a"}, "i": 2}, id="truth"),
        pytest.param({"o": False, "c": {"_name": "a"}, "i": 2}, None, id="no option"),
        pytest.param({"o": 1, "c": {"_name": "b"}, "i": 2}, None, id="one is missing"),
        pytest.param({"o": 1, "c": {"_name": "a", "q": 2}, "i": 2}, None, id="one too many"),
        pytest.param({"o": 1, "c": {"_name": "a"}, "i": 2.5}, None, id="no whole number"),
    ],
)
def test_parameters_from_elsewhere_get_the_types_of_the_space(parameters, expected) -> None:
    found = as_delivered(axes(ODD), parameters)
    assert repr(found) == repr(expected)


def test_a_rounded_number_from_elsewhere_is_the_one_of_the_grid() -> None:
    space_axes = axes((Real("x", 0.0, 1.0, q=0.1), Real("l", 0.001, 1.0, log=True)))
    assert repr(as_delivered(space_axes, {"x": 0.3, "l": 0.003})) == "{'x': 0.30000000000000004, 'l': 0.003}"


def test_an_option_may_be_another_spelling_of_a_number() -> None:
    found = as_delivered(axes((Choice("o", (0.5, 1.0)),)), {"o": 1})
    assert repr(found) == "{'o': 1.0}"


@pytest.mark.parametrize(
    ("dimension", "value", "is_one"),
    [
        (Real("x", 0.0, 10.0, q=0.5), 2.5, True),
        (Real("x", 0.0, 10.0, q=0.5), 2.25, False),
        (Real("x", 0.0, 1.0, q=0.1), 0.3, True),  # NNI delivers 0.30000000000000004
        (Real("x", 0.0, 1.0, q=0.6), 1.0, True),  # 1.2, cut off at the bound
        (Real("x", 0.0, 1.0, q=0.3), 1.0, False),  # a bound that no draw is rounded to
        (Real("x", 1.0, 100.0, q=2.0, log=True), 8.05, False),
        (Real("x", 0.0, 5.0, q=1.0, normal=True), -3.0, True),
        (Real("x", 0.0, 5.0, q=1.0, normal=True), -3.2, False),
        (Real("x", 0.0, 10.0), 10**400, False),  # beyond all floats
        (Real("x", 0.0, 10.0), math.nan, False),
        (Integer("x", 0, 5), math.nan, False),
        (Integer("x", 0, 5), 4.0, True),
    ],
)
def test_what_lies_beside_the_grid_is_no_value(dimension, value, is_one) -> None:
    assert (coordinate_of(dimension, value) is not None) is is_one
