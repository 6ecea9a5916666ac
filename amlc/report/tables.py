"""Write a table as CSV (RFC 4180), JSON, JSON lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, BinaryIO, Final

from amlc.collect.tables import Table
from amlc.errors import UsageError
from amlc.extras import install

_INT64 = range(-(2**63), 2**63)
_to_json = json.JSONEncoder(ensure_ascii=False).encode
_TIMES = frozenset({"started", "ended", "at"})
_AS_CELLS = frozenset({str, int, float, type(None)})  # which csv writes as `cell` does


def write_csv(table: Table, out: BinaryIO) -> None:
    """Write a header and the rows, lines ended by CR LF.

    An absent value is an empty cell, which 0 is not.
    """
    writer = csv.writer(_Utf8(out))
    writer.writerow(table.columns)
    times = [(place, name) for place, name in enumerate(table.columns) if name in _TIMES]
    for row in table.rows:
        values = [*map(row.get, table.columns)]
        for place, name in times:
            values[place] = _value(name, values[place])
        writer.writerow([one if type(one) in _AS_CELLS else cell(one) for one in values])


def write_jsonl(table: Table, out: BinaryIO) -> None:
    """Write one JSON object a line, absent values left out."""
    out.writelines(_json(_object(table, row)) + b"\n" for row in table.rows)


def write_json(table: Table, out: BinaryIO) -> None:
    """Write one JSON array of objects, one a line."""
    separator = b"[\n"
    for row in table.rows:
        out.write(separator + _json(_object(table, row)))
        separator = b",\n"
    out.write(b"\n]\n" if separator == b",\n" else b"[]\n")


def write_parquet(table: Table, out: BinaryIO) -> None:
    """Write a Parquet file; a column of numbers stays one, a mixed one becomes text.

    Needs pyarrow.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as err:
        raise UsageError(f"--format parquet needs pyarrow: {install('parquet')}.") from err
    columns: dict[str, list[Any]] = {name: [] for name in table.columns}
    for row in table.rows:
        for name in table.columns:
            columns[name].append(_value(name, row.get(name)))
    arrays = {in_utf8(name): _column(values) for name, values in columns.items()}
    buffer = io.BytesIO()  # Parquet seeks, and a pipe cannot
    parquet.write_table(pa.table(arrays), buffer)
    out.write(buffer.getvalue())


WRITERS: Final[Mapping[str, Callable[[Table, BinaryIO], None]]] = {
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def _value(name: str, value: Any) -> Any:
    if name in _TIMES and value is not None:
        return (
            datetime.fromtimestamp(value, timezone.utc)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
    return value


def cell(value: Any) -> str:
    """Return the text of a value in a CSV file.

    What is neither a number nor text is written as JSON.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if type(value) in (int, float):
        return repr(value)
    return _to_json(value)


def _object(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(name, row[name]) for name in table.columns if row.get(name) is not None}


def _json(value: Any) -> bytes:
    try:
        return _encoded(json.dumps(value, allow_nan=False, ensure_ascii=False))
    except ValueError:
        return _encoded(json.dumps(finite(value), ensure_ascii=False))


def finite(value: Any) -> Any:
    """Return `value`, what JSON cannot carry as the strings NaN, Infinity and -Infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value


def _column(values: list[Any]) -> list[Any]:
    """Return the values of a column as one type, which Parquet wants; absent ones stay None."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool} or (kinds == {int} and _fit(values)):
        return values
    if kinds <= {int, float} and _fit(values):
        return [None if value is None else float(value) for value in values]
    return [None if value is None else in_utf8(cell(value)) for value in values]


def _fit(values: list[Any]) -> bool:
    """Tell whether the whole numbers among the values fit into 64 bits."""
    return all(_INT64.start <= one < _INT64.stop for one in values if isinstance(one, int))


def _encoded(text: str) -> bytes:
    """Return UTF-8, in which half of a surrogate pair, which JSON can carry, becomes its escape."""
    return text.encode("utf-8", "backslashreplace")


def in_utf8(text: str) -> str:
    """Return a text that UTF-8 can carry, as the tables write it."""
    return _encoded(text).decode()


class _Utf8:
    """What `csv.writer` writes to: an `io.TextIOWrapper` would close `out` when it fails."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        return self._out.write(_encoded(text))
