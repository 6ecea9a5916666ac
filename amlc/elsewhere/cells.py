"""The cells of a row: which parameters they are, whether texts of a table or values of JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from amlc.checkpoints import LOAD, SAVE
from amlc.elsewhere.nni import unpacked
from amlc.errors import printable, shorten
from amlc.model import Choice, Integer, Parameters, Rows
from amlc.numbers import number
from amlc.report.tables import cell, finite
from amlc.space.canonical import canonical_json
from amlc.space.points import Axis, Key, flattened, is_same_number
from amlc.tuners.shared.brackets import ADDED, BUDGET

Cells: TypeAlias = "Mapping[str, Any]"
"""What a row has by column."""

# What amlc's JSON has for numbers that JSON has not.
_NO_JSON: Final = {finite(one): one for one in (math.nan, math.inf, -math.inf)}
_WHOLE: Final = re.compile(r"[+-]?\d{1,4000}", re.ASCII)  # more digits Python does not read
_NUMBER: Final = re.compile(
    r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE
)


class MisfitError(ValueError):
    """A row is no point of the space; the text says why."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How cells are read.

    empty: the cell that says nothing. alike: tell whether a cell is a value; the first with which
    some option fits counts. number: the number that a cell is, None if it is none. reported: the
    result that a cell is. shown: the cell in a message.
    """

    empty: str | None
    alike: tuple[Callable[[Any, Any], bool], ...]
    number: Callable[[Any], int | float | None]
    reported: Callable[[Any], Any]
    shown: Callable[[Any], str]


def number_in(text: str) -> int | float | None:
    """Return the decimal number that a text is; of a digit group or another script's, it is none.

    What reads more would take text for a number.
    """
    text = text.strip()
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else None


def spellings(value: Any) -> tuple[str, ...]:
    """Return how tables write a value: as amlc does, as Python does, and as JavaScript does."""
    texts = [cell(value), str(value), json.dumps(value)]
    if isinstance(value, float) and value.is_integer():
        texts.append(str(int(value)))
    return tuple(texts)


def _reported(text: str) -> Any:
    found = unpacked(text)
    as_number = number_in(found) if isinstance(found, str) else None
    return found if as_number is None else as_number


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


TEXTS: Final = Reading(
    empty="",
    alike=(
        lambda text, value: bool(text == cell(value)),
        lambda text, value: text in spellings(value),
    ),
    number=number_in,
    reported=_reported,
    shown=lambda text: printable(text) if text else "empty",
)
"""A CSV file. A column that is not there fits nothing, not even null, which is an empty cell."""

VALUES: Final = Reading(
    empty=None,
    alike=(lambda one, value: canonical_json(one) == canonical_json(value), is_same_number),
    number=lambda one: one if _is_number(one) else None,
    reported=lambda one: _NO_JSON.get(one, one) if isinstance(one, str) else one,
    shown=canonical_json,
)
"""JSON, where a key that is absent is null: `amlc collect` leaves it out."""


def is_strange(column: str, space_axes: Sequence[Axis]) -> bool:
    """Tell whether no parameter is written into a column.

    Neither itself, nor a part of a mapping.
    """
    if column in ADDED:
        return False
    known = (
        ".".join((*outer, name))
        for axis in space_axes
        for *outer, last in [[name for name in axis.key if isinstance(name, str)]]
        for name in (axis.dimension.names if isinstance(axis.dimension, Rows) else (last,))
    )
    return not any(column == name or column.startswith(f"{name}.") for name in known)


def parameters_of(cells: Cells, space_axes: Sequence[Axis], reading: Reading) -> Parameters:
    """Return the parameters of a row.

    Raises MisfitError if a cell is missing, left over, no value of its parameter, or one of two.
    """
    try:
        return _parameters(cells, space_axes, reading)
    except MisfitError as err:
        for column, found in cells.items():
            if found != reading.empty and is_strange(column, space_axes):
                raise MisfitError(f"the space has no {shorten(column)!r}") from err
        raise


def _parameters(cells: Cells, space_axes: Sequence[Axis], reading: Reading) -> Parameters:
    point: dict[Key, int | float] = {}
    parameters: dict[str, Any] = {}
    used: set[str] = set()
    for axis in space_axes:
        if not axis.active(point):
            continue
        names = [name for name in axis.key if isinstance(name, str)]
        read = _option if isinstance(axis.dimension, Choice) else _real
        point[axis.key], value, columns = read(axis, names, cells, reading)
        used |= columns
        if isinstance(axis.dimension, Rows):
            parameters |= value
        else:
            _put(parameters, names, value)
    for column, found in cells.items():
        if found != reading.empty and column not in used and column not in ADDED:
            raise MisfitError(f"{shorten(column)!r} is left over")
    return {**parameters, **_added(cells, reading)}


def _added(cells: Cells, reading: Reading) -> Parameters:
    """Return what a trial got beside the parameters of the space."""
    budget = number(reading.number(cells.get(BUDGET, reading.empty)))
    folders = {name: cells[name] for name in (LOAD, SAVE) if cells.get(name)}
    return {BUDGET: int(budget), **folders} if budget else folders


def _put(parameters: dict[str, Any], names: Sequence[str], value: Any) -> None:
    """Put a value into the parameters, in the mapping of the branch that it belongs to."""
    for name in names[:-1]:
        parameters = parameters[name]
    parameters[names[-1]] = value


def _option(
    axis: Axis, names: Sequence[str], cells: Cells, reading: Reading
) -> tuple[int, Any, set[str]]:
    """Return the option that is written as these cells: first as amlc writes it, then as others do.

    Of several, that which fills most of them. A table cannot tell 1 from "1", nor null from "":
    then it is none of them, for a wrong one would pass for a result.
    """
    best: tuple[int, Any, set[str], bool] | None = None
    for alike in reading.alike:
        found = _written(axis, names, cells, reading, alike)
        if found is not None and (best is None or best[2] < found[2]):
            best = found
        if best is not None and best[2]:  # not only one that nothing is written for
            break
    if best is None:
        raise MisfitError(_said(axis, names, cells, reading))
    if best[3]:
        raise MisfitError(f"{_said(axis, names, cells, reading)}, and two options are written so")
    return best[:3]


def _written(
    axis: Axis,
    names: Sequence[str],
    cells: Cells,
    reading: Reading,
    alike: Callable[[Any, Any], bool],
) -> tuple[int, Any, set[str], bool] | None:
    """Return the same, and whether another option is written so too."""
    assert isinstance(axis.dimension, Choice)  # the caller has seen to that
    best: tuple[int, Any, set[str], bool] | None = None
    for index, option in enumerate(axis.dimension.options):
        value = {"_name": option} if axis.dimension.branches else option
        together = isinstance(axis.dimension, Rows)
        items = flattened(value if together else {".".join(names): value})
        if not all(alike(cells.get(name), item) for name, item in items.items()):
            continue
        filled = {name for name in items if cells.get(name) != reading.empty}
        if best is None or best[2] < filled:
            best = index, value, filled, False
        elif filled == best[2] and canonical_json(value) != canonical_json(best[1]):
            best = (*best[:3], True)
    return best


def _real(
    axis: Axis, names: Sequence[str], cells: Cells, reading: Reading
) -> tuple[float, Any, set[str]]:
    name = ".".join(names)
    value = reading.number(cells.get(name, reading.empty))
    if isinstance(axis.dimension, Integer):
        if isinstance(value, float):
            value = int(value) if value.is_integer() else None
    else:
        value = number(value)
    if value is None:
        raise MisfitError(_said(axis, names, cells, reading))
    return 0, value, {name}


def _said(axis: Axis, names: Sequence[str], cells: Cells, reading: Reading) -> str:
    """Return what the row has of a parameter, in words."""
    name = ".".join(names)
    own = axis.dimension.names if isinstance(axis.dimension, Rows) else (name,)
    there = [one for one in cells if any(one == n or one.startswith(f"{n}.") for n in own)]
    filled = [one for one in there if cells[one] != reading.empty]
    for column in filled or there:
        return f"{shorten(column)!r} is {shorten(reading.shown(cells[column]))}"
    return f"{name!r} is missing"
