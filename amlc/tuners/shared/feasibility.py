"""Where a trial is likely to fail: a Gaussian process learned from failures and others."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from amlc.model import Choice, Parameters, Record
from amlc.space.points import Axis, Point, locate
from amlc.tuners.shared.failures import has_failed
from amlc.tuners.shared.unit_cube import to_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from amlc.tuners.shared.unit_cube import Matrix

_MOST: Final = 32
"""How many trials of each kind, the latest, the process sees."""

_EXPECTED: Final = 0.5
"""The label that is expected where nothing is known: trials are innocent until the contrary is
proved."""

_RATES: Final = (0.1, 0.5, 2.0, 8.0)
"""How fast a label stops to tell of others along an axis, for each length of it; the least is:
hardly at all."""

_FIRST_RATE: Final = 1.0

_NOISES: Final = (0.05, 0.5)
"""The variance of a label beside what its place explains; with the larger one, failures are nearly
chance."""

_PENALTY: Final = 0.05
"""By how much each unit of a rate lowers the logarithm of its likelihood."""

_ROUNDS: Final = 2

_INACTIVE: Final = 0.5
"""Where on its axis a parameter lies that is in another branch."""

_DIGITS: Final = 9
"""Further ones are those of the processor."""


def feasible(
    space_axes: Sequence[Axis], history: Sequence[Record], *, without: Container[str] = ()
) -> Callable[[Parameters], bool]:
    """Return whether parameters lie where a trial is likely not to fail.

    Of failures it knows as far as `lessons` told of them. A trial that failed has the label -1, any
    other one that ended 1; one is likely to fail where the mean of a Gaussian process through the
    labels is negative. It has an exponential kernel with a rate for each axis, and of some rates
    takes those with which each label is explained best by the others. Without a failed trial
    everything is feasible. So are parameters that are no point of the space. without: names of
    parameters that are not the space's.

    Source: Gelbart et al. 2014, "Bayesian optimization with unknown constraints", for a model of
    its own for failures; Rasmussen and Williams 2006, section 6.5, for a regression of labels, and
    eq. 5.10 to 5.12 for its likelihood.
    """
    told = [record for record in history if record.status.ended and record.value is not None]
    if not any(map(has_failed, told)):
        return lambda _: True

    def place(parameters: Parameters) -> Point | None:
        own = {name: value for name, value in parameters.items() if name not in without}
        return locate(space_axes, own)

    process: list[_Process | None] = []

    def likely(parameters: Parameters) -> bool:
        if not process:  # only when the tuner has something to suggest
            process.append(_learned(space_axes, told, place))
        here = place(parameters)
        if here is None or process[0] is None:
            return True
        return process[0].mean(_vector(space_axes, here)) >= 0

    return likely


@dataclass(frozen=True, slots=True)
class _Process:
    """seen: (n, d). named: (d,), are options equally far apart? rates: (d,). weights: (n,)."""

    seen: Matrix
    named: NDArray[Any]
    rates: Matrix
    weights: Matrix

    def mean(self, vector: Sequence[float]) -> float:
        import numpy as np

        (gaps,) = _gaps(np.array([vector]), self.seen, self.named)
        return round(_EXPECTED + float(np.exp(-gaps @ self.rates) @ self.weights), _DIGITS)


def _learned(
    space_axes: Sequence[Axis], told: Sequence[Record], place: Callable[[Parameters], Point | None]
) -> _Process | None:
    """Return the process of the latest trials; None if no failed one is a point of the space."""
    import numpy as np

    vectors, labels = [], []
    for label, kind in ((-1.0, True), (1.0, False)):
        points = (
            place(record.parameters) for record in reversed(told) if has_failed(record) is kind
        )
        known = [_vector(space_axes, point) for point in islice(filter(None, points), _MOST)]
        vectors += known
        labels += [label] * len(known)
    if -1.0 not in labels:
        return None
    seen, residual = np.array(vectors), np.array(labels) - _EXPECTED
    named = np.array([_named(axis) for axis in space_axes])
    gaps = _gaps(seen, seen, named)

    def fitted(rates: Matrix, noise: float) -> _Fit:
        inverse = np.linalg.inv(np.exp(-gaps @ rates) + noise * np.eye(len(seen)))
        weights, variance = inverse @ residual, 1 / np.diagonal(inverse)
        surprise = (np.log(variance) + weights * weights * variance).sum() / 2
        return _Fit(round(float(surprise + _PENALTY * rates.sum()), _DIGITS), rates, noise, weights)

    best = fitted(np.full(len(space_axes), _FIRST_RATE), _NOISES[0])
    for _ in range(_ROUNDS):
        for noise in _NOISES:
            best = min(best, fitted(best.rates, noise), key=_surprise)
        for chosen in np.eye(len(space_axes), dtype=bool):
            for rate in _RATES:
                other = fitted(np.where(chosen, rate, best.rates), best.noise)
                best = min(best, other, key=_surprise)
    return _Process(seen, named, best.rates, best.weights)


@dataclass(frozen=True, slots=True)
class _Fit:
    """surprise: the negative logarithm of the likelihood, less is better."""

    surprise: float
    rates: Matrix
    noise: float
    weights: Matrix


def _surprise(fit: _Fit) -> float:
    return fit.surprise


def _gaps(these: Matrix, those: Matrix, named: NDArray[Any]) -> Matrix:
    """Return how far rows of both, (n, d) and (m, d), are apart along each axis: (n, m, d)."""
    import numpy as np

    gaps = np.abs(these[:, None] - those[None])
    apart: Matrix = np.where(named, gaps > 0, gaps)
    return apart


def _vector(space_axes: Sequence[Axis], point: Point) -> list[float]:
    return [to_unit([axis], point)[0] if axis.key in point else _INACTIVE for axis in space_axes]


def _named(axis: Axis) -> bool:
    """Tell whether the axis is a choice of which the options have no order."""
    dimension = axis.dimension
    if not isinstance(dimension, Choice):
        return False
    return not all(isinstance(option, (int, float)) for option in dimension.options)
