"""What a proposal costs while an experiment runs, tuner by tuner, beside Optuna's own; a part of `make bench`."""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amlc.catalogue import names as known_names
from amlc.model import Parameters, Record, Space, Status
from amlc.tuners import built_in, random
from tests.quality.problems import Problem, bare, cube, hartmann_6
from tests.quality.run import LIBRARY, suggested
from tests.tuners.simulation import arguments

SIZES = (100, 1_000, 10_000)
BARS_S: Mapping[int, float] = {1_000: 0.05, 10_000: 0.25}
REPEATS = 20
OWN = ("Hyperband", "BOHB", "PBT")
"""Those that learn from their own trials only, which have a budget or a folder."""
GIVEN: Mapping[str, Mapping[str, Any]] = {"PBT": {"all_checkpoint_dir": "/checkpoints"}}
EXPLAINED = """\
Milliseconds of the processor for one proposal behind so many results, the median of {repeats} and, in brackets, the
slowest. The process is warm and its history grows by one result with each proposal, as in `amlc run`; results are those
of random draws. Behind the colon: how many times Optuna's, whose `study.ask()` with its default sampler, and the
`suggest` of each parameter, was measured in the same run on the same history. Goal: the median under 50 ms at 1,000
results and 250 ms at 10,000. Left out: Random, GridSearch and Batch, which are compiled at once; TPE_legacy, which is
TPE.
"""


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


@dataclass(frozen=True)
class Cost:
    """Seconds of the processor that a proposal took."""

    median: float
    slowest: float


def loop_cost(*, names: tuple[str, ...] = (), sizes: tuple[int, ...] = SIZES, repeats: int = REPEATS) -> None:
    """Print a table for each of `PROBLEMS`; names: of these tuners alone, and Optuna."""
    everyone = [name for name in known_names("tuner") if built_in(name).ahead is not None and name != "TPE_legacy"]
    print("## The cost of a proposal\n")
    print(EXPLAINED.format(repeats=repeats))
    for problem in PROBLEMS:
        print(f"| {problem.name} | {' | '.join(f'{size:,} results' for size in sizes)} | goal |")
        print(f"|{'---|' * (len(sizes) + 2)}")
        floor = {size: _of(_optuna(problem, size, repeats)) for size in sizes}
        print(f"| {LIBRARY} | {' | '.join(map(_shown, floor.values()))} | |", flush=True)
        for name in everyone:
            if names and name not in names:
                continue
            costs = {size: _of(_amlc(name, problem, size, repeats)) for size in sizes}
            cells = (f"{_shown(cost)} : {cost.median / floor[size].median:.1f}" for size, cost in costs.items())
            late = [f"{size:,}" for size, cost in costs.items() if cost.median >= BARS_S.get(size, math.inf)]
            goal = f"**missed** at {', '.join(late)}" if late else "met"
            print(f"| {name} | {' | '.join(cells)} | {goal} |", flush=True)
        print()


def _shown(cost: Cost) -> str:
    return f"{cost.median * 1e3:.1f} ({cost.slowest * 1e3:.0f})"


def _of(times: list[float]) -> Cost:
    return Cost(statistics.median(times), max(times))


def _amlc(name: str, problem: Problem, size: int, repeats: int) -> list[float]:
    tuner, space, args = built_in(name), problem.parsed(), arguments(name, **GIVEN.get(name, {}))
    history = past(name, problem, space, size, args)
    times = []
    for _ in range(repeats + 1):
        asked = tuple(history)
        start = time.process_time()
        (found,) = tuner.propose(space, asked, count=1, seed=1, args=args, allowed=lambda _: True)
        times.append(time.process_time() - start)
        history.append(_ended(found, problem, len(history)))
    return times[1:]  # the first one reads all of the past


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


def _optuna(problem: Problem, size: int, repeats: int) -> list[float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = problem.parsed()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(size):
        trial = study.ask()
        study.tell(trial, problem.value(suggested(trial, space)))
    study.sampler = optuna.samplers.TPESampler(seed=1)
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        trial = study.ask()
        found = suggested(trial, space)
        times.append(time.process_time() - start)
        study.tell(trial, problem.value(found))
    return times[1:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    given = parser.parse_args()
    loop_cost(names=tuple(given.names), sizes=tuple(given.sizes), repeats=given.repeats)
