"""What a proposal costs while an experiment runs, tuner by tuner, beside Optuna's own.

The process is warm and its history grows by one result with each proposal, as in `amlc run`; results are those of
random draws. Left out: Random, GridSearch and Batch, which are compiled at once; TPE_legacy, which is TPE.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from amlc.catalogue import names as known_names
from amlc.model import Parameters, Record, Space, Status
from amlc.tuners import built_in, random
from tests.bench.measure import Cost, Effort, Row, compared, here
from tests.quality.problems import Problem, bare, cube, hartmann_6
from tests.quality.run import suggested
from tests.tuners.simulation import arguments

SIZES = (100, 1_000, 10_000)
MOST_MS: Mapping[int, float] = {1_000: 50, 10_000: 250}
REPEATS = 20
OWN = ("Hyperband", "BOHB", "PBT")
"""Those that learn from their own trials only, which have a budget or a folder."""
GIVEN: Mapping[str, Mapping[str, Any]] = {"PBT": {"all_checkpoint_dir": "/checkpoints"}}
FLOOR_NAME = "Optuna's `study.ask()`"


def mixed(p: Parameters) -> float:
    """Return the loss of an imagined training."""
    loss = (math.log2(p["width"]) - 6) ** 2 / 4 + (p["layers"] - 5) ** 2 / 10 + (p["dropout"] - 0.2) ** 2
    return loss + (p["momentum"] - 0.9) ** 2 + (p["rate"] - 0.3) ** 2 + abs(p["batch"] - 32) / 32


MIXED = {
    "rate": {"_type": "uniform", "_value": [0.01, 1]},
    "momentum": {"_type": "uniform", "_value": [0, 1]},
    "dropout": {"_type": "quniform", "_value": [0, 0.5, 0.05]},
    "layers": {"_type": "randint", "_value": [1, 9]},
    "width": {"_type": "choice", "_value": [16, 32, 64, 128, 256]},
    "batch": {"_type": "choice", "_value": [64, 32, 16, 8]},
}
PROBLEMS = (
    Problem("6 numbers, Hartmann's function", cube(6, 0, 1), hartmann_6),
    Problem("a flat mixed space", MIXED, mixed),
)


def rows(effort: Effort) -> Iterator[Row]:
    everyone = [name for name in known_names("tuner") if built_in(name).ahead is not None and name != "TPE_legacy"]
    for problem in PROBLEMS:
        for size in map(effort.of, SIZES):
            floor = _optuna(problem, size)
            for name in everyone:
                costs = _amlc(name, problem, size)
                goal = {"ms of CPU": MOST_MS[size]} if size in MOST_MS else {}
                others = {"ms of CPU for the slowest": 1e3 * max(cost.cpu_s for cost in costs)}
                what = f"{name}: a proposal behind {size:,} results, {problem.name}"
                yield compared(what, list(zip(costs, floor, strict=True)), FLOOR_NAME, goal=goal, others=others)


def _amlc(name: str, problem: Problem, size: int) -> list[Cost]:
    tuner, space, args = built_in(name), problem.parsed(), arguments(name, **GIVEN.get(name, {}))
    history = past(name, problem, space, size, args)
    costs = []
    for _ in range(REPEATS + 1):
        asked, found = tuple(history), []
        proposed = tuner.propose(space, asked, count=1, seed=1, args=args, allowed=lambda _: True)
        costs.append(here(lambda found=found, proposed=proposed: found.extend(proposed)))
        history.append(_ended(found[0], problem, len(history)))
    return costs[1:]  # the first one reads all of the past


def past(name: str, problem: Problem, space: Space, size: int, args: Mapping[str, Any]) -> list[Record]:
    """Return a history of `size` results: of random draws, or of the tuner's own trials where it knows no others."""
    source = built_in(name).propose if name in OWN else random.propose
    history: list[Record] = []
    while len(history) < size:
        sets = source(space, tuple(history), count=size - len(history), seed=1, args=args, allowed=lambda _: True)
        history += [_ended(found, problem, number) for number, found in enumerate(sets, start=len(history))]
    return history


def _ended(parameters: Parameters, problem: Problem, number: int) -> Record:
    value = -problem.value(bare(parameters))  # most tuners maximise
    return Record(
        parameters=parameters, status=Status.SUCCEEDED, value=value, asked=2 * number + 1, told=2 * number + 2
    )


def _optuna(problem: Problem, size: int) -> list[Cost]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = problem.parsed()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(size):
        trial = study.ask()
        study.tell(trial, problem.value(suggested(trial, space)))
    study.sampler = optuna.samplers.TPESampler(seed=1)
    costs = []
    for _ in range(REPEATS + 1):
        asked: list[Any] = []

        def ask(asked: list[Any] = asked) -> None:
            trial = study.ask()
            asked.extend((trial, suggested(trial, space)))

        costs.append(here(ask))
        study.tell(asked[0], problem.value(asked[1]))
    return costs[1:]
