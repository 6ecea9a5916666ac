"""Points at random, and what takes the place of those that repeat; that they are NNI's, tests/tuners/random_test.py says."""

from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from amlc.model import Choice, Integer, Real
from amlc.space.draws import all_draws, distinct, draws, sample
from amlc.space.points import axes

X = Real("x", 0.0, 1.0)
FEW = Integer("i", 0, 4)


def drawn(*space, count=1_000, seed=0, fixed=None):
    return list(islice(draws(default_rng(seed), axes(space), fixed), count))


@pytest.mark.parametrize(
    ("dimension", "low", "high"),
    [
        (Choice("a", ("x", "y", "z")), 0, 2),
        (Integer("a", 5, 9), 0, 3),
        (Real("a", -1.0, 2.0), -1.0, 2.0),
        (Real("a", 1e-4, 1.0, log=True), -9.22, 0.0),
    ],
    ids=["choice", "randint", "uniform", "loguniform"],
)
def test_a_draw_is_a_coordinate_within_its_bounds(dimension, low, high):
    (key,) = (axis.key for axis in axes((dimension,)))
    found = [point[key] for point in drawn(dimension)]
    assert low <= min(found) < low + 0.1 * (high - low) + 0.01
    assert high - 0.1 * (high - low) - 0.01 < max(found) <= high


def test_a_normal_draw_has_its_mean_and_deviation():
    found = [next(iter(point.values())) for point in drawn(Real("a", 3.0, 2.0, normal=True), count=4_000)]
    mean = sum(found) / len(found)
    assert mean == pytest.approx(3.0, abs=0.15)
    assert (sum((x - mean) ** 2 for x in found) / len(found)) ** 0.5 == pytest.approx(2.0, abs=0.15)


def test_the_same_seed_gives_the_same_draws():
    assert drawn(X, FEW, count=9) == drawn(X, FEW, count=9) != drawn(X, FEW, count=9, seed=1)


def test_what_is_fixed_is_not_drawn():
    plain, fixed = drawn(FEW, X, count=3), drawn(FEW, X, count=3, fixed={axes((FEW, X))[0].key: 2})
    assert [point[axes((FEW, X))[0].key] for point in fixed] == [2, 2, 2]
    assert fixed[0].keys() == plain[0].keys()


SIZES = [1, 2, 3, 1_000, 2**31 + 1, 3 * 2**30, 2**32 - 1, 2**32, 2**32 + 1]
DIMENSIONS = st.one_of(
    st.sampled_from(SIZES).map(lambda size: Integer("", 0, size)),
    st.integers(1, 9).map(lambda count: Choice("", tuple(range(count)))),
    st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1e9)).map(lambda pair: Real("", pair[0], sum(pair))),
    st.tuples(st.floats(1e-9, 1), st.floats(1, 1e9)).map(lambda pair: Real("", *pair, log=True, q=0.5)),
    st.just(Real("", 0.0, 5e-324)),
    st.just(Real("", 1.0, 2.0, normal=True)),
    st.just(Choice("", ("a", "b"), ((X,), (FEW, Real("y", 2.0, 2.0))))),
)


@given(st.lists(DIMENSIONS, min_size=1, max_size=5), st.integers(0, 2**63))
def test_draws_of_a_generator_of_their_own_are_the_same(dimensions, seed):
    space = tuple(replace(dimension, name=f"p{index}") for index, dimension in enumerate(dimensions))
    own = islice(all_draws(default_rng(seed), axes(space)), 100)
    assert repr(list(own)) == repr(drawn(*space, count=100, seed=seed))


def points(space, *indices):
    """A sequence of draws of one whole number, each by its coordinate."""
    (axis,) = axes(space)
    return iter([{axis.key: index} for index in indices])


@pytest.mark.parametrize(
    ("indices", "taken", "expected"),
    [
        pytest.param([3, 1], [], [3, 1], id="none repeats"),
        pytest.param([3, 3, 3], [], [3, 0, 1], id="the next point of the grid"),
        pytest.param([0, 0, 2, 2], [], [0, 1, 2, 3], id="the grid goes on where it was, past what was drawn"),
        pytest.param([2, 2, 2, 2, 2], [], [2, 0, 1, 3], id="and ends with it"),
        pytest.param([1], [{"i": 1}], [0], id="what is taken repeats"),
        pytest.param([1], [{"i": 1.0}], [1], id="another kind of number is another value"),
        pytest.param([1], [{"i": n} for n in range(4)], [], id="all are taken"),
    ],
)
def test_each_parameter_set_of_a_finite_space_comes_once(indices, taken, expected):
    found = distinct((FEW,), points((FEW,), *indices), taken)
    assert [one["i"] for one in found] == expected


def test_in_an_endless_space_draws_stay_as_they_are():
    (axis,) = axes((X,))
    assert [one["x"] for one in distinct((X,), iter([{axis.key: 0.5}] * 2), [{"x": 0.5}])] == [0.5, 0.5]


RARE = Choice("c", ("plain", "rare"), ((), (Choice("d", tuple(range(50))),)))


def test_a_sample_has_each_branch_however_rare():
    branches = tuple((Integer("i", 0, 9),) for _ in range(40))
    nested = Choice("c", tuple(range(40)), branches)
    assert {one["c"]["_name"] for one in sample((nested,), seed=0, count=1, flat=False)} == set(range(40))
    assert len(list(sample((nested,), seed=0, count=1, flat=False))) == 1 + 40 * 10


def test_a_sample_takes_each_option_of_each_choice_only_where_it_is_asked_to():
    wide = Choice("c", tuple(range(30)))
    assert len(list(sample((wide,), seed=0, count=5, flat=False))) == 5
    found = list(sample((wide,), seed=0, count=5, flat=True))
    assert len(found) == 5 + 30 * 10
    assert {one["c"] for one in found} == set(range(30))
    inner = [one["c"] for one in sample((RARE,), seed=0, count=0, flat=True)]
    assert {one["d"] for one in inner if one["_name"] == "rare"} == set(range(50))


def test_a_sample_is_bounded_but_for_what_was_asked_for():
    assert len(list(sample((Choice("c", tuple(range(1_000))),), seed=0, count=1, flat=True))) == 3_000
    assert len(list(sample((X,), seed=0, count=3_500, flat=True))) == 3_500
