"""How many parameter sets a finite space has: as many as GridSearch gives."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.combinations import Combinations, combinations_of
from amlc.model import Choice, Integer, Real, Rows
from amlc.plan import plan
from amlc.space.points import combinations
from tests.plan_test import AB, experiment

values = st.lists(st.sampled_from([1, 1.0, True, None, "x", "y", "z"]), min_size=1, max_size=4).map(tuple)
bounds = st.tuples(st.integers(-8, 8), st.integers(1, 12), st.sampled_from([0.25, 0.5, 0.3, 1.0, 2.0, 3.0]))


@st.composite
def dimensions(draw, name, *, nested=True):
    kind = draw(st.sampled_from(["choice", "rows", "randint", "quniform", "qloguniform", "constant", "nested"][: 6 + nested]))
    if kind == "choice":
        return Choice(name, draw(values))
    if kind == "rows":
        return Rows(name, tuple({name: one, f"{name}2": number % 2} for number, one in enumerate(draw(values))))
    if kind == "nested":
        inner = draw(dimensions("inner", nested=False))
        return Choice(name, ("p", "q"), ((inner,) if not isinstance(inner, Rows) else (), ()))
    low, width, q = draw(bounds)
    if kind == "randint":
        return Integer(name, low, low + width)
    if kind == "qloguniform":
        return Real(name, abs(low) + 0.5, abs(low) + 0.5 + width, log=True, q=q)
    return Real(name, float(low), float(low + (width if kind == "quniform" else 0)), q=q)


@given(st.tuples(dimensions("a"), dimensions("b", nested=False)))
def test_a_finite_space_has_as_many_sets_as_gridsearch_gives(space) -> None:
    one = experiment(space, constraints=("b is defined",))
    found = combinations_of(one)
    assert found is not None
    assert found.total == sum(1 for _ in plan(one))
    assert found == Combinations(combinations(space), 0)


@pytest.mark.parametrize(
    "space",
    [
        (Real("lr", 0.0, 1.0),),
        (Real("n", 0.0, 1.0, normal=True, q=0.5),),
        (Choice("a", (1, 2)), Choice("net", ("p", "q"), ((Real("lr", 0.0, 1.0),), ()))),
    ],
)
def test_an_endless_space_has_no_number(space) -> None:
    assert combinations(space) is None
    assert combinations_of(experiment(space, max_trials=5)) is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "6 combinations, 6 trials"),
        ({"constraints": ("a < 3 or b == 'x'",)}, "6 combinations, 1 excluded, 5 trials"),
        ({"constraints": ("a < 3",), "replicates": 3}, "6 combinations, 2 excluded, 12 trials, 3 of each"),
        ({"constraints": ("a < 3",), "max_trials": 2}, "6 combinations, 2 excluded, 2 trials by maxTrialNumber"),
        ({"max_trials": 6}, "6 combinations, 6 trials"),
        ({"tuner": "Random", "constraints": ("a < 3",)}, "6 combinations, 2 excluded, 4 trials"),
        ({"trials_per_job": 4, "constraints": ("a < 3",)}, "6 combinations, 2 excluded, 4 trials"),
        ({"initial": ({"a": 3, "b": "y"},)}, "6 combinations, 6 trials"),
        ({"space": (Choice("a", (1,)),)}, "1 combination, 1 trial"),
        ({"space": (Choice("a", (1, 1, 2)),)}, "2 combinations, 2 trials"),
    ],
)
def test_the_words_say_what_becomes_of_them(changes, text) -> None:
    one = experiment(**{"space": AB, **changes})
    found = combinations_of(one)
    assert found is not None
    assert found.text(replicates=one.replicates, most=one.max_trials) == text
    planned = sum(len(job.trials) for job in plan(one))
    assert f" {planned} trial" in text


def test_a_large_space_is_counted_and_not_walked() -> None:
    one = experiment((Integer("n", 0, 10**9), Choice("a", (1, 2))), constraints=("n > 5",), max_trials=3)
    found = combinations_of(one)
    assert found == Combinations(2 * 10**9, None)
    assert found.text(replicates=1, most=3) == "2,000,000,000 combinations, some of them excluded"
    assert combinations((Integer("n", 0, sys.maxsize),) * 2) == sys.maxsize**2


@pytest.mark.parametrize("tuner", ["TPE", "Batch"])
def test_who_tries_no_space_out_counts_nothing(tuner) -> None:
    rows = (Choice("a", ({"p": 1}, {"p": 2})),)
    assert combinations_of(experiment(rows, tuner=tuner, max_trials=2)) is None


def test_a_constraint_that_fails_is_said_elsewhere() -> None:
    assert combinations_of(experiment(constraints=("a < b",))) is None
