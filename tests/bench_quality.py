"""What the tuners find in 50 trials, beside Random and beside Optuna's own loop; the last part of `make bench`."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amlc.config.arguments import NESTED, find
from amlc.model import Choice, Document, Integer, Parameters, Space
from amlc.space.parse import parse_space
from amlc.tuners import TUNERS, built_in
from tests.tuners.simulation import arguments, simulate

TRIALS = 50
SEEDS = 100
NOISE = 0.2
LIBRARY = "Optuna's own loop"
SEEDS_OF: Mapping[str, int] = {"GP": 30, "Metis": 30, "SMAC": 30}
"""Of the slow ones."""
LIKELY = 0.05
BAR = ("TPE", "GP", "BOHB")
LEFT_OUT = ("GridSearch", "Batch", "TPE_legacy", "PBT", "ASHA")
EXPLAINED = """\
Medians of the best value over the seeds; smaller is better. One trial at a time, tuners with NNI's default arguments.
With noise (of 0.2, where the values lie between -3.32 and 0) what counts is the true value of the trial that looked
best. Optuna's own loop is `study.optimize` with its default sampler. Hyperband and BOHB repeat trials with other
budgets, and these functions ignore TRIAL_BUDGET: what the two gain by cheap trials does not show, and Hyperband, which
draws at random, has no goal. Left out: GridSearch and Batch, which do not draw; TPE_legacy, which is TPE; PBT, whose
individuals go on from checkpoints; ASHA, which proposes what Random does. Better than Random: the median is. Not
worse than Optuna: the median is not, or so little that chance may do it. p: the probability that it does, by the
one-sided rank test of Mann and Whitney.
"""


@dataclass(frozen=True)
class Problem:
    """A function to minimise. noise: the standard deviation of what is added to each value that the tuner sees."""

    name: str
    space: Mapping[str, Any]
    value: Callable[[Parameters], float]
    nested: bool = False
    noise: float = 0.0

    def parsed(self) -> Space:
        return parse_space(Document(Path("space.json"), self.space, {}, {}), (), tuner="Random")[0]


def branin(p: Parameters) -> float:
    x, y = p["x"], p["y"]
    wave = 10 * (1 - 1 / (8 * math.pi)) * math.cos(x)
    return (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2 + wave + 10


_WEIGHTS = (1.0, 1.2, 3.0, 3.2)
_SCALES = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
_MIDDLES = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def hartmann(p: Parameters) -> float:
    return -sum(
        weight * math.exp(-sum(a * (x - m) ** 2 for a, x, m in zip(scales, p.values(), middles, strict=False)))
        for weight, scales, middles in zip(_WEIGHTS, _SCALES, _MIDDLES, strict=True)
    )


def training(p: Parameters) -> float:
    """Return the loss of an imagined training, 0 at best; the best of the other optimizer is 0.05."""
    optimizer, rate = p["optimizer"], math.log10(p["optimizer"]["lr"])
    if optimizer["_name"] == "adam":
        loss = 0.15 * (rate + 3) ** 2 + 2 * (optimizer["beta"] - 0.9) ** 2
    else:
        loss = 0.05 + 0.1 * (rate + 1.5) ** 2 + 0.5 * (optimizer["momentum"] - 0.9) ** 2
    loss += 0.01 * (p["layers"] - 5) ** 2 + 0.05 * abs(math.log2(p["width"]) - 7 + 0.3 * (p["layers"] - 5))
    return loss + 2 * (p["dropout"] - 0.2) ** 2 + 0.02 * (math.log10(p["decay"]) + 4) ** 2


PLANE = {"x": {"_type": "uniform", "_value": [-5, 10]}, "y": {"_type": "uniform", "_value": [0, 15]}}
CUBE = {f"x{i}": {"_type": "uniform", "_value": [0, 1]} for i in range(6)}
TRAINING = {
    "optimizer": {
        "_type": "choice",
        "_value": [
            {
                "_name": "sgd",
                "lr": {"_type": "loguniform", "_value": [1e-4, 1]},
                "momentum": {"_type": "uniform", "_value": [0, 1]},
            },
            {
                "_name": "adam",
                "lr": {"_type": "loguniform", "_value": [1e-5, 1e-1]},
                "beta": {"_type": "quniform", "_value": [0.5, 0.99, 0.01]},
            },
        ],
    },
    "layers": {"_type": "randint", "_value": [1, 9]},
    "width": {"_type": "choice", "_value": [16, 32, 64, 128, 256]},
    "dropout": {"_type": "quniform", "_value": [0, 0.5, 0.05]},
    "decay": {"_type": "loguniform", "_value": [1e-6, 1e-1]},
}
PROBLEMS = (
    Problem("Branin", PLANE, branin),
    Problem("Hartmann-6", CUBE, hartmann),
    Problem("mixed, nested", TRAINING, training, nested=True),
    Problem("Hartmann-6 with noise", CUBE, hartmann, noise=NOISE),
)


# --- one experiment -------------------------------------------------------------------------------------------------


def best(task: tuple[str, int, int]) -> tuple[str, int, float, float]:
    """Return the task's name and problem, what it found, and the seconds that it took."""
    name, index, seed = task
    problem = PROBLEMS[index]
    start = time.perf_counter()
    seen: list[tuple[float, float]] = []

    def objective(parameters: Parameters) -> float:
        value = problem.value(parameters)
        if problem.noise:  # that of the n-th trial is the same for all
            import numpy as np

            noise = np.random.default_rng([seed, len(seen)]).normal(0, problem.noise)
        else:
            noise = 0.0
        seen.append((value + noise, value))
        return value + noise

    if name == LIBRARY:
        _optuna(problem.parsed(), objective, seed)
    else:
        args = arguments(name, optimize_mode="minimize")
        simulate(built_in(name), problem.parsed(), objective, trials=TRIALS, seed=seed, args=args)
    return name, index, min(seen)[1], time.perf_counter() - start


def _optuna(space: Space, objective: Callable[[Parameters], float], seed: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(lambda trial: objective(optuna_asks(trial, space)), n_trials=TRIALS)


def optuna_asks(trial: Any, space: Space, prefix: str = "") -> dict[str, Any]:
    """Return parameters as somebody who writes for Optuna asks for them."""
    found: dict[str, Any] = {}
    for d in space:
        name = prefix + d.name
        if isinstance(d, Choice) and d.branches:
            option = trial.suggest_categorical(name, d.options)
            branch = d.branches[d.options.index(option)]
            found[d.name] = {"_name": option, **optuna_asks(trial, branch, f"{name}.{option}.")}
        elif isinstance(d, Choice):
            found[d.name] = trial.suggest_categorical(name, d.options)
        elif isinstance(d, Integer):
            found[d.name] = trial.suggest_int(name, d.low, d.high - 1)
        else:
            found[d.name] = trial.suggest_float(name, d.a, d.b, log=d.log, step=d.q)
    return found


# --- all of them ----------------------------------------------------------------------------------------------------


def quality(*, seeds: int = SEEDS, names: tuple[str, ...] = ()) -> None:
    """Print the table; names: of these alone, Random and Optuna's own loop."""
    everyone = [name for name in TUNERS if name not in LEFT_OUT and (not names or name in names or name == "Random")]
    tasks = [
        (name, index, seed)
        for name in sorted([LIBRARY, *everyone], key=lambda name: name not in SEEDS_OF)  # the slow ones first
        for index, problem in enumerate(PROBLEMS)
        if not problem.nested or _searches_branches(name)
        for seed in range(min(SEEDS_OF.get(name, SEEDS), seeds))
    ]
    os.environ["OMP_NUM_THREADS"] = "1"  # each process has a core of its own
    found: dict[tuple[str, int], list[float]] = {}
    spent: dict[str, float] = {}
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for name, index, value, took in pool.imap_unordered(best, tasks):
            found.setdefault((name, index), []).append(value)
            spent[name] = spent.get(name, 0.0) + took
    counts = {name: sum(task[0] == name for task in tasks) * TRIALS for name in spent}
    print(f"## The best of {TRIALS} trials\n")
    print(EXPLAINED)
    print(f"| tuner | {' | '.join(problem.name for problem in PROBLEMS)} | seeds | ms a trial | goal | |")
    print(f"|{'---|' * (len(PROBLEMS) + 5)}")
    for name in (LIBRARY, *everyone):
        values = [found.get((name, index)) for index in range(len(PROBLEMS))]
        medians = " | ".join(f"{statistics.median(v):.3g}" if v else "" for v in values)
        cost = f"{min(SEEDS_OF.get(name, SEEDS), seeds)} | {spent[name] / counts[name] * 1e3:.0f}"
        print(f"| {name} | {medians} | {cost} | {_verdict(name, found)} |", flush=True)


def _searches_branches(name: str) -> bool:
    known = find(name, "tuner")
    return known is None or NESTED in known.types


def _verdict(name: str, found: Mapping[tuple[str, int], list[float]]) -> str:
    if name in (LIBRARY, "Random", "Hyperband"):
        return " | "
    bar = name in BAR
    other, goal = (LIBRARY, "not worse than Optuna") if bar else ("Random", "better than Random")
    missed, notes = [], []
    for index, problem in enumerate(PROBLEMS):
        if (name, index) not in found:
            continue
        values, others = found[name, index], found[other, index]
        behind = statistics.median(values) > statistics.median(others)
        chance = _chance(values, others) if behind else _chance(others, values)
        if behind and (not bar or chance < LIKELY):
            missed.append(f"{problem.name} (p = {chance:.2f})")
        elif chance >= LIKELY and (behind or not bar):
            notes.append(f"{problem.name} (p = {chance:.2f})")
    verdict = f"**missed** on {', '.join(missed)}" if missed else "met"
    how = "behind" if bar else "ahead"
    return f"{goal} | {verdict}{f'; {how} perhaps by chance on ' + ', '.join(notes) if notes else ''}"


def _chance(behind: list[float], ahead: list[float]) -> float:
    """Return the probability that chance alone puts the first so far behind the second."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(behind, ahead, alternative="greater").pvalue)
