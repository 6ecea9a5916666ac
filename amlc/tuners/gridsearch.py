"""GridSearch: every discrete value, ever finer quantiles of continuous ones, in NNI's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from amlc.model import Parameters, Record, Space
from amlc.space.canonical import canonical
from amlc.space.grid import grid_points
from amlc.space.points import Axis, axes, deliver


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield the grid, epoch by epoch; a finite space is exhausted, and nothing comes twice.

    Epoch 1 has all discrete values and the median of each continuous one; each later epoch halves
    the quantile intervals (1/4 and 3/4, then the eighths). The last axis varies fastest. `seed` and
    `args` change nothing.
    Source: NNI 3.0, `algorithms/hpo/gridsearch_tuner.py`.
    """
    return islice(islice(filter(allowed, _grid(axes(space))), len(history), None), count)


def _grid(space_axes: tuple[Axis, ...]) -> Iterator[Parameters]:
    seen: set[bytes] = set()
    for point in grid_points(space_axes):
        parameters = deliver(space_axes, point)
        digest = canonical(parameters)
        if digest not in seen:
            seen.add(digest)
            yield parameters
