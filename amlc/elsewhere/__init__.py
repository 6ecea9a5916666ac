"""Trials that ended elsewhere: in NNI, Optuna, Weights & Biases, or another experiment of amlc's.

What `amlc run --from` and `amlc import` read. Which kind of file it is, the file itself says.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amlc.errors import UsageError, printable
from amlc.files import open_regular, read_bounded
from amlc.ledger import FILE_NAME
from amlc.model import Parameters, Space, Status
from amlc.space.points import axes

EXPECTED: Final = (
    "Expected NNI's folder of an experiment, its export as JSON or CSV, an Optuna study in SQLite, "
    "a table of Weights & Biases, or results (CSV, JSON) or a ledger of amlc's"
)

MOST_BYTES: Final = 200_000_000
"""Of a table or an export, which is read as a whole."""

_SQLITE = b"SQLite format 3\0"
_PARQUET = b"PAR1"
_NNI = Path("db", "nni.sqlite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A trial that ended elsewhere, or had not ended yet when it was recorded.

    where: the file, and the place in it. parameters: None: they are not those of the space. final:
    its result as reported, as a 1-tuple. history: its intermediate results as reported, in order.
    started, ended: seconds since the epoch. flaw: what is wrong with its record, so that it cannot
    be taken, whatever else is known; as `warm_start.counted` says it. why: more of that, or of why
    it has no parameters.
    """

    where: str
    parameters: Parameters | None
    status: Status = Status.SUCCEEDED
    final: tuple[Any, ...] = ()
    history: tuple[Any, ...] = ()
    started: float | None = None
    ended: float | None = None
    error: str | None = None
    flaw: str = ""
    why: str = ""

    @property
    def place(self) -> str:
        """Where it is, with why it cannot be taken."""
        return f"{self.where}: {self.why}" if self.why else self.where


def read(path: Path, space: Space, *, name: str = "", metric: str | None = None) -> Iterator[Ended]:
    """Yield the trials of a file or folder in their order, lazily.

    name: the experiment's, by which one of several Optuna studies is chosen. metric: the column
    that is the result, for a table that does not say. Raises UsageError for what is none of the
    formats.
    """
    file = _file(path)
    text = None
    try:
        with open_regular(file) as stream:
            start = stream.read(len(_SQLITE))
        if start.startswith(_PARQUET):
            raise UsageError(f"{path}: it is Parquet. Collect it as CSV or JSON.")
        if start != _SQLITE:
            text = read_bounded(file, MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError as err:
        raise UsageError(f"{path}: there is no {file.name}. {EXPECTED}.") from err
    except OSError as err:
        raise UsageError(f"{file}: cannot be read: {err.strerror}. {EXPECTED}.") from err
    except UnicodeDecodeError as err:
        raise UsageError(f"{path}: not text in UTF-8, and no database. {EXPECTED}.") from err
    if text is not None and not text.strip():
        raise UsageError(f"{path}: it is empty. {EXPECTED}.")
    if text is not None and not _is_json(text):
        from amlc.elsewhere.tables import read_table

        return read_table(file, text, axes(space), metric=metric)
    if metric is not None:
        raise not_asked(path, metric)
    return _of_database(file, name) if text is None else _of_json(file, text, space)


def not_asked(path: Path, metric: str) -> UsageError:
    """Return the error about a metric that was named for a file that needs none."""
    return UsageError(f"--metric {metric}: {path} says itself what the results are. Leave it out.")


def _file(path: Path) -> Path:
    """Return the file of what is named: in a folder, NNI's database or a ledger."""
    if not path.is_dir():
        return path
    for name in (_NNI, Path(_NNI.name)):
        if (path / name).exists():
            return path / name
    return path / FILE_NAME


def _of_json(path: Path, text: str, space: Space) -> Iterator[Ended]:
    rows = _rows(path, text)
    if any("status" in row or "metric.default" in row for row in rows):
        from amlc.elsewhere.tables import read_rows

        return read_rows(path, rows, axes(space))
    from amlc.elsewhere.nni import read_export

    return read_export(path, rows)


def _is_json(text: str) -> bool:
    """Tell whether a file is JSON, or begins as what is useful of it."""
    if text.lstrip().startswith(("[", "{")):
        return True
    with suppress(ValueError):
        json.loads(text)
        return True
    return False


def _rows(path: Path, text: str) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a JSON list, or of a file that has one on each line."""
    try:
        whole = json.loads(text)
        rows: Sequence[Any] = whole if isinstance(whole, list) else [whole]
    except (ValueError, RecursionError) as err:
        rows = _lines(path, text, err)
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise UsageError(f"{path}: it is JSON, but item {place} is no object. {EXPECTED}.")
    return rows


def _lines(path: Path, text: str, of_whole: Exception) -> Sequence[Any]:
    """Return the values on each line; of_whole: why they are none together."""
    rows: list[Any] = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                rows.append(json.loads(line))
        except (ValueError, RecursionError) as err:
            if not rows:
                raise UsageError(f"{path}: not JSON ({of_whole}). {EXPECTED}.") from err
            reason = err.msg if isinstance(err, json.JSONDecodeError) else err
            raise UsageError(f"{path}:{number}: not JSON ({reason}). Is the line whole?") from err
    return rows


def _of_database(path: Path, name: str) -> Iterator[Ended]:
    tables = _tables(path)
    if "TrialJobEvent" in tables:
        from amlc.elsewhere.nni import read_database

        return read_database(path)
    if "studies" in tables:
        from amlc.elsewhere.study import read_study

        return read_study(path, name)
    if "events" in tables:
        from amlc.elsewhere.ledgers import read_trials

        return read_trials(path)
    raise UsageError(f"{path}: a database that has no trials. {EXPECTED}.")


def _tables(path: Path) -> frozenset[str]:
    try:
        with closing(read_only(path)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return frozenset(name for (name,) in rows)
    # SQLite's own message may have bytes of the file.
    except (sqlite3.Error, UnicodeDecodeError) as err:
        raise UsageError(printable(f"{path}: {err}. {EXPECTED}.")) from err


def read_only(path: Path) -> sqlite3.Connection:
    """Open a database of someone else's, in which nothing is changed."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection
