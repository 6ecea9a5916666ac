"""Record what became of the jobs that a back end was asked to run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from amlc.attempts import Attempt, fold
from amlc.backends import Backend, HistoryApart, Submitted
from amlc.drawing import TakeUp, told_by_trial
from amlc.events import (
    Clock,
    Event,
    EventKind,
    drawn,
    history_fetched,
    observed,
    reported,
    submitted,
    void,
)
from amlc.ledger import Ledger
from amlc.model import Metric, Observation, Status

REMOTE_S: Final = 10.0
"""Seconds between two looks at the intermediate results of a remote back end."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """A back end, and the ledger into which goes what it says.

    take_up: makes trials of what a sweep's platform drew.
    """

    ledger: Ledger
    backend: Backend
    clock: Clock
    take_up: TakeUp = lambda attempt, draws: {}


def observe_once(recorder: Recorder, name: str) -> None:
    """Record what became of the jobs that were last seen at work on the back end of that name."""
    settle(recorder, at_work(recorder.ledger, name))
    live = at_work(recorder.ledger, name)
    if live:
        record(recorder, live, recorder.backend.poll(live, timeout_s=0))


def at_work(ledger: Ledger, backend: str) -> dict[str, Attempt]:
    """Return the attempts, by job name, that the back end of that name may still be at work on."""
    return {job: attempt for job, attempt in ledger.working().items() if attempt.backend == backend}


def settle(recorder: Recorder, live: Mapping[str, Attempt]) -> set[str]:
    """Record the answer for jobs that were intended and never confirmed.

    The intents of those that never were are void: return them. For who holds the experiment's lock,
    since nobody else may be about to submit them. Raises TransientError while the service is down.
    """
    ledger = recorder.ledger
    unconfirmed = {job for job, attempt in live.items() if attempt.submitted is None}
    files = {}
    for event in ledger.events(kind=EventKind.INTENT) if unconfirmed else ():
        if event.job in unconfirmed:
            files[event.job] = event.data.get("sha256")
    for answer in recorder.backend.adopt(files):
        ledger.append([answered(answer, recorder.clock())])
        unconfirmed.discard(answer.job)
    if unconfirmed:
        ledger.append([void(job, at=recorder.clock()) for job in unconfirmed])
    return unconfirmed


def answered(answer: Submitted, at: float) -> Event:
    """Return the event that records a back end's answer to a submission."""
    if answer.refused is None:
        return submitted(answer.job, at=at, url=answer.url)
    return observed(Observation(job=answer.job, status=Status.FAILED, error=answer.refused), at=at)


def record(
    recorder: Recorder,
    live: Mapping[str, Attempt],
    seen: Sequence[Observation],
    *,
    known: Mapping[str, Observation] = MappingProxyType({}),
    everything: bool = False,
    curves: bool = False,
) -> None:
    """Append what is new in `seen`, with the metrics of what has ended.

    known: by job, what was recorded last time: of thousands of jobs few have news, and a back end
    tells of the others by the same objects. With `everything`, intermediate ones too. curves: a
    tuner wants to know the intermediate results before the end. A live job that is not among the
    seen ones is gone: a loss.
    """
    for observation in [*seen, *_gone(live, seen)]:
        if known.get(observation.job) is observation:
            continue
        attempt = live[observation.job]
        if attempt.draws:
            attempt = _with_drawn(recorder, attempt, observation)
            observation = told_by_trial(attempt, observation)  # noqa: PLW2901 - by child
        elif observation.begun is not None and len(attempt.trials) == 1:
            observation = replace(observation, begun=None)  # noqa: PLW2901 - its job says it
        # A back end need not repeat the job's page.
        if replace(observation, url=observation.url or attempt.latest.url) == attempt.latest:
            continue
        if observation.status.ended:
            _record_end(recorder, attempt, observation, everything=everything, curves=curves)
        elif observation.over != attempt.latest.over:
            _record_some(recorder, attempt, observation, curves=curves)
        else:
            recorder.ledger.append([observed(observation, at=recorder.clock())])


def _with_drawn(recorder: Recorder, attempt: Attempt, observation: Observation) -> Attempt:
    """Record the trials that a sweep drew since the last time; return the attempt with them."""
    new = recorder.take_up(attempt, observation.drawn)
    if not new:
        return attempt
    event = drawn(attempt.job, new, at=recorder.clock())
    recorder.ledger.append([event])
    return fold([event], {attempt.job: attempt})[attempt.job]


def _gone(live: Mapping[str, Attempt], seen: Sequence[Observation]) -> Iterator[Observation]:
    known = {observation.job for observation in seen}
    for job, attempt in live.items():
        # Without an answer it may never have been: the next submit finds that out.
        if job not in known and attempt.submitted is not None:
            yield Observation(
                job=job,
                status=Status.FAILED,
                error="the back end does not have it",
                infrastructure=True,
            )


def _record_end(
    recorder: Recorder,
    attempt: Attempt,
    observation: Observation,
    *,
    everything: bool,
    curves: bool,
) -> None:
    backend, clock = recorder.backend, recorder.clock
    fetched = backend.fetch(observation.job)
    metrics: Sequence[Metric] = attempt.own(fetched.metrics)
    events = [observed(observation, at=clock(), outcomes=attempt.own(fetched.outcomes))]
    if (everything or curves) and isinstance(backend, HistoryApart):
        ((_, metrics),) = backend.history([observation.job])
        metrics = attempt.own(metrics)
        events.append(history_fetched(observation.job, at=clock()))
    if curves:  # before the end, as if somebody had asked just then
        events = [*_news(attempt, metrics, clock), *events]
    recorder.ledger.append(events, metrics, job=observation.job)


def _record_some(
    recorder: Recorder, attempt: Attempt, observation: Observation, *, curves: bool
) -> None:
    """Record which trials of a running job ended since the last time, and all their results."""
    fetched = recorder.backend.fetch(observation.job)
    outcomes, metrics = attempt.own(fetched.outcomes), attempt.own(fetched.metrics)
    new = [one for one in outcomes if attempt.outcomes.get(one.trial) != one]
    events = [observed(observation, at=recorder.clock(), outcomes=new)]
    if curves:  # before their ends
        events = [*_news(attempt, metrics, recorder.clock), *events]
    recorder.ledger.append(events, metrics, job=observation.job)


def _news(attempt: Attempt, metrics: Iterable[Metric], clock: Clock) -> list[Event]:
    new = attempt.news(metrics)
    return [reported(attempt.job, new, at=clock())] if new else []


class Curves:
    """Records what running trials report, so that a tuner can be told again in that order."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._next_look = 0.0

    def look(self, live: Mapping[str, Attempt]) -> None:
        """Append what the trials of the `live` jobs reported since the last time.

        Raises TransientError.
        """
        backend, clock = self._recorder.backend, self._recorder.clock
        if clock() < self._next_look:
            return
        if isinstance(backend, HistoryApart):
            self._next_look = clock() + REMOTE_S
        running = [job for job, attempt in live.items() if attempt.latest.status is Status.RUNNING]
        events: list[Event] = []
        for job, metrics in reports(backend, running):
            events += _news(live[job], metrics, clock)
        if events:
            self._recorder.ledger.append(events)


def reports(backend: Backend, jobs: Collection[str]) -> Iterator[tuple[str, Sequence[Metric]]]:
    """Yield each job with everything that its trials reported so far."""
    if isinstance(backend, HistoryApart):
        yield from backend.history(jobs)
    else:
        for job in jobs:
            yield job, backend.fetch(job).metrics
