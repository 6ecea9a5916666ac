"""Trials in tables: of `amlc collect` (as JSON, too), of NNI as CSV, of Weights & Biases."""

from __future__ import annotations

import ast
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from amlc.elsewhere import EXPECTED, Ended, not_asked
from amlc.elsewhere.cells import (
    TEXTS,
    VALUES,
    Cells,
    MisfitError,
    Reading,
    is_strange,
    number_in,
    parameters_of,
    spellings,
)
from amlc.elsewhere.nni import history_of, unpacked
from amlc.errors import UsageError, printable, shorten
from amlc.model import Choice, Rows, Status, parameter_names
from amlc.numbers import number
from amlc.space.canonical import canonical_json
from amlc.space.points import Axis, flattened
from amlc.tuners.shared.brackets import ADDED

_WANDB: Final = {
    "finished": Status.SUCCEEDED,
    "crashed": Status.FAILED,
    "failed": Status.FAILED,
    "killed": Status.CANCELED,
}
# Columns of a W&B table that are neither configuration nor results.
_WANDB_OWN: Final = frozenset(
    {"Name", "State", "ID", "Notes", "User", "Tags", "Created", "Updated", "Runtime", "End Time"}
    | {"Hostname", "Sweep", "Group", "Job Type", "Description", "Commit", "GitHub", "GPU Type"}
)
_CUT: Final = "cut short"
_UNKNOWN: Final = "with an unknown status"
_TOO_LONG: Final = "with more cells than columns"


def read_table(
    path: Path, text: str, space_axes: Sequence[Axis], *, metric: str | None = None
) -> Iterator[Ended]:
    """Return the trials of a CSV file; whose it is, its header says.

    metric: the column of a W&B table that is the result. Raises UsageError when the header is
    nobody's, or a W&B table does not say which of its columns is the result.
    """
    lines = _Lines(path, text)
    columns = lines.columns
    if metric is not None and not lines.is_wandb:
        raise not_asked(path, metric)
    if "metric.default" in columns or "status" in columns:
        return _trials(lines, lambda cells: _of_amlc(cells, space_axes, TEXTS))
    if "trialJobId" in columns:
        return _trials(lines, lambda cells: _of_nni(cells, space_axes))
    if not lines.is_wandb:
        raise UsageError(f"{path}: it has no column 'metric.default'. {EXPECTED}.")
    rows = [*lines]
    result = metric or _result(path, [cells for _, cells, _ in rows], columns, space_axes)
    if result not in columns:
        raise UsageError(f"--metric {result}: {path} has no such column. It has: {_list(columns)}.")
    return _trials(rows, lambda cells: _of_wandb(cells, result, space_axes))


def read_rows(path: Path, rows: Iterable[Any], space_axes: Sequence[Axis]) -> Iterator[Ended]:
    """Yield the trials of what `amlc collect` writes as JSON: mappings of columns to values."""
    for place, row in enumerate(rows):
        yield Ended(where=f"{path}: item {place}", **_of_amlc(row, space_axes, VALUES))


class _Lines:
    """The lines of a CSV file: the place of each, its cells, and its flaw as a trial has it.

    A last line that nothing ends may be cut within a number, which would pass for another one. amlc
    and NNI end each line, so theirs is; one of a table made by hand is left out, too, since it
    takes a moment to end it, and a wrong result in the ledger is there for good. W&B's are saved by
    a browser, of which nobody says that it ends the last one.
    """

    def __init__(self, path: Path, text: str) -> None:
        """Read the header."""
        lines = [*io.StringIO(text, newline="")]
        self._path = path
        # Only a line that a quote is open in goes on into one more.
        self._reader = csv.DictReader([*lines, "\n"])
        with self._refusals():
            self.columns = [column for column in self._reader.fieldnames or () if column]
        self.is_wandb = {"Name", "State"} <= {*self.columns}
        is_ended = self.is_wandb or text.endswith(("\n", "\r"))
        self._ended = len(lines) if is_ended else len(lines) - 1
        for place, column in enumerate(self.columns):
            if column in self.columns[:place]:
                raise UsageError(
                    f"{path}: two columns are named {shorten(column)!r}. Leave one of them out."
                )

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, str], Mapping[str, str]]]:
        """Yield each line but the first. Raises UsageError for what is no CSV."""
        with self._refusals():
            for row in self._reader:
                line, flaw = self._reader.line_num, {}
                if line > self._ended:
                    flaw = {"flaw": _CUT, "why": "nothing ends the line; if it is whole, end it"}
                elif any(row.get(None) or ()):
                    flaw = {"flaw": _TOO_LONG}
                # None for a text: the line has fewer cells than the first.
                cells = {column: row[column] or "" for column in self.columns}
                yield f"{self._path}:{line}", cells, flaw

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except csv.Error as err:
            raise UsageError(
                f"{self._path}:{self._reader.reader.line_num + 1}: no line of a CSV file, such as "
                f"one with a cell of more than {csv.field_size_limit():,} characters. {EXPECTED}."
            ) from err


def _trials(
    lines: Iterable[tuple[str, Cells, Mapping[str, str]]],
    of: Callable[[Cells], Mapping[str, Any]],
) -> Iterator[Ended]:
    """Yield the trial of each line; of: its fields."""
    for where, cells, flaw in lines:
        yield Ended(where=where, **{**of(cells), **flaw})


def _list(names: Sequence[str]) -> str:
    return ", ".join(shorten(printable(name)) for name in names)


def _fitting(cells: Cells, space_axes: Sequence[Axis], reading: Reading) -> Mapping[str, Any]:
    """Return the parameters of a row, or why it has none."""
    try:
        return {"parameters": parameters_of(flattened(cells), space_axes, reading)}
    except MisfitError as err:
        return {"parameters": None, "why": str(err)}
    except RecursionError:
        return {"parameters": None, "why": "nested too deeply"}


# --- what amlc collect writes ---------------------------------------------------------------------


def _of_amlc(row: Cells, space_axes: Sequence[Axis], reading: Reading) -> Mapping[str, Any]:
    own = {name[6:]: found for name, found in row.items() if name.startswith("param.")}
    reported = {
        name.removeprefix("metric."): reading.reported(found)
        for name, found in row.items()
        if name.startswith("metric.") and found != reading.empty
    }
    final: tuple[Any, ...] = (reported,) if reported else ()
    if reported.keys() == {"default"}:
        final = (reported["default"],)
    return {
        **_fitting(own, space_axes, reading),
        **_status(row.get("status")),
        "final": final,
        "started": _time(row.get("started")),
        "ended": _time(row.get("ended")),
        "error": str(row.get("error") or "") or None,
    }


def _status(found: Any) -> Mapping[str, Any]:
    """Return a status; a table without that column has results alone."""
    if found in ("", None):
        return {"status": Status.SUCCEEDED}
    try:
        return {"status": Status(found)}
    except ValueError:
        said = shorten(printable(str(found)))
        return {"status": Status.UNKNOWN, "flaw": _UNKNOWN, "why": said}


def _time(found: Any) -> float | None:
    """Return a time as seconds since the epoch: ISO 8601, or those themselves."""
    if not isinstance(found, str):
        return number(found)
    with suppress(ValueError, OverflowError):  # the year 1 has no seconds
        return datetime.fromisoformat(found.replace("Z", "+00:00")).timestamp()
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
    parameters: dict[str, Any] = {}
    why = ""
    for name, text in cells.items():
        if name in names:
            try:
                _take(parameters, names[name], name, text)
            except MisfitError as err:
                why = why or str(err)
        elif name in ADDED and text:
            parameters[name] = _printed(text)
    known = {*ADDED, *names, "trialJobId", "reward", "intermediate"}
    results = {name: _printed(text) for name, text in cells.items() if text and name not in known}
    final: tuple[Any, ...] = (results,) if results else ()
    if cells.get("reward"):
        final = (_printed(cells["reward"]),)
    return {
        "parameters": None if why else parameters,
        "why": why,
        "final": final,
        "history": history_of(unpacked(cells.get("intermediate", "")), final),
    }


def _take(parameters: dict[str, Any], axis: Axis, name: str, text: str) -> None:
    """Put in a parameter's value: the option that is written like that, or what it means.

    What two options are written as is none of them.
    """
    dimension = axis.dimension
    if isinstance(dimension, Choice) and not dimension.branches:
        all_ = [one[name] if isinstance(dimension, Rows) else one for one in dimension.options]
        fitting = (one for one in all_ if text in spellings(one))
        options = [*{canonical_json(one): one for one in fitting}.values()]
        if len(options) > 1:
            raise MisfitError(f"{name!r} is {shorten(text)!r}, and two options are written so")
        if options:
            parameters[name] = options[0]
            return
    if text:
        parameters[name] = _printed(text)


def _printed(text: str) -> Any:
    """Return the value of which Python printed a text, or the text."""
    found = number_in(text)
    if found is not None:
        return found
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return found if found is None or isinstance(found, (bool, str, list, dict)) else text


# --- what Weights & Biases writes -----------------------------------------------------------------


def _of_wandb(cells: Cells, result: str, space_axes: Sequence[Axis]) -> Mapping[str, Any]:
    own = {name: text for name, text in cells.items() if not is_strange(name, space_axes)}
    started, seconds = _time(cells.get("Created")), number_in(cells.get("Runtime", ""))
    value = number_in(cells[result])
    ended = None
    if started is not None and seconds is not None:
        ended = number(started + seconds)
    return {
        **_fitting(own, space_axes, TEXTS),
        "status": _WANDB.get(cells["State"].lower(), Status.RUNNING),
        "final": () if value is None else (value,),
        "started": started,
        "ended": ended,
    }


def _result(
    path: Path, rows: Sequence[Cells], columns: Sequence[str], space_axes: Sequence[Axis]
) -> str:
    """Return the column with the results: the only one with numbers, or `default`."""
    found = []
    for column in columns:
        if column in _WANDB_OWN or column.startswith("_") or not is_strange(column, space_axes):
            continue
        texts = [row[column] for row in rows if row.get(column)]
        if texts and all(number_in(text) is not None for text in texts):
            found.append(column)
    if len(found) == 1 or "default" in found:
        return "default" if "default" in found else found[0]
    names = _list(found) or "none has numbers"
    raise UsageError(
        f"{path}: it does not say which column is the result ({names}). Name it: --metric COLUMN."
    )
