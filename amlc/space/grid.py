"""Grid points.

Every discrete value, and ever finer quantiles of the continuous ones, in the order of NNI's
GridSearch. Source: NNI 3.0, `algorithms/hpo/gridsearch_tuner.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from amlc.model import Real
from amlc.space.points import Axis, Point, coordinates, value_at

if TYPE_CHECKING:
    from statistics import NormalDist


def grid_points(space_axes: Sequence[Axis]) -> Iterator[Point]:
    """Yield grid points in NNI's order.

    Equal parameter sets may recur where rounding merges quantiles.
    """
    columns = [_Column.first(axis) for axis in space_axes]
    while True:
        yield from _epoch(space_axes, columns)
        finer = [column.finer() for column in columns]
        if not any(changed for _, changed in finer):
            return
        columns = [column for column, _ in finer]


def _epoch(space_axes: Sequence[Axis], columns: Sequence[_Column]) -> Iterator[Point]:
    """Yield the points of one epoch that no earlier epoch had.

    A point is old when all its coordinates are; an inactive axis stands at its first coordinate,
    which is old from the second epoch on.
    """
    chosen: list[int] = []  # the position in the column of each axis, 0 for inactive ones
    point: dict[tuple[str | int, ...], int | float] = {}
    while True:
        for axis, column in zip(space_axes[len(chosen) :], columns[len(chosen) :], strict=True):
            if axis.active(point):
                point[axis.key] = column.coordinates[0]
            chosen.append(0)
        if not all(
            position < column.known for position, column in zip(chosen, columns, strict=True)
        ):
            yield dict(point)
        while chosen:
            position = chosen.pop() + 1
            axis, column = space_axes[len(chosen)], columns[len(chosen)]
            if axis.key in point and position < len(column.coordinates):
                point[axis.key] = column.coordinates[position]
                chosen.append(position)
                break
            point.pop(axis.key, None)
        else:
            return


class _Column:
    """The coordinates of one axis in one epoch; the first `known` are from earlier epochs."""

    def __init__(
        self,
        at: Callable[[float], float],
        value: Callable[[float], float],
        coordinates: Sequence[float],
        known: int,
        intervals: list[tuple[float, float]],
    ) -> None:
        self.at = at
        self.value = value
        self.coordinates = coordinates
        self.known = known
        self.intervals = intervals

    @classmethod
    def first(cls, axis: Axis) -> _Column:
        if axis.size is not None:
            return cls(float, float, range(axis.size), 0, [])
        dimension = axis.dimension
        assert isinstance(dimension, Real)  # an axis without a size is one of the real types

        def at(p: float) -> float:
            return _quantile(dimension, p)

        def value(p: float) -> float:
            x = at(p)
            return x if math.isinf(x) else float(value_at(dimension, x))

        halves = [(low, high) for low, high in ((0.0, 0.5), (0.5, 1.0)) if value(low) < value(high)]
        return cls(at, value, [at(0.5)], 0, halves)

    def finer(self) -> tuple[_Column, bool]:
        """Return the next epoch's column, and whether it can still differ from this one.

        The middle of an interval is new if its value differs from both ends; 0 and 1 are never on
        the grid themselves (they are infinite for the normal types), so that they do not have to
        differ.
        """
        added: list[float] = []
        intervals: list[tuple[float, float]] = []
        changed = False
        for low, high in self.intervals:
            middle = (low + high) / 2
            above_low = self.value(low) < self.value(middle)
            below_high = self.value(middle) < self.value(high)
            new = (above_low or low == 0.0) and (below_high or high == 1.0)
            if new and math.isfinite(self.at(middle)):
                added.append(self.at(middle))
                changed = True
            if not low < middle < high:  # as fine as numbers get; NNI 3.0 goes on for ever here
                continue
            if above_low:
                intervals.append((low, middle))
                changed = changed or low == 0.0
            if below_high:
                intervals.append((middle, high))
                changed = changed or high == 1.0
        known = len(self.coordinates)
        coordinates = [*self.coordinates, *added] if added else self.coordinates
        return _Column(self.at, self.value, coordinates, known, intervals), changed


@cache
def _standard() -> NormalDist:
    # Here, because it takes long to import, and few spaces need it.
    from statistics import NormalDist

    return NormalDist()


def _quantile(dimension: Real, p: float) -> float:
    a, b = coordinates(dimension)
    if not dimension.normal:
        return a + (b - a) * p
    if p in (0.0, 1.0):
        return math.inf if p else -math.inf
    return a + b * _standard().inv_cdf(p)
