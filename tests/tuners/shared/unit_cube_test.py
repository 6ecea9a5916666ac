"""The unit cube: there and back, uniform where the axis is as it is distributed, and snapped to delivered values."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from amlc.space.draws import draws
from amlc.space.points import axes, deliver, locate
from amlc.tuners.shared.unit_cube import from_unit, rounded, to_unit

SPACE = {
    "choice": {"_type": "choice", "_value": [64, 16, 32.5]},
    "text": {"_type": "choice", "_value": ["b", "a", None]},
    "randint": {"_type": "randint", "_value": [-3, 40]},
    "uniform": {"_type": "uniform", "_value": [-1, 1]},
    "quniform": {"_type": "quniform", "_value": [0, 1, 0.3]},
    "loguniform": {"_type": "loguniform", "_value": [1e-7, 0.1]},
    "qloguniform": {"_type": "qloguniform", "_value": [1, 1000, 7]},
    "normal": {"_type": "normal", "_value": [3, 0.5]},
    "qnormal": {"_type": "qnormal", "_value": [0, 1, 0.01]},
    "lognormal": {"_type": "lognormal", "_value": [-2, 1.5]},
    "qlognormal": {"_type": "qlognormal", "_value": [1, 1, 0.5]},
}


@pytest.fixture
def space_axes(parsed):
    return axes(parsed(SPACE))


def test_there_and_back_is_the_same_point(space_axes) -> None:
    for point in islice(draws(np.random.default_rng(0), space_axes), 200):
        vector = to_unit(space_axes, point)
        assert all(0 <= u <= 1 for u in vector)
        back = from_unit(space_axes, vector)
        assert list(back) == list(point)
        assert list(back.values()) == pytest.approx(list(point.values()), rel=1e-9, abs=1e-9)


def test_draws_are_uniform_in_the_cube(space_axes) -> None:
    vectors = np.array([to_unit(space_axes, p) for p in islice(draws(np.random.default_rng(1), space_axes), 4000)])
    for column, axis in zip(vectors.T, space_axes, strict=True):
        assert abs(column.mean() - 0.5) < 0.02, axis.key
        assert abs(column.std() - 12**-0.5) < 0.03, axis.key


def test_a_choice_of_numbers_stands_in_their_order(parsed) -> None:
    numbers = axes(parsed({"x": SPACE["choice"]}))
    assert [deliver(numbers, from_unit(numbers, [u]))["x"] for u in (0, 0.5, 1)] == [16, 32.5, 64]
    assert [to_unit(numbers, {("x",): index}) for index in range(3)] == [[5 / 6], [1 / 6], [0.5]]


def test_what_lies_outside_counts_as_the_border(space_axes) -> None:
    assert from_unit(space_axes, [-1] * 11) == from_unit(space_axes, [0] * 11)
    assert from_unit(space_axes, [2] * 11) == from_unit(space_axes, [1] * 11)


def test_a_rounded_vector_delivers_the_same_and_stays(space_axes) -> None:
    vectors = np.random.default_rng(2).random((200, 11))
    once = rounded(space_axes, vectors)
    for vector, result in zip(vectors, once, strict=True):
        found = deliver(space_axes, from_unit(space_axes, result))
        expected = deliver(space_axes, from_unit(space_axes, vector))
        assert found.pop("text") == expected.pop("text")
        assert list(found.values()) == pytest.approx(list(expected.values()), rel=1e-9, abs=1e-9)
    assert rounded(space_axes, once) == pytest.approx(once, abs=1e-9)


def test_rounding_is_that_of_the_delivered_values(space_axes) -> None:
    points = [from_unit(space_axes, vector) for vector in np.random.default_rng(3).random((50, 11))]
    located = [locate(space_axes, deliver(space_axes, point)) for point in points]
    found = rounded(space_axes, np.array([to_unit(space_axes, point) for point in points]))
    for row, point in zip(found, located, strict=True):
        if point is not None:  # 0 is no value of qlognormal
            assert list(row) == pytest.approx(to_unit(space_axes, point), abs=1e-9)
