"""Where a command speaks: its data goes to stdout, all else to stderr."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, TextIO


@dataclass(frozen=True, slots=True)
class Console:
    """The two streams of a command. quiet: say nothing but errors and data."""

    out: TextIO
    err: TextIO
    quiet: bool = False

    @property
    def binary(self) -> BinaryIO:
        """What lies under `out`, for tables and pages in UTF-8."""
        return self.out.buffer

    def write(self, line: object) -> None:
        """Write a line of data."""
        print(line, file=self.out)

    def print(self, lines: Iterable[object]) -> None:
        """Write lines of data to stdout."""
        for line in lines:
            self.write(line)

    def note(self, text: object) -> None:
        """Say a line to people, unless they asked for quiet."""
        if not self.quiet:
            print(text, file=self.err)

    def warn(self, text: str) -> None:
        """Say a warning, unless they asked for quiet."""
        self.note(f"warning: {text}")

    def insist(self, text: object) -> None:
        """Say a line that matters even to those who asked for quiet."""
        print(text, file=self.err)


def in_colour(stream: TextIO) -> bool:
    """Tell whether a stream leads to a terminal whose reader does not mind colours."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
