"""What was computed of a parameter set is kept.

Each proposal reads the whole history again, one record longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Final, TypeVar

from amlc.model import Parameters, Space
from amlc.space import points
from amlc.space.canonical import canonical
from amlc.space.points import Axis, Point

_MOST: Final = 100_000

T = TypeVar("T")
S = TypeVar("S")


def remembered(function: Callable[[S], T], *, most: int = _MOST) -> Callable[[S], T]:
    """Return the function that computes its value once for each object, which must not change.

    Objects are told apart by identity, which costs nothing, and are kept alive so that no other one
    takes it over; the last `most` of them at least.
    """
    older: dict[int, tuple[S, T]] = {}
    known: dict[int, tuple[S, T]] = {}

    @wraps(function)
    def recall(argument: S) -> T:
        nonlocal older, known
        entry = known.get(id(argument))
        if entry is None:
            entry = older.get(id(argument)) or (argument, function(argument))
            if len(known) >= most:
                older, known = known, {}
            known[id(argument)] = entry
        return entry[1]

    return recall


axes: Final[Callable[[Space], tuple[Axis, ...]]] = remembered(points.axes, most=16)
"""`points.axes`; the same tuple for the same space, by which `locator` knows it again."""

digest: Final[Callable[[Parameters], bytes]] = remembered(canonical)
"""`canonical` of the parameters of a record."""


def _locator(space_axes: Sequence[Axis]) -> Callable[[Parameters], Point | None]:
    return remembered(partial(points.locate, space_axes))


locator: Final = remembered(_locator, most=4)
"""What returns the point of a record's parameters in these axes; None if there is none."""
