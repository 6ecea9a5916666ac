"""Metis: explore, exploit or try again.

It does what a Gaussian process expects to lower its best mean the most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from amlc.extras import require
from amlc.model import Parameters, Record, Space
from amlc.space.points import Axis
from amlc.tuners.shared import mixture
from amlc.tuners.shared.gaussian_process import Process, fitted, standard, steady
from amlc.tuners.shared.local_search import climb
from amlc.tuners.shared.memory import axes
from amlc.tuners.shared.model_based import Evidence, Suggestion, milestone, stepwise
from amlc.tuners.shared.unit_cube import from_unit, matrix, rounded

if TYPE_CHECKING:
    from numpy.random import Generator

    from amlc.tuners.shared.unit_cube import Matrix

_MOST: Final = 100
"""How many results the Gaussian process sees at most: its cost grows with their third power."""

# NNI's: from how many results (and different trials) on there are exploitation (and resampling),
# how far from the prediction an outlier is, how often one trial is run, how far from the mean a
# result may be, the share of good trials.
_EXPLOIT_FROM: Final = 12
_RESAMPLE_FROM: Final = 50
_OUTLIER_SIGMAS: Final = 2.33
_MOST_RUNS: Final = 3
_HOPE_SIGMAS: Final = 1.96
_GOOD: Final = 0.34

_OUTLIERS: Final = 4
"""How many outliers are considered in one call, the farthest first."""

_COMPONENTS: Final = 5
_RIDGE: Final = 1e-3
_CLIMBS: Final = 5
_STEPS: Final = 30
_SMOOTHNESS: Final = 1.5
_NUGGET: Final = 1e-6

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
    """Yield `cold_start_num` draws of Random's sequence, then what a model of results suggests.

    A proposal is, with a chance of 1 - `exploration_probability`, the point of the lowest predicted
    mean, if it is new. Else it is the candidate that would lower that mean the most if its result
    were 1.96 sigma better than predicted: the point of the largest uncertainty, a point where a
    mixture of Gaussians finds good results likely and bad ones not, and, without `no_resampling`,
    from 50 trials on the outliers, each of which is run 3 times at most. If none lowers it, it is
    the point of the lowest mean after all, for which NNI has a draw; it is a draw when that was
    tried, and with `no_candidates`. `selection_num_starting_points` draws are where a minimum is
    looked for, from the 5 best of which it climbs on.

    Running trials count as what the model expects of them, valueless ones nothing. Of more than 100
    results the model sees the best and the latest, and learns lengths and noise from those of every
    10th one on. Unlike NNI's, it knows one length scale for each parameter, scales them to the unit
    interval, and takes a part of the results' spread for noise; an outlier is told without fitting
    the model anew for each trial.
    Source: NNI 3.0, `algorithms/hpo/metis_tuner/`; Li et al. 2018, "Metis: robustly tuning tail
    latencies of cloud systems".
    """
    require("sklearn", algorithm="Metis", extra="tuners")
    maximize = args["optimize_mode"] == "maximize"
    return stepwise(
        space,
        history,
        count=count,
        seed=seed,
        allowed=allowed,
        startup=int(args["cold_start_num"]),
        maximize=maximize,
        most=_MOST,
        suggest=partial(
            _suggest,
            earlier=milestone(axes(space), history, maximize=maximize, most=_MOST),
            args=args,
        ),
    )


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many of the first draws are left."""
    return max(int(args["cold_start_num"]) - len(history), 0)


def _suggest(
    space_axes: Sequence[Axis],
    evidence: Evidence,
    rng: Generator,
    *,
    earlier: Evidence | None,
    args: Mapping[str, Any],
) -> Iterator[Suggestion]:
    import numpy as np

    seen = rounded(space_axes, matrix(space_axes, evidence.points))
    samples = _Samples.of(seen, evidence.values)
    running = rounded(space_axes, matrix(space_axes, evidence.running))
    before = None
    if earlier is not None:
        then = _Samples.of(rounded(space_axes, matrix(space_axes, earlier.points)), earlier.values)
        before = then.units, standard(then.values)
    process = fitted(samples.units, standard(samples.values), _SMOOTHNESS, _NUGGET, learned=before)
    process = process.believing(running)
    draws = int(args["selection_num_starting_points"])
    starts = rounded(space_axes, rng.random((max(draws, 1), len(space_axes))))

    def highest(height: Callable[[Matrix], Matrix], among: Matrix) -> Matrix:
        top = among[np.argsort(-height(among), kind="stable")[:_CLIMBS]]
        end: Matrix = climb(space_axes, top, height, rng, steps=_STEPS)[0]
        return end

    tried = {row.tobytes() for row in np.vstack([samples.units, running])}
    optimum = highest(
        lambda units: steady(-process.mean(units)), np.vstack([starts, samples.units])
    )
    best = []
    if optimum.tobytes() not in tried:
        best = [Suggestion(from_unit(space_axes, optimum.tolist()))]
    if rng.random() > args["exploration_probability"]:
        yield from best
    if not args["no_candidates"]:
        explored = highest(lambda units: steady(process.expected(units)[1]), starts)
        exploited = _likely_good(space_axes, samples, len(starts), rng)
        fresh = [row for row in (explored, *exploited) if row.tobytes() not in tried]
        again = [] if args["no_resampling"] else _outliers(process, samples)
        candidates = [*((row, False) for row in fresh), *((row, True) for row in again)]
        for row, repeated in _promising(process, candidates, np.vstack([starts, optimum])):
            if repeated:  # digit by digit, or it were another trial
                places = zip(evidence.points, seen, strict=True)
                point = next(point for point, there in places if (there == row).all())
                yield Suggestion(point, again=True)
            else:
                yield Suggestion(from_unit(space_axes, row.tolist()))
        yield from best
    for row in starts:
        yield Suggestion(from_unit(space_axes, row.tolist()))


@dataclass(frozen=True, slots=True)
class _Samples:
    """Different trials: the vector of each, the median of its results, and how many they are."""

    units: Matrix
    values: Matrix
    runs: Matrix

    @classmethod
    def of(cls, units: Matrix, values: Sequence[float]) -> _Samples:
        import numpy as np

        groups: dict[bytes, list[int]] = {}
        for index, row in enumerate(units):
            groups.setdefault(row.tobytes(), []).append(index)
        return cls(
            units=units[[group[0] for group in groups.values()]],
            values=np.array(
                [median(values[index] for index in group) for group in groups.values()]
            ),
            runs=np.array([len(group) for group in groups.values()]),
        )


def _promising(
    process: Process, candidates: Sequence[tuple[Matrix, bool]], among: Matrix
) -> Iterator[tuple[Matrix, bool]]:
    """Yield the candidates with which the lowest mean may fall, the most promising one first."""
    lowest = process.mean(among).min()
    gains = [float(steady(lowest - _hope(process, row, among))) for row, _ in candidates]
    for index in sorted(range(len(candidates)), key=lambda index: -gains[index]):
        if gains[index] > 0:
            yield candidates[index]


def _likely_good(
    space_axes: Sequence[Axis], samples: _Samples, count: int, rng: Generator
) -> Matrix:
    """Return the best row of `count` drawn where good trials are.

    It has the largest ratio of good ones to bad ones there.
    """
    import numpy as np

    if samples.runs.sum() < _EXPLOIT_FROM or len(samples.values) < 4:
        return np.empty((0, len(space_axes)))
    order = np.argsort(samples.values, kind="stable")
    split = max(int(len(order) * _GOOD), 2)
    seed = int(rng.integers(2**31))
    good, bad = (
        mixture.fitted(rows, min(len(rows) - 1, _COMPONENTS), ridge=_RIDGE, seed=seed)
        for rows in (samples.units[order[:split]], samples.units[order[split:]])
    )
    drawn = rounded(space_axes, np.clip(good.sample(count, rng), 0.0, 1.0))
    ratio = steady(good.log_density(drawn) - bad.log_density(drawn))
    return drawn[[ratio.argmax()]]


def _outliers(process: Process, samples: _Samples) -> list[Matrix]:
    """Return the trials that are to be run again, whose results the others do not let expect."""
    import numpy as np

    if len(samples.units) < _RESAMPLE_FROM:
        return []
    distance = np.where(samples.runs < _MOST_RUNS, process.surprise()[: len(samples.units)], 0.0)
    farthest = np.argsort(-distance, kind="stable")[:_OUTLIERS]
    return [samples.units[index] for index in farthest if distance[index] > _OUTLIER_SIGMAS]


def _hope(process: Process, row: Matrix, among: Matrix) -> float:
    """Return the lowest mean at `row` and `among`, should `row` turn out well.

    Its result is then at the better end of likely ones. NNI looks at the worse end, too, and takes
    the lower one of both, which is this one.
    """
    import numpy as np

    mean, sigma = process.expected(row[None])
    better = process.extended(row[None], mean - _HOPE_SIGMAS * sigma)
    return float(better.mean(np.vstack([among, row])).min())
