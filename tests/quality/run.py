"""Run tuners on problems, and compare what they find: the part of `make bench` that is about quality.

The trials of an experiment do not depend on how many are to come: one of 200 shows the best of 25 and of 50, too.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from amlc.catalogue import names as known_names
from amlc.model import Choice, Integer, Parameters, Space
from amlc.tuners import built_in, tpe
from tests.quality.pool import measured
from tests.quality.problems import FAMILIES, bare
from tests.tuners.simulation import End, arguments, simulate

LIBRARY = "Optuna's own loop"
CHANCE = "Random"
LEFT_OUT = ("GridSearch", "Batch", "TPE_legacy", "PBT", "ASHA", "Optuna")
LENGTHS = (25, 50, 200, 1000)
LIKELY = 0.05
BAR = ("TPE", "GP", "BOHB")
"""Those that are not to be worse than Optuna's own loop."""
UNSCHOOLED = (LIBRARY, CHANCE, "Hyperband")
"""Those that need not be better than Random."""


@dataclass(frozen=True)
class Effort:
    """How much a tuner is run: trials of an experiment, and seeds, of one trial at a time and of 8."""

    trials: int = 200
    seeds: int = 30
    trials_at_8: int = 50
    seeds_at_8: int = 15


QUICK: Mapping[str, Effort] = {
    **dict.fromkeys(("Metis", "SMAC"), Effort(50, 10, 50, 5)),
    **dict.fromkeys(("GP", "DNGO", "Anneal"), Effort(50, 30, 50, 15)),
}
"""Of the slow ones; all others are as `Effort` has it. All of it is to take less than 25 minutes on two cores."""
FULL: Mapping[str, Effort] = {
    **dict.fromkeys(("GP", "Metis", "SMAC", "DNGO"), Effort(200, 30, 200, 30)),
}
FULL_EFFORT = Effort(1000, 30, 200, 30)


@dataclass(frozen=True)
class Task:
    """One experiment. constants: what stands in place of TPE's own ones; args: of the tuner's, beside NNI's; as JSON."""

    tuner: str
    family: str
    problem: str
    seed: int
    trials: int
    abreast: int
    constants: str = "{}"
    args: str = "{}"


@dataclass(frozen=True)
class Found:
    """What it found: the best value within the first trials that ended, for each length. seconds: that it took."""

    best: Mapping[int, float]
    seconds: float


# --- one experiment -------------------------------------------------------------------------------------------------


def experiment(task: Task) -> Found:
    """Return what the tuner finds; with noise, what counts is the true value of the trial that looked best."""
    problem = next(problem for problem in FAMILIES[task.family] if problem.name == task.problem)
    seen: list[tuple[float, float]] = []

    def objective(parameters: Parameters) -> float | None:
        value = problem.value(bare(parameters))
        if value is None:
            seen.append((math.inf, math.inf))
            return None
        noise = _noise(task.seed, len(seen), problem.noise)
        seen.append((value + noise, value))
        return value + noise

    start = time.perf_counter()
    if task.tuner == LIBRARY:
        optunas_loop(problem.parsed(), objective, trials=task.trials, abreast=task.abreast, seed=task.seed)
    else:
        with mock.patch.multiple(tpe, **json.loads(task.constants)) if task.constants != "{}" else nullcontext():
            simulate(
                built_in(task.tuner),
                problem.parsed(),
                objective,
                trials=task.trials,
                concurrency=task.abreast,
                seed=task.seed,
                args=arguments(task.tuner, optimize_mode="minimize", **json.loads(task.args)),
            )
    took = time.perf_counter() - start
    return Found({n: min(seen[:n])[1] for n in LENGTHS if n <= task.trials}, took)


def _noise(seed: int, number: int, deviation: float) -> float:
    """Return what is added to the result of a trial: that of the n-th one is the same for all tuners."""
    return random.Random(f"{seed}, {number}").gauss(0, deviation) if deviation else 0.0


def optunas_loop(
    space: Space, objective: Callable[[Parameters], float | End | None], *, trials: int, abreast: int, seed: int
) -> list[Any]:
    """Run what `study.optimize` with its default sampler does, with `abreast` workers, and return the trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    chance, running, asked = random.Random(seed), [], 0
    while asked < trials or running:
        while asked < trials and len(running) < abreast:
            trial = study.ask()
            running.append((trial, suggested(trial, space)))
            asked += 1
        trial, parameters = running.pop(chance.randrange(len(running)))
        end = objective(parameters)
        value = end.value if isinstance(end, End) else end
        for step, intermediate in enumerate(end.curve if isinstance(end, End) else ()):
            trial.report(intermediate, step)
        if value is not None:
            study.tell(trial, value)
        else:  # as after `raise TrialPruned`, or after an error that `catch` names
            pruned = isinstance(end, End) and end.status.value == "early_stopped"
            study.tell(trial, state=optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.FAIL)
    return study.trials


def suggested(trial: Any, space: Space, prefix: str = "") -> dict[str, Any]:
    """Return parameters as somebody who writes for Optuna asks for them."""
    found: dict[str, Any] = {}
    for d in space:
        name = prefix + d.name
        if isinstance(d, Choice) and d.branches:
            option = trial.suggest_categorical(name, d.options)
            branch = d.branches[d.options.index(option)]
            found[d.name] = {"_name": option, **suggested(trial, branch, f"{name}.{option}.")}
        elif isinstance(d, Choice):
            found[d.name] = trial.suggest_categorical(name, d.options)
        elif isinstance(d, Integer):
            found[d.name] = trial.suggest_int(name, d.low, d.high - 1)
        elif d.normal:  # which Optuna does not have; its users take the range
            found[d.name] = trial.suggest_float(name, d.a - 4 * d.b, d.a + 4 * d.b)
        else:
            found[d.name] = trial.suggest_float(name, d.a, d.b, log=d.log, step=d.q)
    return found


# --- all of them ----------------------------------------------------------------------------------------------------


def run(tasks: Iterable[Task], *, keep: Path | None = None, processes: int | None = None) -> dict[Task, Found]:
    """Return what each task found. keep: see `measured`."""
    return measured(experiment, tasks, read=_found, keep=keep, processes=processes)


def _found(values: Mapping[str, Any]) -> Found:
    return Found({int(length): best for length, best in values["best"].items()}, values["seconds"])


def tasks_of(names: Sequence[str], efforts: Mapping[str, Effort], effort: Effort, *, family: str) -> list[Task]:
    """Return the experiments of these tuners, the slow ones first."""
    return [
        Task(name, family, problem.name, seed, trials, abreast)
        for name in sorted(names, key=lambda name: name not in QUICK)
        for own in (efforts.get(name, effort),)
        for trials, seeds, abreast in ((own.trials, own.seeds, 1), (own.trials_at_8, own.seeds_at_8, 8))
        for problem in FAMILIES[family]
        if problem.suits(name)
        for seed in range(seeds)
    ]


# --- the tables -----------------------------------------------------------------------------------------------------


Samples = Mapping[tuple[str, str], Sequence[float]]
"""The best values, one for each seed, of each tuner and problem."""


def samples(found: Mapping[Task, Found], length: int, abreast: int) -> Samples:
    collected: dict[tuple[str, str], list[float]] = {}
    for task, result in sorted(found.items(), key=lambda item: item[0].seed):
        if task.abreast == abreast and length in result.best:
            collected.setdefault((task.tuner, task.problem), []).append(result.best[length])
    return collected


def table(found: Mapping[Task, Found], length: int, abreast: int) -> Iterator[str]:
    """Yield the lines of the table of medians and verdicts."""
    values = samples(found, length, abreast)
    names = [name for name in (LIBRARY, *known_names("tuner")) if any(name == tuner for tuner, _ in values)]
    problems = list(dict.fromkeys(task.problem for task in found if (CHANCE, task.problem) in values))
    spent: dict[str, list[float]] = {}
    for task, result in found.items():
        if task.abreast == abreast and length in result.best:
            spent.setdefault(task.tuner, []).append(result.seconds / task.trials)
    yield f"| tuner | {' | '.join(problems)} | seeds | ms a trial | ahead of Random | not behind Optuna |"
    yield f"|{'---|' * (len(problems) + 5)}"
    for name in names:
        shown = ahead(values, name)
        medians = " | ".join(_median(values.get((name, problem)), problem in shown) for problem in problems)
        seeds = max(len(v) for (tuner, _), v in values.items() if tuner == name)
        of = sum((name, problem) in values for problem in problems)
        learnt = "" if name in UNSCHOOLED else f"{len(shown)} of {of}"
        verdicts = f"{learnt} | {level(values, name, bar=name in BAR)}"
        yield f"| {name} | {medians} | {seeds} | {statistics.mean(spent[name]) * 1e3:.0f} | {verdicts} |"


def _median(found: Sequence[float] | None, is_ahead: bool) -> str:
    return "" if found is None else f"{statistics.median(found):.3g}{' *' if is_ahead else ''}"


def ahead(values: Samples, name: str) -> frozenset[str]:
    """Return on which problems the tuner is better than Random by the test."""
    chances = {
        problem: behind(values[CHANCE, problem], mine)
        for (tuner, problem), mine in values.items()
        if tuner == name and (CHANCE, problem) in values
    }
    return holm(chances)


def level(values: Samples, name: str, *, bar: bool) -> str:
    """Return on which problems the tuner is worse than Optuna's own loop by the test. bar: that is a goal."""
    if name in (LIBRARY, CHANCE):
        return ""
    chances = {
        problem: behind(mine, values[LIBRARY, problem])
        for (tuner, problem), mine in values.items()
        if tuner == name and (LIBRARY, problem) in values
    }
    worse = [f"{problem} (p = {chances[problem]:.2g})" for problem in chances if problem in holm(chances)]
    if bar:
        return f"**missed** on {', '.join(worse)}" if worse else "met"
    return f"behind on {len(worse)} of {len(chances)}" if worse else ""


def behind(mine: Sequence[float], others: Sequence[float]) -> float:
    """Return the probability that chance alone puts the first so far behind (above) the second: Mann and Whitney."""
    from scipy.stats import mannwhitneyu

    if len(set(mine) | set(others)) == 1:
        return 1.0
    return float(mannwhitneyu(mine, others, alternative="greater").pvalue)


def holm(chances: Mapping[str, float], level: float = LIKELY) -> frozenset[str]:
    """Return the hypotheses that are rejected, with at most `level` for a single one of them to be true."""
    ordered = sorted(chances, key=lambda name: chances[name])
    rejected = []
    for rank, name in enumerate(ordered):
        if chances[name] > level / (len(ordered) - rank):
            break
        rejected.append(name)
    return frozenset(rejected)


def learners(names: Sequence[str] = ()) -> list[str]:
    """Return Optuna's own loop, Random, and the tuners of these names, or all that draw."""
    chosen = [
        name for name in known_names("tuner") if name not in LEFT_OUT and (not names or name in names or name == CHANCE)
    ]
    return [LIBRARY, *chosen]
