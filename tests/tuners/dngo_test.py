"""DNGO trains its network anew after every `trials_per_update` results, and only then."""

from __future__ import annotations

from amlc.model import Record, Status
from amlc.tuners import dngo, random

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}, "lr": {"_type": "qloguniform", "_value": [1, 1000, 5]}}
ARGS = {"optimize_mode": "minimize", "sample_size": 50, "trials_per_update": 5, "num_epochs_per_training": 30}


def test_the_network_is_trained_every_so_many_results(parsed) -> None:
    space = parsed(SPACE, "DNGO")
    sets = random.propose(space, (), count=16, seed=1, args={}, allowed=lambda p: True)
    history = [
        Record(parameters=p, status=Status.SUCCEEDED, value=p["x"] * p["lr"], told=told) for told, p in enumerate(sets)
    ]
    dngo._layers.cache_clear()
    trained, found = [], []
    for size in range(5, 17):
        found += dngo.propose(space, history[:size], count=1, seed=1, args=ARGS, allowed=lambda p: True)
        trained.append(dngo._layers.cache_info().misses)
    assert trained == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3]
    dngo._layers.cache_clear()
    again = dngo.propose(space, history[:16], count=1, seed=1, args=ARGS, allowed=lambda p: True)
    assert list(again) == found[-1:]


def test_a_result_counts_when_it_comes_whatever_the_order_of_the_proposals(parsed) -> None:
    space = parsed(SPACE, "DNGO")
    sets = list(random.propose(space, (), count=7, seed=1, args={}, allowed=lambda p: True))
    late = [Record(parameters=p, status=Status.SUCCEEDED, value=p["x"], told=9 - place) for place, p in enumerate(sets)]
    dngo._layers.cache_clear()
    list(dngo.propose(space, late, count=1, seed=1, args=ARGS, allowed=lambda p: True))
    early = [Record(parameters=late[0].parameters), Record(parameters=late[1].parameters), *late[2:]]
    list(dngo.propose(space, early, count=1, seed=1, args=ARGS, allowed=lambda p: True))
    assert dngo._layers.cache_info().misses == 1
