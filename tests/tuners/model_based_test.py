"""What DNGO, Metis and SMAC have in common: proposals of a model, one after the other."""

from __future__ import annotations

import logging
import math
import sys
from dataclasses import replace
from statistics import median

import numpy as np
import pytest

from amlc.errors import AmlcError
from amlc.model import Record, Status
from amlc.space.canonical import canonical
from amlc.tuners import built_in, random
from amlc.tuners.shared import gaussian_process
from tests.tuners.simulation import arguments, finished

ARGS = {
    "DNGO": {
        "optimize_mode": "minimize",
        "sample_size": 1000,
        "trials_per_update": 20,
        "num_epochs_per_training": 500,
    },
    "Metis": {
        "optimize_mode": "minimize",
        "no_resampling": True,
        "no_candidates": False,
        "selection_num_starting_points": 600,
        "cold_start_num": 10,
        "exploration_probability": 0.9,
    },
    "SMAC": {"optimize_mode": "minimize", "config_dedup": False},
}
STARTUP = {"DNGO": 20, "Metis": 10, "SMAC": 10}
PLANE = {"x": {"_type": "uniform", "_value": [-5, 10]}, "y": {"_type": "uniform", "_value": [0, 15]}}
MIXED = {
    "batch": {"_type": "choice", "_value": [32, 8, 16.5]},
    "layers": {"_type": "randint", "_value": [1, 9]},
    "drop": {"_type": "quniform", "_value": [0, 0.95, 0.1]},
    "rate": {"_type": "uniform", "_value": [0.1, 2]},
}
SMALL = {"a": {"_type": "choice", "_value": [3, 1, 2]}, "b": {"_type": "randint", "_value": [0, 9]}}
each = pytest.mark.parametrize("name", ARGS)


def propose(name, space, history, *, count=1, seed=0, allowed=lambda parameters: True, **args):
    return list(
        built_in(name).propose(
            space, tuple(history), count=count, seed=seed, args={**ARGS[name], **args}, allowed=allowed
        )
    )


def branin(p):
    x, y = p["x"], p["y"]
    return (y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10


def bowl(p):
    return abs(p["batch"] - 16.5) / 8 + (p["layers"] - 6) ** 2 + abs(p["drop"] - 0.3) + (p["rate"] - 1.1) ** 2


def ended(parameters, value, told=0):
    return Record(parameters=parameters, status=Status.SUCCEEDED, value=value, told=told)


def drawn(space, count, function, seed=7):
    sets = random.propose(space, (), count=count, seed=seed, args={}, allowed=lambda parameters: True)
    return [ended(parameters, function(parameters), told) for told, parameters in enumerate(sets)]


def search(name, space, function, *, trials, seed):
    history = drawn(space, STARTUP[name], function, seed)
    while len(history) < trials:
        (parameters,) = propose(name, space, history, seed=seed)
        history.append(ended(parameters, function(parameters), len(history)))
    return min(record.value for record in history)


@each
def test_it_begins_with_the_draws_of_random(name, parsed) -> None:
    space = parsed(MIXED)
    expected = list(random.propose(space, (), count=STARTUP[name], seed=3, args={}, allowed=lambda parameters: True))
    assert propose(name, space, (), count=STARTUP[name], seed=3) == expected
    ahead = built_in(name).ahead
    assert ahead((), args=ARGS[name]) == STARTUP[name]
    history = drawn(space, STARTUP[name] + 2, bowl)
    assert [ahead(history[:n], args=ARGS[name]) for n in (1, STARTUP[name], len(history))] == [STARTUP[name] - 1, 0, 0]


@each
def test_it_finds_better_values_than_random(name, parsed) -> None:
    space = parsed(PLANE)
    trials = STARTUP[name] + 30
    found = median(search(name, space, branin, trials=trials, seed=seed) for seed in range(3))
    floor = median(min(r.value for r in drawn(space, trials, branin, seed)) for seed in range(30))
    assert found < 0.75 * floor


@each
def test_several_at_once_are_those_that_come_one_by_one(name, parsed) -> None:
    space = parsed(MIXED)
    history = drawn(space, STARTUP[name] - 2, bowl)
    together = propose(name, space, history, count=5)
    single = list(history)
    for _ in range(5):
        single += [Record(parameters=parameters) for parameters in propose(name, space, single)]
    assert together == [record.parameters for record in single[len(history) :]]
    history = drawn(space, STARTUP[name] + 5, bowl)
    together = propose(name, space, history, count=3)
    single = list(history)
    for _ in range(3):
        single += [Record(parameters=parameters) for parameters in propose(name, space, single)]
    assert together == [record.parameters for record in single[len(history) :]]
    assert len({canonical(parameters) for parameters in together}) == 3


@each
def test_largest_and_smallest_are_mirror_images(name, parsed) -> None:
    space = parsed(MIXED)
    history = drawn(space, STARTUP[name] + 5, bowl)
    mirrored = [replace(record, value=-record.value) for record in history]
    assert propose(name, space, history) == propose(name, space, mirrored, optimize_mode="maximize")


@each
def test_a_finite_space_is_searched_without_repetition_to_its_end(name, parsed) -> None:
    space = parsed(SMALL)
    history = drawn(space, 22, lambda p: p["a"] * p["b"])
    rest = propose(name, space, history, count=100)
    assert len(rest) == 27 - 22
    assert len({canonical(p) for p in [*rest, *(record.parameters for record in history)]}) == 27


@each
def test_what_is_not_allowed_is_not_proposed(name, parsed) -> None:
    space = parsed(MIXED)
    history = drawn(space, STARTUP[name] + 5, bowl)
    for bound in (3, 8):
        found = propose(name, space, history, count=3, allowed=lambda p, bound=bound: p["layers"] >= bound)
        assert len(found) == 3
        assert min(p["layers"] for p in found) >= bound


@each
@pytest.mark.parametrize("value", [0.0, 1e30, None])
def test_results_that_say_nothing_do_no_harm(name, value, parsed) -> None:
    history = [replace(record, value=value, status=Status.FAILED) for record in drawn(parsed(MIXED), 25, bowl)]
    assert len(propose(name, parsed(MIXED), history, count=2)) == 2


@each
@pytest.mark.parametrize("value", [1e38, 1e300, -1e300, 1e-300])
def test_one_huge_result_does_no_harm(name, value, parsed) -> None:
    history = drawn(parsed(MIXED), 25, bowl)
    history[3] = replace(history[3], value=value)
    assert len(propose(name, parsed(MIXED), history)) == 1


@each
def test_records_of_another_space_teach_nothing_but_count(name, parsed) -> None:
    history = drawn(parsed(MIXED), 25, bowl)
    strange = [replace(record, parameters={"other": 1}) for record in history]
    assert len(propose(name, parsed(MIXED), strange, count=2)) == 2
    assert len(propose(name, parsed(MIXED), [*history, *strange])) == 1


@each
def test_the_generators_and_loggers_of_others_are_left_alone(name, parsed) -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    handlers, level = list(logging.root.handlers), logging.root.level
    propose(name, parsed(MIXED), drawn(parsed(MIXED), 25, bowl))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert (list(logging.root.handlers), logging.root.level) == (handlers, level)


@pytest.mark.parametrize(
    ("name", "module"), [("DNGO", "sklearn"), ("Metis", "sklearn"), ("SMAC", "sklearn")]
)
def test_a_missing_library_is_told_before_the_first_trial(name, module, parsed, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(AmlcError, match=rf"^{name} needs '{module}'.*pip install .*scikit-learn"):
        propose(name, parsed(PLANE), ())


@pytest.mark.parametrize("tuner", ["GP", "Metis"])
def test_of_a_long_history_lengths_are_learned_at_every_tenth_result(tuner, parsed) -> None:
    space, args = parsed({"x": {"_type": "uniform", "_value": [0, 1]}}), arguments(tuner, optimize_mode="minimize")
    history = finished(space, 211, lambda parameters: math.sin(parameters["x"]))
    learned = []
    for count in (20, 21, 200, 201, 209, 210, 211):
        (proposed,) = built_in(tuner).propose(
            space, history[:count], count=1, seed=1, args=args, allowed=lambda parameters: True
        )
        assert proposed not in [record.parameters for record in history]
        learned.append(next(iter(gaussian_process._LAST)))
    at_20, at_21, at_200, at_201, at_209, at_210, at_211 = learned
    assert at_20 != at_21
    assert at_200 == at_201 == at_209 != at_210 == at_211
