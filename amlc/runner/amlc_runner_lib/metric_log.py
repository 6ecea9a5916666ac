"""Find the metrics in a trial's stdout, and record them."""

import json
import os
import time

from .streams import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .job import Trial
    from .metrics import Metric

MARKER = b"NNISDK_MEb'"
KEPT_OF_A_LINE = 1 << 20  # bytes, more than a metric may have
NOTES_PER_TRIAL = 10
MOST_WAITING = 1000  # metrics that cannot be written for a while


class Lines:
    """Cut a stream of bytes into metric payloads, by NNI's rule and in bounded memory.

    NNI's rule: `NNISDK_MEb'` anywhere in a line, then all up to the last character of the line,
    which is `'`. A carriage return ends a line too, as in NNI's expression, so a progress bar does
    not grow without end.
    """

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> "list[bytes]":
        """Return the payloads of the lines that `data` completes."""
        cut = max(data.rfind(b"\n"), data.rfind(b"\r"))
        if cut < 0:
            self._rest += data
            if len(self._rest) > 2 * KEPT_OF_A_LINE:
                self._shorten()
            return []
        whole = bytes(self._rest) + data[:cut]
        self._rest = bytearray(data[cut + 1 :])
        return _payloads(whole)

    def close(self) -> "list[bytes]":
        """Return the payloads of a last line without an end."""
        whole, self._rest = bytes(self._rest), bytearray()
        return _payloads(whole)

    def _shorten(self) -> None:
        # A metric can only be at the end; of one that is too long the beginning stays, so that it
        # is refused.
        has_begun = MARKER in self._rest
        del self._rest[:-KEPT_OF_A_LINE]
        if has_begun and MARKER not in self._rest:
            self._rest[:0] = MARKER


def _payloads(text: bytes) -> "list[bytes]":
    """Return the payloads of whole lines.

    Of two that are in one line, by two processes of a trial, each is one.
    """
    if MARKER not in text:
        return []
    found = []
    for line in text.replace(b"\r", b"\n").split(b"\n"):
        start = line.find(MARKER) + len(MARKER)
        if MARKER in line and len(line) > start and line.endswith(b"'"):
            parts = line[start:].split(MARKER)
            found += [part[:-1] if part.endswith(b"'") else part for part in parts]
    return found


class MetricLog:
    """Record the metrics in a trial's stdout in its metrics.jsonl.

    What cannot be written (the disk is full for a while) waits, and is tried again with each metric
    and at the end. tell: is called with the trial, the metric and its time in epoch seconds, once
    the metric is recorded.
    """

    def __init__(self, trial: "Trial", tell: "Callable[[Trial, Metric, float], None]") -> None:
        self._trial = trial
        self._tell = tell
        self._lines = Lines()
        self._notes = 0
        self._size = 0  # bytes of whole lines
        self._waiting: list[tuple[bytes, Metric, float]] = []
        self._path = os.path.join(trial.home, "metrics.jsonl")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o666)

    def feed(self, data: bytes) -> None:
        """Take the next piece of stdout."""
        for payload in self._lines.feed(data):
            self._take(payload)

    def close(self) -> None:
        """Record what was begun; what cannot be recorded, or was removed, is the trial's loss."""
        for payload in self._lines.close():
            self._take(payload)
        if self._waiting:
            self._write(last=True)
        if self._size and not os.path.exists(self._path):
            self._lose("the trial removed metrics.jsonl")
        try:
            os.close(self._file)
        except OSError as error:  # network file systems tell it only now
            self._lose(error)

    def _take(self, payload: bytes) -> None:
        from .metrics import decode_metric  # here, so that no trial waits for it before it starts

        try:
            metric = decode_metric(payload)
        except (ValueError, RecursionError) as error:
            found = payload[:120].decode("utf-8", "replace")
            self._note(f"ignored a bad metric line: {error} in {found}")
            return
        if metric:
            self._record(metric)

    def _record(self, metric: "Metric") -> None:
        now = time.time()
        kind, sequence, value = metric
        record = {"type": kind, "sequence": sequence, "value": value, "at": now}
        self._waiting.append(((json.dumps(record) + "\n").encode(), metric, now))
        self._write(last=len(self._waiting) > MOST_WAITING)

    def _write(self, *, last: bool) -> None:
        """Write what waits, in order; last: what cannot be written waits no longer, and is lost."""
        while self._waiting:
            line, metric, at = self._waiting[0]
            try:
                _write_all(self._file, line)
            except OSError as error:
                self._remove_what_is_not_whole()
                if not last:
                    return
                del self._waiting[0]
                self._lose(error)
                continue
            del self._waiting[0]
            self._size += len(line)
            self._trial.counts[metric[0]] += 1
            self._tell(self._trial, metric, at)

    def _remove_what_is_not_whole(self) -> None:
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            pass

    def _lose(self, reason: object) -> None:
        text = f"a metric could not be recorded: {reason}"
        self._trial.loss = self._trial.loss or text
        self._note(text)

    def _note(self, text: str) -> None:
        self._notes += 1
        if self._notes <= NOTES_PER_TRIAL:
            last = " (more of these are not shown)" if self._notes == NOTES_PER_TRIAL else ""
            say(f"trial {self._trial.id}: {text}{last}")


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
