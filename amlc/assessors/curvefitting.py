"""Curvefitting.

Stop a trial whose learning curve, extrapolated to its end, falls short of the best one so far.
"""

from __future__ import annotations

import hashlib
import math
import struct
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amlc.extras import missing

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_FEWEST_MODELS = 4
_CHAINS = 10
_STEPS = 20
_STEP_SIZE = 0.0005


def assess(
    curve: Sequence[float], completed: Sequence[Sequence[float]], *, args: Mapping[str, Any]
) -> bool:
    """Return whether the prediction at `epoch_num` is at most `threshold` times the best one.

    Results are to be maximised. The best is over the last intermediate results of the completed
    trials; before there is one nothing is stopped, nor is it before `start_step` results, and from
    there on only every `gap`-th is judged: with 6 and 2 the 6th, 8th, 10th. What fewer than 4 of
    the 12 models agree on is no prediction.

    Source: NNI 3.0, `curvefitting_assessor/`; Domhan et al. 2015. Two things are otherwise here.
    The best is that of the trials that completed, where NNI takes the result that any trial
    reported last. And a model that cannot be fitted has its published parameters, where NNI's has
    those of whatever curve was fitted before. The random numbers derive from the curve. Takes about
    20 ms.
    """
    step = len(curve)
    first = max(args["start_step"], 1)
    ends = [other[-1] for other in completed if other and math.isfinite(other[-1])]
    if not ends or step < first or (step - first) % args["gap"]:
        return False
    prediction = _predict(curve, args["epoch_num"])
    return prediction is not None and not prediction > max(ends) * args["threshold"]


def _predict(curve: Sequence[float], position: int) -> float | None:
    """Return the result expected at `position` (from 1), None if too few models agree on one."""
    try:
        import numpy as np
        import scipy.optimize  # noqa: F401 - here, where its absence can be told
    except ModuleNotFoundError as err:
        raise missing(err, algorithm="Curvefitting", extra="tuners") from err
    y = np.asarray(curve, dtype=float)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a curve that no model fits is nothing to warn of
        past, target = _models(y, position)
        if len(past) < _FEWEST_MODELS:
            return None
        weights = _weights(y, past, target, np.random.default_rng(_seed(curve)))
        return float((weights @ target).mean())


def _seed(curve: Sequence[float]) -> int:
    digest = hashlib.sha256(struct.pack(f"<{len(curve)}d", *curve)).digest()
    return int.from_bytes(digest[:8], "little")


def _models(y: Array, position: int) -> tuple[Array, Array]:
    """Return what each model that describes the curve says of it (a row each), and of `position`.

    A model is left out if it fits worse than none, or leads far from where most of them end.
    """
    import numpy as np

    count = len(y)
    x = np.arange(1.0, count + 1)
    fitted = [(model, _fit(model, x, y)) for model in _CURVES]
    past = np.array([model.curve(x, *parameters) for model, parameters in fitted])
    target = np.array(
        [model.curve(np.float64(position), *parameters) for model, parameters in fitted]
    )
    fits = ((past - y) ** 2).sum(axis=1) < y.mean() ** 2 * count
    ends = past[fits, -1]
    margin = count / 10 * np.std(ends)
    near = (target < np.median(ends) + margin) & (target > np.median(ends) - margin)
    return past[fits & near], target[fits & near]


def _fit(model: _Curve, x: Array, y: Array) -> Sequence[float]:
    from scipy.optimize import curve_fit

    try:
        found, _ = curve_fit(model.curve, x, y)
    # No convergence, too few results, NaN among them.
    except (ArithmeticError, RuntimeError, TypeError, ValueError):
        return model.start
    return list(found)


def _weights(y: Array, past: Array, target: Array, rng: Generator) -> Array:
    """Return weights of the models, a row for each Markov chain.

    `_STEPS` of Metropolis sampling, from equal ones.
    """
    import numpy as np

    models = len(past)
    weights = np.full((_CHAINS, models), 1 / models)
    for _ in range(_STEPS):
        moved = rng.standard_normal((_CHAINS, models)) * _STEP_SIZE + weights
        moved /= moved.sum(axis=1, keepdims=True)
        ratio = _posterior(moved, y, past, target) / _posterior(weights, y, past, target)
        taken = rng.random(_CHAINS) < np.minimum(1, ratio)
        weights = np.where(taken[:, None], moved, weights)
    return weights


def _posterior(weights: Array, y: Array, past: Array, target: Array) -> Array:
    """Return what each row of weights is worth.

    Its likelihood, if the weights are positive and the curve rises.
    """
    import numpy as np

    curves = weights @ past
    squares = (y - curves) ** 2
    variance = squares.mean(axis=1, keepdims=True)
    # The root of the variance instead of the variance in the divisor is NNI's; the ratio of two of
    # them decides.
    density = np.exp(squares / (-2 * variance)) / np.sqrt(2 * math.pi * np.sqrt(variance))
    allowed = (weights > 0).all(axis=1) & ~(curves[:, 0] >= weights @ target)
    posterior: Array = density.prod(axis=1) * allowed
    return posterior


@dataclass(frozen=True, slots=True)
class _Curve:
    """A model of learning curves: result by number of the report.

    start: its parameters if it cannot be fitted.
    """

    curve: Callable[..., Any]
    start: tuple[float, ...]


def _exp(x: Any) -> Any:
    import numpy as np

    return np.exp(x)


def _log(x: Any) -> Any:
    import numpy as np

    return np.log(x)


_CURVES = (
    # Vapour pressure.
    _Curve(lambda x, a, b, c: _exp(a + b / x + c * _log(x)), (-0.622028, -0.470050, 0.042322)),
    _Curve(lambda x, c, a, alpha: c - a * x**-alpha, (0.84, 0.52, 0.01)),  # power, 3 parameters
    _Curve(lambda x, a, b: a * x + b, (1.0, 0.0)),  # linear
    _Curve(lambda x, a, b: a * _log(x) + b, (0.378106, 0.046506)),  # linear in log x
    # Hill, zero background.
    _Curve(lambda x, t, e, k: t * x**e / (k**e + x**e), (0.772320, 0.586449, 2.460843)),
    _Curve(lambda x, a, b, c: a / (1 + (x / _exp(b)) ** c), (0.77, 2.98, -0.51)),  # logistic power
    # Power, 4 parameters.
    _Curve(lambda x, alpha, a, b, c: c - (a * x + b) ** -alpha, (0.1, 200, 0.0, 0.8)),
    # Morgan-Mercer-Flodin.
    _Curve(lambda x, a, b, k, d: a - (a - b) / (1 + (k * x) ** d), (0.7, 0.1, 0.01, 5)),
    # Exponential, 4 parameters.
    _Curve(lambda x, c, a, b, alpha: c - _exp(b - a * x**alpha), (0.7, 0.8, -0.8, 0.3)),
    # Inverse logarithm: infinite at 1, so it never fits.
    _Curve(lambda x, c, a: c - a / _log(x), (0.78, 0.43)),
    # Weibull.
    _Curve(lambda x, a, b, k, d: a - (a - b) * _exp(-((k * x) ** d)), (0.7, 0.1, 0.01, 1)),
    # Janoschek.
    _Curve(lambda x, a, b, k, d: a - (a - b) * _exp(-k * x**d), (0.73, 0.07, 0.355, 0.46)),
)
