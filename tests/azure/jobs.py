"""The jobs of the workspace: what was submitted, the phase each is in, and how tests move them along."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

PHASES = ("NotStarted", "Queued", "Preparing", "Running", "Finalizing")
TERMINAL = frozenset({"Completed", "Failed", "Canceled", "NotResponding", "Paused"})


@dataclass(eq=False)
class Job:
    """One job. `phases` holds each status with the time it began; `error` is (code, message) of a failed one."""

    name: str
    properties: dict[str, Any]
    created: float = field(default_factory=time.time)
    phases: list[tuple[str, float]] = field(default_factory=list)
    error: tuple[str, str] | None = None
    warnings: list[str] = field(default_factory=list)
    artifacts: dict[str, int] = field(default_factory=dict)
    exit_code: int | None = None
    pid: int | None = None
    is_canceled: bool = False
    is_free: bool = False
    ending: tuple[str, tuple[str, str] | None] | None = None
    number: int = 0

    @property
    def status(self) -> str:
        return self.phases[-1][0]

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL

    @property
    def experiment(self) -> str:
        return self.properties.get("experimentName") or "Default"

    @property
    def tags(self) -> dict[str, str]:
        return self.properties.get("tags") or {}

    @property
    def started(self) -> float | None:
        return next((at for status, at in self.phases if status == "Running"), None)

    @property
    def ended(self) -> float | None:
        return self.phases[-1][1] if self.is_over else None


class Jobs:
    """All jobs, in the order in which they were made, and the condition that everybody waits on."""

    def __init__(self):
        self.changed = threading.Condition(threading.RLock())
        self.held: frozenset[str] = frozenset()
        self._jobs: dict[str, Job] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self):
        with self.changed:
            return iter(list(self._jobs.values()))

    def get(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def add(self, job: Job) -> None:
        with self.changed:
            job.number = len(self._jobs) + 1
            job.phases.append(("NotStarted", time.time()))
            self._jobs[job.name] = job

    def forget(self, name: str) -> None:
        """Take a job away as if it had never been."""
        with self.changed:
            del self._jobs[name]

    def enter(self, job: Job, status: str, error: tuple[str, str] | None = None) -> None:
        """Move a job to `status`; one that is over stays as it is."""
        with self.changed:
            if not job.is_over and job.status != status:
                job.phases.append((status, time.time()))
                job.error = error
                self.changed.notify_all()

    def pass_phase(self, job: Job, status: str) -> bool:
        """Move a job to `status` and wait there while that phase is held; say whether it may go on."""
        with self.changed:
            if not job.is_canceled and job.ending is None:
                self.enter(job, status)
            self.changed.wait_for(lambda: self.may_leave(job, status) or job.is_canceled or job.ending)
            return not (job.is_over or job.is_canceled or job.ending)

    def may_leave(self, job: Job, status: str) -> bool:
        return job.is_free or status not in self.held

    def hold(self, phases: Iterable[str]) -> None:
        """Keep jobs in these phases when they reach them. Replaces what was held before."""
        unknown = set(phases) - set(PHASES)
        assert not unknown, unknown
        with self.changed:
            self.held = frozenset(phases)
            self.changed.notify_all()

    def free(self, names: Iterable[str]) -> None:
        """Let these jobs go on to their end, whatever is held."""
        with self.changed:
            for name in names:
                self._jobs[name].is_free = True
            self.changed.notify_all()

    def end(self, job: Job, status: str, error: tuple[str, str] | None = None) -> None:
        """End a job from outside with this status. Its processes are killed by whoever runs it."""
        with self.changed:
            if not job.is_over:
                job.ending = (status, error)
                self.enter(job, status, error)
            self.changed.notify_all()

    def cancel(self, job: Job) -> None:
        with self.changed:
            job.is_canceled = True
            self.enter(job, "CancelRequested")
            self.changed.notify_all()

    def wait(self, done: Callable[[list[Job]], bool], timeout_s: float = 60) -> None:
        """Wait until `done(jobs)`. Raises TimeoutError with what the jobs are at."""
        with self.changed:
            if not self.changed.wait_for(lambda: done(list(self._jobs.values())), timeout_s):
                raise TimeoutError({job.name: job.status for job in self._jobs.values()})
