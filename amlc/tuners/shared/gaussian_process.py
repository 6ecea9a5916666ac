"""A Gaussian process over the unit cube, for GP and Metis, with beliefs about its hyper-parameters.

scikit-learn's takes 5 times as long, most of it for the gradients and for copies of kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from amlc.tuners.shared.unit_cube import Matrix

_ITERATIONS: Final = 40

_SMOOTH: Final = 20.0
"""The smoothness from which on the Matern kernel is as good as Gaussian, and its formula
overflows."""

_MOST_LEARNED: Final = 100
"""How many values the hyper-parameters are learned from: 8 numbers do not need more, and time grows
with the cube."""

_GRAIN: Final = 64
"""Logarithms of hyper-parameters are multiples of 1/64: so the last digits of linear algebra, which
are not those of another processor, do not reach them."""

_BITS: Final = 2.0**24

_BLOCK: Final = 128
"""How many rows are looked at together: what that takes stays in the processor's cache."""

_CLOSED: Final = (0.5, 1.5, 2.5)
"""The smoothnesses with which Matern's kernel is an exponential times a polynomial."""

_NEAR: Final = 1e-12
"""A distance that stands for 0 where formulas divide by it."""


def standard(values: Matrix) -> Matrix:
    """Return `values` with mean 0 and standard deviation 1; all 0 if they are equal."""
    # Or the squares of enormous ones were infinite.
    values = values / max(float(abs(values).max()), 1.0)
    spread = float(values.std())
    standard: Matrix = (values - values.mean()) / (spread if spread > 0 else 1.0)
    return standard


def even(values: Matrix) -> Matrix:
    """Return `standard` values, the large ones nearer if they were far from the others.

    Beside results that are ten times as bad all good ones are nearly the same. The power of the
    transformation is the one that makes the values most like a normal distribution; with 1, the
    largest, they are as they were.
    Source: Yeo and Johnson 2000; Cowen-Rivers et al. 2022, "HEBO: pushing the limits of
    sample-efficient hyperparameter optimisation".
    """
    import numpy as np

    values = standard(values)
    if values.std() == 0:  # of equal ones, and of those that differ by less than a square can hold
        return values
    powers = np.arange(-16, 9)[:, None] / 8
    logarithms = np.log1p(abs(values))
    bent = np.where(values < 0, -_power(logarithms, 2 - powers), _power(logarithms, powers))
    stretch = (powers[:, 0] - 1) * (np.sign(values) * logarithms).mean()
    likelihood = steady(stretch - np.log(bent.std(axis=1)))
    return standard(bent[likelihood.argmax()])


def _power(logarithms: Matrix, powers: Matrix) -> Matrix:
    """Return (exp(logarithm * power) - 1) / power, and for a power of 0 its limit."""
    import numpy as np

    some = np.where(powers == 0, 1, powers)
    raised: Matrix = np.where(powers == 0, logarithms, np.expm1(logarithms * powers) / some)
    return raised


def steady(heights: Matrix) -> Matrix:
    """Return the numbers with 24 bits each; smaller differences are the processor's, by chance."""
    import numpy as np

    mantissa, exponent = np.frexp(heights)
    shortened: Matrix = np.ldexp(np.round(mantissa * _BITS) / _BITS, exponent)
    return shortened


@dataclass(frozen=True, slots=True)
class Process:
    """A process that goes through n `values` at `seen`, (n, d).

    amplitude: its variance far from them. lengths: (d,), how far along each axis one value tells of
    others. noise: the variance of a result, beside `alpha`. nu: the smoothness, of Matern's kernel.
    root: the lower Cholesky factor of the covariance of the values; weights: its inverse times the
    values.
    """

    seen: Matrix
    values: Matrix
    amplitude: float
    lengths: Matrix
    noise: float
    nu: float
    alpha: float
    root: Matrix
    weights: Matrix

    @classmethod
    def through(
        cls,
        seen: Matrix,
        values: Matrix,
        *,
        amplitude: float,
        lengths: Matrix,
        noise: float,
        nu: float,
        alpha: float,
    ) -> Process:
        """Return the process of these hyper-parameters."""
        import numpy as np
        from scipy.linalg import cho_solve, cholesky

        covariance = amplitude * _matern(_distances(seen, seen, lengths), nu)
        covariance[np.diag_indices(len(seen))] = amplitude + noise + alpha
        root = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        weights = cho_solve((root, True), values, check_finite=False)
        return cls(seen, values, amplitude, lengths, noise, nu, alpha, root, weights)

    def mean(self, vectors: Matrix) -> Matrix:
        """Return what is expected at each row of `vectors`."""
        import numpy as np

        mean: Matrix = np.concatenate(
            [covariance @ self.weights for covariance in self._covariances(vectors)]
        )
        return mean

    def expected(self, vectors: Matrix) -> tuple[Matrix, Matrix]:
        """Return the mean at each row, and its standard deviation, without a result's noise."""
        import numpy as np

        # What `solve_triangular` calls, which costs more than small systems.
        from scipy.linalg.lapack import dtrtrs

        mean, variance = [], []
        for covariance in self._covariances(vectors):
            mean.append(covariance @ self.weights)
            known, _ = dtrtrs(self.root, covariance.T, lower=1, overwrite_b=1)
            variance.append(self.amplitude - np.einsum("ij,ij->j", known, known))
        return np.concatenate(mean), np.sqrt(np.maximum(np.concatenate(variance), 1e-12))

    def extended(self, vectors: Matrix, values: Matrix) -> Process:
        """Return the process with the same hyper-parameters that goes through more values."""
        import numpy as np

        return Process.through(
            np.vstack([self.seen, vectors]),
            np.concatenate([self.values, values]),
            amplitude=self.amplitude,
            lengths=self.lengths,
            noise=self.noise,
            nu=self.nu,
            alpha=self.alpha,
        )

    def believing(self, running: Matrix) -> Process:
        """Return the process that knows where trials run, but expects what it expected."""
        return self.extended(running, self.mean(running)) if len(running) else self

    def surprise(self) -> Matrix:
        """Return how many standard deviations each value is from what the others let expect.

        Source: Rasmussen and Williams 2006, eq. 5.12.
        """
        import numpy as np
        from scipy.linalg import cho_solve

        inverse = cho_solve((self.root, True), np.eye(len(self.seen)), check_finite=False)
        distance: Matrix = np.abs(self.weights) / np.sqrt(np.diag(inverse))
        return distance

    def _covariances(self, vectors: Matrix) -> Iterator[Matrix]:
        """Yield the covariances of rows with what was seen, (m, n), block by block."""
        for start in range(0, len(vectors), _BLOCK):
            covariance = _matern(
                _distances(vectors[start : start + _BLOCK], self.seen, self.lengths), self.nu
            )
            covariance *= self.amplitude
            yield covariance


@dataclass(frozen=True, slots=True)
class _Beliefs:
    """Hyper-parameters, as a `Process` has them."""

    amplitude: float
    lengths: Matrix
    noise: float


_LAST: Final[dict[tuple[bytes, bytes, float, float], _Beliefs]] = {}
"""The last ones that were learned: the trials that are proposed until there is more to learn from
share them."""


def fitted(
    seen: Matrix,
    values: Matrix,
    nu: float,
    alpha: float,
    *,
    learned: tuple[Matrix, Matrix] | None = None,
) -> Process:
    """Return the process that goes through standardised `values` at `seen`.

    Its hyper-parameters are the most probable ones. Each axis has a length of its own, and the
    values a noise of their own beside `alpha`. Of more than 100 values, as many, evenly among all,
    decide about the hyper-parameters. learned: earlier ones, and where, that decide about them.
    """
    basis, outcomes = (seen, values) if learned is None else learned
    key = (basis.tobytes(), outcomes.tobytes(), nu, alpha)
    if key not in _LAST:
        beliefs = _beliefs(basis, outcomes, nu, alpha)
        _LAST.clear()
        _LAST[key] = beliefs
    known = _LAST[key]
    return Process.through(
        seen,
        values,
        amplitude=known.amplitude,
        lengths=known.lengths,
        noise=known.noise,
        nu=nu,
        alpha=alpha,
    )


def _beliefs(seen: Matrix, values: Matrix, nu: float, alpha: float) -> _Beliefs:
    import numpy as np
    from scipy.optimize import minimize

    width = seen.shape[1]
    bounds = np.log([(0.05, 50.0), *[(0.02, 50.0)] * width, (1e-7, 1.0)])
    # Without prior beliefs a dozen results often make one length infinite. All are of logarithms:
    # of the amplitude, of the lengths, which grow with the number of axes as distances do, and of
    # the variance of the noise.
    mean = np.array([0.0, *[np.log(0.5 * width**0.5)] * width, np.log(1e-4)])
    spread = np.array([1.5, *[1.0] * width, 2.0])
    # All, if they are fewer.
    learned = np.unique(np.linspace(0, len(seen) - 1, _MOST_LEARNED).round().astype(int))
    improbability = _improbability(seen[learned], values[learned], nu, alpha)

    def loss(theta: Matrix) -> tuple[float, Matrix]:
        value, gradient = improbability(theta)
        off = (theta - mean) / spread
        return float(value + off @ off / 2), gradient + off / spread

    with np.errstate(all="ignore"):
        fit = minimize(
            loss,
            mean,
            jac=True,
            bounds=bounds,
            method="L-BFGS-B",
            options={"maxiter": _ITERATIONS, "ftol": 1e-6},
        )
    amplitude, *lengths, noise = np.exp(np.round(fit.x * _GRAIN) / _GRAIN)
    return _Beliefs(float(amplitude), np.array(lengths), float(noise))


def _improbability(
    seen: Matrix, values: Matrix, nu: float, alpha: float
) -> Callable[[Matrix], tuple[float, Matrix]]:
    """Return a function of hyper-parameters: how unlikely they make the values.

    It takes the logarithms of amplitude, lengths and noise. It returns the negative logarithm of
    the likelihood, and its gradient. Source: Rasmussen and Williams 2006, eq. 5.9.
    """
    import numpy as np
    from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

    count = len(seen)
    later, earlier = np.tril_indices(count, -1)
    squares = np.ascontiguousarray(((seen[later] - seen[earlier]) ** 2).T)
    # In a matrix whose columns come first.
    pairs, diagonal = earlier * count + later, np.arange(count) * (count + 1)

    def improbability(theta: Matrix) -> tuple[float, Matrix]:
        amplitude, noise, scales = math.exp(theta[0]), math.exp(theta[-1]), np.exp(-2 * theta[1:-1])
        distances = np.sqrt(scales @ squares)
        kernel, slope = _matern(distances, nu), _slope(distances, nu)
        covariance = np.zeros(count * count)
        covariance[pairs] = amplitude * kernel
        covariance[diagonal] = amplitude + noise + alpha
        root, failed = dpotrf(covariance.reshape(count, count).T, lower=1, overwrite_a=1)
        if failed:
            return math.inf, np.zeros_like(theta)
        weights, _ = dpotrs(root, values, lower=1)
        value = (
            values @ weights / 2
            + np.log(np.diagonal(root)).sum()
            + count / 2 * math.log(2 * math.pi)
        )
        inverse, _ = dpotri(root, lower=1, overwrite_c=1)
        own = (np.diagonal(inverse) - weights * weights).sum() / 2
        of_pairs = amplitude * (inverse.T.reshape(-1)[pairs] - weights[later] * weights[earlier])
        of_lengths = scales * (squares @ (of_pairs * slope))
        slopes = [amplitude * own + of_pairs @ kernel, *of_lengths, noise * own]
        return float(value), np.array(slopes)

    return improbability


def _distances(these: Matrix, those: Matrix, lengths: Matrix) -> Matrix:
    from scipy.spatial.distance import cdist

    distances: Matrix = cdist(these / lengths, those / lengths)
    return distances


def _matern(distances: Matrix, nu: float) -> Matrix:
    """Return Matern's kernel k(r) at distances r >= 0.

    Source: Rasmussen and Williams 2006, eq. 4.14 to 4.17.
    """
    import numpy as np

    if nu >= _SMOOTH:
        gaussian: Matrix = np.exp(distances * distances / -2)
        return gaussian
    z = math.sqrt(2 * nu) * distances
    if nu in _CLOSED:
        kernel: Matrix = np.exp(-z)
        match nu:  # in place, since memory is what it waits for
            case 1.5:
                z += 1
                kernel *= z
            case 2.5:
                factor = z / 3
                factor += 1
                factor *= z
                factor += 1
                kernel *= factor
        return kernel
    from scipy.special import gamma, kv

    z = np.maximum(z, _NEAR)
    general: Matrix = 2 ** (1 - nu) / gamma(nu) * z**nu * kv(nu, z)
    return general


def _slope(distances: Matrix, nu: float) -> Matrix:
    """Return -k'(r)/r of Matern's kernel k at distances r >= 0."""
    import numpy as np

    if nu >= _SMOOTH:
        return _matern(distances, nu)
    z = np.maximum(math.sqrt(2 * nu) * distances, _NEAR)
    tail = np.exp(-z)
    closed: Matrix
    match nu:
        case 0.5:
            closed = tail / z
            return closed
        case 1.5:
            closed = 3 * tail
            return closed
        case 2.5:
            closed = 5 / 3 * (1 + z) * tail
            return closed
    from scipy.special import gamma, kv

    general: Matrix = 2 ** (2 - nu) * nu / gamma(nu) * z ** (nu - 1) * kv(nu - 1, z)
    return general
