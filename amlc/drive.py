"""The loop that submits what is missing and records what happens: the only writer of an experiment's ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from amlc.assessing import Assessing, Assessor
from amlc.backends import Backend, Remote, Submission, Submitted
from amlc.errors import TransientError
from amlc.ledger import Attempt, Clock, Event, Ledger, elapsed_s, fold, latest, observed
from amlc.manifest import Entry, Manifest
from amlc.model import Observation, Status
from amlc.reconcile import Policy, Submit, decide, reconcile, succeeded
from amlc.write import job_text

_POLL_S = 1.0  # how long to sit still at most: a cancel from another process is seen within this time
_LONGEST_S = 20.0  # between two attempts to submit while the service is down
_TICK_S = 30.0  # how often to note that the loop is at work, for the sake of maxExperimentDuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a run. concurrency: jobs side by side. max_seconds: of work, over all submits. None is unlimited."""

    concurrency: int
    max_seconds: float | None = None
    max_failures: int | None = None
    wait: bool = True


@dataclass(slots=True)
class Progress:
    """Counts of jobs of this run, for who watches. outage: why nothing is heard of the running jobs now, or None."""

    submitted: int = 0
    ended: int = 0
    failed: int = 0
    running: int = 0
    total: int = 0
    outage: str | None = None


Watch = Callable[[Progress], None]
More = Callable[[Mapping[str, Attempt], int], Sequence[Entry]]
"""Compiles the jobs that follow, now that the attempts (by job name) have come this far, at most as many as there is
room for; none: not before more news."""


def drive(
    manifest: Manifest,
    ledger: Ledger,
    backend: Backend,
    *,
    policy: Policy,
    limits: Limits,
    clock: Clock,
    watch: Watch = lambda progress: None,
    more: More = lambda attempts, room: (),
    assessor: Assessor | None = None,
) -> tuple[Progress, str | None]:
    """Submit what `reconcile` asks for and follow it to its end; return the counts, and why it stopped early or None.

    more: where the jobs come from when there is room and all compiled ones were submitted. assessor: says which
    running jobs to stop. It can be killed at any moment and called again: what was recorded as intended is looked up
    by name first.
    """
    loop = _Loop(manifest, ledger, backend, policy, clock, more, everything=assessor is not None)
    assessing = Assessing(ledger, backend, assessor, clock) if assessor else None
    loop.begin()
    started = clock()
    while True:
        stopped = loop.stopped or _exhausted(limits, loop, clock() - started)
        submitted = not stopped and loop.submit(limits.concurrency - len(loop.live), patient=limits.wait)
        watch(loop.progress)
        if not limits.wait or not (loop.live or submitted):
            loop.note("tick")
            return loop.progress, stopped
        if not loop.live or (submitted and len(loop.live) < limits.concurrency):
            continue  # all of them were refused, or there is still room
        loop.observe(_POLL_S)
        if assessing:
            assessing.stop(loop.live)


def observe_once(ledger: Ledger, backend: Backend, name: str, *, clock: Clock) -> None:
    """Record what became of the jobs that were at work on the back end of that name when somebody last looked."""
    live = _live(fold(ledger.events()), name)
    _settle(ledger, backend, live, clock)
    live = _live(fold(ledger.events()), name)
    if live:
        _record(ledger, backend, live, backend.poll(live, timeout_s=0), clock)


def _exhausted(limits: Limits, loop: _Loop, session_s: float) -> str | None:
    if limits.max_failures is not None and loop.progress.failed >= limits.max_failures:
        return f"{loop.progress.failed} failed"
    if limits.max_seconds is not None and loop.elapsed_before_s + session_s >= limits.max_seconds:
        return f"maxExperimentDuration ({limits.max_seconds:g} s) is over"
    return None


class _Loop:
    """The state of one run, which is the ledger's, kept up to date event by event."""

    def __init__(
        self,
        manifest: Manifest,
        ledger: Ledger,
        backend: Backend,
        policy: Policy,
        clock: Clock,
        more: More,
        *,
        everything: bool,
    ) -> None:
        self.manifest = manifest
        self.ledger = ledger
        self.backend = backend
        self.policy = policy
        self.clock = clock
        self.more = more
        self.everything = everything
        self.progress = Progress()
        self.live: dict[str, Attempt] = {}
        self.stopped: str | None = None
        self.elapsed_before_s = 0.0
        self._seen = 0
        self._attempts: dict[str, Attempt] = {}
        self._last: dict[str, Attempt] = {}
        self._entries: dict[str, Entry] = {}
        self._again: list[Submit] = []
        self._unanswered: dict[str, Submit] = {}
        self._pause_s = 0.0
        self._queue: Iterator[Submit] = iter(())
        self._noted = 0.0
        self._news = True

    def begin(self) -> None:
        """Take up the recorded state: settle what was intended and never confirmed, then queue what is missing."""
        self.elapsed_before_s = elapsed_s(self.ledger.events())
        for number, event in self.ledger.numbered():
            self._seen = number
            fold([event], self._attempts)
        self._last = latest(self._attempts)
        self.live = _live(self._attempts, self.manifest.header.backend)
        self.note("session")
        for job in _settle(self.ledger, self.backend, self.live, self.clock):
            self.ledger.append([Event(kind="void", at=self.clock(), job=job)])
        self._catch_up()
        self.progress.total = len(self.live) + sum(1 for _ in self._needed())
        self._queue = self._needed()

    def submit(self, room: int, *, patient: bool) -> bool:
        """Submit up to `room` jobs: first all intents, on disk, then the calls, then their answers. Tell if any.

        patient: once this run has submitted a job, an outage of the service is waited out.
        """
        batch = self._next(room) or self._fresh(room)
        if not batch:
            return False
        submissions = [
            Submission(
                _name(action),
                job_text(self.manifest.folder, action.entry),
                (self.manifest.folder / action.entry.file).parent,
            )
            for action in batch
        ]
        self.ledger.append([self._intent(action) for action in batch])
        self._unanswered = {_name(action): action for action in batch}
        try:
            for answer in self.backend.submit(submissions):
                self._take(answer)
        except TransientError as err:
            if not (patient and self.progress.submitted):
                raise
            self._catch_up()
            self._wait_out(err)
            return False
        self._pause_s = 0.0
        self._catch_up()
        self._end_unwanted(s.job for s in submissions)
        return True

    def _take(self, answer: Submitted) -> None:
        self.progress.submitted += 1
        self.ledger.append([_answered(answer, self.clock())])
        self._unanswered.pop(answer.job, None)

    def _end_unwanted(self, jobs: Iterable[str]) -> None:
        """End the jobs that another process canceled between the intent and the call."""
        unwanted = [job for job in jobs if self.stopped or (job in self.live and self.live[job].canceling)]
        if unwanted:
            self.backend.cancel(unwanted)

    def _wait_out(self, err: TransientError) -> None:
        self.progress.outage = str(err)
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s + 1, _LONGEST_S)

    def _settle_unanswered(self) -> None:
        """Find out what became of the jobs that were to be created when the service went down; the rest comes again."""
        if not self._unanswered:
            return
        never = _settle(self.ledger, self.backend, self.live, self.clock)
        self.ledger.append([Event(kind="void", at=self.clock(), job=job) for job in never])
        self._again += [action for job, action in self._unanswered.items() if job in never]
        there = [job for job in self._unanswered if job not in never]
        self.progress.submitted += len(there)
        self._unanswered = {}
        self._catch_up()
        self._end_unwanted(there)

    def note(self, kind: str) -> None:
        """Record that the loop is at work, for the sake of `elapsed_s`."""
        self._noted = self.clock()
        self.ledger.append([Event(kind=kind, at=self._noted)])

    def observe(self, timeout_s: float) -> None:
        """Wait for news of the live jobs, record it, and take up what other processes recorded."""
        try:
            self._settle_unanswered()
            seen = self.backend.poll(self.live, timeout_s=timeout_s)
            _record(self.ledger, self.backend, self.live, seen, self.clock, everything=self.everything)
            self.progress.outage = None
        except TransientError as err:  # the jobs go on without the service, and are paid for
            self.progress.outage = str(err)
        if self.clock() - self._noted > _TICK_S:
            self.note("tick")
        self._catch_up()

    def _needed(self) -> Iterator[Submit]:
        return reconcile(self.manifest.entries(), self._last, self.policy)

    def _next(self, room: int) -> list[Submit]:
        batch = self._again[: max(room, 0)]
        known = {action.entry.id for action in self._again}  # the queue may come to a job that was lost meanwhile
        del self._again[: len(batch)]
        fresh = (action for action in self._queue if action.entry.id not in known)
        batch += islice(fresh, max(room - len(batch), 0))
        for action in batch:
            self._entries[action.entry.id] = action.entry
        return batch

    def _fresh(self, room: int) -> list[Submit]:
        """Ask for more jobs, unless nothing happened since the last time."""
        if room <= 0 or not self._news:
            return []
        self._news = False
        entries = self.more(self._attempts, room)
        self.progress.total += len(entries)
        self._queue = reconcile(entries, self._last, self.policy)
        return self._next(room)

    def _intent(self, action: Submit) -> Event:
        entry = action.entry
        data = {
            "id": entry.id,
            "attempt": action.number,
            "sha256": entry.sha256,
            "trials": [{"id": t.id, "sequence": t.sequence, "parameters": t.parameters} for t in entry.trials],
            "revision": self.manifest.header.revision,
            "backend": self.manifest.header.backend,
            "losses": action.losses,
        }
        return Event(kind="intent", at=self.clock(), job=_name(action), data=data)

    def _catch_up(self) -> None:
        for number, event in self.ledger.numbered(after=self._seen):
            self._seen = number
            self._news = self._news or event.kind != "tick"
            if event.kind == "stop":
                self.stopped = "it was canceled"
            fold([event], self._attempts)
            if event.job:
                self._follow(event.job)
        self.progress.running = len(self.live)

    def _follow(self, job: str) -> None:
        attempt = self._attempts.get(job)
        if attempt is None:  # a void intent
            self.live.pop(job, None)
            self._last = latest(self._attempts)
            return
        if self._last.get(attempt.id, attempt).number <= attempt.number:
            self._last[attempt.id] = attempt
        if attempt.working and attempt.backend == self.manifest.header.backend:
            self.live[job] = attempt
        elif self.live.pop(job, None) is not None:
            self._ended(attempt)

    def _ended(self, attempt: Attempt) -> None:
        self.progress.ended += 1
        if self._last[attempt.id] is not attempt:
            return  # its status was unknown for so long that the user retried it
        entry = self._entries.pop(attempt.id, None) or _entry(self.manifest, attempt.id)
        action = decide(entry, attempt, self.policy) if entry else None
        if action is not None and attempt.latest.infrastructure:
            self._again.append(action)
        elif not succeeded(attempt):
            self.progress.failed += 1


def _live(attempts: Mapping[str, Attempt], backend: str) -> dict[str, Attempt]:
    return {job: attempt for job, attempt in attempts.items() if attempt.working and attempt.backend == backend}


def _settle(ledger: Ledger, backend: Backend, live: Mapping[str, Attempt], clock: Clock) -> set[str]:
    """Record the answer for jobs that were intended and never confirmed; return those that never were."""
    unconfirmed = {job for job, attempt in live.items() if attempt.submitted is None}
    intents = (event for event in ledger.events() if event.kind == "intent" and event.job in unconfirmed)
    files = {event.job: event.data.get("sha256") for event in intents} if unconfirmed else {}
    for answer in backend.adopt(files):
        ledger.append([_answered(answer, clock())])
        unconfirmed.discard(answer.job)
    return unconfirmed


def _answered(answer: Submitted, at: float) -> Event:
    if answer.refused is None:
        return Event(kind="submitted", at=at, job=answer.job, data={"url": answer.url})
    return observed(Observation(job=answer.job, status=Status.FAILED, error=answer.refused), at=at)


def _record(
    ledger: Ledger,
    backend: Backend,
    live: Mapping[str, Attempt],
    seen: list[Observation],
    clock: Clock,
    *,
    everything: bool = False,
) -> None:
    """Append what is new in `seen`, with the metrics of what has ended; with `everything`, intermediate ones too."""
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


def _entry(manifest: Manifest, job: str) -> Entry | None:
    return next((entry for entry in manifest.entries() if entry.id == job), None)


def _name(action: Submit) -> str:
    return action.entry.name if action.number == 1 else f"{action.entry.name}-{action.number}"
