"""The contract that each back end keeps, and what some of them can do beyond it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from amlc.model import Metric, Observation, Outcome

CONFLICT: Final = "conflict: "
"""How the refusal of a job begins whose name another job has, which may be gone later."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to create.

    The name of this attempt, its compiled file's content, and the folder which that lies in.
    Relative paths in the file count from that folder.
    """

    job: str
    content: bytes
    folder: Path


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer to a submission.

    url: the job's page, if it has one. refused: why it will never run, or None.
    """

    job: str
    url: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a job left behind: the reports of its trials in order, and how each trial ended."""

    metrics: Sequence[Metric]
    outcomes: Sequence[Outcome]


class Backend(Protocol):
    """Where jobs run. A job's name is its key: submitting it twice has the effect of doing it once.

    All calls raise BackendError when the back end cannot be reached.
    """

    @property
    def slots(self) -> int | None:
        """How many trials, of whichever jobs, it can run side by side.

        None is no limit of its own.
        """

    @property
    def has_gpus(self) -> bool:
        """Whether GPUs that trials ask for are there, so that those of a job run side by side."""

    def submit(self, batch: Sequence[Submission]) -> Iterator[Submitted]:
        """Create the jobs, yielding each answer as it comes; a job that exists is left as it is."""

    def adopt(self, jobs: Mapping[str, str | None]) -> Iterator[Submitted]:
        """Answer as `submit` does for those of `jobs` that are there.

        One that certainly is not is left out. jobs: the SHA-256 of each job's file; one that was
        made of another is refused. None: not known, not compared.
        """

    def poll(self, jobs: Collection[str], *, timeout_s: float) -> list[Observation]:
        """Return what is known of `jobs`, after a change or `timeout_s` at the latest.

        A job is left out only if it is certain that the back end does not have it. Raises
        TransientError while the service is down; then the next call waits too before it asks.
        """

    def cancel(self, jobs: Collection[str]) -> None:
        """Ask for the end of `jobs`; those that have ended, or never were, are no error."""

    def fetch(self, job: str) -> Fetched:
        """Return what the trials of an ended or running job reported so far."""

    def log(self, job: str, *, follow: bool) -> Iterator[bytes]:
        """Yield what the job printed so far and, with `follow`, what it prints until its end.

        Without metrics.
        """


@runtime_checkable
class Ready(Protocol):
    """A back end that can say beforehand that nothing can be submitted."""

    def ready(self) -> None:
        """Raise BackendError when nobody is signed in, or the service does not answer.

        Asked before the first intent, which without a sign-in nobody could settle.
        """


@runtime_checkable
class HistoryApart(Protocol):
    """A back end elsewhere.

    `fetch` gives the final reports only, and the intermediate ones are asked for apart.
    """

    def history(self, jobs: Collection[str]) -> Iterator[tuple[str, Sequence[Metric]]]:
        """Yield each job with every report of its trials so far."""


@runtime_checkable
class Children(Protocol):
    """A back end whose sweeps run each trial in a job of its own."""

    def child(self, job: str, trial: str) -> str | None:
        """Return the job that runs a trial of `job`: that one itself unless it is a sweep.

        None: the sweep has none for it, or not yet.
        """


@runtime_checkable
class Reasons(Protocol):
    """A back end that knows why jobs wait."""

    def reasons(self, jobs: Collection[str]) -> Mapping[str, str]:
        """Return why waiting jobs wait, by job, as far as the back end says so."""


@runtime_checkable
class TrialLogs(Protocol):
    """A back end that can tell what one of a job's several trials printed from the rest."""

    def trial_log(self, job: str, trial: str, *, follow: bool) -> Iterator[bytes]:
        """Yield what `log` does, of that trial alone; of the whole job where nobody kept it apart.

        With `follow`, until the trial's end.
        """


@runtime_checkable
class Outputs(Protocol):
    """A back end that keeps the files that jobs write."""

    def outputs(self, job: str) -> Mapping[str, int]:
        """Return the files that a job left, with their sizes in bytes.

        By their paths below its `outputs/`, in which each named output is a folder.
        """

    def output(self, job: str, name: str, *, start: int) -> Iterator[bytes]:
        """Yield the content of one of them from byte `start` on."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found: all is well, or what to do.

    is_warned: nothing that would keep jobs from running, but it is not as it should be.
    """

    name: str
    is_well: bool
    text: str
    is_warned: bool = False


@runtime_checkable
class Doctor(Protocol):
    """A back end that can tell what an experiment needs on it and does not have."""

    def examine(self, build: Path, /) -> Iterator[Check]:
        """Yield the checks as they are made. build: the experiment's build folder."""
