"""Kernel densities over continuous and categorical coordinates, and what they say is promising."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

_CROSSING: Final = 0.2
"""How often a coordinate of a draw comes from another point than that around which it is drawn."""
_NARROW: Final = 0.4
"""How often a coordinate is drawn from a kernel as wide as it is: in many dimensions, a draw that
goes far in every coordinate is near nothing."""
_PRIOR: Final = 0.3
"""How many points the uniform density counts for: it keeps the ratio of two densities finite where
no point is."""
_STANDARD: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Kernels:
    """A product kernel at each of n points with d coordinates.

    points: (n, d), in 0..1, or for a categorical coordinate the index of the option. options: (d,),
    how many options a coordinate has, 0 if it is continuous. widths: (d,), the standard deviation
    of the Gaussian, which is cut off at 0 and 1, or the probability of another option (Aitchison
    and Aitken 1976). weights: (n,), their sum is 1.
    """

    points: NDArray[Any]
    options: NDArray[Any]
    widths: NDArray[Any]
    weights: NDArray[Any]

    def log_density(self, at: NDArray[Any]) -> NDArray[Any]:
        """Return the log density at each row of `at`, a little of the uniform density mixed in."""
        import numpy as np

        total = np.zeros((len(at), len(self.points)))
        for axis, (count, width) in enumerate(zip(self.options, self.widths, strict=True)):
            x, centres = at[:, axis, None], self.points[None, :, axis]
            if count:
                density = np.where(x == centres, 1 - width, width / max(count - 1, 1))
                total += np.log(density * count)  # uniform is 1
            else:
                inside = _cdf((1 - centres) / width) - _cdf(-centres / width)
                area = width * inside * math.sqrt(2 * math.pi)
                total -= 0.5 * ((x - centres) / width) ** 2 + np.log(area)
        share = _PRIOR / (len(self.points) + _PRIOR)
        top = total.max(axis=1, keepdims=True)
        kernels = top[:, 0] + np.log(np.exp(total - top) @ self.weights)
        return np.asarray(np.logaddexp(math.log(1 - share) + kernels, math.log(share)))

    def sample(self, count: int, rng: Generator, *, factor: float) -> NDArray[Any]:
        """Return `count` draws, (count, d), of kernels `factor` times as wide in most coordinates.

        Coordinates are exchanged between the points, so that what is good of each can meet in one
        draw.
        """
        import numpy as np

        drawn = self.points[rng.choice(len(self.points), size=count, p=self.weights)].astype(float)
        mated = rng.choice(len(self.points), size=drawn.shape, p=self.weights)
        mates = self.points[mated, np.arange(drawn.shape[1])]
        drawn = np.where(rng.random(drawn.shape) < _CROSSING, mates, drawn)
        for axis, (options, width) in enumerate(zip(self.options, self.widths, strict=True)):
            centres, u = drawn[:, axis], rng.random(count)
            wide = np.where(rng.random(count) < _NARROW, 1.0, factor) * width
            if options:
                other = rng.integers(options, size=count)
                change = wide * options / max(options - 1, 1)  # a change may draw the same option
                drawn[:, axis] = np.where(u < change, other, centres)
            else:
                low, high = _cdf(-centres / wide), _cdf((1 - centres) / wide)
                drawn[:, axis] = np.clip(
                    centres + wide * _quantile(low + u * (high - low)), 0.0, 1.0
                )
        return drawn


def kernels(
    points: NDArray[Any],
    options: Sequence[int],
    *,
    width: float,
    weights: NDArray[Any] | None = None,
) -> Kernels:
    """Return kernels at `points`, (n, d).

    width: the standard deviation in all continuous coordinates.
    In a categorical one with c options, a point counts as n / (n + c) for its own one, and the rest
    is for all alike.
    """
    import numpy as np

    counts = np.asarray(options)
    share = np.full(len(points), 1 / len(points)) if weights is None else weights / weights.sum()
    categorical = np.maximum(counts - 1, 0) / (counts + len(points))
    return Kernels(points, counts, np.where(counts > 0, categorical, width), share)


def _cdf(x: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.asarray(np.frompyfunc(_STANDARD.cdf, 1, 1)(x), dtype=float)


def _quantile(p: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    quantiles = np.frompyfunc(_STANDARD.inv_cdf, 1, 1)(np.clip(p, 1e-12, 1 - 1e-12))
    return np.asarray(quantiles, dtype=float)
