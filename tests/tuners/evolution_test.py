"""Evolution: NNI's tournament and mutation, as a function of the history alone."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from dataclasses import replace
from statistics import median

import pytest

from amlc.model import Record, Status
from amlc.tuners import Tuner, evolution, random
from tests.tuners.simulation import simulate

ARGS = {"optimize_mode": "maximize", "population_size": 8}
PLANE = {"x": {"_type": "uniform", "_value": [0, 1]}, "y": {"_type": "uniform", "_value": [0, 1]}}
NESTED = {
    "rate": {"_type": "loguniform", "_value": [1e-4, 1]},
    "layer": {
        "_type": "choice",
        "_value": [
            {"_name": "none"},
            {
                "_name": "conv",
                "size": {"_type": "randint", "_value": [1, 9]},
                "act": {
                    "_type": "choice",
                    "_value": [{"_name": "relu"}, {"_name": "leaky", "slope": {"_type": "uniform", "_value": [0, 1]}}],
                },
            },
        ],
    },
    "last": {"_type": "quniform", "_value": [0, 10, 2.5]},
}


def ask(space, history=(), *, count=1, seed=1, allowed=lambda parameters: True, **args):
    return list(evolution.propose(space, history, count=count, seed=seed, args={**ARGS, **args}, allowed=allowed))


def run(space, score, trials, *, at_once=1, seed=1, allowed=lambda parameters: True, **args):
    """Return the history of a run in which trials end in a random order; a score of None is a failure."""
    tuner, given = Tuner(evolution.propose), {**ARGS, **args}
    options = {"concurrency": at_once, "seed": seed, "allowed": allowed, "order": 5}
    return simulate(tuner, space, score, trials=trials, args=given, **options)


def hill(parameters):
    return -((parameters["x"] - 0.3) ** 2) - (parameters["y"] - 0.8) ** 2


def changed(space, child, parent):
    """Return the top-level names in which two parameter sets differ."""
    return {dimension.name for dimension in space if child.get(dimension.name) != parent.get(dimension.name)}


def test_the_first_population_is_randoms_and_known_at_once(parsed) -> None:
    space = parsed(PLANE)
    expected = list(itertools.islice(random.propose(space, (), count=8, seed=1, args={}, allowed=lambda p: True), 8))
    assert ask(space, count=8) == expected
    history = [Record(parameters=parameters, asked=i) for i, parameters in enumerate(expected[:3])]
    assert ask(space, history, count=5) == expected[3:]
    assert [evolution.ahead(history[:n], args=ARGS) for n in range(4)] == [8, 7, 6, 5]
    assert evolution.ahead([*history, *history, *history], args=ARGS) == 0


@pytest.mark.parametrize("mode", ["maximize", "minimize"])
def test_a_child_is_one_of_the_population_with_one_parameter_drawn_anew(mode, parsed) -> None:
    space = parsed(PLANE)
    history = run(space, hill, 200, optimize_mode=mode)
    for number, record in enumerate(history[8:], start=8):
        assert any(len(changed(space, record.parameters, older.parameters)) == 1 for older in history[:number])


def test_the_best_of_half_the_population_is_the_parent(parsed) -> None:
    space = parsed(PLANE)
    history = run(space, hill, 8)
    best, worst = (pick(history, key=lambda record: record.value).parameters for pick in (max, min))
    parents = Counter()
    for seed in range(200):
        (child,) = ask(space, history, seed=seed)
        parents.update(i for i, record in enumerate(history) if len(changed(space, child, record.parameters)) == 1)
    assert parents[[r.parameters for r in history].index(worst)] == 0
    # one of 8 wins all of its tournaments: it takes part in half of them
    assert 80 <= parents[[r.parameters for r in history].index(best)] <= 120


def test_minimize_is_maximize_of_the_negative(parsed) -> None:
    space = parsed(NESTED)
    score = lambda parameters: parameters["rate"] * 3 - parameters["last"]  # noqa: E731
    up = run(space, score, 60, at_once=3, optimize_mode="maximize")
    down = run(space, lambda parameters: -score(parameters), 60, at_once=3, optimize_mode="minimize")
    assert [record.parameters for record in up] == [record.parameters for record in down]


@pytest.mark.parametrize("spec", [PLANE, NESTED], ids=["plane", "nested"])
@pytest.mark.parametrize("known", [0, 5, 8, 9, 31])
def test_several_at_once_are_those_that_single_calls_give(spec, known, parsed) -> None:
    space = parsed(spec)
    history = run(space, lambda parameters: len(repr(parameters)) % 7, known, at_once=3)
    one_by_one = list(history)
    for step in range(12):
        one_by_one += [Record(parameters=p, asked=10_000 + step) for p in ask(space, one_by_one)]
    assert ask(space, history, count=12) == [record.parameters for record in one_by_one[known:]]


def test_more_at_once_than_the_population_are_draws_and_the_search_goes_on(parsed) -> None:
    space = parsed(PLANE)
    history = run(space, hill, 120, at_once=20, population_size=4)
    assert len({repr(record.parameters) for record in history}) == 120
    assert median(record.value for record in history[80:]) > median(record.value for record in history[:20])


@pytest.mark.parametrize("size", [1, 2])
def test_a_tiny_population_works(size, parsed) -> None:
    history = run(parsed(PLANE), hill, 60, population_size=size)
    assert len(history) == 60
    assert max(record.value for record in history) > -0.01


def test_a_failed_trial_leaves_its_place_to_a_draw_at_random(parsed) -> None:
    space = parsed(PLANE)
    history = run(space, hill, 8)
    failed = [*history[:7], replace(history[7], value=None, status=Status.FAILED)]
    (child,) = ask(space, failed)
    assert min(len(changed(space, child, record.parameters)) for record in failed) == 2
    following = [*failed, Record(parameters=child, asked=100)]
    assert any(len(changed(space, p, r.parameters)) == 1 for p in ask(space, following) for r in failed[:7])


def test_failures_only_are_draws_at_random_that_do_not_repeat(parsed) -> None:
    history = run(parsed(PLANE), lambda parameters: None, 80, at_once=3)
    assert len({repr(record.parameters) for record in history}) == 80


def test_a_mutated_nested_choice_comes_with_its_branch(parsed) -> None:
    space = parsed(NESTED)
    history = run(space, lambda parameters: parameters["rate"], 300)
    shapes = Counter()
    for record in history:
        layer = record.parameters["layer"]
        names = {"none": {"_name"}, "conv": {"_name", "size", "act"}}[layer["_name"]]
        assert layer.keys() == names
        if layer["_name"] == "conv":
            assert layer["act"].keys() == {"relu": {"_name"}, "leaky": {"_name", "slope"}}[layer["act"]["_name"]]
            assert 1 <= layer["size"] < 9
        shapes[repr(layer)[:20]] += 1
        assert list(record.parameters) == list(NESTED)
        assert record.parameters["last"] in {0.0, 2.5, 5.0, 7.5, 10.0}
    assert len(shapes) > 1


def test_a_parameter_in_a_branch_mutates_alone(parsed) -> None:
    space = parsed(NESTED)
    history = run(space, lambda parameters: parameters["rate"], 300)
    older = [record.parameters for record in history]
    alone = [
        child
        for number, child in enumerate(older[8:], start=8)
        for parent in older[:number]
        if changed(space, child, parent) == {"layer"}
        and child["layer"]["_name"] == parent["layer"]["_name"] == "conv"
        and child["layer"]["act"] == parent["layer"]["act"]
    ]
    assert alone, "never was `size` the only one to change"


@pytest.mark.parametrize("at_once", [1, 7])
def test_a_finite_space_gives_each_trial_once_and_ends(at_once, parsed) -> None:
    space = parsed({"a": {"_type": "choice", "_value": list(range(6))}, "b": {"_type": "randint", "_value": [0, 5]}})
    history = run(space, lambda parameters: parameters["a"], 100, at_once=at_once)
    assert len({repr(record.parameters) for record in history}) == len(history) == 30
    assert ask(space, history, count=3) == []
    assert ask(parsed({}), count=3) == [{}]


def test_a_child_that_is_an_earlier_trial_is_mutated_again(parsed) -> None:
    """Where one parameter has few values, the option that is drawn anew is often the one that was there."""
    space = parsed({"x": {"_type": "uniform", "_value": [0, 1]}, "c": {"_type": "choice", "_value": ["a", "b"]}})
    history = run(space, lambda parameters: parameters["x"], 40, population_size=4)
    assert len({repr(record.parameters) for record in history}) == len(history) == 40
    for number, record in enumerate(history[4:], start=4):
        assert any(len(changed(space, record.parameters, older.parameters)) == 1 for older in history[:number])


def test_constraints_hold_and_change_nothing_else(parsed) -> None:
    space = parsed(PLANE)
    allowed = lambda parameters: parameters["x"] + parameters["y"] < 1  # noqa: E731
    history = run(space, hill, 100, at_once=2, allowed=allowed)
    assert len(history) == 100
    assert all(allowed(record.parameters) for record in history)


def test_imported_results_take_the_places_of_first_draws(parsed) -> None:
    space = parsed(PLANE)
    grid = [{"x": x / 4, "y": y / 4} for x in range(4) for y in range(4)]
    imported = [Record(parameters=p, value=hill(p), status=Status.SUCCEEDED, told=0, imported=True) for p in grid]
    failed = Record(parameters={"x": 0.9, "y": 0.9}, status=Status.FAILED, told=0, imported=True)
    assert evolution.ahead([*imported[:5], failed], args=ARGS) == 3
    assert evolution.ahead(imported, args=ARGS) == 0
    assert ask(space, [*imported[:5], failed], count=3) == ask(space, count=3)
    best = sorted(imported, key=lambda record: -record.value)[:8]
    for seed in range(50):
        (child,) = ask(space, imported, seed=seed)
        assert any(len(changed(space, child, record.parameters)) == 1 for record in best)


def test_results_that_do_not_fit_the_space_are_no_parents(parsed) -> None:
    history = run(parsed(PLANE), hill, 20)
    space = parsed({**PLANE, "z": {"_type": "randint", "_value": [0, 3]}})
    assert all(parameters.keys() == {"x", "y", "z"} for parameters in ask(space, history, count=5))
    narrow = parsed({**PLANE, "x": {"_type": "uniform", "_value": [0.9, 1]}})
    assert all(parameters["x"] >= 0.9 for parameters in ask(narrow, history, count=5))


def test_it_beats_random(parsed) -> None:
    space = parsed({name: {"_type": "uniform", "_value": [0, 1]} for name in "abcdef"})
    score = lambda parameters: -sum((x - 0.7) ** 2 for x in parameters.values())  # noqa: E731
    found, floor = [], []
    for seed in range(15):
        found.append(max(record.value for record in run(space, score, 60, at_once=2, seed=seed)))
        draws = random.propose(space, (), count=60, seed=seed, args={}, allowed=lambda p: True)
        floor.append(max(map(score, draws)))
    assert median(found) > median(floor)
    assert sum(a > b for a, b in zip(found, floor, strict=True)) >= 11


def test_nni_cannot_be_asked_for_more_than_its_population(parsed) -> None:
    """The behaviour that this module replaces."""
    evolution_tuner = pytest.importorskip("nni.algorithms.hpo.evolution_tuner")
    tuner = evolution_tuner.EvolutionTuner(population_size=2)
    tuner.update_search_space(PLANE)
    for number in range(2):
        tuner.generate_parameters(number)
    with pytest.raises(RuntimeError, match="population is empty"):
        tuner.generate_parameters(2)
    assert len(ask(parsed(PLANE), count=5, population_size=2)) == 5


def test_a_count_of_zero_yields_nothing(parsed) -> None:
    assert ask(parsed(PLANE), count=0) == []
    assert ask(parsed(PLANE), run(parsed(PLANE), hill, 9), count=0) == []
    assert sys.maxsize > len(ask(parsed({"a": {"_type": "choice", "_value": [1, 2]}}), count=sys.maxsize)) == 2
