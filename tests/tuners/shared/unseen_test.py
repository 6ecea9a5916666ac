"""What may still be proposed: allowed, and new."""

import pytest
from numpy.random import default_rng

from amlc.model import Choice, Integer, Real, Record
from amlc.space.points import axes, locate
from amlc.tuners.shared.unseen import Unseen

FINITE = (Choice("a", (1, 2)), Integer("n", 0, 2))
ENDLESS = (Real("x", 0.0, 1.0),)


def novelty(space, *past, taken=(), allowed=lambda parameters: True):
    return Unseen(space, [Record(parameters=one) for one in past], taken, allowed=allowed)


def pick(search, *candidates, seed=0):
    points = [locate(search.axes, one) for one in candidates]
    return search.pick(points, default_rng(seed))


A, B, C, D = ({"a": a, "n": n} for a in (1, 2) for n in (0, 1))


def test_the_first_candidate_that_may_be_proposed_is():
    assert pick(novelty(FINITE), B, C) == B
    assert pick(novelty(FINITE, B), B, C) == C
    assert pick(novelty(FINITE, taken=[B]), B, C) == C
    assert pick(novelty(FINITE, allowed=lambda parameters: parameters != B), B, C) == C


def test_what_was_picked_is_not_picked_again():
    search = novelty(FINITE)
    found = [pick(search, A) for _ in range(5)]
    assert found[0] == A
    assert sorted(map(str, found[:4])) == sorted(map(str, (A, B, C, D)))
    assert found[4] is None


def test_an_exhausted_space_has_no_more():
    assert pick(novelty(FINITE, A, B, C, D), A) is None
    assert pick(novelty(FINITE, allowed=lambda parameters: False), A) is None


def test_an_endless_space_has_always_one_more():
    assert pick(novelty(ENDLESS, {"x": 0.5}), {"x": 0.5}, {"x": 0.75}) == {"x": 0.75}
    search = novelty(ENDLESS, allowed=lambda parameters: parameters["x"] > 0.5)
    found = [pick(search, {"x": 0.5}, seed=seed)["x"] for seed in range(5)]
    assert len(set(found)) == 5
    assert min(found) > 0.5


def test_what_is_refused_leaves_no_trace():
    one, two = novelty(FINITE, A), novelty(FINITE, A)
    assert pick(one, A, seed=1) == pick(two, A, A, A, seed=1)


@pytest.mark.parametrize("space", [FINITE, ENDLESS])
def test_it_knows_its_axes(space):
    assert novelty(space).axes == axes(space)
