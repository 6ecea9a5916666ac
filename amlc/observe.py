"""Record what became of the jobs that a back end was asked to run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from amlc.attempts import Attempt
from amlc.backends import Backend, HistoryApart, Submitted
from amlc.events import Clock, Event, EventKind, history_fetched, observed, reported, submitted
from amlc.ledger import Ledger
from amlc.model import Metric, Observation, Status

REMOTE_S: Final = 10.0
"""Seconds between two looks at the intermediate results of a remote back end."""


def observe_once(ledger: Ledger, backend: Backend, name: str, *, clock: Clock) -> None:
    """Record what became of the jobs that were at work on the back end of that name when somebody last looked."""
    settle(ledger, backend, at_work(ledger, name), clock)
    live = at_work(ledger, name)
    if live:
        record(ledger, backend, live, backend.poll(live, timeout_s=0), clock)


def at_work(ledger: Ledger, backend: str) -> dict[str, Attempt]:
    """Return the attempts, by job name, that the back end of that name may still be at work on."""
    return {job: attempt for job, attempt in ledger.working().items() if attempt.backend == backend}


def settle(ledger: Ledger, backend: Backend, live: Mapping[str, Attempt], clock: Clock) -> set[str]:
    """Record the answer for jobs that were intended and never confirmed; return those that never were."""
    unconfirmed = {job for job, attempt in live.items() if attempt.submitted is None}
    intents = (event for event in ledger.events(kind=EventKind.INTENT) if event.job in unconfirmed)
    files = {event.job: event.data.get("sha256") for event in intents} if unconfirmed else {}
    for answer in backend.adopt(files):
        ledger.append([answered(answer, clock())])
        unconfirmed.discard(answer.job)
    return unconfirmed


def answered(answer: Submitted, at: float) -> Event:
    """Return the event that records a back end's answer to a submission."""
    if answer.refused is None:
        return submitted(answer.job, at=at, url=answer.url)
    return observed(Observation(job=answer.job, status=Status.FAILED, error=answer.refused), at=at)


def record(
    ledger: Ledger,
    backend: Backend,
    live: Mapping[str, Attempt],
    seen: Iterable[Observation],
    clock: Clock,
    *,
    everything: bool = False,
    curves: bool = False,
) -> None:
    """Append what is new in `seen`, with the metrics of what has ended; with `everything`, intermediate ones too.

    curves: a tuner wants to know the intermediate results before the end. A live job that is not among the seen ones
    is gone: a loss.
    """
    seen = list(seen)
    known = {observation.job for observation in seen}
    gone = [
        Observation(job=job, status=Status.FAILED, error="the back end does not have it", infrastructure=True)
        for job, attempt in live.items()
        if job not in known and attempt.submitted is not None  # else it never was: the next submit finds that out
    ]
    for observation in [*seen, *gone]:
        attempt = live[observation.job]
        if replace(observation, url=observation.url or attempt.latest.url) == attempt.latest:
            continue
        if not observation.status.ended:
            ledger.append([observed(observation, at=clock())])
            continue
        fetched = backend.fetch(observation.job)
        metrics = fetched.metrics
        events = [observed(observation, at=clock(), outcomes=fetched.outcomes)]
        if (everything or curves) and isinstance(backend, HistoryApart):
            ((_, metrics),) = backend.history([observation.job])
            events.append(history_fetched(observation.job, at=clock()))
        if curves:
            events = [*_news(attempt, metrics, clock), *events]
        ledger.append(events, metrics, job=observation.job)


def _news(attempt: Attempt, metrics: Iterable[Metric], clock: Clock) -> list[Event]:
    new = attempt.news(metrics)
    return [reported(attempt.job, new, at=clock())] if new else []


class Curves:
    """Records the intermediate results of running trials, so that a tuner can be told of them again in that order."""

    def __init__(self, ledger: Ledger, backend: Backend, clock: Clock) -> None:
        self._ledger = ledger
        self._backend = backend
        self._clock = clock
        self._next_look = 0.0

    def look(self, live: Mapping[str, Attempt]) -> None:
        """Append what the trials of the `live` jobs reported since the last time. Raises TransientError."""
        if self._clock() < self._next_look:
            return
        if isinstance(self._backend, HistoryApart):
            self._next_look = self._clock() + REMOTE_S
        running = [job for job, attempt in live.items() if attempt.latest.status is Status.RUNNING]
        events = [
            event
            for job, metrics in reports(self._backend, running)
            for event in _news(live[job], metrics, self._clock)
        ]
        if events:
            self._ledger.append(events)


def reports(backend: Backend, jobs: Collection[str]) -> Iterator[tuple[str, Sequence[Metric]]]:
    """Yield each job with everything that its trials reported so far."""
    if isinstance(backend, HistoryApart):
        yield from backend.history(jobs)
    else:
        for job in jobs:
            yield job, backend.fetch(job).metrics
