"""Trials that failed teach where others are likely to fail, too."""

from __future__ import annotations

import random

import pytest

from amlc.model import Record, Status
from amlc.space.points import axes
from amlc.tuners import built_in
from amlc.tuners.shared.feasibility import feasible
from tests.tuners.simulation import arguments, simulate

SQUARE = {name: {"_type": "uniform", "_value": [0, 1]} for name in ("x", "y", "z")}
SIZES = {**SQUARE, "size": {"_type": "choice", "_value": [512, 16, 256, 32, 128, 64]}}
KINDS = {**SQUARE, "kind": {"_type": "choice", "_value": ["a", "b", "c", "d"]}}
NETS = {
    **SQUARE,
    "net": {
        "_type": "choice",
        "_value": [{"_name": "deep", "rate": {"_type": "loguniform", "_value": [1e-4, 1]}}, {"_name": "flat"}],
    },
}


def told(parsed, spec, fails, *, trials=30):
    """Return the records of draws at random, with -1 as what a failure counts for."""
    drawn = built_in("Random").propose(parsed(spec), (), count=trials, seed=5, args={}, allowed=lambda _: True)
    return [record(parameters, failed=fails(parameters)) for parameters in drawn]


def record(parameters, *, failed):
    status = Status.FAILED if failed else Status.SUCCEEDED
    return Record(parameters=parameters, status=status, value=-1.0, told=1, guessed=failed)


AT = {"x": 0.5, "y": 0.5, "z": 0.5}


@pytest.mark.parametrize(
    ("spec", "fails", "good", "bad"),
    [
        (
            SQUARE,
            lambda p: p["x"] > 0.7,
            [{"x": 0.1}, {"x": 0.6}, {"x": 0.1, "y": 0.9}],
            [{"x": 0.9}, {"x": 1, "y": 0}],
        ),
        (SQUARE, lambda p: p["x"] + p["y"] > 1.1, [{"x": 0.2}, {"y": 0.2}], [{"x": 0.9, "y": 0.8}]),
        (SIZES, lambda p: p["size"] >= 256, [{"size": 64}, {"size": 16}], [{"size": 256}, {"size": 512}]),
        (KINDS, lambda p: p["kind"] == "b", [{"kind": "a"}, {"kind": "c"}], [{"kind": "b"}]),
        (
            NETS,
            lambda p: p["net"].get("rate", 0) > 0.02,
            [{"net": {"_name": "flat"}}, {"net": {"_name": "deep", "rate": 0.001}}],
            [{"net": {"_name": "deep", "rate": 0.5}}],
        ),
    ],
    ids=["beyond a value", "beyond a line", "the largest sizes", "one of the kinds", "in a branch"],
)
def test_where_trials_fail_is_learned(spec, fails, good, bad, parsed) -> None:
    likely = feasible(axes(parsed(spec)), told(parsed, spec, fails))
    extra = {name: value for name, value in {"size": 64, "kind": "a"}.items() if name in spec}
    assert [likely({**AT, **extra, **change}) for change in good] == [True] * len(good)
    assert [likely({**AT, **extra, **change}) for change in bad] == [False] * len(bad)


def test_the_two_largest_sizes_are_avoided_though_one_was_tried_only(parsed) -> None:
    history = told(parsed, SIZES, lambda p: p["size"] >= 256)
    history = [record for record in history if record.parameters["size"] != 512]
    assert not feasible(axes(parsed(SIZES)), history)({**AT, "size": 512})


def test_failures_by_chance_leave_most_of_the_space(parsed) -> None:
    chance = random.Random(2)
    likely = feasible(axes(parsed(SQUARE)), told(parsed, SQUARE, lambda p: chance.random() < 0.2))
    drawn = built_in("Random").propose(parsed(SQUARE), (), count=200, seed=6, args={}, allowed=lambda _: True)
    assert sum(map(likely, drawn)) > 150


def test_without_failures_or_outside_the_space_everything_is_feasible(parsed) -> None:
    history = told(parsed, SQUARE, lambda p: p["x"] > 0.7)
    bad = {**AT, "x": 0.9}
    unheard = [Record(parameters=r.parameters, status=r.status, value=None if r.guessed else r.value) for r in history]
    assert feasible(axes(parsed(SQUARE)), [])(bad)
    assert feasible(axes(parsed(SQUARE)), unheard)(bad), "the user wants failures to be ignored"
    likely = feasible(axes(parsed(SQUARE)), history)
    assert not likely(bad)
    assert likely({**bad, "gone": 1})
    assert feasible(axes(parsed(KINDS)), history)({**bad, "kind": "a"}), "what failed was of another space"


def test_names_that_are_not_the_space_s_are_left_out(parsed) -> None:
    history = told(parsed, SQUARE, lambda p: p["x"] > 0.7)
    budgets = [record({**r.parameters, "TRIAL_BUDGET": 3}, failed=r.guessed) for r in history]
    assert feasible(axes(parsed(SQUARE)), budgets)({**AT, "x": 0.9})
    assert not feasible(axes(parsed(SQUARE)), budgets, without=["TRIAL_BUDGET"])({**AT, "x": 0.9})


def test_old_failures_are_not_forgotten(parsed) -> None:
    many = told(parsed, SQUARE, lambda p: p["x"] > 0.7, trials=400)
    late = [record for record in many[40:] if not record.guessed]
    assert not feasible(axes(parsed(SQUARE)), [*many[:40], *late])({**AT, "x": 0.9})


def lost(name, space):
    """Return how many of the later trials fail: a third of the space does, and the best results are beside it."""

    def objective(p):
        return None if p["x"] > 0.7 else -p["x"] + 0.1 * (p["y"] - 0.3) ** 2 + 0.1 * (p["z"] - 0.8) ** 2

    args = arguments(name, optimize_mode="minimize")
    return sum(
        r.status is Status.FAILED
        for seed in range(4)
        for r in simulate(built_in(name), space, objective, trials=40, seed=seed, args=args)[20:]
    )


@pytest.mark.parametrize("name", ["TPE", "Anneal", "BOHB", "Evolution"])
def test_a_best_result_beside_what_fails_is_approached_from_the_good_side(name, parsed) -> None:
    assert lost(name, parsed(SQUARE)) < 0.75 * lost("Random", parsed(SQUARE))
