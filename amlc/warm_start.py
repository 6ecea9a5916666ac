"""Results from elsewhere, for a tuner to learn from.

A results.csv, an export of NNI, another experiment's ledger.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from amlc.attempts import fold
from amlc.errors import UsageError
from amlc.events import EventKind, imported
from amlc.experience import Experience
from amlc.ledger import FILE_NAME, Ledger, read_ledger
from amlc.model import Choice, Integer, Parameters, Space, Trial
from amlc.numbers import scalar
from amlc.report.tables import cell
from amlc.space.points import Axis, Key, axes, flattened, locate
from amlc.tuners.shared.brackets import ADDED, BUDGET

_SQLITE = b"SQLite format 3\0"

Found: TypeAlias = "tuple[str, Parameters | None, float | None]"
"""Where it stands, the parameters (None: they are not those of the space) and the result."""


@dataclass(frozen=True, slots=True)
class ImportedResults:
    """Parameter sets of the search space with their results.

    unfit: where those stand that are none of the space. numberless: where those stand whose result
    is no finite number.
    """

    rows: tuple[tuple[Parameters, float], ...]
    unfit: tuple[str, ...] = ()
    numberless: tuple[str, ...] = ()

    @property
    def left_out(self) -> str:
        """How many were left out and why, each with the first of them; empty if none was."""
        why = {
            "have no number as result": self.numberless,
            "are no points of the space": self.unfit,
        }
        return ", ".join(
            f"{len(places)} {what} ({places[0]})" for what, places in why.items() if places
        )


def read_results_from(path: Path, space: Space) -> ImportedResults:
    """Read finished trials from a file or a state folder.

    Those without a number as result are left out. Raises UsageError when it is neither, or when
    none of its trials can be used.
    """
    rows: list[tuple[Parameters, float]] = []
    unfit: list[str] = []
    numberless: list[str] = []
    space_axes = axes(space)
    names = {dimension.name for dimension in space}
    for where, parameters, value in _read(path, space_axes):
        if value is None:
            numberless.append(where)
        elif parameters is not None and _is_point(space_axes, parameters):
            rows.append((parameters, value))
        else:
            unfit.append(where + _unknown(parameters or {}, names))
    results = ImportedResults(tuple(rows), tuple(unfit), tuple(numberless))
    if not rows:
        why = "it has no results"
        if results.left_out:
            why = f"no result can be used: {results.left_out}"
        expected = "Expected a results.csv, NNI's JSON export, or a ledger."
        raise UsageError(f"--from {path}: {why}. {expected}")
    return results


def _unknown(parameters: Parameters, names: Collection[str]) -> str:
    """Return a remark on the first parameter that the space does not have, or nothing."""
    for name in parameters:
        if name not in ADDED and name not in names:
            return f": the space has no {name!r}"
    return ""


def outside(space: Space, trials: Iterable[Trial]) -> int:
    """Return how many of the trials have parameters that are no point of the space."""
    space_axes = axes(space)
    return sum(not _is_point(space_axes, trial.parameters) for trial in trials)


def _is_point(space_axes: Sequence[Axis], parameters: Parameters) -> bool:
    own = {name: value for name, value in parameters.items() if name not in ADDED}
    return locate(space_axes, own) is not None


def record_results(ledger: Ledger, results: ImportedResults, *, at: float) -> bool:
    """Put results into the ledger; tell whether they are new, for the same ones count once."""
    fact = imported(results.rows, at=at)
    if any(
        event.data["digest"] == fact.data["digest"]
        for event in ledger.events(kind=EventKind.IMPORT)
    ):
        return False
    ledger.append([fact])
    return True


def _read(path: Path, space_axes: Sequence[Axis]) -> Iterator[Found]:
    file = path / FILE_NAME if path.is_dir() else path
    try:
        with file.open("rb") as stream:
            start = stream.read(len(_SQLITE))
        if start == _SQLITE:
            return _of_ledger(file)
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as err:
        raise UsageError(
            f"--from {path}: there is no {file.name}. Expected a results.csv, an export, a ledger."
        ) from err
    except UnicodeDecodeError as err:
        raise UsageError(
            f"--from {path}: not text in UTF-8, and no ledger. Expected a results.csv."
        ) from err
    if text.lstrip().startswith(("[", "{")):
        return _of_export(file, text)
    return _of_table(file, text, space_axes)


def _of_ledger(path: Path) -> Iterator[Found]:
    with read_ledger(path) as ledger:
        records = Experience(ledger, replicates=1).past(fold(ledger.events())).records
    for number, record in enumerate(records):
        yield f"{path}: trial #{number}", record.parameters, record.value


def _of_export(path: Path, text: str) -> Iterator[Found]:
    """Yield the trials of NNI's JSON export, whose values may be JSON within JSON."""
    try:
        rows = json.loads(text)
    except ValueError as err:
        raise UsageError(
            f"--from {path}: not JSON ({err}). Export it again: "
            "nnictl experiment export --type json."
        ) from err
    for number, row in enumerate(rows if isinstance(rows, list) else [rows]):
        fields = row if isinstance(row, Mapping) else {}
        parameters = _unpacked(fields.get("parameter", fields.get("parameters")))
        value = scalar(_unpacked(fields.get("value")))
        yield (
            f"{path}: item {number}",
            parameters if isinstance(parameters, Mapping) else None,
            value,
        )


def _unpacked(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _of_table(path: Path, text: str, space_axes: Sequence[Axis]) -> Iterator[Found]:
    reader = csv.DictReader(text.splitlines())
    if "metric.default" not in (reader.fieldnames or ()):
        raise UsageError(
            f"--from {path}: it has no column 'metric.default'. Expected what amlc collect writes."
        )
    for row in reader:
        cells = _parameter_cells(row)
        parameters = _parameters(cells, space_axes)
        place = f"{path}:{reader.line_num}"
        if parameters is None:
            place += _strangeness(cells, space_axes)
        value = _number(row["metric.default"] or "")
        yield place, parameters, None if value is None else scalar(value)


def _parameter_cells(row: Mapping[str, str | None]) -> dict[str, str]:
    """Return the texts of a line by parameter, or by part of one."""
    cells = {}
    for column, text in row.items():
        if column and column.startswith("param."):  # None: the line has more cells than the first
            cells[column.removeprefix("param.")] = text or ""  # None: it has fewer
    return cells


def _strangeness(cells: Mapping[str, str], space_axes: Sequence[Axis]) -> str:
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
    known = (".".join(name for name in axis.key if isinstance(name, str)) for axis in space_axes)
    return not any(column == name or column.startswith(f"{name}.") for name in known)


def _parameters(cells: Mapping[str, str], space_axes: Sequence[Axis]) -> Parameters | None:
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
        _put(parameters, names, value)
    filled = {name for name, text in cells.items() if text != "" and name not in ADDED}
    if filled - used:
        return None
    budget = _number(cells.get(BUDGET, ""))
    return {**parameters, BUDGET: int(budget)} if budget else parameters


def _put(parameters: dict[str, Any], names: Sequence[str], value: Any) -> None:
    """Put a value into the parameters, in the mapping of the branch that it belongs to."""
    for name in names[:-1]:
        parameters = parameters[name]
    parameters[names[-1]] = value


def _option(
    axis: Axis, names: Sequence[str], cells: Mapping[str, str]
) -> tuple[int, Any, set[str]] | None:
    """Return the option that `amlc collect` writes as these cells.

    Of several, that which fills most of them. A table cannot tell 1 from "1", nor null from
    nothing; then it is the first of them.
    """
    assert isinstance(axis.dimension, Choice)  # the caller has seen to that
    best: tuple[int, Any, set[str]] | None = None
    for index, option in enumerate(axis.dimension.options):
        value = {"_name": option} if axis.dimension.branches else option
        items = flattened({".".join(names): value}).items()
        expected = {name: cell(item) for name, item in items}
        if any(cells.get(name) != text for name, text in expected.items()):
            continue
        filled = {name for name, text in expected.items() if text}
        if best is None or best[2] < filled:
            best = index, value, filled
    return best


def _real(
    axis: Axis, names: Sequence[str], cells: Mapping[str, str]
) -> tuple[float, Any, set[str]] | None:
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
