"""Rows that wait on disk until their columns are known."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

_TOGETHER = 20  # rows in one pickle, which takes less than half the time of one for each


class Spool:
    """Rows that wait on disk: only after the last of them is it known which columns there are."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._last: list[Mapping[str, Any]] = []

    def put(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self._last.append(row)
        if len(self._last) == _TOGETHER:
            self._write()

    def _write(self) -> None:
        pickle.dump(self._last, self._file, protocol=pickle.HIGHEST_PROTOCOL)
        self._last = []

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Yield the rows in their order."""
        self._write()
        self._file.seek(0)
        with suppress(EOFError):
            while True:
                yield from pickle.load(self._file)  # noqa: S301 - written above, into a file without a name


@contextmanager
def spooled() -> Iterator[Spool]:
    """Give a place on disk for rows, gone in the end."""
    with tempfile.TemporaryFile() as file:
        yield Spool(file)
