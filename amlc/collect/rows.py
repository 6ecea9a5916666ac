"""A compiled trial and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amlc.attempts import Attempt
from amlc.light import light
from amlc.model import Outcome, Status, Trial
from amlc.numbers import result, scalar


@light(frozen=True, slots=True)
class Row:
    """One compiled trial and what became of it.

    attempt: the last that has it. final: its report, as a 1-tuple. attempts: all that have it, in
    order.
    """

    trial: Trial
    attempt: Attempt | None = None
    final: tuple[Any, ...] = ()
    status: Status = Status.PENDING
    attempts: tuple[Attempt, ...] = ()

    @property
    def result(self) -> Mapping[str, Any]:
        """Its final result by metric name; a bare number goes by `default`.

        Empty: there is none.
        """
        return named(self.final[0]) if self.final else {}

    @property
    def number(self) -> float | None:
        """The finite number of its result that trials are compared by; None: there is none."""
        return scalar(self.final[0]) if self.final else None

    @property
    def score(self) -> float | None:
        """The number that it counts with; None: it does not count."""
        return result(self.status, self.final)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, if its runner got to say."""
        return None if self.attempt is None else self.attempt.outcomes.get(self.trial.id)

    @property
    def times(self) -> tuple[float | None, float | None]:
        """When it started and ended, in seconds since the epoch.

        Its job's times where its own are not known.
        """
        if self.attempt is None:
            return None, None
        latest, outcome = self.attempt.latest, self.outcome
        started, ended = (outcome.started, outcome.ended) if outcome else (None, None)
        return started or latest.started, ended or latest.ended

    @property
    def error(self) -> str | None:
        """Why it did not end well, or that it ended well without a final result, in one line.

        None: all is well.
        """
        if self.status is Status.SUCCEEDED:
            return None if self.final else "no final result"
        return None if self.attempt is None else self.attempt.error(self.trial.id)


def named(value: Any) -> Mapping[str, Any]:
    """Return a reported value as metrics by name.

    A mapping as it is, anything else as `default`.
    """
    return value if isinstance(value, dict) else {"default": value}  # JSON has no other mapping
