"""The best result so far, while an experiment runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from amlc.attempts import Attempt
from amlc.model import Status, Trial
from amlc.numbers import result
from amlc.replicates import best_set
from amlc.space.canonical import canonical


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that ended, as far as it is known by then.

    value: its final result as it was reported, as a 1-tuple; empty: there is none. best: the best
    parameter set of those told up to this one, where that is known.
    """

    trial: Trial
    attempt: Attempt
    value: tuple[Any, ...] = ()
    best: Lead | None = None

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.attempt.status(self.trial.id)

    @property
    def score(self) -> float | None:
        """The number that it counts with; None: it does not count."""
        return result(self.status, self.value)


@dataclass(frozen=True, slots=True)
class Lead:
    """The best parameter set so far: its trials, more than one of replicates, and their mean."""

    trials: Sequence[Ended]
    score: float


class Leader:
    """The best of what it was told of, as `amlc best` would have it.

    maximize: whether larger is better. replicates: how many trials a parameter set should have.
    """

    def __init__(self, *, maximize: bool, replicates: int = 1) -> None:
        self.best: Lead | None = None
        self._maximize = maximize
        self._replicates = replicates
        # By their parameters, and then by id: replicates that came, and those that come again.
        self._equal: dict[bytes, dict[str, Ended]] = {}

    def take(self, one: Ended) -> None:
        """Take note of a trial that ended; without replicates, one that is not the best so far."""
        sets: list[Sequence[Ended]] = [(one,)]
        leads = False
        if self._replicates > 1:
            key = canonical(one.trial.parameters)
            equal = self._equal.setdefault(key, {})
            equal[one.trial.id] = one
            leads = self.best is not None and self.best.trials[0].trial.id in equal
            changed = self._equal.values() if leads else [equal]  # it may be the best no longer
            sets = [found for trials in changed for found in self._sets(trials.values())]
        if self.best is not None and not leads:
            sets.append(self.best.trials)
        best = best_set(sets, replicates=self._replicates, maximize=self._maximize)
        self.best = None if best is None else Lead(*best)

    def _sets(self, equal: Iterable[Ended]) -> Iterator[Sequence[Ended]]:
        """Yield trials of equal parameters as sets; with fewer replicates now, they are several."""
        ordered = sorted(equal, key=lambda one: one.trial.sequence)
        for start in range(0, len(ordered), self._replicates):
            yield ordered[start : start + self._replicates]
