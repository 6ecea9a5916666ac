"""Scores become positions and colours: which scale, and what of it an outlier may take."""

import math
from types import SimpleNamespace

import pytest

from amlc.report.scale import COLOURS, Scale, decades, plain, scale_of, widened


def view(scores, *, maximize=True, even=None):
    rows = tuple(SimpleNamespace(sequence=number, score=score) for number, score in enumerate(scores))
    kept = frozenset(range(len(scores)) if even is None else even)
    return SimpleNamespace(maximize=maximize, scored=SimpleNamespace(rows=rows, even=kept, is_complete=even is None))


def ends(*args, **kwargs):
    scale = scale_of(view(*args, **kwargs))
    return scale.low, scale.high, scale.log


@pytest.mark.parametrize(
    ("values", "are_decades"),
    [
        ([], False), ([1], False), ([1, 100], True), ([1, 99], False), ([0, 100], False), ([-1, 1, 100], False),
        ([1, 2, 100], True), ([1, 25, 100], True), ([1, 26, 100], False), ([100, 1, 2], True), ([1, 50, 100], False),
        ([1, 25, 26, 100], True), ([1e-9, 1e-8, 1e-3], True), ([1, 1, 1], False),
    ],
)  # fmt: skip
def test_values_over_two_decades_of_which_most_are_small_are_exponents(values, are_decades):
    assert decades(values) is are_decades


@pytest.mark.parametrize(
    ("scores", "maximize", "expected"),
    [
        pytest.param([], True, (-0.5, 0.5, False), id="none"),
        pytest.param([2.0], True, (1.8, 2.2, False), id="one"),
        pytest.param([1, 2, 3], True, (2, 3, False), id="three"),
        pytest.param([None, 1, None, 2, 3], True, (2, 3, False), id="without a score"),
        pytest.param([*range(1, 12)], True, (2, 11, False), id="the worst tenth shares one colour"),
        pytest.param([*range(1, 12)], False, (1, 10, False), id="the least is the best"),
        pytest.param([-1000, *range(1, 12)], True, (2, 11, False), id="an outlier takes none of it"),
        pytest.param([1, 10, 1000], False, (0, 1, True), id="losses over decades"),
        pytest.param([1, 10, 1000], True, (10, 1000, False), id="what is maximized is no loss"),
    ],
)
def test_the_scale_reaches_from_the_best_to_nearly_the_worst(scores, maximize, expected):
    assert ends(scores, maximize=maximize) == pytest.approx(expected)


def test_of_a_sample_the_even_ones_count_and_the_best():
    assert ends([5, 1, 9, 2, 8], even=[1, 3]) == pytest.approx((2, 9, False))
    assert ends([5, 1, 9, 2, 0.5], even=[1, 3], maximize=False) == pytest.approx((0.5, 1, False))


@pytest.mark.parametrize(
    ("score", "log", "position"),
    [
        (5.0, False, 5.0),
        (100.0, True, 2.0),
        (0.0, True, 0.0),
        (-1.0, True, 0.0),
        (1.23456789012, False, 1.2345679),
        (math.inf, False, 1e300),
    ],
)
def test_a_score_has_a_position(score, log, position):
    assert Scale(low=0.0, high=1.0, log=log, maximize=True).position(score) == position


@pytest.mark.parametrize(
    ("score", "maximize", "colour"),
    [
        (None, True, "#9aa3ad"), (0.0, True, COLOURS[0]), (-9.0, True, COLOURS[0]), (1.0, True, COLOURS[4]), (9.0, True, COLOURS[4]),
        (0.25, True, COLOURS[1]), (0.5, True, COLOURS[2]), (0.75, True, COLOURS[3]),
        (0.0, False, COLOURS[4]), (1.0, False, COLOURS[0]), (0.25, False, COLOURS[3]), (0.125, True, "#719cbe"),
    ],
)  # fmt: skip
def test_a_colour_says_how_good_a_score_is(score, maximize, colour):
    row = SimpleNamespace(score=score)
    found = Scale(low=0.0, high=1.0, log=False, maximize=maximize).colour(row)
    assert found == colour


@pytest.mark.parametrize(
    ("score", "log", "colour"),
    [
        (2.0, False, COLOURS[0]),
        (3.0, False, COLOURS[2]),
        (4.0, False, COLOURS[4]),
        (1e3, True, COLOURS[2]),
        (0.5, True, COLOURS[0]),
    ],
)
def test_colours_lie_between_the_ends_of_the_scale(score, log, colour):
    assert Scale(low=2.0, high=4.0, log=log, maximize=True).colour(SimpleNamespace(score=score)) == colour


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1, 2, (1, 2)), (0, 0, (-0.5, 0.5)), (10, 10, (9, 11)), (-10, -10, (-11, -9)), (2, 1, (1.8, 1.1))],
)
def test_bounds_have_some_room_between_them(low, high, expected):
    assert widened(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, 0.0), (0.0, 0.0), (1 / 3, 0.33333333), (math.inf, 1e300), (-math.inf, -1e300), (123456789.0, 123456790.0)],
)
def test_a_number_is_as_short_as_a_screen_shows_it(value, expected):
    assert plain(value) == expected
