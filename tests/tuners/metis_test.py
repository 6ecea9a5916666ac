"""Metis explores, exploits and, when it is told so, tries outliers again."""

from __future__ import annotations

import pytest

from amlc.model import Record, Status
from amlc.tuners import metis, random

SPACE = {"x": {"_type": "uniform", "_value": [-1, 1]}, "n": {"_type": "randint", "_value": [0, 20]}}
ARGS = {
    "optimize_mode": "minimize",
    "no_resampling": True,
    "no_candidates": False,
    "selection_num_starting_points": 100,
    "cold_start_num": 10,
    "exploration_probability": 0.9,
}


def bowl(p):
    return (p["x"] - 0.5) ** 2 + ((p["n"] - 7) / 10) ** 2


def results(space, count):
    sets = random.propose(space, (), count=count, seed=4, args={}, allowed=lambda p: True)
    return [Record(parameters=p, status=Status.SUCCEEDED, value=bowl(p), told=told) for told, p in enumerate(sets)]


def propose(space, history, *, count=1, seed=0, **args):
    return list(metis.propose(space, history, count=count, seed=seed, args={**ARGS, **args}, allowed=lambda p: True))


def test_without_exploration_it_proposes_the_lowest_predicted_mean(parsed) -> None:
    space = parsed(SPACE, "Metis")
    (found,) = propose(space, results(space, 30), exploration_probability=0.0)
    assert found["n"] == 7
    assert abs(found["x"] - 0.5) < 0.05


def test_without_candidates_exploration_is_a_draw(parsed) -> None:
    space = parsed(SPACE, "Metis")
    history = results(space, 30)
    found = [propose(space, history, seed=s, no_candidates=True, exploration_probability=1.0)[0] for s in range(30)]
    assert sum(bowl(p) > 0.3 for p in found) > 8


@pytest.mark.parametrize("no_resampling", [False, True])
def test_an_outlier_is_run_again_three_times_at_most(no_resampling, parsed) -> None:
    space = parsed(SPACE, "Metis")
    history = results(space, 60)
    best = min(range(60), key=lambda index: history[index].value)
    outlier = history[best].parameters
    history[best] = Record(parameters=outlier, status=Status.SUCCEEDED, value=-3.0, told=best)
    runs = []
    for _ in range(8):
        (p,) = propose(space, history, no_resampling=no_resampling, exploration_probability=1.0)
        runs.append(p == outlier)
        value = -3.0 if p == outlier else bowl(p)
        history.append(Record(parameters=p, status=Status.SUCCEEDED, value=value, told=len(history)))
    assert sum(runs) <= (0 if no_resampling else 2)
    assert any(runs) is not no_resampling
