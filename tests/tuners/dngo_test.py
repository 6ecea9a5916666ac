"""DNGO trains its networks anew after so many results, and only then."""

from __future__ import annotations

import pytest

from amlc.model import Record, Status
from amlc.tuners import dngo, random

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}, "lr": {"_type": "qloguniform", "_value": [1, 1000, 5]}}
ARGS = {"optimize_mode": "minimize", "sample_size": 50, "trials_per_update": 15, "num_epochs_per_training": 30}


@pytest.mark.parametrize(
    ("update", "trained"),
    [
        (20, [0, 20, 22, 24, 26, 28, 30, 33, 36, 39, 42, 46, 50]),
        (3, [0, *range(3, 20), 20, 22, 24, 26, 28, 30, 33, 36, 39, 42, 45, 48]),
        (1, range(51)),
        (60, [0]),
    ],
)
def test_it_is_a_tenth_more_results_or_those_of_an_update(update, trained) -> None:
    assert sorted({dngo._trained(results, update) for results in range(51)}) == list(trained)


def test_the_networks_are_trained_when_they_are_to_be(parsed) -> None:
    space = parsed(SPACE, "DNGO")
    sets = random.propose(space, (), count=21, seed=1, args={}, allowed=lambda p: True)
    history = [
        Record(parameters=p, status=Status.SUCCEEDED, value=p["x"] * p["lr"], told=told) for told, p in enumerate(sets)
    ]
    dngo._network.cache_clear()
    trained, found = [], []
    for size in range(17, 22):
        found += dngo.propose(space, history[:size], count=1, seed=1, args=ARGS, allowed=lambda p: True)
        trained.append(dngo._network.cache_info().misses)
    assert trained == [5, 10, 15, 20, 20]
    dngo._network.cache_clear()
    again = dngo.propose(space, history[:21], count=1, seed=1, args=ARGS, allowed=lambda p: True)
    assert list(again) == found[-1:]


@pytest.mark.parametrize(("results", "networks"), [(100, 5), (101, 4), (251, 1), (600, 1)])
def test_behind_many_results_there_are_fewer_networks(parsed, results, networks) -> None:
    space = parsed(SPACE, "DNGO")
    sets = random.propose(space, (), count=results, seed=1, args={}, allowed=lambda p: True)
    history = [Record(parameters=p, status=Status.SUCCEEDED, value=p["x"], told=told) for told, p in enumerate(sets)]
    dngo._network.cache_clear()
    args = ARGS | {"trials_per_update": 1, "num_epochs_per_training": 2}
    assert list(dngo.propose(space, history, count=1, seed=1, args=args, allowed=lambda p: True))
    assert dngo._network.cache_info().misses == networks


def test_a_result_counts_when_it_comes_whatever_the_order_of_the_proposals(parsed) -> None:
    space = parsed(SPACE, "DNGO")
    sets = list(random.propose(space, (), count=21, seed=1, args={}, allowed=lambda p: True))
    late = [Record(parameters=p, status=Status.SUCCEEDED, value=p["x"], told=23 - place) for place, p in enumerate(sets)]
    args = ARGS | {"trials_per_update": 20}
    dngo._network.cache_clear()
    list(dngo.propose(space, late, count=1, seed=1, args=args, allowed=lambda p: True))
    early = [Record(parameters=late[0].parameters), *late[1:]]
    list(dngo.propose(space, early, count=1, seed=1, args=args, allowed=lambda p: True))
    assert dngo._network.cache_info().misses == 5
