"""The loop that submits what is missing and records what happens.

The only writer of an experiment's ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from amlc.advising import Advising, GivenUp
from amlc.attempts import Attempt, elapsed_s
from amlc.backlog import Backlog, More
from amlc.early_stopping import Assessing, Assessor, Ending
from amlc.errors import TransientError
from amlc.events import Event, session, tick
from amlc.leader import Ended, Lead, Leader
from amlc.manifest import Entry, Manifest
from amlc.mirror import Mirror
from amlc.model import Observation, Status, Trial
from amlc.observe import Curves, Recorder, record
from amlc.outbox import Outbox, is_conflict
from amlc.reconcile import Action, Policy, failed, reconcile

CANCELED: Final = "it was canceled"
"""Why a run stopped that `amlc cancel --all` told to."""

_POLL_S = (
    1.0  # how long to sit still at most: a cancel from another process is seen within this time
)
_LONGEST_S = 20.0  # between two attempts to submit while the service is down
_TICK_S = 30.0  # how often to note that the loop is at work, for the sake of maxExperimentDuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a run. None is unlimited.

    concurrency: trials side by side. abreast: how many trials of one packed job run side by side at
    the most. max_seconds: of work, over all submits. max_failures: of trials.
    """

    concurrency: int
    abreast: int = 1
    max_seconds: float | None = None
    max_failures: int | None = None
    wait: bool = True

    def width(self, trials: Sequence[object]) -> int:
        """Return how many of the trials of a job run side by side.

        So much of `concurrency` the job takes.
        """
        return min(len(trials), self.abreast)

    def room(self, live: Iterable[Attempt]) -> int:
        """Return for how many more trials there is room beside the live ones."""
        return self.concurrency - sum(self.width(attempt.numbers) for attempt in live)


@dataclass(slots=True)
class Progress:
    """Counts of trials, for who watches.

    submitted, ended, failed: in this run; who was canceled did not fail. before: those that had
    ended before it and are not run again. total: all that are compiled. outage: why nothing is
    heard of the running jobs now, or None. news: the trials that ended since the last look. best:
    the best parameter set of all that ended, where it is known which result is better.
    """

    submitted: int = 0
    ended: int = 0
    failed: int = 0
    running: int = 0
    before: int = 0
    total: int = 0
    outage: str | None = None
    news: list[Ended] = field(default_factory=list)
    best: Lead | None = None


Watch = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guides:
    """What has a say in which jobs there are, and how long they run.

    more: where the jobs come from when there is room and all compiled ones were submitted.
    assessor: says which running jobs to stop. given_up: so does a tuner that follows the running
    trials; None: nobody needs their intermediate results.
    """

    more: More = lambda attempts, room: ()
    assessor: Assessor | None = None
    given_up: GivenUp | None = None


def drive(
    manifest: Manifest,
    recorder: Recorder,
    limits: Limits,
    *,
    policy: Callable[[], Policy],
    guides: Guides = Guides(),
    watch: Watch = lambda progress: None,
) -> tuple[Progress, str | None]:
    """Submit what `reconcile` asks for and follow it to its end.

    Return the counts, and why it stopped early or None. policy: asked once what the ledger says is
    settled. It can be killed at any moment and called again: what was recorded as intended is
    looked up by name first.
    """
    before_s = elapsed_s(recorder.ledger.times())
    mirror = Mirror(recorder.ledger, manifest.header.backend)
    run = _Run(manifest, recorder, mirror)
    backlog = run.begin(policy, limits, guides.more)
    follow = _following(run, recorder, mirror, guides)
    started = recorder.clock()
    while True:
        at_work_s = before_s + (recorder.clock() - started)
        stopped = CANCELED if mirror.stopped else _exhausted(limits, run.progress, at_work_s)
        submitted = not stopped and run.submit(backlog, limits)
        watch(run.progress)
        run.progress.news.clear()
        is_over = not (mirror.live or submitted)
        if is_over or not (limits.wait or (submitted and backlog.is_cut)):
            run.note(tick)
            return run.progress, stopped
        if mirror.live and not (submitted and run.room(limits) > 0):
            follow(backlog)  # else all of them were refused, or there is still room


def _following(
    run: _Run, recorder: Recorder, mirror: Mirror, guides: Guides
) -> Callable[[Backlog], None]:
    """Return what waits for news of the live jobs, and ends those that are given up by them."""
    given_up = guides.given_up
    curves = Curves(recorder) if given_up else None
    assessing = Assessing(recorder, guides.assessor) if guides.assessor else None
    advising = Advising(Ending(recorder), given_up) if given_up else None

    def follow(backlog: Backlog) -> None:
        run.observe(backlog, everything=assessing is not None, curves=curves)
        if assessing:
            assessing.stop(mirror.live)
        if advising:
            advising.stop(mirror.attempts, mirror.live, seen=mirror.seen)

    return follow


def _exhausted(limits: Limits, progress: Progress, at_work_s: float) -> str | None:
    if limits.max_failures is not None and progress.failed >= limits.max_failures:
        return f"{progress.failed} failed"
    if limits.max_seconds is not None and at_work_s >= limits.max_seconds:
        return f"maxExperimentDuration ({limits.max_seconds:g} s) is over"
    return None


class _Run:
    """What the loop does in each turn.

    Each step that records something ends by taking up what the ledger has then.
    """

    def __init__(self, manifest: Manifest, recorder: Recorder, mirror: Mirror) -> None:
        self.progress = Progress()
        self._manifest = manifest
        self._recorder = recorder
        self._mirror = mirror
        self._outbox = Outbox(manifest, recorder)
        self._pause_s = 0.0
        self._is_ready = False
        self._noted = 0.0
        self._leader: Leader | None = None
        self._told: dict[str, set[str]] = {}  # the trials of each job that were seen to be over
        self._known: dict[str, Observation] = {}  # as the back end told it last
        self._counted = -1  # the news up to which the live jobs were counted, of thousands of them
        self._rooms = (-1, 0)  # such news, and the room that there was then

    def begin(self, policy: Callable[[], Policy], limits: Limits, more: More) -> Backlog:
        """Settle what was never confirmed, or found its name taken; return what is missing then."""
        self.note(session)
        name = self._manifest.header.backend
        conflicts = [
            one
            for one in self._mirror.attempts.values()
            if one.backend == name and is_conflict(one)
        ]
        self._outbox.settle(self._mirror.live)
        self._catch_up(None)
        allowed = policy()
        self._outbox.reopen(attempt for attempt in conflicts if self._is_last(attempt, allowed))
        self._catch_up(None)
        self.progress.total = self._manifest.trials
        self.progress.before = self._over(self._manifest.entries()) - self._over(
            reconcile(self._manifest.entries(), self._mirror.last, allowed)
        )
        return Backlog(self._manifest, self._mirror, allowed, width=limits.width, more=more)

    def _over(self, of: Iterable[Entry | Action]) -> int:
        """Return how many of the trials had ended before."""
        last, live = self._mirror.last, self._mirror.live
        return sum(
            (attempt := last.get(trial.id)) is not None
            and attempt.job not in live
            and attempt.status(trial.id).ended
            for one in of
            for trial in one.trials
        )

    def _is_last(self, attempt: Attempt, allowed: Policy) -> bool:
        """Tell whether an attempt is the last of its trials, and no other is to follow it."""
        return all(
            self._mirror.last[trial.id] is attempt and (attempt.job, trial.id) not in allowed.retry
            for trial in attempt.trials
        )

    def room(self, limits: Limits) -> int:
        """Return for how many more trials there is room now."""
        if self._rooms[0] != self._mirror.news:
            self._rooms = self._mirror.news, limits.room(self._mirror.live.values())
        return self._rooms[1]

    def submit(self, backlog: Backlog, limits: Limits) -> bool:
        """Submit what is due and finds room; tell whether there was any.

        Once this run has submitted a job, an outage of the service is waited out, if the run is to
        wait at all.
        """
        batch = backlog.take(self.room(limits))
        self.progress.total = backlog.trials
        if not batch:
            return False
        if not self._is_ready:
            self._outbox.check()
            self._is_ready = True
        try:
            self._outbox.send(batch)
        except TransientError as err:
            if not (limits.wait and self._outbox.submitted):
                raise
            self._catch_up(backlog)
            self._wait_out(err)
            return False
        self._pause_s = 0.0
        self._catch_up(backlog)
        self._end_unwanted(action.name for action in batch)
        return True

    def observe(self, backlog: Backlog, *, everything: bool, curves: Curves | None) -> None:
        """Wait for news of the live jobs, record it, and take up what other processes recorded.

        everything, curves: whether the intermediate results of what ended are wanted, and of what
        runs.
        """
        live = self._mirror.live
        try:
            self._settle(backlog)
            seen = self._recorder.backend.poll(live, timeout_s=_POLL_S)
            record(
                self._recorder,
                live,
                seen,
                known=self._known,
                everything=everything,
                curves=curves is not None,
            )
            self._known = {one.job: one for one in seen}
            if curves is not None:
                self._catch_up(backlog)
                curves.look(live)
            self.progress.outage = None
        except TransientError as err:  # the jobs go on without the service, and are paid for
            self.progress.outage = str(err)
        if self._recorder.clock() - self._noted > _TICK_S:
            self.note(tick)
        self._catch_up(backlog)

    def note(self, made: Callable[..., Event]) -> None:
        """Record that the loop is at work, for the sake of `elapsed_s`."""
        self._noted = self._recorder.clock()
        self._recorder.ledger.append([made(at=self._noted)])

    def _settle(self, backlog: Backlog) -> None:
        """Find out what became of the jobs that were to be created when the service went down.

        The rest comes again.
        """
        if self._outbox.is_answered:
            return
        never, there = self._outbox.settle(self._mirror.live)
        backlog.put_back(never)
        self._catch_up(backlog)
        self._end_unwanted(there)

    def _end_unwanted(self, jobs: Iterable[str]) -> None:
        """End the jobs that another process canceled between the intent and the call."""
        live = self._mirror.live
        unwanted = [
            job for job in jobs if self._mirror.stopped or (job in live and live[job].canceling)
        ]
        if unwanted:
            self._recorder.backend.cancel(unwanted)

    def _wait_out(self, err: TransientError) -> None:
        self.progress.outage = str(err)
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s + 1, _LONGEST_S)

    def _catch_up(self, backlog: Backlog | None) -> None:
        """Take up what the ledger has by now.

        backlog: None at the beginning, where nothing can have been cut short.
        """
        news = []
        for attempt in self._mirror.catch_up():
            again = backlog.retry(attempt) if backlog is not None else set()
            # Its status may have been unknown for so long that the user retried it.
            trials = {
                trial.id for trial in attempt.trials if self._mirror.last[trial.id] is attempt
            }
            news += self._ended(
                attempt, [one for one in attempt.trials if one.id in trials - again]
            )
        if self._counted == self._mirror.news:
            return
        self._counted = self._mirror.news
        live = self._mirror.live.values()
        self.progress.submitted = self._outbox.submitted
        self.progress.running = sum(len(attempt.trials) for attempt in live)
        for attempt in live:
            if attempt.outcomes:  # of those that ended before their job
                over = [one for one in attempt.trials if attempt.status(one.id).ended]
                news += self._ended(attempt, over)
                self.progress.running -= len(over)
        if news:
            self._tell(news)

    def _ended(self, attempt: Attempt, trials: Sequence[Trial]) -> list[tuple[Attempt, Trial]]:
        """Count trials of an attempt that are over; return those of which nothing was told yet."""
        known = self._told.setdefault(attempt.job, set())
        new = [trial for trial in trials if trial.id not in known]
        known.update(trial.id for trial in new)
        canceled = Status.CANCELED  # which somebody wanted
        bad = {one.id for one in failed(attempt) if attempt.status(one.id) is not canceled}
        self.progress.ended += len(new)
        self.progress.failed += sum(trial.id in bad for trial in new)
        return [(attempt, trial) for trial in new]

    def _tell(self, news: Sequence[tuple[Attempt, Trial]]) -> None:
        """Note what ended for who watches, and the best so far."""
        told = self._with_results(news)
        header = self._manifest.header
        if header.optimize_mode is None:
            self.progress.news += told
            return
        best = self.progress.best
        leading = {one.trial.id for one in best.trials} if best is not None else set()
        if any(one.trial.id in leading for one in told):
            self._leader = None  # it was run again, and its earlier result counts no more
        if self._leader is None:
            self._leader = Leader(
                maximize=header.optimize_mode == "maximize", replicates=header.replicates
            )
            compiled = {one.id for entry in self._manifest.entries() for one in entry.trials}
            earlier = compiled & self._mirror.last.keys() - {one.trial.id for one in told}
            last = [(self._mirror.last[one], one) for one in earlier]
            for ended in self._with_results(
                (attempt, trial)
                for attempt, one in last
                for trial in attempt.trials
                if trial.id == one
            ):
                self._leader.take(ended)
        for ended in told:
            self._leader.take(ended)
            self.progress.news.append(replace(ended, best=self._leader.best))
        self.progress.best = self._leader.best

    def _with_results(self, ended: Iterable[tuple[Attempt, Trial]]) -> list[Ended]:
        trials = list(ended)
        finals = self._recorder.ledger.finals({attempt.job for attempt, _ in trials})
        found = []
        for attempt, trial in trials:
            key = attempt.job, trial.id
            found.append(Ended(trial, attempt, (finals[key],) if key in finals else ()))
        return found
