"""Leave the metric protocol's lines out of what a job printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

MARKER: Final = b"NNISDK_MEb'"
LONGEST: Final = 2 << 20  # bytes; the runner takes nothing longer for a metric
_LINES = re.compile(rb"[^\r\n]*[\r\n]")


class Printed:
    """What one stream of output shows, chunk by chunk, in bounded memory.

    A metric is what the runner takes for one: the marker anywhere in a line and all up to its last
    character, a quote. What stands before it in the line stays; a line that is nothing else goes as
    a whole. A carriage return ends a line.
    """

    def __init__(self) -> None:
        self._held = b""  # what may be a metric, or the beginning of its marker
        self._is_shown = False  # something of the present line was
        self._is_plain = False  # the present line was found to be no metric
        self._is_half = False  # the last line was a metric, and a carriage return ended it

    def feed(self, data: bytes) -> bytes:
        """Return what there is to show once `data` came."""
        text, shown = self._held + data, bytearray()
        end = 1 + max(text.rfind(b"\n"), text.rfind(b"\r"))
        for line in _LINES.findall(text[:end]):
            shown += self._whole(line)
        rest = text[end:]
        start = len(rest) if self._is_plain else _start(rest)
        if len(rest) - start > LONGEST:
            start, self._is_plain = len(rest), True
        self._held = rest[start:]
        self._is_shown = self._is_shown or start > 0
        self._is_half = self._is_half and not rest
        return bytes(shown + rest[:start])

    def close(self) -> bytes:
        """Return what is left to show, of a last line without an end."""
        rest, self._held = self._held, b""
        return b"" if _is_metric(rest) else rest

    def _whole(self, line: bytes) -> bytes:
        """Return what to show of the rest of a line, which ends it."""
        was_shown, was_plain, was_half = self._is_shown, self._is_plain, self._is_half
        self._is_shown = self._is_plain = self._is_half = False
        if was_half and line == b"\n":
            return b""
        start = line.find(MARKER)
        if was_plain or start < 0 or not _is_metric(line[start:-1]):
            return line
        if start or was_shown:
            return line[:start] + line[-1:]
        self._is_half = line.endswith(b"\r")
        return b""


def shown(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what `Printed` shows of a stream."""
    printed = Printed()
    for chunk in chunks:
        if found := printed.feed(chunk):
            yield found
    if found := printed.close():
        yield found


def _is_metric(text: bytes) -> bool:
    return text.startswith(MARKER) and len(MARKER) < len(text) <= LONGEST and text.endswith(b"'")


def _start(text: bytes) -> int:
    """Return where the marker stands in `text` or, at its end, may begin; its length if nowhere."""
    found = text.find(MARKER)
    if found >= 0:
        return found
    sizes = range(min(len(MARKER) - 1, len(text)), 0, -1)
    return len(text) - next((size for size in sizes if text.endswith(MARKER[:size])), 0)
