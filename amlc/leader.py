"""The best result so far, while an experiment runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amlc.attempts import Attempt
from amlc.model import Status, Trial
from amlc.numbers import scalar


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that ended, as far as it is known by then.

    value: its final result as it was reported, as a 1-tuple; empty: there is none.
    """

    trial: Trial
    attempt: Attempt
    value: tuple[Any, ...] = ()

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.attempt.status(self.trial.id)

    @property
    def score(self) -> float | None:
        """The number that it is compared by; None: it has none, or did not come to a good end."""
        return scalar(self.value[0]) if self.value and self.status is Status.SUCCEEDED else None


class Leader:
    """The best of what it was told of; of equal ones, that with the least number.

    maximize: whether larger is better.
    """

    def __init__(self, *, maximize: bool) -> None:
        self.best: Ended | None = None
        self._sign = -1.0 if maximize else 1.0

    def take(self, one: Ended) -> None:
        """Take note of a trial that ended."""
        if one.score is not None and (self.best is None or self._key(one) < self._key(self.best)):
            self.best = one

    def _key(self, one: Ended) -> tuple[float, int]:
        assert one.score is not None
        return self._sign * one.score, one.trial.sequence
