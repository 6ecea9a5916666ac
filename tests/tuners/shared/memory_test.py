"""What is remembered is what would be computed."""

from __future__ import annotations

import pytest

from amlc.space.canonical import canonical
from amlc.space.points import axes as computed
from amlc.space.points import locate
from amlc.tuners.shared.memory import axes, digest, locator, remembered

SPACE = {"a": {"_type": "uniform", "_value": [0, 1]}, "n": {"_type": "randint", "_value": [0, 5]}}


def test_an_object_is_computed_once_and_one_that_is_equal_to_it_is_another() -> None:
    calls = []
    recall = remembered(lambda p: calls.append(p) or len(calls))
    first, equal = {"a": 1}, {"a": 1.0}
    assert [recall(first), recall(first), recall(equal), recall(first)] == [1, 1, 2, 1]


@pytest.mark.parametrize("most", [1, 3, 10])
def test_no_value_is_taken_for_that_of_a_later_object_in_the_same_place(most) -> None:
    recall = remembered(lambda p: p["n"], most=most)
    assert [recall({"n": n}) for n in range(200)] == list(range(200))


def test_the_latest_are_kept() -> None:
    calls = []
    recall = remembered(calls.append, most=3)
    objects = [[n] for n in range(5)]
    for one in objects:
        recall(one)
    for one in reversed(objects[2:]):
        recall(one)
    assert len(calls) == 5


def test_points_and_digests_are_those_that_are_computed(parsed) -> None:
    space, other = parsed(SPACE), parsed({"a": SPACE["a"]})
    assert axes(space) == computed(space)
    assert axes(space) is axes(space)
    for parameters in ({"a": 0.5, "n": 3}, {"a": 0.5}, {"a": 7, "n": 3}, {"b": 1}):
        for each in (space, other, space):
            assert locator(axes(each))(parameters) == locate(computed(each), parameters)
        assert digest(parameters) == canonical(parameters)
