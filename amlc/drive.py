"""The loop that submits what is missing and records what happens: the only writer of an experiment's ledger."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from amlc.assessing import Advising, Assessing, Assessor, Ending, GivenUp
from amlc.backends import Backend, Submission, Submitted
from amlc.errors import TransientError
from amlc.ledger import Attempt, Clock, Event, EventKind, Ledger, by_trial, elapsed_s, fold, intent, session, tick, void
from amlc.manifest import Entry, Manifest, job_text
from amlc.model import Status, Trial
from amlc.observe import Curves, answered, record, settle
from amlc.reconcile import Policy, Submit, decide, failed, reconcile
from amlc.render.part import part

CANCELED: Final = "it was canceled"
"""Why a run stopped that `amlc cancel --all` told to."""

_POLL_S = 1.0  # how long to sit still at most: a cancel from another process is seen within this time
_LONGEST_S = 20.0  # between two attempts to submit while the service is down
_TICK_S = 30.0  # how often to note that the loop is at work, for the sake of maxExperimentDuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a run. None is unlimited.

    concurrency: trials side by side. abreast: how many trials of one packed job run side by side at the most.
    max_seconds: of work, over all submits. max_failures: of trials.
    """

    concurrency: int
    abreast: int = 1
    max_seconds: float | None = None
    max_failures: int | None = None
    wait: bool = True

    def width(self, trials: Sequence[Trial]) -> int:
        """Return how many of the trials of a job run side by side: so much of `concurrency` the job takes."""
        return min(len(trials), self.abreast)


@dataclass(slots=True)
class Progress:
    """Counts of trials, for who watches.

    submitted, ended, failed: in this run. before: those that had ended before it and are not run again. total: all that
    are compiled. outage: why nothing is heard of the running jobs now, or None.
    """

    submitted: int = 0
    ended: int = 0
    failed: int = 0
    running: int = 0
    before: int = 0
    total: int = 0
    outage: str | None = None


Watch = Callable[[Progress], None]
More = Callable[[Mapping[str, Attempt], int], Sequence[Entry]]
"""Compiles the jobs that follow, now that the attempts (by job name) have come this far, for at most as many trials as
there is room for; none: not before more news."""


def drive(
    manifest: Manifest,
    ledger: Ledger,
    backend: Backend,
    *,
    policy: Callable[[], Policy],
    limits: Limits,
    clock: Clock,
    watch: Watch = lambda progress: None,
    more: More = lambda attempts, room: (),
    assessor: Assessor | None = None,
    given_up: GivenUp | None = None,
) -> tuple[Progress, str | None]:
    """Submit what `reconcile` asks for and follow it to its end; return the counts, and why it stopped early or None.

    policy: asked once what the ledger says is settled. more: where the jobs come from when there is room and all
    compiled ones were submitted. assessor: says which running jobs to stop. given_up: so does a tuner that follows the
    running trials; None: nobody needs their intermediate results. It can be killed at any moment and called again: what
    was recorded as intended is looked up by name first.
    """
    curves = Curves(ledger, backend, clock) if given_up else None
    loop = _Loop(manifest, ledger, backend, limits, clock, more, everything=assessor is not None, curves=curves)
    assessing = Assessing(ledger, backend, assessor, clock) if assessor else None
    advising = Advising(Ending(ledger, backend, clock), given_up) if given_up else None
    loop.begin(policy)
    started = clock()
    while True:
        stopped = loop.stopped or _exhausted(limits, loop, clock() - started)
        submitted = not stopped and loop.submit(patient=limits.wait)
        watch(loop.progress)
        if not limits.wait or not (loop.live or submitted):
            loop.note(tick)
            return loop.progress, stopped
        if not loop.live or (submitted and loop.room > 0):
            continue  # all of them were refused, or there is still room
        loop.observe(_POLL_S)
        if assessing:
            assessing.stop(loop.live)
        if advising:
            advising.stop(loop.attempts, loop.live, seen=loop.seen)


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
        limits: Limits,
        clock: Clock,
        more: More,
        *,
        everything: bool,
        curves: Curves | None,
    ) -> None:
        self.manifest = manifest
        self.ledger = ledger
        self.backend = backend
        self.limits = limits
        self.policy = Policy()
        self.clock = clock
        self.more = more
        self.everything = everything
        self.curves = curves
        self.attempts: dict[str, Attempt] = {}
        self.progress = Progress()
        self.live: dict[str, Attempt] = {}
        self.stopped: str | None = None
        self.elapsed_before_s = 0.0
        self.seen = 0
        self._last: dict[str, Attempt] = {}
        self._entries: dict[str, Entry] = {}
        self._again: dict[str, Entry] = {}
        self._unanswered: dict[str, Submit] = {}
        self._pause_s = 0.0
        self._queue: Iterator[Submit] = iter(())
        self._noted = 0.0
        self._news = True

    def begin(self, policy: Callable[[], Policy]) -> None:
        """Take up the recorded state: settle what was intended and never confirmed, then queue what is missing."""
        self.elapsed_before_s = elapsed_s(self.ledger.times())
        for number, event in self.ledger.numbered():
            self.seen = number
            fold([event], self.attempts)
        backend = self.manifest.header.backend
        self._last = by_trial(self.attempts.values())
        self.live = {job: one for job, one in self.attempts.items() if one.working and one.backend == backend}
        self.note(session)
        self._void(settle(self.ledger, self.backend, self.live, self.clock))
        self._catch_up()
        self.policy = policy()
        due = sum(len(action.trials) for action in self._needed())
        self.progress.total = self.manifest.trials
        self.progress.before = self.manifest.trials - due - sum(len(one.trials) for one in self.live.values())
        self._queue = self._needed()

    @property
    def room(self) -> int:
        """For how many more trials there is room beside the live ones."""
        return self.limits.concurrency - sum(self.limits.width(attempt.trials) for attempt in self.live.values())

    def submit(self, *, patient: bool) -> bool:
        """Submit what there is room for: first all intents, on disk, then the calls, then their answers. Tell if any.

        patient: once this run has submitted a job, an outage of the service is waited out.
        """
        batch = self._next() or self._fresh()
        if not batch:
            return False
        submissions = [self._submission(action) for action in batch]
        pairs = zip(batch, submissions, strict=True)
        self.ledger.append([self._intent(action, submission.content) for action, submission in pairs])
        self._unanswered = {action.name: action for action in batch}
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

    def _submission(self, action: Submit) -> Submission:
        entry, folder = action.entry, self.manifest.folder
        content = job_text(folder, entry)
        if action.trials != entry.trials:
            content = part(content, [trial.id for trial in action.trials])
        return Submission(action.name, content, (folder / entry.file).parent)

    def _take(self, answer: Submitted) -> None:
        self.ledger.append([answered(answer, self.clock())])
        self.progress.submitted += len(self._unanswered.pop(answer.job).trials)

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
        never = settle(self.ledger, self.backend, self.live, self.clock)
        self._void(never)
        self._again |= {action.entry.id: action.entry for job, action in self._unanswered.items() if job in never}
        there = {job: action for job, action in self._unanswered.items() if job not in never}
        self.progress.submitted += sum(len(action.trials) for action in there.values())
        self._unanswered = {}
        self._catch_up()
        self._end_unwanted(there)

    def _void(self, jobs: Iterable[str]) -> None:
        self.ledger.append([void(job, at=self.clock()) for job in jobs])

    def note(self, made: Callable[..., Event]) -> None:
        """Record that the loop is at work, for the sake of `elapsed_s`."""
        self._noted = self.clock()
        self.ledger.append([made(at=self._noted)])

    def observe(self, timeout_s: float) -> None:
        """Wait for news of the live jobs, record it, and take up what other processes recorded."""
        try:
            self._settle_unanswered()
            seen = self.backend.poll(self.live, timeout_s=timeout_s)
            follows = self.curves is not None
            record(self.ledger, self.backend, self.live, seen, self.clock, everything=self.everything, curves=follows)
            if self.curves is not None:
                self._catch_up()
                self.curves.look(self.live)
            self.progress.outage = None
        except TransientError as err:  # the jobs go on without the service, and are paid for
            self.progress.outage = str(err)
        if self.clock() - self._noted > _TICK_S:
            self.note(tick)
        self._catch_up()

    def _needed(self) -> Iterator[Submit]:
        return reconcile(self.manifest.entries(), self._last, self.policy)

    def _next(self) -> list[Submit]:
        """Take the submissions that are due and find room."""
        batch: dict[str, Submit] = {}
        room = self.room
        while room > 0 and (action := self._due(batch)) is not None:
            if (width := self.limits.width(action.trials)) > room:
                self._again = {action.entry.id: action.entry, **self._again}
                break
            room -= width
            batch[action.entry.id] = action
            self._entries[action.entry.id] = action.entry
        return list(batch.values())

    def _due(self, taken: Collection[str]) -> Submit | None:
        """Return the next submission: what is to be tried again comes first. taken: the job ids of this batch."""
        while self._again:
            entry = self._again.pop(next(iter(self._again)))
            action = decide(entry, self._last, self.policy)
            if action is not None:
                return action
        # The queue may come to a job that was tried again just now.
        return next((action for action in self._queue if action.entry.id not in taken), None)

    def _fresh(self) -> list[Submit]:
        """Ask for more jobs, unless nothing happened since the last time."""
        room = self.room
        if room <= 0 or self._again or not self._news:
            return []
        self._news = False
        entries = self.more(self.attempts, room)
        self.progress.total += sum(len(entry.trials) for entry in entries)
        self._queue = reconcile(entries, self._last, self.policy)
        return self._next()

    def _intent(self, action: Submit, content: bytes) -> Event:
        return intent(
            action.name,
            at=self.clock(),
            identity=action.entry.id,
            attempt=action.number,
            trials=action.trials,
            revision=self.manifest.header.revision,
            backend=self.manifest.header.backend,
            losses=action.losses,
            sha256=hashlib.sha256(content).hexdigest(),
        )

    def _catch_up(self) -> None:
        for number, event in self.ledger.numbered(after=self.seen):
            self.seen = number
            self._news = self._news or event.kind != EventKind.TICK
            if event.kind == EventKind.STOP:
                self.stopped = CANCELED
            fold([event], self.attempts)
            if event.job:
                self._follow(event.job)
        self.progress.running = sum(len(attempt.trials) for attempt in self.live.values())

    def _follow(self, job: str) -> None:
        attempt = self.attempts.get(job)
        if attempt is None:  # a void intent
            self.live.pop(job, None)
            self._last = by_trial(self.attempts.values())
            return
        for trial in attempt.trials:
            if self._last.get(trial.id, attempt).number <= attempt.number:
                self._last[trial.id] = attempt
        if attempt.working and attempt.backend == self.manifest.header.backend:
            self.live[job] = attempt
        elif self.live.pop(job, None) is not None:
            self._ended(attempt)

    def _ended(self, attempt: Attempt) -> None:
        # Its status may have been unknown for so long that the user retried it.
        trials = {trial.id for trial in attempt.trials if self._last[trial.id] is attempt}
        again = self._to_be_tried_again(attempt)
        self.progress.ended += len(trials - again)
        self.progress.failed += len({trial.id for trial in failed(attempt)} & trials - again)

    def _to_be_tried_again(self, attempt: Attempt) -> set[str]:
        """Queue what was cut short, and return the ids of these trials."""
        if not any(attempt.status(trial.id) is Status.UNFINISHED for trial in attempt.trials):
            return set()
        entry = self._entries.get(attempt.id) or _entry(self.manifest, attempt.id)
        action = decide(entry, self._last, self.policy) if entry else None
        if entry is None or action is None:
            return set()
        self._again[entry.id] = entry
        return {trial.id for trial in action.trials}


def _entry(manifest: Manifest, job: str) -> Entry | None:
    return next((entry for entry in manifest.entries() if entry.id == job), None)
