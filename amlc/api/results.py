"""The results of an experiment as rows, for Python and for libraries that hold tables."""

from __future__ import annotations

import html
import importlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from amlc.collect.rows import Row as TrialRow
from amlc.collect.tables import Table, trials_table
from amlc.collect.verdict import Verdict, no_best
from amlc.errors import UsageError
from amlc.manifest import Header
from amlc.replicates import best_set, by_set
from amlc.report.tables import WRITERS, in_utf8

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Row = Mapping[str, Any]
"""A trial by column: `sequence`, `trial`, `status`, …, `param.NAME` and `metric.NAME`; None where
it has nothing."""

_SHOWN = 20


class Results(Sequence[Row]):
    """One row for each compiled trial, in order.

    They are what `amlc collect` writes, with values instead of text. Times are in seconds since the
    epoch, durations in seconds. A snapshot: ask the experiment again for newer ones.
    """

    def __init__(
        self,
        rows: Sequence[TrialRow],
        verdict: Verdict,
        header: Header,
        history: Callable[[str], Sequence[Row]],
    ) -> None:
        """Hold all rows of an experiment.

        history: gives the intermediate results of the trial of that id.
        """
        with trials_table(rows) as table:
            self._columns = table.columns
            self._rows = tuple(
                {name: row.get(name) for name in table.columns} for row in table.rows
            )
        self._trials = tuple(rows)
        self._verdict = verdict
        self._header = header
        self._history = history

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return self._columns

    @property
    def trials(self) -> tuple[TrialRow, ...]:
        """For each row the trial as a value, and what became of it.

        It has the parameters as the trial receives them.
        """
        return self._trials

    @property
    def verdict(self) -> Verdict:
        """How complete the results are."""
        return self._verdict

    @property
    def complete(self) -> bool:
        """Whether the experiment has all its trials and every one came to a good end."""
        return self._verdict.complete

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def best(self, mode: str | None = None) -> Row:
        """Return the row with the largest or smallest `metric.default`, the first of equals.

        Only the result of a trial that succeeded counts. Of replicates, whose mean does, it is the
        first one's. mode: `maximize` or `minimize`, None for the experiment's; where that says
        nothing, smaller is taken for better, with a RuntimeWarning. Raises IncompleteError while no
        trial has a number, NoResultError if none will.
        """
        if mode not in (None, "maximize", "minimize"):
            raise UsageError(f"mode={mode!r}: expected 'maximize' or 'minimize'.")
        mode = mode or self._header.optimize_mode
        size = self._header.replicates
        sets = by_set(self._trials, size)
        found = best_set(sets, replicates=size, maximize=mode == "maximize")
        if found is None:
            raise no_best(self._header.experiment, self._verdict)
        if mode is None:
            text = "smaller is taken for better, since the experiment has no optimize_mode."
            warnings.warn(
                f"{text} Call best('maximize') or best('minimize').", RuntimeWarning, stacklevel=2
            )
        first = next(row for row in found[0] if row.score is not None)
        return self._rows[self._trials.index(first)]

    def history(self, trial: str | int) -> Sequence[Row]:
        """Return the intermediate results of a trial's last attempt, in order.

        Each has `step`, `at` and `metric.NAME`.
        trial: its id, or its number. Raises UsageError when it names no trial, or several.
        """
        names = {str(trial)} if isinstance(trial, str) else {trial}
        found = [
            str(row["trial"])
            for row in self._rows
            if str(row["trial"]) in names or {row["sequence"], str(row["sequence"])} & names
        ]
        if len(found) == 1:
            return self._history(found[0])
        if found:
            raise UsageError(
                f"{trial}: the number of several trials. Name one: {', '.join(found)}."
            )
        raise UsageError(f"{trial}: no trial has that id or number.")

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the table as CSV, to the byte what `amlc collect` writes.

        With `path`, write it there too.
        """
        stream = io.BytesIO()
        WRITERS["csv"](Table(self._columns, iter(self._rows)), stream)
        if path is not None:
            Path(path).write_bytes(stream.getvalue())
        return stream.getvalue().decode()

    def to_arrow(self) -> pa.Table:
        """Return the table as a pyarrow.Table. Raises UsageError without pyarrow."""
        pyarrow = _library("pyarrow")
        parquet = _library("pyarrow.parquet")
        stream = io.BytesIO()
        WRITERS["parquet"](Table(self._columns, iter(self._rows)), stream)
        table: pa.Table = parquet.read_table(pyarrow.BufferReader(stream.getvalue()))
        return table

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a pandas.DataFrame, one row for each trial.

        Raises UsageError without pandas.
        """
        pandas = _library("pandas")
        columns = [in_utf8(name) for name in self._columns]
        rows = [[_in_utf8(row[name]) for name in self._columns] for row in self._rows]
        frame: pd.DataFrame = pandas.DataFrame.from_records(rows, columns=columns)
        return frame

    def to_polars(self) -> pl.DataFrame:
        """Return the table as a polars.DataFrame, one row for each trial.

        Raises UsageError without polars.
        """
        polars = _library("polars")
        columns = {
            in_utf8(name): [_in_utf8(row[name]) for row in self._rows] for name in self._columns
        }
        frame: pl.DataFrame = polars.DataFrame(columns, strict=False)
        return frame

    def __repr__(self) -> str:
        return f"<Results: {self._verdict}>"

    def _repr_html_(self) -> str:
        """Show the first rows in a notebook."""
        shown = [name for name in self._columns if any(row[name] is not None for row in self._rows)]
        head = "".join(f"<th>{html.escape(name)}</th>" for name in shown)
        body = "".join(f"<tr>{''.join(_cells(row, shown))}</tr>" for row in self._rows[:_SHOWN])
        more = f" The first {_SHOWN} are shown." if len(self._rows) > _SHOWN else ""
        caption = html.escape(f"{self._verdict}.{more}")
        return (
            f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )


def _cells(row: Row, columns: Sequence[str]) -> Iterator[str]:
    for name in columns:
        value = row[name]
        text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
        yield f"<td>{html.escape(text)}</td>"


def _in_utf8(value: Any) -> Any:
    """Return a value whose text these libraries hold: they have no half of a surrogate pair."""
    return in_utf8(value) if isinstance(value, str) else value


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as err:
        library = name.partition(".")[0]
        raise UsageError(
            f"this needs {library}, which is not installed: pip install {library}."
        ) from err
