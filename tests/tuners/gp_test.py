"""GP: NNI's random start, and behind it the point of which a Gaussian process expects most."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import islice
from statistics import median

import pytest

from amlc.model import Record
from amlc.space.canonical import canonical
from amlc.tuners import Tuner, gp, random
from amlc.tuners.shared import gaussian_process
from tests.tuners.simulation import bowl, finished, simulate

ARGS = {
    "optimize_mode": "minimize",
    "utility": "ei",
    "kappa": 5.0,
    "xi": 0.0,
    "nu": 2.5,
    "alpha": 1e-6,
    "cold_start_num": 10,
    "selection_num_warm_up": 2000,
    "selection_num_starting_points": 50,
}
PLANE = {"x": {"_type": "uniform", "_value": [0, 1]}, "y": {"_type": "loguniform", "_value": [1e-3, 1]}}
TYPES = {
    "choice": {"_type": "choice", "_value": [64, 16, 32.5]},
    "one": {"_type": "choice", "_value": [7]},
    "randint": {"_type": "randint", "_value": [-3, 4]},
    "huge": {"_type": "randint", "_value": [0, 2**62]},
    "uniform": {"_type": "uniform", "_value": [-1, 1]},
    "quniform": {"_type": "quniform", "_value": [2, 10, 5]},
    "loguniform": {"_type": "loguniform", "_value": [1e-7, 0.1]},
    "qloguniform": {"_type": "qloguniform", "_value": [1, 1000, 7]},
}
FINITE = {"c": TYPES["choice"], "i": {"_type": "randint", "_value": [0, 6]}}


def ask(space, history=(), *, count=1, seed=1, allowed=lambda parameters: True, **args):
    return list(gp.propose(space, history, count=count, seed=seed, args={**ARGS, **args}, allowed=allowed))


def run(space, score, trials, *, at_once=1, seed=1, allowed=lambda parameters: True, **args):
    """Return the history of a run in which trials end in a random order; a score of None is a failure."""
    tuner, given = Tuner(gp.propose), {**ARGS, **args}
    options = {"concurrency": at_once, "seed": seed, "allowed": allowed, "order": 5}
    return simulate(tuner, space, score, trials=trials, args=given, **options)


def test_the_cold_start_is_randoms_sequence(parsed) -> None:
    space = parsed(TYPES)
    expected = list(random.propose(space, (), count=10, seed=3, args={}, allowed=lambda parameters: True))
    assert ask(space, count=10, seed=3) == expected
    assert [gp.ahead([Record(parameters={})] * done, args=ARGS) for done in (0, 4, 10, 30)] == [10, 6, 0, 0]
    assert gp.ahead([], args={**ARGS, "cold_start_num": 0}) == 1


def test_several_at_once_are_those_of_single_calls(parsed) -> None:
    for types in (PLANE, TYPES, FINITE):
        space = parsed(types)
        history = run(space, lambda parameters: float(len(repr(parameters)) % 7), 14, at_once=4)
        for parameters in ask(space, history, count=3):
            gaussian_process._LAST.clear()  # as another process would begin
            assert ask(space, history) == [parameters]
            history.append(Record(parameters=parameters))


def test_maximize_is_minimize_of_the_negative(parsed) -> None:
    space = parsed(PLANE)
    history = finished(space, 15)
    negative = [replace(record, value=-record.value) for record in history]
    assert ask(space, history, count=3) == ask(space, negative, count=3, optimize_mode="maximize")


@pytest.mark.parametrize("utility", ["ei", "ucb", "poi"])
def test_it_finds_better_ones_than_random(utility, parsed) -> None:
    space = parsed(PLANE)
    found = [
        min(record.value for record in run(space, bowl, 20, seed=seed, utility=utility, kappa=1.0)) for seed in range(3)
    ]
    drawn = [
        min(map(bowl, islice(random.propose(space, (), count=20, seed=seed, args={}, allowed=bool), 20)))
        for seed in range(3)
    ]
    assert median(found) < median(drawn) / 5


def test_it_goes_on_where_the_best_trials_are(parsed) -> None:
    """Of 12 axes no draw at random comes as near to the best trial as the search that begins there."""
    space = parsed({f"x{i}": {"_type": "uniform", "_value": [0, 1]} for i in range(12)})

    def far(parameters) -> float:
        return sum((value - 0.3) ** 2 for value in parameters.values())

    values = [record.value for record in run(space, far, 60, selection_num_starting_points=250)]
    assert min(values) < min(values[:10]) / 10


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
def test_every_type_keeps_to_its_bounds(nu, parsed) -> None:
    space = parsed(TYPES)
    history = finished(space, 12, score=lambda parameters: -parameters["uniform"])
    for parameters in ask(space, history, count=5, nu=nu):
        assert list(parameters) == list(TYPES)
        assert parameters["choice"] in TYPES["choice"]["_value"]
        assert type(parameters["randint"]) is type(parameters["huge"]) is int
        assert -3 <= parameters["randint"] < 4
        assert 0 <= parameters["huge"] < 2**62
        assert parameters["quniform"] in (2.0, 5.0, 10.0)
        assert 1e-7 <= parameters["loguniform"] <= 0.1000001
        assert 1 <= parameters["qloguniform"] <= 1000
        json.dumps(parameters, allow_nan=False)


def test_a_choice_of_numbers_is_learned_as_numbers(parsed) -> None:
    space = parsed({"c": {"_type": "choice", "_value": [512, 1, 256, 2, 128, 4, 64, 8, 32, 16]}, "x": PLANE["x"]})
    history = run(space, lambda parameters: abs(math.log2(parameters["c"]) - 5) + abs(parameters["x"] - 0.6), 22)
    assert sum(record.parameters["c"] in (16, 32, 64) for record in history[10:]) >= 8


def test_a_finite_space_is_exhausted_without_repeating(parsed) -> None:
    space = parsed(FINITE)
    history = run(space, lambda parameters: float(parameters["i"]), 30, at_once=3)
    assert len({canonical(record.parameters) for record in history}) == len(history) == 18
    assert ask(space, history) == []


def test_nothing_that_is_refused_is_proposed(parsed) -> None:
    history = run(parsed(PLANE), bowl, 14, allowed=lambda parameters: parameters["x"] > 0.6)
    assert len(history) == 14
    assert all(record.parameters["x"] > 0.6 for record in history)


def test_failures_only_mean_random_draws_that_do_not_repeat(parsed) -> None:
    history = run(parsed(PLANE), lambda parameters: None, 20)
    assert len({canonical(record.parameters) for record in history}) == 20


def test_running_trials_are_not_proposed_again(parsed) -> None:
    proposed = ask(parsed(PLANE), finished(parsed(PLANE), 15), count=4)
    for index, one in enumerate(proposed):
        for other in proposed[:index]:
            assert abs(one["x"] - other["x"]) + abs(math.log10(one["y"] / other["y"])) / 3 > 1e-3


@pytest.mark.parametrize("score", [lambda parameters: 1.0, lambda parameters: 1e300 * parameters["x"]])
def test_flat_and_enormous_results_are_no_error(score, parsed) -> None:
    json.dumps(ask(parsed(PLANE), finished(parsed(PLANE), 12, score), count=2), allow_nan=False)


def test_a_long_history_is_cut(parsed) -> None:
    space = parsed(PLANE)
    assert len(ask(space, finished(space, 600))) == 1
    ((seen, *_),) = gaussian_process._LAST
    assert len(seen) == 150 * 2 * 8
