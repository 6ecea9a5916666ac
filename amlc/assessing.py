"""Asks the assessor about running trials, and ends those that it gives up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from amlc.backends import Backend, Remote
from amlc.errors import TransientError
from amlc.ledger import Attempt, Clock, Event, Ledger
from amlc.model import Metric, Status
from amlc.records import scalar

Assess: TypeAlias = "Callable[[Sequence[Any], Sequence[Sequence[Any]]], bool]"
"""Whether to stop the trial with these intermediate results; then those of each trial that succeeded, in order."""


@dataclass(frozen=True, slots=True)
class Assessor:
    """An assessor, and what it is shown of a reported value; a value shown as None is left out."""

    assess: Assess
    shown: Callable[[Any], Any] = scalar


_REMOTE_S: Final = 10.0  # between two looks at the intermediate results of a remote back end


class Assessing:
    """What was assessed so far in this run; all that decides anything is in the ledger."""

    def __init__(self, ledger: Ledger, backend: Backend, assessor: Assessor, clock: Clock) -> None:
        self._ledger = ledger
        self._backend = backend
        self._assessor = assessor
        self._clock = clock
        self._seen = 0
        self._completed: list[Sequence[Any]] = []
        self._assessed: dict[str, int] = {}
        self._again = True
        self._next_look = 0.0

    def stop(self, live: Mapping[str, Attempt]) -> None:
        """Ask for the end of the hopeless ones among `live`, recorded before the call so that none is forgotten."""
        if self._clock() < self._next_look:
            return
        if isinstance(self._backend, Remote):
            self._next_look = self._clock() + _REMOTE_S
        try:
            if self._again:  # an earlier run may have ended between the record and the call
                self._backend.cancel([job for job, attempt in live.items() if attempt.stopping])
                self._again = False
            self._end(self._hopeless(live))
        except TransientError:
            return  # the service is down; whoever polls says so

    def _end(self, jobs: Collection[str]) -> None:
        if jobs:
            self._ledger.append([Event(kind="early_stop", at=self._clock(), job=job) for job in jobs])
            self._again = True  # until the call has worked
            self._backend.cancel(jobs)
            self._again = False

    def _hopeless(self, live: Mapping[str, Attempt]) -> list[str]:
        self._learn()
        running = [
            job for job, attempt in live.items() if attempt.latest.status is Status.RUNNING and not attempt.canceling
        ]
        return [
            job
            for job, metrics in reports(self._backend, running)
            if all(metric.kind == "intermediate" for metric in metrics)  # else it is about to end by itself
            and self._gives_up(job, self._curve(metrics))
        ]

    def _gives_up(self, job: str, curve: Sequence[Any]) -> bool:
        """Ask about each result that is new, as NNI does when it arrives."""
        known = self._assessed.get(job, 0)
        self._assessed[job] = len(curve)
        assess = self._assessor.assess
        return any(assess(curve[:length], self._completed) for length in range(known + 1, len(curve) + 1))

    def _learn(self) -> None:
        """Take up the curves of the trials that succeeded since the last call."""
        for number, event in self._ledger.numbered(after=self._seen):
            self._seen = number
            if event.kind == "observed" and event.data["status"] == Status.SUCCEEDED.value:
                metrics = (metric for _, metric in self._ledger.metrics("intermediate", job=event.job))
                self._completed.append(self._curve(metrics))

    def _curve(self, metrics: Iterable[Metric]) -> list[Any]:
        values = (self._assessor.shown(metric.value) for metric in metrics if metric.kind == "intermediate")
        return [value for value in values if value is not None]


def reports(backend: Backend, jobs: Collection[str]) -> Iterator[tuple[str, Sequence[Metric]]]:
    """Yield each job with everything that its trials reported so far."""
    if isinstance(backend, Remote):
        yield from backend.history(jobs)
    else:
        for job in jobs:
            yield job, backend.fetch(job).metrics
