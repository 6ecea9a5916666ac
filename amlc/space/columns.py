"""The columns that a space's parameters have in a table: their names, joined with dots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from amlc.model import Choice, Space
from amlc.space.points import Axis, Key, axes, flattened


def shared(space: Space) -> Iterator[tuple[Axis, Axis, str]]:
    """Yield each two parameters with a column in common that one trial may have, and that column.

    Each parameter once as the second: `n.k`, and the `k` in a branch of `n`.
    """
    owners: dict[str, dict[tuple[str, ...], list[Axis]]] = {}
    space_axes = axes(space)
    if not any("." in name for axis in space_axes for name in _names(axis.key)):
        return
    for axis in space_axes:
        names = _names(axis.key)
        for column in _columns(axis):
            by_names = owners.setdefault(column, {})
            # Those of the same names lie in different branches, and there may be many.
            others = (one for own, found in by_names.items() if own != names for one in found)
            first = next((one for one in others if _together(one.key, axis.key)), None)
            by_names.setdefault(names, []).append(axis)
            if first is not None:
                yield first, axis, column
                break


def _columns(axis: Axis) -> Iterable[str]:
    name, dimension = ".".join(_names(axis.key)), axis.dimension
    if not isinstance(dimension, Choice):
        return (name,)
    if dimension.branches:
        return (f"{name}._name",)
    return dict.fromkeys(key for option in dimension.options for key in flattened({name: option}))


def _names(key: Key) -> tuple[str, ...]:
    return tuple(name for name in key if isinstance(name, str))


def _together(one: Key, other: Key) -> bool:
    """Tell whether a trial may have both: they lie in no two branches of one choice."""
    apart = next((pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]), ())
    return not (apart and all(isinstance(part, int) for part in apart))
