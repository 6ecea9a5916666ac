"""Real tuning problems as tables: scikit-learn's data sets, each model trained once at every point of a grid.

`python -m tests.quality.tables` computes them anew (some minutes on two cores) into the files beside this one. What a
trial gets is the entry of the grid that is nearest to its parameters, which takes microseconds.
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from amlc.model import Parameters

FOLDER = Path(__file__).parent
SCALE = 10_000
"""Values are kept as whole numbers of 1/SCALE."""
LARGEST = 10.0
"""A loss beyond it, as of a training that diverged, counts as that much."""


@dataclass(frozen=True)
class Axis:
    """One parameter: how the space declares it, and the values at which the table has entries."""

    spec: Mapping[str, Any]
    levels: tuple[Any, ...]

    def nearest(self, value: Any) -> int:
        """Return the index of the level at or next to `value`, in the axis's own scale."""
        kind, (low, *rest) = self.spec["_type"], self.spec["_value"]
        if kind == "choice":
            return self.levels.index(value)
        if kind == "randint":
            return value - low
        if kind == "loguniform":
            low, value, rest = math.log(low), math.log(value), [math.log(rest[0])]
        share = min(max((value - low) / (rest[0] - low), 0.0), 1.0)
        return round(share * (len(self.levels) - 1))


Branch = Mapping[str, Axis]


def one_of(*options: Any) -> Axis:
    return Axis({"_type": "choice", "_value": list(options)}, options)


def whole(low: int, high: int) -> Axis:
    """Return an axis of low <= x < high."""
    return Axis({"_type": "randint", "_value": [low, high]}, tuple(range(low, high)))


def linear(low: float, high: float, count: int) -> Axis:
    levels = tuple(low + (high - low) * i / (count - 1) for i in range(count))
    return Axis({"_type": "uniform", "_value": [low, high]}, levels)


def geometric(low: float, high: float, count: int) -> Axis:
    levels = tuple(low * (high / low) ** (i / (count - 1)) for i in range(count))
    return Axis({"_type": "loguniform", "_value": [low, high]}, levels)


@dataclass(frozen=True)
class Table:
    """A grid over each branch of a search space; a flat one has the branch "" alone. train: the entry of a point."""

    name: str
    branches: Mapping[str, Branch]
    train: Callable[[str, Mapping[str, Any]], float]

    @property
    def space(self) -> Mapping[str, Any]:
        spaces = {name: {key: axis.spec for key, axis in branch.items()} for name, branch in self.branches.items()}
        if "" in spaces:
            return spaces[""]
        return {"model": {"_type": "choice", "_value": [{"_name": name, **spec} for name, spec in spaces.items()]}}

    def value(self, p: Parameters) -> float:
        """Return the loss at the entry that is nearest to `p`."""
        settings = p if "" in self.branches else p["model"]
        name = settings.get("_name", "")
        index = 0
        for key, axis in self.branches[name].items():
            index = index * len(axis.levels) + axis.nearest(settings[key])
        return _entries(self.name)[name][index] / SCALE

    def points(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, branch in self.branches.items():
            for levels in itertools.product(*(axis.levels for axis in branch.values())):
                yield name, dict(zip(branch, levels, strict=True))


@cache
def _entries(name: str) -> Mapping[str, list[int]]:
    found: Mapping[str, list[int]] = json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))
    return found


# --- the models -----------------------------------------------------------------------------------------------------


@cache
def _data(name: str) -> tuple[Any, Any]:
    """Return the standardised samples and the targets, in an order of chance that is always the same."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils import shuffle

    if name == "blobs":  # made up, and hard: half of the classes' clusters overlap
        x, y = datasets.make_classification(
            600, 12, n_informative=5, n_clusters_per_class=3, flip_y=0.05, class_sep=0.8, random_state=4
        )
    else:
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x, y = shuffle(StandardScaler().fit_transform(x), y, random_state=0)
    return x, (y - y.mean()) / y.std() if name == "diabetes" else y


def _halves(name: str) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Yield training and test sets, two of them: each half is the other's test."""
    x, y = _data(name)
    middle = len(x) // 2
    yield x[:middle], y[:middle], x[middle:], y[middle:]
    yield x[middle:], y[middle:], x[:middle], y[:middle]


def _error(name: str, model: Callable[[], Any]) -> float:
    """Return the share of the test samples that are classified wrongly."""
    return sum(1 - model().fit(x, y).score(x_test, y_test) for x, y, x_test, y_test in _halves(name)) / 2


def _loss(name: str, model: Callable[[], Any]) -> float:
    """Return the mean negative logarithm of what the true classes were given, none less than a thousandth."""
    import numpy as np

    total = 0.0
    for x, y, x_test, y_test in _halves(name):
        share = model().fit(x, y).predict_proba(x_test)[np.arange(len(y_test)), y_test]
        total += -np.log(np.clip(np.nan_to_num(share), 1e-3, 1)).mean()
    return total / 2


def digits(branch: str, settings: Mapping[str, Any]) -> float:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import SGDClassifier
    from sklearn.svm import SVC

    models: Mapping[str, Callable[[], Any]] = {
        "svc": lambda: SVC(**settings),
        "forest": lambda: RandomForestClassifier(n_estimators=20, random_state=0, **settings),
        "sgd": lambda: SGDClassifier(
            penalty="elasticnet", learning_rate="invscaling", max_iter=20, tol=None, random_state=0, **settings
        ),
    }
    return _error("digits", models[branch])


def wine(branch: str, settings: Mapping[str, Any]) -> float:
    from sklearn.ensemble import GradientBoostingClassifier

    given = {**settings, "learning_rate": 10 ** settings["log_rate"]}
    del given["log_rate"]
    return _loss("wine", lambda: GradientBoostingClassifier(n_estimators=30, random_state=0, **given))


def breast_cancer(branch: str, settings: Mapping[str, Any]) -> float:
    from sklearn.linear_model import SGDClassifier

    return _loss(
        "breast_cancer", lambda: SGDClassifier(max_iter=settings["epochs"], tol=None, random_state=0, **_no(settings))
    )


def _no(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "epochs"}


def diabetes(branch: str, settings: Mapping[str, Any]) -> float:
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(n_estimators=10, random_state=0, **settings)
    return sum(1 - model.fit(x, y).score(x_test, y_test) for x, y, x_test, y_test in _halves("diabetes")) / 2


def blobs(branch: str, settings: Mapping[str, Any]) -> float:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    models: Mapping[str, Callable[[], Any]] = {
        "rbf": lambda: SVC(**settings),
        "poly": lambda: SVC(kernel="poly", max_iter=2_000, **settings),
        "neighbours": lambda: KNeighborsClassifier(**settings),
    }
    return _error("blobs", models[branch])


DIGITS = Table(
    "digits",
    {
        "svc": {"C": geometric(1e-2, 1e3, 11), "gamma": geometric(1e-5, 1, 16)},
        "forest": {
            "max_depth": whole(1, 13),
            "max_features": linear(0.02, 0.8, 7),
            "min_samples_leaf": whole(1, 7),
        },
        "sgd": {
            "alpha": geometric(1e-6, 1e-1, 9),
            "eta0": geometric(1e-4, 1, 7),
            "l1_ratio": linear(0, 1, 4),
            "loss": one_of("hinge", "log_loss", "modified_huber"),
        },
    },
    digits,
)
WINE = Table(
    "wine",
    {
        "": {
            "log_rate": linear(-2, 0, 9),
            "max_depth": whole(1, 6),
            "subsample": linear(0.3, 1, 5),
            "max_features": linear(0.1, 1, 4),
        }
    },
    wine,
)
BREAST_CANCER = Table(
    "breast_cancer",
    {
        "": {
            "loss": one_of("log_loss", "modified_huber"),
            "penalty": one_of("l2", "l1"),
            "alpha": geometric(1e-6, 1, 13),
            "learning_rate": one_of("constant", "optimal", "invscaling", "adaptive"),
            "eta0": geometric(1e-5, 1, 11),
            "epochs": whole(1, 13),
        }
    },
    breast_cancer,
)
DIABETES = Table(
    "diabetes",
    {
        "": {
            "max_depth": whole(1, 11),
            "max_features": linear(0.1, 1, 6),
            "min_samples_leaf": whole(1, 9),
            "max_samples": linear(0.2, 0.95, 4),
        }
    },
    diabetes,
)
BLOBS = Table(
    "blobs",
    {
        "rbf": {"C": geometric(1e-3, 1e3, 13), "gamma": geometric(1e-5, 10, 13)},
        "poly": {
            "C": geometric(1e-3, 10, 9),
            "degree": whole(1, 6),
            "coef0": linear(0, 2, 5),
            "gamma": geometric(1e-3, 1, 7),
        },
        "neighbours": {
            "n_neighbors": whole(1, 31),
            "weights": one_of("uniform", "distance"),
            "p": linear(1, 4, 4),
        },
    },
    blobs,
)
TABLES = (DIGITS, WINE, BREAST_CANCER, DIABETES, BLOBS)


# --- computing them -------------------------------------------------------------------------------------------------


def _entry(task: tuple[int, str, Mapping[str, Any]]) -> int:
    index, branch, settings = task
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = TABLES[index].train(branch, settings)
    return round((min(value, LARGEST) if math.isfinite(value) else LARGEST) * SCALE)


def main(names: list[str], processes: int | None = None) -> None:
    """Compute the tables of these names, or all, and write their files."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with multiprocessing.get_context("spawn").Pool(processes or os.cpu_count()) as pool:
        for index, table in enumerate(TABLES):
            if names and table.name not in names:
                continue
            tasks = [(index, branch, settings) for branch, settings in table.points()]
            found: dict[str, list[int]] = {}
            for (_, branch, _), value in zip(tasks, pool.imap(_entry, tasks, chunksize=16), strict=True):
                found.setdefault(branch, []).append(value)
            text = json.dumps(found, separators=(",", ":")).encode()
            (FOLDER / f"{table.name}.json.gz").write_bytes(gzip.compress(text, mtime=0))
            print(f"{table.name}: {len(tasks):,} entries", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
