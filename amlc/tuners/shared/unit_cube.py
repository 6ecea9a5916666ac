"""Points of a flat space as vectors in the unit cube.

Uniform means there: as the axis itself is distributed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, TypeAlias

from amlc.model import Choice, Real
from amlc.space.points import Axis, Point, coordinate_of, coordinates, value_at
from amlc.tuners.shared.memory import remembered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[Any]
    """Vectors of the unit cube as rows, or one number for each."""

_STANDARD = NormalDist()
_EDGE = 1e-12
"""How near to 0 and 1, which are infinite for the normal types, a quantile may come: 7 sigma."""


def to_unit(space_axes: Sequence[Axis], point: Point) -> list[float]:
    """Return the quantile of each coordinate of `point`, in the order of the axes.

    All of them must be active. The i-th of n discrete values is the middle of its interval,
    (i + 1/2)/n. A choice of numbers is in their order, any other one in the order in which it is
    written.
    """
    return [_quantile(axis, point[axis.key]) for axis in space_axes]


def matrix(space_axes: Sequence[Axis], points: Iterable[Point]) -> NDArray[Any]:
    """Return `to_unit` of each point as a row, or no rows; points that come again cost little."""
    import numpy as np

    return np.array([*map(_vectors(space_axes), points)]).reshape(-1, len(space_axes))


def _of_axes(space_axes: Sequence[Axis]) -> Callable[[Point], list[float]]:
    return remembered(partial(to_unit, space_axes))


_vectors: Callable[[Sequence[Axis]], Callable[[Point], list[float]]] = remembered(_of_axes, most=4)


def from_unit(space_axes: Sequence[Axis], vector: Sequence[float]) -> Point:
    """Return the point at `vector`, the inverse of `to_unit`; entries are clipped to 0 and 1."""
    return {
        axis.key: _coordinate(axis, min(max(float(u), 0.0), 1.0))
        for axis, u in zip(space_axes, vector, strict=True)
    }


def rounded(space_axes: Sequence[Axis], vectors: NDArray[Any]) -> NDArray[Any]:
    """Return the vectors, one a row, of what trials at `vectors` receive.

    Of discrete and rounded values there are fewer.
    """
    import numpy as np

    return np.column_stack(
        [_rounded(axis, column) for axis, column in zip(space_axes, vectors.T, strict=True)]
    )


def _rounded(axis: Axis, column: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    if axis.size is not None:
        index = np.minimum(np.floor(column * axis.size), axis.size - 1)
        middles: NDArray[Any] = (index + 0.5) / axis.size
        return middles
    dimension = axis.dimension
    assert isinstance(dimension, Real)  # an axis without a size is one of the real types
    if dimension.q is None:
        return column
    if dimension.normal:
        return np.array([_quantile(axis, _exact(dimension, _coordinate(axis, u))) for u in column])
    a, b = coordinates(dimension)
    values = a + (b - a) * column
    values = np.round((np.exp(values) if dimension.log else values) / dimension.q) * dimension.q
    values = np.clip(values, dimension.a, dimension.b)
    return np.clip(((np.log(values) if dimension.log else values) - a) / (b - a), 0, 1)


def _exact(dimension: Real, x: float) -> float:
    """Return the draw that rounding leaves as it is; x where that is no value, as 0 of a log."""
    exact = coordinate_of(dimension, value_at(dimension, x))
    return x if exact is None else exact


def _quantile(axis: Axis, x: float) -> float:
    if axis.size is not None:
        return (_rank(axis, int(x)) + 0.5) / axis.size
    dimension = axis.dimension
    assert isinstance(dimension, Real)  # an axis without a size is one of the real types
    a, b = coordinates(dimension)
    return _STANDARD.cdf((x - a) / b) if dimension.normal else (x - a) / (b - a)


def _coordinate(axis: Axis, u: float) -> int | float:
    if axis.size is not None:
        return _index(axis, min(int(u * axis.size), axis.size - 1))
    dimension = axis.dimension
    assert isinstance(dimension, Real)
    a, b = coordinates(dimension)
    if dimension.normal:
        return a + b * _STANDARD.inv_cdf(min(max(u, _EDGE), 1 - _EDGE))
    return a + (b - a) * u


def _rank(axis: Axis, index: int) -> int:
    order = _order(axis)
    return index if order is None else order.index(index)


def _index(axis: Axis, rank: int) -> int:
    order = _order(axis)
    return rank if order is None else order[rank]


def _order(axis: Axis) -> list[int] | None:
    """Return the indices of a choice of numbers in their order; None if they stand in it."""
    dimension = axis.dimension
    if not isinstance(dimension, Choice):
        return None
    if not all(isinstance(option, (int, float)) for option in dimension.options):
        return None
    return sorted(range(len(dimension.options)), key=dimension.options.__getitem__)
