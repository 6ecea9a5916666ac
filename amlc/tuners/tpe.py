"""TPE: propose where good results are denser than the others, by Optuna's sampler."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from amlc.model import Choice, Parameters, Real, Record, Space
from amlc.space.draws import distinct, draws
from amlc.space.points import (
    MODEL_DIGITS,
    Axis,
    Key,
    Point,
    axes,
    coordinates,
    deliver,
    endless,
    locate,
)
from amlc.tuners import random
from amlc.tuners.shared.failures import elsewhere
from amlc.tuners.shared.feasibility import feasible
from amlc.tuners.shared.unseen import is_among

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution
    from optuna.storages import InMemoryStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

_TRIES: Final = 8
"""How many proposals of the model may be refused or repeat a trial before a draw at random takes
their place."""

_MOST_OTHERS: Final = 300
"""How many of the results that are not among the good ones the model sees; more change little, and
take long."""

_GOOD: Final = 0.4
"""The share of good results for `gamma` 1: with NNI's default for it the tenth that Optuna takes by
itself."""

_COPIES: Final = 40
"""About how many copies of good results there are together: with more of them, each has fewer. For
Optuna's windows grow narrow with their number, and those around two or three results soon propose
little else."""

_MOVED: Final = 0.5
"""How far copies of a whole number are moved, as a share of an Optuna window's least width without
copies: the copies make windows so narrow that they hold one whole number alone, and what they
propose has been tried."""

_STALE: Final = 50
"""How old the best result is, in trials, when every other one begins to belong to a search that
starts anew: around a local optimum nothing better may come for ever."""

_AFRESH: Final = 100
"""How many trials such a search has, until the next one starts."""

_MOST_STEPS: Final = 1000
"""A finer grid of numbers counts as continuous: that is faster, and a Parzen window sees no
difference."""

_SIGMAS: Final = 4.0
"""A normal type is modelled between mu - 4 sigma and mu + 4 sigma; 1 draw in 16,000 lies beyond."""

_MODEL: Final = 1
"""The stream of random numbers beside the start-up's; no 0, for default_rng([seed, 0]) is
default_rng(seed)."""

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
    """Yield NNI's start-up draws, bit for bit, then samples of Optuna's multivariate TPE.

    Start-up: `n_startup_jobs` random draws, less what was imported, and others while there are not
    half as many results. What has no value and does not run, or does not fit the space, teaches
    nothing.

    `args`, where they mean something else than in NNI:
    - n_startup_jobs: 10 by default; NNI's 20 leave a short experiment little to learn with.
    - n_ei_candidates: of points, for the parameters of one branch are modelled together; NNI's are
      of single values.
    - gamma: 0.4 gamma N of N results are the good ones, at most `linear_forgetting`; NNI takes
      gamma sqrt(N), which is too few for more than one parameter at a time. The better of them
      count more often: of n, the one of rank r as level**2 / 2, at least once, where
      level = min(n, sqrt(240 / n)) (1 - r / n). Equal ones share what the first of them would
      count. All but the first of these copies are moved along randint and quniform, by a normal
      draw of half a step for 1 + n values, and more for more values.
    - constant_liar_type: whatever its name, running trials count as bad ones, which is the only
      lie that Optuna has; NNI's default is "best". With None they are left out.

    Once the best result is 50 trials old, every other trial belongs to a search that starts anew,
    each 100 of its trials, and knows its own results alone; so a local optimum is left.

    Of the results that are no good ones the model sees the latest 300. A finite space never repeats
    a parameter set. Where trials are likely to fail (`feasible`) none is proposed; constrained TPE
    multiplies its ratio by one of densities of feasible and other trials.
    Source: NNI 3.0, `algorithms/hpo/tpe_tuner.py`; Bergstra et al. 2011, section 4;
    `optuna.samplers.TPESampler`; Watanabe and Hutter 2023, "c-TPE: tree-structured Parzen estimator
    with inequality constraints".
    """
    settings = Settings.of(args)
    records = list(history)
    left = min(count, max(settings.n_startup_jobs - len(history), 0))
    for parameters in random.propose(
        space, history, count=left, seed=seed, args={}, allowed=allowed
    ):
        yield parameters
        records.append(Record(parameters=parameters))
    if len(records) < len(history) + left:
        return
    for _ in range(len(history) + count - len(records)):
        following = _following(space, records, settings, seed, allowed)
        if following is None:
            return
        yield following
        records.append(Record(parameters=following))


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many of the start-up draws are left."""
    return max(Settings.of(args).n_startup_jobs - len(history), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """NNI's arguments, with TPE_legacy's defaults.

    lie: whether running trials count as bad ones.
    """

    maximize: bool
    lie: bool
    n_startup_jobs: int = 20
    n_ei_candidates: int = 24
    linear_forgetting: int = 25
    prior_weight: float = 1.0
    gamma: float = 0.25

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Settings:
        """Return the settings of TPE's `classArgs`, or of TPE_legacy's, which have no `tpe_args`.

        TPE_legacy lies only with `parallel_optimize`; NNI's source:
        `algorithms/hpo/hyperopt_tuner.py`.
        """
        maximize = args["optimize_mode"] == "maximize"
        if "tpe_args" not in args:
            return cls(maximize=maximize, lie=args["parallel_optimize"])
        given = {
            name: value for name, value in args["tpe_args"].items() if name != "constant_liar_type"
        }
        lie = args["tpe_args"]["constant_liar_type"] is not None
        return cls(maximize=maximize, lie=lie, **given)

    def loss(self, value: float) -> float:
        """Return a result so that smaller is better."""
        return -value if self.maximize else value

    def good(self, count: int) -> int:
        """Return how many of `count` results are the good ones."""
        return min(math.ceil(_GOOD * self.gamma * count), self.linear_forgetting)

    def weights(self, count: int) -> NDArray[Any]:
        """Return the weights of `count` results, the oldest first: a ramp, and 1 for the latest."""
        import numpy as np

        flat = min(self.linear_forgetting, count)
        return np.concatenate([np.linspace(1 / max(count, 1), 1, count - flat), np.ones(flat)])


def _following(
    space: Space,
    records: Sequence[Record],
    settings: Settings,
    seed: int,
    allowed: Callable[[Parameters], bool],
) -> Parameters | None:
    """Return the parameter set behind `records`; None if the space is exhausted."""
    from numpy.random import default_rng

    rng = default_rng([seed, len(records), _MODEL])
    space_axes = axes(space)
    told = _told(records, settings)
    results = sum(record.value is not None for record in told)
    if results and 2 * results >= settings.n_startup_jobs:
        apart, hopeful = elsewhere(space_axes, records), feasible(space_axes, records)
        for point in islice(_samples(space_axes, told, settings, rng), _TRIES):
            parameters = deliver(space_axes, point, digits=MODEL_DIGITS)
            taken = (record.parameters for record in records)
            fresh = apart(parameters) if endless(space) else not is_among(taken, parameters)
            if fresh and hopeful(parameters) and allowed(parameters):
                return parameters
    drawn = distinct(space, draws(rng, space_axes), (record.parameters for record in records))
    return next(filter(allowed, drawn), None)


def _told(records: Sequence[Record], settings: Settings) -> Sequence[Record]:
    """Return what the model is told of: all records, or those of a search that started anew."""
    losses = ((settings.loss(r.value), n) for n, r in enumerate(records) if r.value is not None)
    _, best = min(losses, default=(0.0, len(records)))
    start = best + _STALE
    since = len(records) - start
    if since < 0 or since % 2:
        return records
    return records[start + since // (2 * _AFRESH) * (2 * _AFRESH) :: 2]


# --- what the model sees --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scale:
    """One axis for Optuna: `enter` turns coordinates into its values, `leave` turns these back.

    values, step: of a grid of numbers, how many there are and how far apart; 0 for any other axis.
    """

    name: str
    distribution: BaseDistribution
    enter: Callable[[float], float]
    leave: Callable[[float], float]
    values: int = 0
    step: float = 0.0

    def moved(self, x: float, by: float) -> float:
        """Return a coordinate `by` times the axis's length away from `x`; x if that is no grid."""
        return x + self.step * round(by * self.values)


def _scale(axis: Axis, name: str) -> _Scale:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    dimension = axis.dimension
    if isinstance(dimension, Choice):  # as indices: Optuna takes 1, True and 1.0 for one
        return _Scale(name, CategoricalDistribution(range(len(dimension.options))), int, int)
    if isinstance(dimension, Real) and (dimension.q is None or dimension.log or dimension.normal):
        low, high = _bounds(dimension)
        span = FloatDistribution(low, high if low < high else low + 1)
        return _Scale(name, span, clipped := lambda x: min(max(float(x), low), high), clipped)
    if isinstance(dimension, Real):
        # NNI's grid counts from 0 and is clipped; Optuna's `step` counts from `low`.
        width = dimension.q or 1.0
        first, last = round(dimension.a / width), round(dimension.b / width)
    else:
        width, first, last = 1, 0, dimension.high - dimension.low - 1

    def nearest(x: float) -> int:
        return min(max(round(x), first), last)

    if last - first < _MOST_STEPS:
        grid: BaseDistribution = IntDistribution(first, last)
        return _Scale(
            name, grid, lambda x: nearest(x / width), lambda k: k * width, last - first + 1, width
        )
    grid = FloatDistribution(first - 0.5, last + 0.5)
    return _Scale(name, grid, lambda x: float(nearest(x / width)), lambda k: nearest(k) * width)


def _bounds(dimension: Real) -> tuple[float, float]:
    a, b = coordinates(dimension)
    return (a - _SIGMAS * b, a + _SIGMAS * b) if dimension.normal else (a, b)


_Result: TypeAlias = "tuple[int, Point, float | None]"
"""The number of a record, its point, and its loss; None while it runs."""


def _seen(
    space_axes: Sequence[Axis], records: Sequence[Record], settings: Settings
) -> tuple[list[_Result], list[_Result]]:
    """Return the good results and the latest of the others."""
    results = [
        (n, record, settings.loss(record.value))
        for n, record in enumerate(records)
        if record.value is not None
    ]
    ranking = sorted(results, key=lambda result: result[2])
    best = list(islice(_located(space_axes, ranking), settings.good(len(results))))
    taken = {number for number, _, _ in best}
    others = _located(
        space_axes, (result for result in reversed(results) if result[0] not in taken)
    )
    return best, list(islice(others, _MOST_OTHERS))


def _located(
    space_axes: Sequence[Axis], records: Iterable[tuple[int, Record, float | None]]
) -> Iterator[_Result]:
    for number, record, loss in records:
        point = locate(space_axes, record.parameters)
        if point is not None:
            yield number, point, loss


# --- Optuna ---------------------------------------------------------------------------------------


def _samples(
    space_axes: Sequence[Axis], records: Sequence[Record], settings: Settings, rng: Generator
) -> Iterator[Point]:
    """Yield points to try next, for ever; none if no result fits the space."""
    best, others = _seen(space_axes, records, settings)
    if settings.lie:
        running = (
            (number, record, None)
            for number, record in enumerate(records)
            if not record.status.ended
        )
        others += _located(space_axes, running)
    scales = {axis.key: _scale(axis, str(index)) for index, axis in enumerate(space_axes)}
    deviation = _MOVED / (1 + len(best))
    good: list[_Result] = []
    for (number, point, loss), copies in zip(best, _copies_of(best), strict=True):
        good.append((number, point, loss))
        good += [(number, _moved(scales, point, deviation, rng), loss) for _ in range(copies - 1)]
    if best:
        # Against a mean good result the prior weighs what it did against one without copies.
        settings = replace(settings, prior_weight=settings.prior_weight * len(good) / len(best))
    by_number = sorted([*good, *others], key=lambda result: result[0])
    trials = [_trial(scales, *result) for result in by_number]
    while best:
        with _quiet():
            point = _sample(space_axes, scales, _study(trials), settings, len(good), rng)
        yield point


def _copies_of(best: Sequence[_Result]) -> list[int]:
    """Return how many times Optuna is told each of the good results, which are sorted by loss.

    Equal ones share the copies of the first: nothing says which is better, and a plateau told of by
    all its results with theirs is looked at again and again.
    """
    losses = [loss for _, _, loss in best]
    equal = Counter(losses)
    first = {loss: len(best) - rank for rank, loss in enumerate(reversed(losses), 1)}
    return [max(round(_copies(first[loss], len(best)) / equal[loss]), 1) for loss in losses]


def _copies(rank: int, count: int) -> int:
    """Return how many times Optuna is told one of `count` good results; rank 0 is the best one.

    Half the square of its level: min(count, sqrt(6 _COPIES / count)) of the best one, and less in
    proportion of those behind it. The more Optuna is told of, the nearer to them it looks: its
    least width of a Parzen window is 1/(1 + n) of the range for n results. With one copy each that
    were a sixth of it after 50 trials.
    """
    level = min(count, math.sqrt(6 * _COPIES / count)) * (count - rank) / count
    return max(int(level * level / 2), 1)


def _moved(scales: Mapping[Key, _Scale], point: Point, deviation: float, rng: Generator) -> Point:
    """Return a copy of `point`, numbers on grids moved by a normal draw of their axes' lengths."""
    return {
        key: scales[key].moved(x, deviation * rng.standard_normal()) for key, x in point.items()
    }


def _sample(
    space_axes: Sequence[Axis],
    scales: Mapping[Key, _Scale],
    study: Study,
    settings: Settings,
    good: int,
    rng: Generator,
) -> Point:
    """Return one point, branch by branch: what is active together is sampled together."""
    from optuna.samplers import TPESampler

    following = _trial(scales, -1, {}, None)
    point: dict[Key, int | float] = {}
    for first in space_axes:
        if first.key in point or not first.active(point):
            continue
        branch = {
            axis.key: scales[axis.key] for axis in space_axes if axis.key[:-1] == first.key[:-1]
        }
        sampler = TPESampler(
            seed=int(rng.integers(2**32)),
            n_startup_trials=0,
            multivariate=True,
            n_ei_candidates=settings.n_ei_candidates,
            gamma=lambda _: good,
            weights=settings.weights,
            prior_weight=settings.prior_weight,
            constant_liar=settings.lie,
        )
        wanted = {scale.name: scale.distribution for scale in branch.values()}
        found = sampler.sample_relative(study, following, wanted)
        point.update((key, scale.leave(found[scale.name])) for key, scale in branch.items())
    return point


def _trial(
    scales: Mapping[Key, _Scale], number: int, point: Point, loss: float | None
) -> FrozenTrial:
    """Return Optuna's form of a trial; without a loss it is running."""
    from optuna.trial import FrozenTrial, TrialState

    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.RUNNING if loss is None else TrialState.COMPLETE,
        value=loss,
        params={scales[key].name: scales[key].enter(x) for key, x in point.items()},
        distributions={scales[key].name: scales[key].distribution for key in point},
        datetime_start=None,
        datetime_complete=None,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _study(trials: Sequence[FrozenTrial]) -> Study:
    from optuna import create_study

    return create_study(storage=_view()(trials))


@cache
def _view() -> Callable[[Sequence[FrozenTrial]], InMemoryStorage]:
    """Return a storage of given trials: adding them to Optuna's own takes 100 times as long."""
    from optuna.storages import InMemoryStorage
    from optuna.trial import TrialState

    class View(InMemoryStorage):
        def __init__(self, trials: Sequence[FrozenTrial]) -> None:
            super().__init__()
            self._given = trials

        def get_all_trials(
            self,
            study_id: int,  # noqa: ARG002
            deepcopy: bool = True,  # noqa: ARG002, FBT001, FBT002  Optuna's own signature
            states: Container[TrialState] | None = None,
        ) -> list[FrozenTrial]:
            return [trial for trial in self._given if states is None or trial.state in states]

        def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
            """Forget what the sampler tells its parallel copies, which there are none of."""

    return View


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from logging, and from warning of log(0) and of arguments that may go away."""
    import numpy as np
    from optuna import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
