"""A Gaussian process over the unit cube, for GP and Metis: scikit-learn's, with beliefs about hyper-parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

    from amlc.tuners.cube import Matrix

_ITERATIONS: Final = 40


def standard(values: Matrix) -> Matrix:
    """Return `values` with mean 0 and standard deviation 1; all 0 if they are equal."""
    values = values / max(float(abs(values).max()), 1.0)  # or the squares of enormous ones were infinite
    spread = float(values.std())
    standard: Matrix = (values - values.mean()) / (spread if spread > 0 else 1.0)
    return standard


_FITS: Final[dict[tuple[bytes, bytes, float, float], GaussianProcessRegressor]] = {}
"""The last process: the trials that are proposed until another result comes share it."""


def fitted(seen: Matrix, values: Matrix, nu: float, alpha: float) -> GaussianProcessRegressor:
    """Return the process that goes through standardised `values` at `seen`, with the most probable hyper-parameters.

    Each axis has a length of its own, and the values a noise of their own beside `alpha`.
    """
    key = (seen.tobytes(), values.tobytes(), nu, alpha)
    if key not in _FITS:
        with _quiet():
            process = _fit(seen, values, nu, alpha)
        _FITS.clear()
        _FITS[key] = process
    return _FITS[key]


def _fit(seen: Matrix, values: Matrix, nu: float, alpha: float) -> GaussianProcessRegressor:
    import numpy as np
    from scipy.optimize import minimize
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    width = seen.shape[1]
    lengths = Matern(np.ones(width), (0.02, 50.0), nu=nu)
    kernel = ConstantKernel(1.0, (0.05, 50.0)) * lengths + WhiteKernel(1e-4, (1e-7, 1.0))
    # Without prior beliefs a dozen results often make one length infinite. All are of logarithms: of the amplitude,
    # of the lengths, which grow with the number of axes as distances do, and of the variance of the noise.
    mean = np.array([0.0, *[np.log(0.5 * width**0.5)] * width, np.log(1e-4)])
    spread = np.array([1.5, *[1.0] * width, 2.0])

    def optimizer(likelihood: Callable[..., Any], _: Matrix, bounds: Matrix) -> tuple[Matrix, float]:
        def loss(theta: Matrix) -> tuple[float, Matrix]:
            value, gradient = likelihood(theta)
            off = (theta - mean) / spread
            return float(value + off @ off / 2), gradient + off / spread

        fit = minimize(
            loss, mean, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": _ITERATIONS, "ftol": 1e-6}
        )
        return fit.x, float(fit.fun)

    return GaussianProcessRegressor(kernel, alpha=alpha, optimizer=optimizer).fit(seen, values)


def extended(process: GaussianProcessRegressor, vectors: Matrix, values: Matrix) -> GaussianProcessRegressor:
    """Return the process with the same hyper-parameters that goes through more values."""
    import numpy as np
    from sklearn.gaussian_process import GaussianProcessRegressor

    seen = np.vstack([process.X_train_, vectors])
    values = np.concatenate([process.y_train_, values])
    with _quiet():
        return GaussianProcessRegressor(process.kernel_, alpha=process.alpha, optimizer=None).fit(seen, values)


def believing(process: GaussianProcessRegressor, running: Matrix) -> GaussianProcessRegressor:
    """Return the process that knows more about where trials run, but expects what it expected."""
    return extended(process, running, process.predict(running)) if len(running) else process


def expected(process: GaussianProcessRegressor, vectors: Matrix) -> tuple[Matrix, Matrix]:
    """Return what the process expects at each row, and the standard deviation of that, without a result's noise."""
    import numpy as np

    with _quiet():
        mean, deviation = process.predict(vectors, return_std=True)
    return mean, np.sqrt(np.maximum(deviation**2 - process.kernel_.k2.noise_level, 1e-12))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep scikit-learn from warning of lengths at their bounds, searches cut short, and variances below 0."""
    import numpy as np

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
