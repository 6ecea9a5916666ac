"""What tuners do with trials that fail or are stopped: the best of 50, and how many of the later ones are lost."""

from __future__ import annotations

import io
import json
import math
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amlc.assessors import medianstop
from amlc.catalogue import names as known_names
from amlc.model import Choice, Parameters, Status
from amlc.space.points import Axis, Point, axes, locate
from amlc.tuners import built_in
from amlc.tuners.shared.unit_cube import to_unit
from tests.quality.pool import measured
from tests.quality.problems import Problem, bare, choice, cube, levy, uniform
from tests.quality.run import CHANCE, LEFT_OUT, LIBRARY, behind, holm, optunas_loop
from tests.tuners.simulation import End, arguments, simulate

TRIALS = 50
LEARNED = 20
"""After how many trials a tuner is expected to have learned what fails."""
NEAR = 1e-3
"""How near in each axis, in quantiles, a point is the same."""
STEPS = 10
SEEDS = 30
SLOW = 5
"""The seeds of NNI's own tuners, and of others that take more than 20 ms a trial."""
NNI = {
    "TPE": ("tpe_tuner", "TpeTuner", {}),
    "Anneal": ("hyperopt_tuner", "HyperoptTuner", {"algorithm_name": "anneal"}),
    "Evolution": ("evolution_tuner", "EvolutionTuner", {"population_size": 32}),
    "GP": ("gp_tuner.gp_tuner", "GPTuner", {}),
    "Metis": ("metis_tuner.metis_tuner", "MetisTuner", {}),
}
"""NNI's own tuners that run beside today's libraries: module, class, and arguments."""
EXPLAINED = """\
Medians of the best value of 50 trials, one at a time, and in percent the mean share of the trials behind the first 20
that failed or were stopped. again: how many of all proposals were a point that had failed, within a thousandth of each
axis. Behind Random: in which of these figures, and in bold where the rank test of Mann and Whitney shows it (5 %, Holm
over the ten). Optuna's own loop: a failed trial is FAIL, as with `study.optimize(catch=…)`, a stopped one is pruned
behind what it had reported. NNI's own tuners are told nothing of a trial that failed or was stopped; where the cell is
empty, they end with an error beside the libraries of today. Of so few seeds as theirs little is sure.
"""


@dataclass(frozen=True)
class Found:
    best: float
    lost: float
    again: int


Ending = Callable[[Parameters], "float | End | None"]


@dataclass(frozen=True)
class Scenario:
    """A space, and for each experiment a function of its own that says how trials end."""

    name: str
    space: Mapping[str, Any]
    begin: Callable[[], Ending]


def out_of_memory(p: Parameters) -> float | None:
    """Return a loss that is best beside what does not fit into the memory: two of the six sizes."""
    if p["batch"] >= 256:
        return None
    return 0.2 * abs(math.log2(p["batch"]) - 7) + (p["log_lr"] + 2) ** 2 + 0.5 * (p["momentum"] - 0.9) ** 2


def diverging(p: Parameters) -> float | None:
    """Return a loss that falls until the learning rate is 0.1, beyond which the training diverges."""
    if p["log_lr"] > -1:
        return None
    return -0.3 * p["log_lr"] + (p["momentum"] - 0.8) ** 2 + (p["dropout"] - 0.3) ** 2


def half(p: Parameters) -> float | None:
    """Return the distance to a point near the diagonal, beyond which all fails."""
    return None if p["x"] + p["y"] > 1 else math.dist([p["x"], p["y"]], [0.33, 0.65])


def always(value: Callable[[Parameters], float | None]) -> Callable[[], Ending]:
    return lambda: value


def ideal_stop() -> Ending:
    """Return Levy's function, of which a trial is stopped at once if it will be worse than the median so far."""
    seen: list[float] = []

    def end(p: Parameters) -> End:
        value = levy(p)
        stopped = len(seen) >= 5 and value > statistics.median(seen)
        seen.append(value)
        return End(Status.EARLY_STOPPED) if stopped else End(value=value)

    return end


def median_stop() -> Ending:
    """Return Levy's function as the end of curves that fall at a rate of their own, and Medianstop as NNI has it."""
    completed: list[list[float]] = []

    def end(p: Parameters) -> End:
        value, curve = levy(p), []
        rate = 0.5 + 0.3 * math.sin(sum(p.values()))
        for step in range(STEPS):
            curve.append(value + 30 * rate ** (step + 1))
            if medianstop.assess(curve, completed, args={"optimize_mode": "minimize", "start_step": 2}):
                return End(Status.EARLY_STOPPED, None, tuple(curve))
        completed.append(curve)
        return End(value=value, curve=tuple(curve))

    return end


SCENARIOS = (
    Scenario(
        "2 of 6 sizes run out of memory",
        {"batch": choice(16, 32, 64, 128, 256, 512), "log_lr": uniform(-5, 0), "momentum": uniform(0, 1)},
        always(out_of_memory),
    ),
    Scenario(
        "lr > 0.1 diverges",
        {"log_lr": uniform(-5, 0), "momentum": uniform(0, 1), "dropout": uniform(0, 1)},
        always(diverging),
    ),
    Scenario("half of the square fails", {"x": uniform(0, 1), "y": uniform(0, 1)}, always(half)),
    Scenario("an ideal stop at the median", cube(4, -10, 10), ideal_stop),
    Scenario("Medianstop on curves", cube(4, -10, 10), median_stop),
)


# --- one experiment -------------------------------------------------------------------------------------------------


def experiment(task: tuple[str, int, int]) -> Found | None:
    """Return what a tuner finds in a scenario, with a seed; None where NNI's own class does not run."""
    name, index, seed = task
    scenario = SCENARIOS[index]
    space, end = Problem("", scenario.space, _never).parsed(), scenario.begin()
    seen: list[tuple[Parameters, float | None, bool]] = []

    def objective(parameters: Parameters) -> float | End | None:
        ending = end(bare(parameters))
        value = ending.value if isinstance(ending, End) else ending
        seen.append((parameters, value, value is None and not isinstance(ending, End)))
        return ending

    if name == LIBRARY:
        optunas_loop(space, objective, trials=TRIALS, abreast=1, seed=seed)
    elif name.startswith("NNI's "):
        try:
            with redirect_stdout(io.StringIO()):  # it prints what happens
                nnis_loop(name.removeprefix("NNI's "), scenario.space, objective, seed=seed)
        except Exception as error:  # noqa: BLE001  whatever today's libraries do to it
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return None
    else:
        args = arguments(name, optimize_mode="minimize")
        simulate(built_in(name), space, objective, trials=TRIALS, seed=seed, args=args)
    later = seen[LEARNED:]
    lost = sum(value is None for _, value, _ in later) / len(later)
    best = min((value for _, value, _ in seen if value is not None), default=math.inf)
    return Found(best, lost, _again(axes(space), [(p, failed) for p, _, failed in seen]))


def _never(parameters: Parameters) -> None:
    raise AssertionError


def nnis_loop(name: str, space: Mapping[str, Any], objective: Ending, *, seed: int) -> None:
    """Run a tuner of NNI's own package, as NNI's dispatcher calls it."""
    import random
    from importlib import import_module

    import numpy as np

    warnings.simplefilter("ignore")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  which is what they draw from
    module, cls, args = NNI[name]
    if name == "TPE":
        args = {**args, "seed": seed}
    tuner = getattr(import_module(f"nni.algorithms.hpo.{module}"), cls)(optimize_mode="minimize", **args)
    tuner.update_search_space(json.loads(json.dumps(space)))
    for number in range(TRIALS):
        parameters = tuner.generate_parameters(number)
        end = objective(parameters)
        value = end.value if isinstance(end, End) else end
        if value is not None:
            tuner.receive_trial_result(number, parameters, value)
        tuner.trial_end(number, value is not None)


def _again(space_axes: Sequence[Axis], trials: Sequence[tuple[Parameters, bool]]) -> int:
    """Return how many trials lie where an earlier one had failed."""
    failed: list[Point] = []
    count = 0
    for parameters, fails in trials:
        point = locate(space_axes, bare(parameters))
        if point is None:
            continue
        count += any(_same(space_axes, point, other) for other in failed)
        if fails:
            failed.append(point)
    return count


def _same(space_axes: Sequence[Axis], one: Point, other: Point) -> bool:
    for axis, a, b in zip(space_axes, to_unit(space_axes, one), to_unit(space_axes, other), strict=True):
        if a != b and (isinstance(axis.dimension, Choice) or abs(a - b) > NEAR):
            return False
    return True


# --- all of them ----------------------------------------------------------------------------------------------------


def failures(
    *, seeds: int = SEEDS, names: Sequence[str] = (), slow: Sequence[str] = (), keep: Path | None = None
) -> None:
    """Print the table.

    names: of these tuners alone, Random, Optuna's own loop and NNI's. slow: those with fewer seeds. keep: see `measured`.
    """
    ours = [name for name in known_names("tuner") if name not in (*LEFT_OUT, "Hyperband")]
    chosen = [name for name in ours if not names or name in names or name == CHANCE]
    everyone = [LIBRARY, *chosen, *(f"NNI's {name}" for name in NNI if not names or name in names)]
    tasks = [
        (name, index, seed)
        for name in sorted(everyone, key=lambda name: name not in slow)
        for index in range(len(SCENARIOS))
        for seed in range(min(SLOW, seeds) if name in slow or name.startswith("NNI's ") else seeds)
    ]
    found: dict[tuple[str, int], list[Found]] = {}
    for (name, index, _), result in measured(experiment, tasks, read=lambda values: Found(**values), keep=keep).items():
        if result is not None:
            found.setdefault((name, index), []).append(result)
    print("## Trials that fail or are stopped\n")
    print(EXPLAINED)
    print("\n".join(table(everyone, found)), flush=True)


def table(names: Sequence[str], found: Mapping[tuple[str, int], Sequence[Found]]) -> Iterator[str]:
    yield f"| tuner | {' | '.join(scenario.name for scenario in SCENARIOS)} | seeds | again | behind Random |"
    yield f"|{'---|' * (len(SCENARIOS) + 4)}"
    for name in names:
        results = [found.get((name, index), ()) for index in range(len(SCENARIOS))]
        cells = [
            f"{statistics.median(r.best for r in some):.3g}; {statistics.mean(r.lost for r in some):.0%}"
            if some
            else ""
            for some in results
        ]
        seeds, again = max(map(len, results)), sum(r.again for some in results for r in some)
        verdict = "" if name == CHANCE else _verdict(name, found)
        yield f"| {name} | {' | '.join(cells)} | {seeds} | {again} | {verdict} |"


def _verdict(name: str, found: Mapping[tuple[str, int], Sequence[Found]]) -> str:
    """Return where the tuner is behind Random, by medians and means, and where that is more than chance."""
    chances, worse = {}, []
    for index, scenario in enumerate(SCENARIOS):
        mine, others = found.get((name, index)), found.get((CHANCE, index))
        if not mine or not others:
            continue
        for what in ("best", "lost"):
            a, b = [getattr(r, what) for r in mine], [getattr(r, what) for r in others]
            chances[f"{scenario.name} ({what})"] = behind(a, b)
            middle = statistics.median if what == "best" else statistics.mean
            if middle(a) > middle(b):
                worse.append(f"{scenario.name} ({what})")
    if not chances:
        return "does not run"
    sure = holm(chances)
    return ", ".join(f"**{case}**" if case in sure else case for case in worse) or "nowhere"
