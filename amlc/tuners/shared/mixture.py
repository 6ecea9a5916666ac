"""A mixture of Gaussians, fitted to a few dozen rows.

scikit-learn's spends four fifths of the time on formalities.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from numpy.random import Generator

    from amlc.tuners.shared.unit_cube import Matrix

# scikit-learn's own constants: how often it steps at most, and with how little a gain it stops.
_STEPS: Final = 100
_ENOUGH: Final = 1e-3

_TINY: Final = 1e-15
"""What a component without rows weighs."""

_GRID: Final = 2.0**20


@dataclass(frozen=True, slots=True)
class Mixture:
    """k Gaussians. weights: (k,), their sum is 1. means: (k, d). covariances: (k, d, d)."""

    weights: Matrix
    means: Matrix
    covariances: Matrix

    def log_density(self, rows: Matrix) -> Matrix:
        """Return the logarithm of the density at each row, (n, d)."""
        total: Matrix = _total(self.log_densities(rows))
        return total

    def sample(self, count: int, rng: Generator) -> Matrix:
        """Return `count` draws, (count, d), as multiples of 2^-20.

        Further digits are those of the processor.
        """
        import numpy as np

        of = np.repeat(np.arange(len(self.weights)), rng.multinomial(count, self.weights))
        normal = rng.standard_normal((count, self.means.shape[1]))
        scales = np.linalg.cholesky(self.covariances)[of]
        drawn = self.means[of] + np.einsum("nij,nj->ni", scales, normal)
        on_grid: Matrix = np.round(drawn * _GRID) / _GRID
        return on_grid

    def log_densities(self, rows: Matrix) -> Matrix:
        """Return the logarithm of what each component contributes at each row, (k, n)."""
        import numpy as np

        roots = np.linalg.cholesky(self.covariances)
        steps = (rows - self.means[:, None]) @ np.linalg.inv(roots).transpose(0, 2, 1)
        volumes = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        heights = np.log(self.weights) - volumes - rows.shape[1] / 2 * math.log(2 * math.pi)
        densities: Matrix = heights[:, None] - np.einsum("knd,knd->kn", steps, steps) / 2
        return densities


def fitted(rows: Matrix, components: int, *, ridge: float, seed: int) -> Mixture:
    """Return the mixture that expectation maximisation finds from k-means on.

    So does scikit-learn's `GaussianMixture`.
    rows: (n, d), at least as many as components. ridge: what is added to the variances.
    """
    import numpy as np
    from numpy.random import RandomState
    from sklearn.cluster import KMeans

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of equal rows there are fewer clusters than wanted
        clusters = KMeans(components, n_init=1, random_state=RandomState(seed)).fit(rows).labels_
    mixture = _maximised(rows, np.eye(components)[clusters].T, ridge)
    reached = -math.inf
    for _ in range(_STEPS):
        densities = mixture.log_densities(rows)
        total = _total(densities)
        mixture = _maximised(rows, np.exp(densities - total), ridge)
        before, reached = reached, float(total.mean())
        if abs(reached - before) < _ENOUGH:
            break
    return mixture


def _maximised(rows: Matrix, shares: Matrix, ridge: float) -> Mixture:
    """Return the likeliest mixture if component k holds the part shares[k, n] of row n."""
    import numpy as np

    held = shares.sum(axis=1) + _TINY
    means = shares @ rows / held[:, None]
    apart = rows - means[:, None]
    covariances = (shares[:, :, None] * apart).transpose(0, 2, 1) @ apart / held[:, None, None]
    covariances += ridge * np.eye(rows.shape[1])
    return Mixture(held / held.sum(), means, covariances)


def _total(logarithms: Matrix) -> Matrix:
    """Return the logarithm of the sum over the first axis of what they are logarithms of."""
    import numpy as np

    top = logarithms.max(axis=0)
    total: Matrix = top + np.log(np.exp(logarithms - top).sum(axis=0))
    return total
