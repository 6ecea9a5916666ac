"""Find where in the unit cube a function is largest.

Vectors stand for parameters as they are rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from amlc.model import Choice
from amlc.space.points import Axis
from amlc.tuners.shared.unit_cube import rounded

if TYPE_CHECKING:
    from numpy.random import Generator

    from amlc.tuners.shared.unit_cube import Matrix

_NEIGHBOURS: Final = 4
"""How many steps along each axis are looked at before the best one is taken."""

_WIDEST: Final = 0.2
"""The standard deviation of a step, halved whenever no step leads higher; in lengths of the cube's
edge."""


def climb(
    space_axes: Sequence[Axis],
    starts: Matrix,
    height: Callable[[Matrix], Matrix],
    rng: Generator,
    *,
    steps: int,
    exchange: bool = False,
) -> Matrix:
    """Return where climbs from each row of `starts` end, the highest first.

    height: one number for each row. exchange: a step along a choice goes to any option, not only to
    a near one.
    """
    import numpy as np

    here, top = starts, height(starts)
    width = np.full(len(here), _WIDEST)
    rows = np.arange(len(here))
    for _ in range(steps):
        neighbours = _neighbours(space_axes, here, width, rng, exchange=exchange)
        around = rounded(space_axes, neighbours.reshape(-1, here.shape[1]))
        heights = height(around).reshape(len(here), -1)
        around = around.reshape(neighbours.shape)
        best = heights.argmax(axis=1)
        better = heights[rows, best] > top
        here = np.where(better[:, None], around[rows, best], here)
        top = np.where(better, heights[rows, best], top)
        width = np.where(better, width, width / 2)
    return here[np.argsort(-top, kind="stable")]


def wander(
    space_axes: Sequence[Axis],
    starts: Matrix,
    height: Callable[[Matrix], Matrix],
    rng: Generator,
    *,
    steps: Iterable[float],
) -> Matrix:
    """Return where steps at random lead from each row of `starts`, the highest first.

    A step that does not lead higher is not taken. height: one number for each row, which is asked
    once a step: of many axes far fewer points are looked at than in a climb. steps: their standard
    deviations, in lengths of the cube's edge.
    """
    import numpy as np

    here, top = starts, height(starts)
    # A step along an axis of few values leads to the next of them.
    shortest = np.array([0.0 if axis.size is None else 1 / axis.size for axis in space_axes])
    for step in steps:
        # Along many axes at once, or, since few ways lead up near a top, along two of them.
        share = 0.5 if rng.random() < 0.5 else min(2 / len(space_axes), 1.0)
        way = np.maximum(step, shortest) * rng.standard_normal(here.shape)
        way *= rng.random(here.shape) < share
        there = rounded(space_axes, np.clip(here + way, 0, 1))
        better = (heights := height(there)) > top
        here = np.where(better[:, None], there, here)
        top = np.where(better, heights, top)
    return here[np.argsort(-top, kind="stable")]


def _neighbours(
    space_axes: Sequence[Axis], here: Matrix, width: Matrix, rng: Generator, *, exchange: bool
) -> Matrix:
    """Return for each row some vectors that differ from it in one coordinate."""
    import numpy as np

    around = np.repeat(here[:, None, :], len(space_axes) * _NEIGHBOURS, axis=1)
    for index, axis in enumerate(space_axes):
        if exchange and isinstance(axis.dimension, Choice):
            moved = rng.random((len(here), _NEIGHBOURS))
        else:
            steps = width[:, None] * rng.standard_normal((len(here), _NEIGHBOURS))
            moved = here[:, index, None] + steps
            # Reflected by the walls, so that none gather there.
            moved = 1 - np.abs(1 - np.abs(moved) % 2)
        around[:, index * _NEIGHBOURS : (index + 1) * _NEIGHBOURS, index] = moved
    return around
