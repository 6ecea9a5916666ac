"""Why trials failed, the most frequent reasons first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from amlc.collect.rows import Row
from amlc.model import Status

_MOST_CAUSES = 10
_MOST_NAMED = 5  # trials of one cause
_MOST_KEPT = 1_000  # causes


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why trials failed or were left unfinished, and which of the two.

    count: of all of them. numbers: the first of them.
    """

    why: str
    count: int
    numbers: tuple[int, ...]
    status: Status = Status.FAILED


class Causes:
    """Counts why trials failed on their way, as Tally does."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Status, str], list[int]] = {}
        self._counts: Counter[tuple[Status, str]] = Counter()

    def count(self, row: Row) -> None:
        """Count the reason of a trial that failed or was left unfinished."""
        if row.status not in (Status.FAILED, Status.UNFINISHED):
            return
        why = row.status, " ".join((row.error or "no reason is known").split())
        if why not in self._counts and len(self._counts) >= _MOST_KEPT:
            why = row.status, "other reasons"
        self._counts[why] += 1
        numbers = self._numbers.setdefault(why, [])
        if len(numbers) < _MOST_NAMED:
            numbers.append(row.trial.sequence)

    @property
    def found(self) -> tuple[Cause, ...]:
        """The reasons that are shown, the most frequent first."""
        return tuple(
            Cause(why, count, tuple(self._numbers[status, why]), status)
            for (status, why), count in self._counts.most_common(_MOST_CAUSES)
        )

    @property
    def rest(self) -> str:
        """A remark on the reasons that are not shown; empty: there are none."""
        more = len(self._counts) - _MOST_CAUSES
        if more <= 0:
            return ""
        return f"… and for {more} more reasons: amlc collect has them in its column 'error'"

    def lines(self) -> Iterator[str]:
        """Yield one line for each reason that is shown, and the remark on the others."""
        for cause in self.found:
            named = ", ".join(map(str, cause.numbers)) + (
                ", …" if cause.count > len(cause.numbers) else ""
            )
            yield (
                f"{cause.count} {cause.status.value}: {cause.why} "
                f"(trial{'s' if cause.count > 1 else ''} {named})"
            )
        if self.rest:
            yield self.rest
