"""SMAC: propose what a random forest of the results expects to improve most, by the smac package's own forest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from amlc.model import Choice, Parameters, Record, Space
from amlc.space.points import Axis
from amlc.tuners.climb import climb
from amlc.tuners.cube import from_unit, rounded, to_unit
from amlc.tuners.evidence import Evidence, Suggestion, stepwise
from amlc.tuners.extras import require

if TYPE_CHECKING:
    from numpy.random import Generator

    from amlc.tuners.cube import Matrix

_STARTUP: Final = 10
"""How many results there have to be before the forest is asked."""

_MOST: Final = 2000
"""How many results the forest sees at most: the best and the latest."""

# The defaults of smac's facade for hyperparameters, but for the challengers, of which it draws 10,000.
_RANDOM: Final = 0.2
_TREES: Final = 10
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
    """Yield 10 draws of Random's sequence, then the largest expected improvements; one proposal in 5 is a draw.

    The forest is smac's, and so are its settings and the scale of the results. Its loop is not: one proposal takes the
    facade 2 s, and its local search depends on the order of a Python set, which no two processes share. Running trials
    count as average, failed ones not at all. `config_dedup` changes nothing: no trial of a finite space comes twice,
    and those of others differ anyway. Of more than 2,000 results the forest sees the best and the latest.

    NNI begins with the lowest values of all parameters, and from the second trial on every other one is a draw.
    Source: NNI 3.0, `algorithms/hpo/smac_tuner/`; smac 2.4, `facade/hyperparameter_optimization_facade.py`; Hutter et
    al. 2011, "Sequential model-based optimization for general algorithm configuration".
    """
    require("smac", algorithm="SMAC", extra="smac")
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


def _suggest(space_axes: Sequence[Axis], evidence: Evidence, rng: Generator) -> Iterator[Suggestion]:
    import numpy as np

    if rng.random() < _RANDOM:
        yield Suggestion(from_unit(space_axes, rng.random(len(space_axes)).tolist()))
    known = rounded(space_axes, np.array([to_unit(space_axes, point) for point in evidence.points]))
    values = _scaled(np.array(evidence.values))
    if evidence.running:
        running = np.array([to_unit(space_axes, point) for point in evidence.running])
        known = np.vstack([known, rounded(space_axes, running)])
        values = np.concatenate([values, np.full(len(running), values.mean())])
    forest = _Forest.fit(space_axes, known, values, seed=int(rng.integers(2**31)))
    sample = rounded(space_axes, rng.random((_CHALLENGERS, len(space_axes))))
    sample = sample[np.argsort(-forest.improvement(sample), kind="stable")]
    best = known[np.argsort(forest.predict(known)[0], kind="stable")[:_STARTS]]
    starts = np.vstack([sample[:_STARTS], best])
    found = climb(space_axes, starts, forest.improvement, rng, steps=_STEPS, exchange=True)
    for row in np.vstack([found, sample]):
        yield Suggestion(from_unit(space_axes, row.tolist()))


def _scaled(values: Matrix) -> Matrix:
    """Return the logarithm of the values between 0 and 1, where twice the way from the 5th percentile to the best is 0.

    What smac's `RunHistoryLogScaledEncoder` does: the differences between good results weigh more.
    """
    import numpy as np

    low, high = values.min(), values.max()
    low -= np.percentile(values, 5) - low
    return np.log(np.maximum((values - low) / (high - low), 1e-10)) if high > low else np.zeros_like(values)


@dataclass(frozen=True, slots=True)
class _Forest:
    """smac's random forest of logarithms. best: the least mean that it predicts for what it has seen."""

    model: Any
    options: Matrix
    best: float

    @classmethod
    def fit(cls, space_axes: Sequence[Axis], known: Matrix, values: Matrix, *, seed: int) -> _Forest:
        """Return the forest that the facade for hyperparameters would grow, 50 times faster.

        max_leaf_nodes: smac 2.4 has room made for 2 million nodes of each tree, which takes 0.1 s.
        """
        import numpy as np
        from ConfigSpace import Categorical, ConfigurationSpace, Float
        from smac.model.random_forest import RandomForest

        options = np.array([len(a.dimension.options) if isinstance(a.dimension, Choice) else 0 for a in space_axes])
        configurations = ConfigurationSpace()
        configurations.add(
            Categorical(f"{i:04}", range(n)) if n else Float(f"{i:04}", (0.0, 1.0)) for i, n in enumerate(options)
        )
        model = RandomForest(
            configurations,
            n_trees=_TREES,
            ratio_features=1.0,
            min_samples_split=2,
            min_samples_leaf=1,
            max_leaf_nodes=max(len(values), 2),
            log_y=True,
            n_jobs=1,
            seed=seed,
        )
        model.train(_columns(options, known), values[:, None])
        return cls(model, options, float(model.predict_marginalized(_columns(options, known))[0].min()))

    def predict(self, units: Matrix) -> tuple[Matrix, Matrix]:
        """Return mean and variance for each row."""
        mean, variance = self.model.predict_marginalized(_columns(self.options, units))
        return mean[:, 0], variance[:, 0]

    def improvement(self, units: Matrix) -> Matrix:
        """Return the expected improvement of values of which the forest knows the logarithms.

        Source: Hutter et al. 2009, "An experimental investigation of model-based parameter optimisation", sec. 5.2.
        """
        import numpy as np
        from scipy.special import ndtr

        mean, variance = self.predict(units)
        sigma = np.sqrt(variance)
        z = (self.best - mean) / sigma
        gain: Matrix = np.exp(self.best) * ndtr(z) - np.exp(variance / 2 + mean) * ndtr(z - sigma)
        return gain


def _columns(options: Matrix, units: Matrix) -> Matrix:
    """Return what smac's forest wants: the number of the option for a choice, the unit interval for others."""
    import numpy as np

    return np.where(options > 0, np.round(units * options - 0.5), units)
