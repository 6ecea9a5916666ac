"""SMAC: propose what a random forest of the results expects to improve most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from amlc.extras import require
from amlc.model import Parameters, Record, Space
from amlc.space.points import Axis
from amlc.tuners.shared.gaussian_process import steady
from amlc.tuners.shared.local_search import climb
from amlc.tuners.shared.model_based import Evidence, Suggestion, stepwise
from amlc.tuners.shared.unit_cube import from_unit, matrix, rounded

if TYPE_CHECKING:
    from numpy.random import Generator

    from amlc.tuners.shared.unit_cube import Matrix

_STARTUP: Final = 10
"""How many results there have to be before the forest is asked."""

_MOST: Final = 2000
"""How many results the forest sees at most: the best and the latest."""

# The defaults of smac's facade for hyperparameters, but for the challengers, of which it draws
# 10,000.
_RANDOM: Final = 0.2
_TREES: Final = 10
_LEAST_GAIN: Final = 1e-8
_LEAST_VARIANCE: Final = 1e-10
_CHALLENGERS: Final = 1000
_STARTS: Final = 10
_STEPS: Final = 24

BY_VALUE: Final = True


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield 10 draws of Random's sequence, then the largest expected improvements.

    One proposal in 5 is a draw. The forest is that of the smac package, and so are its settings and
    the scale of the results. Its loop is not: one proposal takes the facade 2 s, its forest alone,
    made of scikit-learn's trees, 0.2 s, and its local search depends on the order of a Python set,
    which no two processes share. Running trials count as average, valueless ones nothing.
    `config_dedup` changes nothing: no trial of a finite space comes twice, and those of others
    differ anyway. Of more than 2,000 results the forest sees the best and the latest.

    NNI begins with the lowest values of all parameters, and from the second trial on every other
    one is a draw.
    Source: NNI 3.0, `algorithms/hpo/smac_tuner/`; smac 2.4,
    `facade/hyperparameter_optimization_facade.py`; Hutter et al. 2011, "Sequential model-based
    optimization for general algorithm configuration".
    """
    require("sklearn", algorithm="SMAC", extra="tuners")
    return stepwise(
        space,
        history,
        count=count,
        seed=seed,
        allowed=allowed,
        startup=_STARTUP,
        maximize=args["optimize_mode"] == "maximize",
        most=_MOST,
        suggest=_suggest,
    )


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many of the first draws are left."""
    return max(_STARTUP - len(history), 0)


def _suggest(
    space_axes: Sequence[Axis], evidence: Evidence, rng: Generator
) -> Iterator[Suggestion]:
    import numpy as np

    if rng.random() < _RANDOM:
        yield Suggestion(from_unit(space_axes, rng.random(len(space_axes)).tolist()))
    known = rounded(space_axes, matrix(space_axes, evidence.points))
    values = _scaled(np.array(evidence.values))
    if evidence.running:
        running = matrix(space_axes, evidence.running)
        known = np.vstack([known, rounded(space_axes, running)])
        values = np.concatenate([values, np.full(len(running), values.mean())])
    forest = _Forest.fit(known, values, seed=int(rng.integers(2**31)))
    sample = rounded(space_axes, rng.random((_CHALLENGERS, len(space_axes))))
    sample = sample[np.argsort(-forest.improvement(sample), kind="stable")]
    best = known[np.argsort(forest.seen, kind="stable")[:_STARTS]]
    starts = np.vstack([sample[:_STARTS], best])
    found = climb(space_axes, starts, forest.improvement, rng, steps=_STEPS, exchange=True)
    for row in np.vstack([found, sample]):
        yield Suggestion(from_unit(space_axes, row.tolist()))


def _scaled(values: Matrix) -> Matrix:
    """Return the logarithm of the values, brought between 0 and 1.

    Twice the way from the 5th percentile to the best is 0. What smac's `RunHistoryLogScaledEncoder`
    does: the differences between good results weigh more.
    """
    import numpy as np

    low, high = values.min(), values.max()
    low -= np.percentile(values, 5) - low
    scaled: Matrix = np.zeros_like(values)
    if high > low:
        scaled = np.log(np.maximum((values - low) / (high - low), 1e-10))
    return scaled


@dataclass(frozen=True, slots=True)
class _Forest:
    """A random forest of logarithms.

    trees: each with what its nodes predict. seen: the mean of what was seen, (n,).
    """

    trees: Sequence[tuple[Any, Matrix]]
    seen: Matrix
    best: float

    @classmethod
    def fit(cls, known: Matrix, values: Matrix, *, seed: int) -> _Forest:
        """Return the forest that smac's facade for hyperparameters would grow.

        smac's own class makes the same one of scikit-learn's trees, 10 times as slowly, but that it
        forgets to tell them its `splitter`, "random": with that the best of 50 trials on Hartmann-6
        is -3.0, without it -2.2 (medians of 12 seeds). A leaf predicts the logarithm of the mean of
        what it holds, not the mean of logarithms.
        """
        import numpy as np
        from numpy.random import RandomState
        from sklearn import config_context
        from sklearn.tree import DecisionTreeRegressor

        rows, results, most = known.astype(np.float32), np.exp(values), max(len(values), 2)
        states = RandomState(seed).randint(np.iinfo(np.int32).max, size=_TREES)
        trees, means = [], []
        for state in states.tolist():
            drawn = RandomState(state).randint(0, len(rows), len(rows), dtype=np.int32)
            often = np.bincount(drawn, minlength=len(rows)).astype(float)
            model = DecisionTreeRegressor(
                splitter="random",
                max_leaf_nodes=most,
                min_impurity_decrease=_LEAST_GAIN,
                random_state=state,
            )
            with config_context(skip_parameter_validation=True):
                tree = model.fit(rows, values, sample_weight=often, check_input=False).tree_
            leaves = tree.apply(rows)
            sums, counts = (
                np.bincount(leaves, weights, tree.node_count)
                for weights in (often * results, often)
            )
            predicted = np.log(np.divide(sums, counts, where=counts > 0, out=np.ones_like(sums)))
            trees.append((tree, predicted))
            means.append(predicted[leaves])
        seen = np.array(means).mean(axis=0)
        return cls(trees, seen, float(seen.min()))

    def predict(self, units: Matrix) -> tuple[Matrix, Matrix]:
        """Return mean and variance for each row."""
        import numpy as np

        rows = units.astype(np.float32)
        found = np.array([values[tree.apply(rows)] for tree, values in self.trees])
        return found.mean(axis=0), np.maximum(found.var(axis=0), _LEAST_VARIANCE)

    def improvement(self, units: Matrix) -> Matrix:
        """Return the expected improvement of values of which the forest knows the logarithms.

        Source: Hutter et al. 2009, "An experimental investigation of model-based parameter
        optimisation", sec. 5.2.
        """
        import numpy as np
        from scipy.special import ndtr

        mean, variance = self.predict(units)
        sigma = np.sqrt(variance)
        z = (self.best - mean) / sigma
        gain = np.exp(self.best) * ndtr(z) - np.exp(variance / 2 + mean) * ndtr(z - sigma)
        return steady(gain)
