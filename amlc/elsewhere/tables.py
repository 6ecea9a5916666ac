"""Trials in tables: of `amlc collect` (as JSON, too), of NNI as CSV, of Weights & Biases."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from amlc.elsewhere import EXPECTED, Ended, not_asked
from amlc.elsewhere.nni import history_of, unpacked
from amlc.errors import UsageError, printable, shorten
from amlc.model import Choice, Integer, Parameters, Rows, Status, parameter_names
from amlc.numbers import number
from amlc.report.tables import cell
from amlc.space.canonical import canonical_json
from amlc.space.points import Axis, Key, flattened
from amlc.tuners.shared.brackets import ADDED, BUDGET

Cells: TypeAlias = "Mapping[str, str]"
"""The texts of a line by column; a cell that is missing is empty."""

_WANDB: Final = {
    "finished": Status.SUCCEEDED,
    "crashed": Status.FAILED,
    "failed": Status.FAILED,
    "killed": Status.CANCELED,
}
# What a table of amlc's has for numbers that JSON has not.
_NO_JSON: Final = {cell(one): one for one in (math.nan, math.inf, -math.inf)}
# Columns of a W&B table that are neither configuration nor results.
_WANDB_OWN: Final = frozenset(
    {"Name", "State", "ID", "Notes", "User", "Tags", "Created", "Updated", "Runtime", "End Time"}
    | {"Hostname", "Sweep", "Group", "Job Type", "Description", "Commit", "GitHub", "GPU Type"}
)


def read_table(
    path: Path, text: str, space_axes: Sequence[Axis], *, metric: str | None = None
) -> Iterator[Ended]:
    """Return the trials of a CSV file; whose it is, its header says.

    metric: the column of a W&B table that is the result. Raises UsageError when the header is
    nobody's, or a W&B table does not say which of its columns is the result.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    with _refusals(path, reader):
        columns = [column for column in reader.fieldnames or () if column]
    is_wandb = {"Name", "State"} <= set(columns)
    if metric is not None and not is_wandb:
        raise not_asked(path, metric)
    if "metric.default" in columns or "status" in columns:
        return _ended(path, reader, lambda cells: _of_amlc(cells, space_axes))
    if "trialJobId" in columns:
        return _ended(path, reader, lambda cells: _of_nni(cells, space_axes))
    if not is_wandb:
        raise UsageError(f"{path}: it has no column 'metric.default'. {EXPECTED}.")
    rows = [(reader.line_num, cells) for cells in _lines(path, reader)]
    result = metric or _result(path, [cells for _, cells in rows], columns, space_axes)
    if result not in columns:
        raise UsageError(f"--metric {result}: {path} has no such column. It has: {_list(columns)}.")
    return (_of_wandb(f"{path}:{line}", cells, result, space_axes) for line, cells in rows)


def read_rows(path: Path, rows: Iterable[Any], space_axes: Sequence[Axis]) -> Iterator[Ended]:
    """Yield the trials of what `amlc collect` writes as JSON: mappings of columns to values."""
    for place, row in enumerate(rows):
        cells = {name: cell(value) for name, value in row.items()} if isinstance(row, dict) else {}
        fields = dict(_of_amlc(cells, space_axes))
        yield Ended(where=f"{path}: item {place}{fields.pop('strange')}", **fields)


def _ended(
    path: Path, reader: csv.DictReader[str], of: Callable[[Cells], Mapping[str, Any]]
) -> Iterator[Ended]:
    for cells in _lines(path, reader):
        fields = dict(of(cells))
        strange = fields.pop("strange", "")
        yield Ended(where=f"{path}:{reader.line_num}{strange}", **fields)


def _lines(path: Path, reader: csv.DictReader[str]) -> Iterator[Cells]:
    """Yield the cells of each line but the first. Raises UsageError for what is no CSV."""
    with _refusals(path, reader):
        for row in reader:
            yield _cells(row)


@contextmanager
def _refusals(path: Path, reader: csv.DictReader[str]) -> Iterator[None]:
    try:
        yield
    except csv.Error as err:
        raise UsageError(
            f"{path}:{reader.reader.line_num + 1}: no line of a CSV file, such as one with a cell "
            f"of more than {csv.field_size_limit():,} characters. {EXPECTED}."
        ) from err


def _cells(row: Mapping[str | None, Any]) -> dict[str, str]:
    """Return the cells of a line.

    None for a column: the line has more cells than the first; for a text: it has fewer.
    """
    return {column: text or "" for column, text in row.items() if column}


def _list(names: Sequence[str]) -> str:
    return ", ".join(shorten(printable(name)) for name in names)


# --- what amlc collect writes ---------------------------------------------------------------------


def _of_amlc(cells: Cells, space_axes: Sequence[Axis]) -> Mapping[str, Any]:
    own = {name[6:]: text for name, text in cells.items() if name.startswith("param.")}
    parameters = _parameters(own, space_axes)
    reported = {}
    for name, text in cells.items():
        if name.startswith("metric.") and text:
            reported[name.removeprefix("metric.")] = _NO_JSON.get(text, unpacked(text))
    final: tuple[Any, ...] = (reported,) if reported else ()
    if reported.keys() == {"default"}:
        final = (reported["default"],)
    return {
        "parameters": parameters,
        "strange": _strangeness(own, space_axes) if parameters is None else "",
        "status": _status(cells.get("status", "")),
        "final": final,
        "started": _time(cells.get("started", "")),
        "ended": _time(cells.get("ended", "")),
        "error": cells.get("error") or None,
    }


def _status(text: str) -> Status:
    """Return a status; a table without that column has results alone."""
    if not text:
        return Status.SUCCEEDED
    try:
        return Status(text)
    except ValueError:
        return Status.UNKNOWN


def _time(text: str) -> float | None:
    """Return a time in ISO 8601 as seconds since the epoch."""
    with suppress(ValueError, OverflowError):  # the year 1 has no seconds
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    return None


def _strangeness(cells: Cells, space_axes: Sequence[Axis]) -> str:
    """Return a remark on the first column with a value that the space does not have, or nothing."""
    for column, text in cells.items():
        if text and _is_strange(column, space_axes):
            return f": the space has no {column!r}"
    return ""


def _is_strange(column: str, space_axes: Sequence[Axis]) -> bool:
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


def _parameters(cells: Cells, space_axes: Sequence[Axis]) -> Parameters | None:
    """Return the parameters of one row.

    None if a cell is missing, left over, or no value of its parameter.
    """
    point: dict[Key, int | float] = {}
    parameters: dict[str, Any] = {}
    used: set[str] = set()
    for axis in space_axes:
        if not axis.active(point):
            continue
        names = [name for name in axis.key if isinstance(name, str)]
        is_choice = isinstance(axis.dimension, Choice)
        found = _option(axis, names, cells) if is_choice else _real(axis, names, cells)
        if found is None:
            return None
        point[axis.key], value, columns = found
        used |= columns
        if isinstance(axis.dimension, Rows):
            parameters |= value
        else:
            _put(parameters, names, value)
    filled = {name for name, text in cells.items() if text != "" and name not in ADDED}
    if filled - used:
        return None
    budget = number(_number(cells.get(BUDGET, "")))
    return {**parameters, BUDGET: int(budget)} if budget else parameters


def _put(parameters: dict[str, Any], names: Sequence[str], value: Any) -> None:
    """Put a value into the parameters, in the mapping of the branch that it belongs to."""
    for name in names[:-1]:
        parameters = parameters[name]
    parameters[names[-1]] = value


def _option(axis: Axis, names: Sequence[str], cells: Cells) -> tuple[int, Any, set[str]] | None:
    """Return the option that is written as these cells: first as amlc writes it, then as others do.

    Of several, that which fills most of them. A table cannot tell 1 from "1": then it is none of
    them, for a wrong one would pass for a result. Nor can it tell null from nothing, which is the
    first of them.
    """
    own = _written(axis, names, cells, lambda value: (cell(value),))
    found = own or _written(axis, names, cells, _spellings)
    return None if found is None or found[3] else found[:3]


def _written(
    axis: Axis, names: Sequence[str], cells: Cells, spellings: Callable[[Any], Sequence[str]]
) -> tuple[int, Any, set[str], bool] | None:
    """Return the same, and whether another option is written so too."""
    assert isinstance(axis.dimension, Choice)  # the caller has seen to that
    best: tuple[int, Any, set[str], bool] | None = None
    for index, option in enumerate(axis.dimension.options):
        value = {"_name": option} if axis.dimension.branches else option
        together = isinstance(axis.dimension, Rows)
        items = flattened(value if together else {".".join(names): value})
        if any(cells.get(name) not in spellings(item) for name, item in items.items()):
            continue
        filled = {name for name in items if cells[name]}
        if best is None or best[2] < filled:
            best = index, value, filled, False
        elif filled and filled == best[2]:
            best = (*best[:3], True)
    return best


def _spellings(value: Any) -> tuple[str, ...]:
    """Return how tables write a value: as amlc does, as Python does, and as JavaScript does."""
    texts = [cell(value), str(value), json.dumps(value)]
    if isinstance(value, float) and value.is_integer():
        texts.append(str(int(value)))
    return tuple(texts)


def _real(axis: Axis, names: Sequence[str], cells: Cells) -> tuple[float, Any, set[str]] | None:
    name = ".".join(names)
    value = _number(cells.get(name, ""))
    if value is None:
        return None
    if isinstance(axis.dimension, Integer):
        return (0, int(value), {name}) if value.is_integer() else None
    return 0, value, {name}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# --- what NNI writes ------------------------------------------------------------------------------


def _of_nni(cells: Cells, space_axes: Sequence[Axis]) -> Mapping[str, Any]:
    """Return a line of NNI's export, in which a mapping is what Python prints of one."""
    names = {
        name: axis
        for axis in space_axes
        if not axis.nested
        for name in parameter_names((axis.dimension,))
    }
    parameters = {}
    for name, text in cells.items():
        if name in names and text:
            parameters[name] = _value(names[name], name, text)
        elif name in ADDED and text:
            parameters[name] = _printed(text)
    known = {*parameters, *names, "trialJobId", "reward", "intermediate"}
    results = {name: _printed(text) for name, text in cells.items() if text and name not in known}
    final: tuple[Any, ...] = (results,) if results else ()
    if cells.get("reward"):
        final = (_printed(cells["reward"]),)
    return {
        "parameters": parameters,
        "final": final,
        "history": history_of(unpacked(cells.get("intermediate", "")), final),
    }


def _value(axis: Axis, name: str, text: str) -> Any:
    """Return the value of a parameter: the option that is written like that, or what it means."""
    dimension = axis.dimension
    if isinstance(dimension, Choice) and not dimension.branches:
        all_ = [one[name] if isinstance(dimension, Rows) else one for one in dimension.options]
        fitting = (one for one in all_ if text in _spellings(one))
        options = [*{canonical_json(one): one for one in fitting}.values()]
        if options:
            return options[0] if len(options) == 1 else _AMBIGUOUS
    return _printed(text)


_AMBIGUOUS = "two options are written so"  # and this is none of them


def _printed(text: str) -> Any:
    """Return the value of which Python printed a text, or the text."""
    with suppress(ValueError):
        return float(text) if not text.lstrip("+-").isdecimal() else int(text)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


# --- what Weights & Biases writes -----------------------------------------------------------------


def _of_wandb(where: str, cells: Cells, result: str, space_axes: Sequence[Axis]) -> Ended:
    own = {name: text for name, text in cells.items() if not _is_strange(name, space_axes)}
    parameters = _parameters(own, space_axes)
    started, seconds = _time(cells.get("Created", "")), _number(cells.get("Runtime", ""))
    value = _number(cells[result])
    ended = None
    if started is not None and seconds is not None:
        ended = number(started + seconds)
    return Ended(
        where=where,
        parameters=parameters,
        status=_WANDB.get(cells["State"].lower(), Status.RUNNING),
        final=() if value is None else (value,),
        started=started,
        ended=ended,
    )


def _result(
    path: Path, rows: Sequence[Cells], columns: Sequence[str], space_axes: Sequence[Axis]
) -> str:
    """Return the column with the results: the only one with numbers, or `default`."""
    found = []
    for column in columns:
        if column in _WANDB_OWN or column.startswith("_") or not _is_strange(column, space_axes):
            continue
        texts = [row[column] for row in rows if row.get(column)]
        if texts and all(_number(text) is not None for text in texts):
            found.append(column)
    if len(found) == 1 or "default" in found:
        return "default" if "default" in found else found[0]
    names = _list(found) or "none has numbers"
    raise UsageError(
        f"{path}: it does not say which column is the result ({names}). Name it: --metric COLUMN."
    )
