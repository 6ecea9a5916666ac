"""Read the files that a job's runner wrote.

The reports of its trials, and how each of them ended.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

from amlc.model import End, Metric, MetricKind, Outcome
from amlc.plural import plural

_LARGEST_SEQUENCE: Final = 2**63 - 1  # what the ledger's database holds
_LONGEST_LINE: Final = (
    4_000_000  # characters; the runner keeps lines of a million bytes, escapes make them longer
)
_DEEPEST: Final = 100
_LONGEST_ERROR: Final = 500
LONGEST_RESULT: Final = 1_000_000  # bytes of a result.json; the runner writes some hundred


def read_metrics(
    trial: str, lines: Iterable[str], *, counted: int | None = None
) -> Iterator[Metric]:
    """Yield the reports in the lines of a trial's `metrics.jsonl`.

    Whatever a trial can make its runner write is bounded here: a line that is no report is left
    out, and a warning says how many were. The last line may have been cut short by a kill or a full
    disk, which is not worth one. counted: how many there should be, None if that is not known; a
    warning says how many are missing.
    """
    count, bad, last_is_bad = 0, 0, False
    for line in lines:
        count += 1
        metric = _metric(trial, line)
        last_is_bad = metric is None and not line.endswith("\n")
        if metric is not None:
            yield metric
        elif not last_is_bad:
            bad += 1
    if bad:
        text = f"trial {trial}: {bad} of its reports left out, they cannot be read."
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    missing = 0 if counted is None else counted - count + last_is_bad
    if missing > 0:
        what = f"{missing} of its {plural(counted or 0, 'report')}"
        text = f"trial {trial}: {what} not in its metrics.jsonl, which was cut short or removed."
        warnings.warn(text, RuntimeWarning, stacklevel=2)


def lines_of(file: BinaryIO) -> Iterator[str]:
    """Yield the lines of a file, with their ends.

    Of one that is too long for a report, a part that is so too.
    """
    while line := file.readline(_LONGEST_LINE + 1):
        text, part = line.decode("utf-8", "replace"), line
        while part and not part.endswith(b"\n"):
            part = file.readline(_LONGEST_LINE)
        yield text + "\n" if part and part is not line else text


def _metric(trial: str, line: str) -> Metric | None:
    if len(line) > _LONGEST_LINE:
        return None
    try:
        record = json.loads(line)
        kind, sequence, at = MetricKind(record["type"]), record["sequence"], record["at"]
        is_report = _is_count(sequence) and _is_time(at)
        value = record["value"]
        is_deep = line.count("[") + line.count("{") > _DEEPEST and _depth(value) > _DEEPEST
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not is_report or is_deep:
        return None
    return Metric(trial=trial, kind=kind, sequence=sequence, value=value, at=float(at))


def read_outcome(trial: str, text: str) -> Outcome | None:
    """Return how a trial ended by its `result.json`, or None if that does not say."""
    try:
        record = json.loads(text)
        code = record["exit_code"]
        end = End(record["end"])
        started, ended, error = (record[name] for name in ("started", "ended", "error"))
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not all(time is None or _is_time(time) for time in (started, ended)):
        return None
    # Who exited by himself has a code.
    if not _is_count(code) and (code is not None or end is End.EXITED):
        return None
    short = " ".join(error.split())[:_LONGEST_ERROR] if isinstance(error, str) else None
    return Outcome(trial=trial, exit_code=code, started=started, ended=ended, end=end, error=short)


def reports_counted(text: str) -> int | None:
    """Return how many reports a trial made by its `result.json`, None if that does not say."""
    try:
        record = json.loads(text)
        counts = [record[kind.value] for kind in MetricKind]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return sum(counts) if all(map(_is_count, counts)) else None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_SEQUENCE


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e12 and math.isfinite(value)


def _depth(value: Any) -> int:
    """Return how many lists and mappings lie in one another at the most."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (list, dict))]:
        depth += 1
        level = [
            inner for item in level for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
