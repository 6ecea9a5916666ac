"""Record what became of the jobs that a back end was asked to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from amlc.backends import Backend, Remote, Submitted
from amlc.ledger import Attempt, Clock, Event, Ledger, observed
from amlc.model import Observation, Status


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
    intents = (event for event in ledger.events(kind="intent") if event.job in unconfirmed)
    files = {event.job: event.data.get("sha256") for event in intents} if unconfirmed else {}
    for answer in backend.adopt(files):
        ledger.append([answered(answer, clock())])
        unconfirmed.discard(answer.job)
    return unconfirmed


def answered(answer: Submitted, at: float) -> Event:
    """Return the event that records a back end's answer to a submission."""
    if answer.refused is None:
        return Event(kind="submitted", at=at, job=answer.job, data={"url": answer.url})
    return observed(Observation(job=answer.job, status=Status.FAILED, error=answer.refused), at=at)


def record(
    ledger: Ledger,
    backend: Backend,
    live: Mapping[str, Attempt],
    seen: Iterable[Observation],
    clock: Clock,
    *,
    everything: bool = False,
) -> None:
    """Append what is new in `seen`, with the metrics of what has ended; with `everything`, intermediate ones too.

    A live job that is not among the seen ones is gone: a loss.
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
        if everything and isinstance(backend, Remote):
            ((_, metrics),) = backend.history([observation.job])
            events.append(Event(kind="history", at=clock(), job=observation.job))
        ledger.append(events, metrics, job=observation.job)
