"""What tuners find for the same cost when results depend on the budget: `budgeted()` prints the table.

python -m tests.bench_budget          print the table, 30 seeds
python -m tests.bench_budget tables   compute tests/data/learning_curves.npz anew, with scikit-learn
"""

from __future__ import annotations

import heapq
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from amlc.assessors import asha
from amlc.model import Document, Parameters, Record, Space, Status
from amlc.space.canonical import canonical
from amlc.space.parse import parse_space
from amlc.tuners import Tuner, built_in
from amlc.checkpoints import LOAD, SAVE
from amlc.tuners.shared.brackets import ADDED, BUDGET
from tests.quality.pool import measured
from tests.tuners.simulation import arguments

R = 27
"""The epochs of a whole training."""
COST = 100 * R
WORKERS = 4
SEEDS = 30
TABLES = Path(__file__).parent / "data" / "learning_curves.npz"


# --- problems -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A training. curve: the losses after 1 to R epochs, the smaller the better."""

    name: str
    space: Mapping[str, Any]
    curve: Callable[[Parameters], Sequence[float]]

    def parsed(self) -> Space:
        return parse_space(Document(Path("space.json"), self.space, {}, {}), (), tuner="Random")[0]


EPOCHS = np.arange(1, R + 1)


def crossing(p: Parameters) -> Sequence[float]:
    """Return the losses of an imagined training; a small learning rate is slow at first and best in the end."""
    rate, width = math.log10(p["lr"]), math.log2(p["width"])
    end = 0.1 + 0.05 * (rate + 2.5) ** 2 + 0.8 * (p["dropout"] - 0.3) ** 2
    end += 0.05 * (math.log10(p["decay"]) + 4) ** 2 + 0.01 * (width - 8) ** 2
    speed = 0.5 * 10 ** (0.15 * (rate + 2.5)) * 2 ** (0.1 * (8 - width)) / (1 + p["dropout"])
    return _noisy(p, end + (2.3 - end) * np.exp(-speed * EPOCHS**0.7))


def diverging(p: Parameters) -> Sequence[float]:
    """Return the losses of an imagined training with six parameters, which in a part of the space learns nothing."""
    x = np.array(list(p.values()))
    end = float(np.sum(np.array([1.0, 0.8, 0.6, 0.4, 0.3, 0.2]) * (x - [0.2, 0.75, 0.4, 0.6, 0.3, 0.85]) ** 2))
    if x[0] + x[1] > 1.3:
        return _noisy(p, 2 + 0.1 * EPOCHS)
    return _noisy(p, end + (2 - end) * EPOCHS ** -(0.4 + x[2]))


def _noisy(p: Parameters, curve: Any) -> Sequence[float]:
    """Return the curve with a noise that is the same whenever the parameters are, and fades until its end."""
    noise = np.random.default_rng(list(canonical(p))).normal(0, 0.03, R)
    return list(map(float, curve + noise * np.sqrt(1 - EPOCHS / R)))


def tabled(name: str, axes: Sequence[str]) -> Callable[[Parameters], Sequence[float]]:
    """Return the curves of a table whose dimensions are `axes` and the epochs, interpolated between its points."""

    def curve(p: Parameters) -> Sequence[float]:
        found = _tables()[name] / 1e4
        for axis in axes:
            place = min(int(p[axis]), len(found) - 2)
            part = p[axis] - place
            found = (1 - part) * found[place] + part * found[place + 1]
        return list(map(float, found))

    return curve


@cache
def _tables() -> Mapping[str, Any]:
    with np.load(TABLES) as file:
        return dict(file)


def _spans(grid: Mapping[str, int]) -> Mapping[str, Any]:
    return {name: {"_type": "uniform", "_value": [0, count - 1]} for name, count in grid.items()}


LINEAR = {"rate": 12, "decay": 3, "alpha": 7, "ratio": 2}
BOOSTING = {"rate": 12, "depth": 5, "subsample": 3, "leaf": 3}
PROBLEMS = (
    Problem(
        "crossing curves",
        {
            "lr": {"_type": "loguniform", "_value": [1e-4, 1]},
            "dropout": {"_type": "uniform", "_value": [0, 0.8]},
            "decay": {"_type": "loguniform", "_value": [1e-6, 1e-1]},
            "width": {"_type": "randint", "_value": [16, 1025]},
        },
        crossing,
    ),
    Problem("diverging, 6 parameters", {f"x{i}": {"_type": "uniform", "_value": [0, 1]} for i in range(6)}, diverging),
    Problem("linear on digits", _spans(LINEAR), tabled("linear", list(LINEAR))),
    Problem(
        "boosting on diabetes",
        _spans(BOOSTING),
        tabled("boosting", list(BOOSTING)),
    ),
)


# --- the tables -----------------------------------------------------------------------------------------------------


def compute_tables() -> None:
    """Write the learning curves of two trainings of scikit-learn over grids, in units of 1e-4."""
    linear = np.array([_linear(*index) for index in np.ndindex(*LINEAR.values())])
    boosting = np.array([_boosting(*index) for index in np.ndindex(*BOOSTING.values())])
    tables = {
        name: np.clip(np.round(1e4 * curves), 0, 2**15 - 1).astype(np.int16).reshape(*grid.values(), R)
        for name, curves, grid in (("linear", linear, LINEAR), ("boosting", boosting, BOOSTING))
    }
    TABLES.parent.mkdir(exist_ok=True)
    np.savez_compressed(TABLES, **tables)


def _linear(rate: int, decay: int, alpha: int, ratio: int) -> Sequence[float]:
    """Return the share of 1,197 digits that a linear model, trained by SGD on 600, gets wrong after each epoch."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import SGDClassifier

    data, target = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(data))
    x, y = data[order] / 16, target[order]
    model = SGDClassifier(
        loss="log_loss",
        penalty="elasticnet",
        l1_ratio=(0.0, 1.0)[ratio],
        learning_rate="invscaling",
        eta0=10 ** (-4 + rate / 2),
        power_t=(0.0, 0.3, 0.6)[decay],
        alpha=10 ** (-6 + 0.75 * alpha),
        random_state=0,
    )
    losses = []
    for _ in range(R):
        model.partial_fit(x[:600], y[:600], classes=np.arange(10))
        losses.append(1 - model.score(x[600:], y[600:]))
    return losses


def _boosting(rate: int, depth: int, subsample: int, leaf: int) -> Sequence[float]:
    """Return 1 - R² on 142 patients of boosted trees that were fitted to 300, after each 2 trees; at most 3."""
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.metrics import r2_score

    data, target = load_diabetes(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(data))
    x, y = data[order], target[order]
    model = GradientBoostingRegressor(
        n_estimators=2 * R,
        learning_rate=10 ** (-2.5 + rate / 4),
        max_depth=depth + 1,
        subsample=(0.2, 0.5, 1.0)[subsample],
        min_samples_leaf=(1, 10, 50)[leaf],
        max_features=0.5,
        random_state=0,
    )
    model.fit(x[:300], y[:300])
    staged = [1 - r2_score(y[300:], predicted) for predicted in model.staged_predict(x[300:])]
    return [min(loss, 3.0) for loss in staged[1::2]]


# --- one experiment -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A row of the table. stops: with ASHA's rungs, and that `min_budget`."""

    name: str
    tuner: str
    args: Mapping[str, Any]
    stops: int = 0


_ON = {"all_checkpoint_dir": "/checkpoints"}
_BOHB = {"min_budget": 1, "max_budget": R}
METHODS = (
    Method("Random", "Random", {}),
    Method("ASHA", "ASHA", {}, stops=1),
    Method("ASHA, min_budget 3", "ASHA", {}, stops=3),
    Method("Hyperband", "Hyperband", {"R": R}),
    Method("Hyperband, checkpoints", "Hyperband", {"R": R, **_ON}),
    Method("BOHB", "BOHB", _BOHB),
    Method("BOHB, checkpoints", "BOHB", {**_BOHB, **_ON}),
    Method("TPE", "TPE", {}),
    Method("TPE, stopped by ASHA", "TPE", {}, stops=3),
)


@dataclass
class _Trial:
    """A trial that runs. number: its place in the history. done: epochs, with those of the checkpoint it began from."""

    number: int
    curve: Sequence[float]
    done: int
    end: int
    pace: float


@dataclass(frozen=True)
class Outcome:
    """What an experiment found: the best result of a whole training, the cost of all in epochs, how many were stopped."""

    best: float
    cost: int
    trials: int
    stopped: int


def experiment(
    tuner: Tuner,
    space: Space,
    curve: Callable[[Parameters], Sequence[float]],
    *,
    args: Mapping[str, Any],
    stop: Callable[[Sequence[float], Sequence[Sequence[float]]], bool] = lambda curve, others: False,
    cost: int = COST,
    workers: int = WORKERS,
    seed: int = 0,
) -> Outcome:
    """Run an experiment in virtual time until all its trials together have trained for `cost` epochs.

    As in `amlc run`, the tuner is asked for as many trials as there is room for whenever one ended. An epoch takes
    between 0.7 and 1.3, of chance for each trial. A trial trains for `TRIAL_BUDGET` epochs if it is given one, less
    those of the checkpoint that it loads, else for R. stop: asked after each epoch, as an assessor that compares a
    trial with all others. One that was stopped has no result, as in amlc's history.
    """
    chance = np.random.default_rng([seed, 1])
    history: list[Record] = []
    queue: list[tuple[float, int, _Trial]] = []
    saved: dict[str, int] = {}
    reached: dict[int, list[Sequence[float]]] = {}
    best, spent, stopped, clock, now, asking = math.inf, 0, 0, 0, 0.0, True
    while spent < cost:
        room = workers - len(queue) if asking else 0
        proposed = tuner.propose(space, tuple(history), count=room, seed=seed, args=args, allowed=lambda p: True)
        for p in proposed if room else ():
            own = {name: value for name, value in p.items() if name not in ADDED}
            begin = saved.get(p[LOAD], 0) if p.get(LOAD) != p.get(SAVE) else 0
            trial = _Trial(len(history), curve(own), begin, p.get(BUDGET, R), float(chance.uniform(0.7, 1.3)))
            heapq.heappush(queue, (now + trial.pace, trial.number, trial))
            clock += 1
            history.append(Record(parameters=p, asked=clock))
        if not queue:
            break
        now, number, trial = heapq.heappop(queue)
        spent, trial.done = spent + 1, trial.done + 1
        seen = trial.curve[: trial.done]
        whole, hopeless = trial.done == trial.end, stop(seen, reached.get(trial.done, ()))
        reached.setdefault(trial.done, []).append(seen)
        asking = whole or hopeless
        if not asking:
            heapq.heappush(queue, (now + trial.pace, number, trial))
            continue
        clock, stopped = clock + 1, stopped + (not whole)
        best = min(best, seen[-1]) if trial.done == R else best
        saved[history[number].parameters.get(SAVE, "")] = trial.done
        status, value = (Status.SUCCEEDED, seen[-1]) if whole else (Status.EARLY_STOPPED, None)
        history[number] = replace(history[number], status=status, value=value, told=clock)
    return Outcome(best, spent, len(history), stopped)


def run(task: tuple[int, int, int]) -> Outcome:
    """Return what a method finds on a problem, with a seed."""
    row, column, seed = task
    method, problem = METHODS[row], PROBLEMS[column]
    args = arguments(method.tuner, optimize_mode="minimize", **method.args)
    rungs = arguments("ASHA", optimize_mode="minimize", min_budget=method.stops or 1, max_budget=R)
    stop = partial(asha.assess, args=rungs) if method.stops else lambda curve, others: False
    tuner = built_in(method.tuner)
    return experiment(tuner, problem.parsed(), problem.curve, args=args, stop=stop, seed=seed)


# --- all of them ----------------------------------------------------------------------------------------------------

EXPLAINED = f"""\
Medians of the best result of a whole training ({R} epochs) when all trials together have trained for {COST:,} epochs,
as {COST // R} whole trainings do; smaller is better. {WORKERS} trials at a time, in virtual time; the tuners' own
arguments with eta 3, budgets from 1 to {R}; TPE is stopped with min_budget 3. Crossing curves and diverging are
formulas; the others are trainings of scikit-learn, computed once over a grid and interpolated (share of the digits that
a linear model gets wrong; 1 - R² of boosted trees on the diabetes data, of which 2 are an epoch). With checkpoints, a
rung costs what it trains further. In brackets: the probability that chance alone puts it so far ahead of Random, by the
one-sided rank test of Mann and Whitney; near 1 it is behind.
"""


def budgeted(*, seeds: int = SEEDS, keep: Path | None = None) -> None:
    """Print the table. keep: see `measured`."""
    tasks = [
        (row, column, seed)
        for row in reversed(range(len(METHODS)))  # the slow ones first
        for column in range(len(PROBLEMS))
        for seed in range(seeds)
    ]
    found: dict[tuple[int, int], list[Outcome]] = {}
    for (row, column, _), outcome in measured(run, tasks, read=lambda values: Outcome(**values), keep=keep).items():
        found.setdefault((row, column), []).append(outcome)
    print(f"## The best for the cost of {COST // R} whole trainings\n")
    print(EXPLAINED)
    print(f"| tuner | {' | '.join(problem.name for problem in PROBLEMS)} | trials | stopped |")
    print(f"|{'---|' * (len(PROBLEMS) + 3)}")
    for row, method in enumerate(METHODS):
        cells = [_cell(found[row, column], found[0, column]) for column in range(len(PROBLEMS))]
        outcomes = [outcome for column in range(len(PROBLEMS)) for outcome in found[row, column]]
        trials, stopped = (sum(getattr(o, name) for o in outcomes) for name in ("trials", "stopped"))
        share = f"{100 * stopped / trials:.0f} %" if method.stops else ""
        print(f"| {method.name} | {' | '.join(cells)} | {trials / len(outcomes):.0f} | {share} |", flush=True)


def _cell(outcomes: Sequence[Outcome], random: Sequence[Outcome]) -> str:
    from scipy.stats import mannwhitneyu

    values, others = [o.best for o in outcomes], [o.best for o in random]
    text = f"{statistics.median(values):.4g}"
    return text if outcomes is random else f"{text} ({mannwhitneyu(values, others, alternative='less').pvalue:.1g})"


if __name__ == "__main__":
    if sys.argv[1:] == ["tables"]:
        compute_tables()
    else:
        budgeted()
