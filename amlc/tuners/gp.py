"""GP: a Gaussian process over the unit cube, and the point of which it expects most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from amlc.extras import missing
from amlc.model import Parameters, Record, Space
from amlc.space.points import Axis
from amlc.tuners.shared.gaussian_process import Process, even, fitted, steady
from amlc.tuners.shared.local_search import wander
from amlc.tuners.shared.memory import axes
from amlc.tuners.shared.model_based import Evidence, Suggestion, milestone, stepwise
from amlc.tuners.shared.unit_cube import from_unit, matrix, rounded

if TYPE_CHECKING:
    from numpy.random import Generator

    from amlc.tuners.shared.unit_cube import Matrix

_MOST_POINTS: Final = 150
"""How many results the process sees. Its time grows with their cube."""

_MOST_WORK: Final = 500_000
"""Warm-up points times results: as many take about 50 ms."""

_BEST: Final = 25
"""How many trials the local search begins at, twice each: of a dozen axes no draw at random comes
as near to what is good."""

_FINALISTS: Final = 20

_WIDE: Final = (0.1, 0.1, 0.03, 0.03, 0.01, 0.01, 0.003, 0.001, 0.0003)
_FINE: Final = tuple(0.1 * 0.003 ** (step / 49) for step in range(50))
"""The steps of the local search, first from all, then from those that came highest."""

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
    """Yield `cold_start_num` random draws, and behind them the points that maximise `utility`.

    Numbers only, and no branches. The process works on quantiles (log types: of the logarithm; a
    choice: of its order) and on standardised results, of which a long tail of bad ones is
    shortened. Each axis has a length of its own, and the results a noise of their own beside
    `alpha`; NNI has one length, no noise but `alpha`, and the results as they are. Running trials
    have the result that the process expects. Of more than 150 results it sees the 75 best and the
    latest of the others, and learns lengths and noise from those of every 10th one on.

    - selection_num_warm_up: an upper bound; the more results, the fewer (10,000 for 50 results).
    - selection_num_starting_points: how many of the best warm-up points a random local search
      improves, beside the 25 best trials; NNI runs L-BFGS-B from other points, which takes minutes.

    Source: NNI 3.0, `algorithms/hpo/gp_tuner`; Snoek et al. 2012.
    """
    maximize = args["optimize_mode"] == "maximize"
    earlier = milestone(axes(space), history, maximize=maximize, most=_MOST_POINTS)

    def suggest(
        space_axes: Sequence[Axis], evidence: Evidence, rng: Generator
    ) -> Iterator[Suggestion]:
        try:
            import scipy.linalg  # noqa: F401
        except ModuleNotFoundError as err:
            raise missing(err, algorithm="GP", extra="tuners") from err
        vectors = _best(space_axes, evidence, earlier, rng, args)
        return (Suggestion(from_unit(space_axes, vector)) for vector in vectors)

    return stepwise(
        space,
        history,
        count=count,
        seed=seed,
        allowed=allowed,
        startup=max(args["cold_start_num"], 1),
        maximize=maximize,
        most=_MOST_POINTS,
        suggest=suggest,
    )


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many of the first random draws are left."""
    startup: int = max(args["cold_start_num"], 1)
    return max(startup - len(history), 0)


def _best(
    space_axes: Sequence[Axis],
    evidence: Evidence,
    earlier: Evidence | None,
    rng: Generator,
    args: Mapping[str, Any],
) -> Matrix:
    """Return vectors in the cube, the most promising first."""
    import numpy as np

    def known(evidence: Evidence) -> tuple[Matrix, Matrix]:
        return matrix(space_axes, evidence.points), even(np.array(evidence.values))

    seen, values = known(evidence)
    learned = None if earlier is None else known(earlier)
    process = fitted(seen, values, args["nu"], args["alpha"], learned=learned)
    process = process.believing(matrix(space_axes, evidence.running))
    expected = process.mean(process.seen)
    # Not the lowest result, which may be so by noise; and no result that a running trial has won.
    lowest = float(expected.min())

    def utility(vectors: Matrix) -> Matrix:
        return steady(_utility(process, vectors, lowest, args))

    most: int = args["selection_num_warm_up"]
    count = max(min(most, max(_MOST_WORK // len(seen), 1000)), 1)
    sample = rounded(space_axes, rng.random((count, len(space_axes))))
    first = np.argsort(-utility(sample), kind="stable")[: args["selection_num_starting_points"]]
    best = np.repeat(process.seen[np.argsort(steady(expected), kind="stable")[:_BEST]], 2, axis=0)
    found = wander(space_axes, np.vstack([sample[first], best]), utility, rng, steps=_WIDE)
    finer = wander(space_axes, found[:_FINALISTS], utility, rng, steps=_FINE)
    return np.vstack([finer, found, sample[first]])


def _utility(process: Process, vectors: Matrix, lowest: float, args: Mapping[str, Any]) -> Matrix:
    """Return how much is to be expected of each vector, for results of which the lowest is best."""
    import numpy as np
    from scipy.special import ndtr

    mean, deviation = process.expected(vectors)
    z: Matrix = (lowest - args["xi"] - mean) / deviation
    bound: Matrix = args["kappa"] * deviation - mean
    with np.errstate(under="ignore"):
        improvement: Matrix = deviation * (z * ndtr(z) + np.exp(-z * z / 2) / np.sqrt(2 * np.pi))
    # the probability of an improvement grows with z, which does not underflow
    return {"ucb": bound, "poi": z, "ei": improvement}[args["utility"]]
