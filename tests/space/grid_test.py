"""Grid points, epoch by epoch; that they are NNI's in NNI's order, tests/tuners/gridsearch_test.py says."""

from itertools import islice

import pytest

from amlc.model import Choice, Integer, Real
from amlc.space.grid import grid_points
from amlc.space.points import axes, deliver


def values(*space, most=100):
    space_axes = axes(space)
    return [deliver(space_axes, point) for point in islice(grid_points(space_axes), most)]


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        pytest.param(Choice("x", ("a", "b", "a")), ["a", "b", "a"], id="each option, equal ones too"),
        pytest.param(Integer("x", 2, 5), [2, 3, 4], id="each whole number"),
        pytest.param(
            Real("x", 0.0, 8.0), [4.0, 2.0, 6.0, 1.0, 3.0, 5.0, 7.0], id="the middles of ever smaller intervals"
        ),
        pytest.param(Real("x", 0.0, 10.0, q=5.0), [5.0, 0.0, 10.0], id="until there is no other value"),
        pytest.param(Real("x", 0.0, 1.0, normal=True, q=100.0), [0.0], id="a normal one that is always rounded to one"),
    ],
)
def test_one_dimension(dimension, expected):
    assert [found["x"] for found in values(dimension, most=len(expected) + 1)][: len(expected)] == expected
    if not isinstance(dimension, Real) or dimension.q is not None:
        assert len(values(dimension)) == len(expected)


def test_the_last_dimension_changes_first():
    found = values(Choice("a", (0, 1)), Integer("b", 0, 3))
    assert [(one["a"], one["b"]) for one in found] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_an_epoch_has_only_what_no_earlier_one_had():
    found = [(one["c"], one["x"]) for one in values(Choice("c", ("a", "b")), Real("x", 0.0, 1.0), most=6)]
    assert found == [("a", 0.5), ("b", 0.5), ("a", 0.25), ("a", 0.75), ("b", 0.25), ("b", 0.75)]


def test_a_branch_that_was_not_chosen_has_no_points_of_its_own():
    nested = Choice("n", ("flat", "deep"), ((), (Integer("i", 0, 2),)))
    assert [one["n"] for one in values(nested)] == [
        {"_name": "flat"},
        {"_name": "deep", "i": 0},
        {"_name": "deep", "i": 1},
    ]
