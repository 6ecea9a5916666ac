"""What tuners find for the same cost when results depend on the budget: `budgeted()` prints the table.

python -m tests.bench_budget          print the table, 30 seeds
python -m tests.bench_budget tables   compute tests/data/learning_curves.npz anew, with scikit-learn
"""

from __future__ import annotations

import heapq
import itertools
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from amlc.assessors import ASSESSORS
from amlc.config.arguments import ASSESSORS as STOPPING
from amlc.config.arguments import filled
from amlc.model import Document, Parameters, Record, Space, Status
from amlc.space.parse import parse_space
from amlc.tuners import Tuner, built_in
from amlc.tuners.brackets import BUDGET
from amlc.tuners.pbt import LOAD, SAVE
from tests.tuners.simulation import arguments

R = 27
"""The epochs of a whole training."""
COST = 100 * R
WORKERS = 4
TABLES = Path(__file__).parent / "data" / "learning_curves.npz"


# --- problems -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A training. curve: the losses after 1 to R epochs, the smaller the better; those of the n-th trial of a seed."""

    name: str
    space: Mapping[str, Any]
    curve: Callable[[Parameters, int, int], Sequence[float]]

    def parsed(self) -> Space:
        return parse_space(Document(Path("space.json"), self.space, {}, {}), (), tuner="Random")[0]


EPOCHS = np.arange(1, R + 1)
NOISE = 0.01


def crossing(p: Parameters, seed: int, number: int) -> Sequence[float]:
    """Return the loss of an imagined training, in which a small learning rate is slow at first and best in the end."""
    rate = math.log10(p["lr"])
    end = 0.1 + 0.03 * (rate + 2.5) ** 2 + 0.4 * (p["dropout"] - 0.3) ** 2 + 0.02 * (math.log10(p["decay"]) + 4) ** 2
    speed = 10 ** (0.5 * (rate + 1.5)) / (1 + 2 * p["dropout"]) * 32 / (32 + p["width"] / 8)
    end += 0.05 * (math.log2(p["width"]) / 10 - 0.8) ** 2
    noise = np.random.default_rng([seed, number]).normal(0, NOISE, R)
    return list(end + (2.3 - end) * np.exp(-speed * EPOCHS**0.7) + noise)


def diverging(p: Parameters, seed: int, number: int) -> Sequence[float]:
    """Return the loss of an imagined training: six parameters, of which a part of the space never learns."""
    x = np.array([p[f"x{i}"] for i in range(6)])
    middles = np.array([0.2, 0.75, 0.4, 0.6, 0.3, 0.85])
    weights = np.array([1.0, 0.8, 0.6, 0.4, 0.3, 0.2])
    end = float(np.sum(weights * (x - middles) ** 2))
    noise = np.random.default_rng([seed, number]).normal(0, 2 * NOISE, R)
    if x[0] + x[1] > 1.3:  # it diverges, after an epoch or some
        return list(2 + 0.1 * EPOCHS + noise)
    return list(end + (2 - end) * EPOCHS ** -(0.4 + x[2]) + noise)


def tabled(name: str, axes: Sequence[str]) -> Callable[[Parameters, int, int], Sequence[float]]:
    """Return the curves of a table whose dimensions are `axes`, and then the epochs."""

    def curve(p: Parameters, seed: int, number: int) -> Sequence[float]:  # noqa: ARG001
        table = _tables()[name]
        return [float(loss) / 1e4 for loss in table[tuple(int(p[axis]) for axis in axes)]]

    return curve


@cache
def _tables() -> Mapping[str, Any]:
    with np.load(TABLES) as file:
        return dict(file)


def _steps(count: int) -> Mapping[str, Any]:
    return {"_type": "quniform", "_value": [0, count - 1, 1]}


LINEAR = {"rate": 16, "decay": 4, "alpha": 9, "loss": 3}
BOOSTING = {"rate": 16, "depth": 6, "subsample": 4, "leaf": 4}
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
    Problem(
        "linear on digits", {name: _steps(count) for name, count in LINEAR.items()}, tabled("linear", list(LINEAR))
    ),
    Problem(
        "boosting on diabetes",
        {name: _steps(count) for name, count in BOOSTING.items()},
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


def _linear(rate: int, decay: int, alpha: int, loss: int) -> Sequence[float]:
    """Return the share of 1,197 digits that a linear model, trained by SGD on 600, gets wrong after each epoch."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import SGDClassifier

    data, target = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(data))
    x, y = data[order] / 16, target[order]
    model = SGDClassifier(
        loss=("log_loss", "hinge", "modified_huber")[loss],
        eta0=10 ** (-4 + rate / 3),
        power_t=(0.0, 0.2, 0.5, 0.8)[decay],
        alpha=10 ** (-6 + alpha / 1.5),
        learning_rate="invscaling",
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
        learning_rate=10 ** (-2.5 + rate / 5),
        max_depth=depth + 1,
        subsample=(0.2, 0.4, 0.7, 1.0)[subsample],
        min_samples_leaf=(1, 5, 20, 50)[leaf],
        max_features=0.5,
        random_state=0,
    )
    model.fit(x[:300], y[:300])
    staged = [1 - r2_score(y[300:], predicted) for predicted in model.staged_predict(x[300:])]
    return [min(loss, 3.0) for loss in staged[1::2]]
