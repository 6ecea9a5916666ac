"""NNI's names for what an experiment does: a script needs no change but its import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amlc.collect.rows import Row as TrialRow
from amlc.errors import UsageError
from amlc.model import Status

if TYPE_CHECKING:
    from amlc.api.results import Results, Row
    from amlc.commands.steps import Run

_STATUSES = {
    Status.PENDING: "WAITING",
    Status.WAITING: "WAITING",
    Status.RUNNING: "RUNNING",
    Status.SUCCEEDED: "SUCCEEDED",
    Status.FAILED: "FAILED",
    Status.CANCELED: "USER_CANCELED",
    Status.EARLY_STOPPED: "EARLY_STOPPED",
    Status.UNFINISHED: "FAILED",
    Status.UNKNOWN: "UNKNOWN",
}


@dataclass(frozen=True)
class TrialResult:
    """The final result of a trial, by NNI's names. value: what the trial reported."""

    parameter: Mapping[str, Any]
    value: Any
    trialJobId: str  # noqa: N815 - NNI's name


@dataclass(frozen=True)
class TrialJob:
    """A trial, by NNI's names and, for its status, words.

    startTime, endTime: milliseconds since the epoch, or None.
    """

    trialJobId: str  # noqa: N815
    status: str
    hyperParameters: Mapping[str, Any]  # noqa: N815
    finalMetricData: Any  # noqa: N815
    sequenceId: int  # noqa: N815
    startTime: int | None  # noqa: N815
    endTime: int | None  # noqa: N815


class NniNames:
    """What NNI calls `run`, `stop`, `list_trial_jobs`, … of its Experiment."""

    if TYPE_CHECKING:

        def submit(self, *, wait: bool = True) -> Run: ...
        def results(self) -> Results: ...
        def cancel(self, trials: Iterable[str | int] | None = None) -> int: ...
        @property
        def is_compiled(self) -> bool: ...

    def run(
        self,
        port: int | None = None,  # noqa: ARG002
        wait_completion: bool = True,  # noqa: FBT001, FBT002 - NNI's signature
        **options: Any,
    ) -> Results:
        """Compile, submit, follow to the end, and return the results.

        port: NNI's; there is no server. wait_completion: False returns as soon as what may run side
        by side is submitted. options: as for `submit`. Raises as `submit` does.
        """
        self.submit(wait=wait_completion, **options)
        return self.results()

    def start(self, port: int | None = None, **options: Any) -> None:  # noqa: ARG002
        """Submit what may run side by side, and return."""
        self.submit(wait=False, **options)

    def stop(self) -> None:
        """End what is at work, if something is."""
        if self.is_compiled and _is_at_work(self.results()):
            self.cancel()

    def get_status(self) -> str:
        """Return `RUNNING`, `DONE`, or `STOPPED` where something is left to do: NNI's words."""
        results = self.results()
        if _is_at_work(results):
            return "RUNNING"
        return "DONE" if results.verdict.submitted else "STOPPED"

    def list_trial_jobs(self) -> list[TrialJob]:
        """Return all trials."""
        return [_job(row) for row in self.results().trials]

    def get_trial_job(self, trial_job_id: str) -> TrialJob:
        """Return the trial of that id. Raises UsageError when there is none."""
        for job in self.list_trial_jobs():
            if job.trialJobId == trial_job_id:
                return job
        raise UsageError(f"{trial_job_id}: no trial has that id.")

    def get_job_statistics(self) -> list[dict[str, Any]]:
        """Return how many trials have each status: `trialJobStatus`, `trialJobNumber`."""
        counts = Counter(job.status for job in self.list_trial_jobs())
        return [
            {"trialJobStatus": status, "trialJobNumber": count} for status, count in counts.items()
        ]

    def get_job_metrics(self, trial_job_id: str | None = None) -> dict[str, Sequence[Row]]:
        """Return the intermediate results of a trial, or of all of them, by id."""
        results = self.results()
        ids = [row["trial"] for row in results] if trial_job_id is None else [trial_job_id]
        return {trial: results.history(trial) for trial in ids}

    def export_data(self) -> list[TrialResult]:
        """Return the final results of the trials that have one."""
        rows = [row for row in self.results().trials if row.final]
        return [TrialResult(row.trial.parameters, row.final[0], row.trial.id) for row in rows]

    def kill_trial_job(self, trial_job_id: str) -> None:
        """End one trial."""
        self.cancel([trial_job_id])


def _is_at_work(results: Results) -> bool:
    return any(row.status in (Status.WAITING, Status.RUNNING) for row in results.trials)


def _job(row: TrialRow) -> TrialJob:
    started, ended = row.times
    return TrialJob(
        trialJobId=row.trial.id,
        status=_STATUSES[row.status],
        hyperParameters=row.trial.parameters,
        finalMetricData=row.final[0] if row.final else None,
        sequenceId=row.trial.sequence,
        startTime=_ms(started),
        endTime=_ms(ended),
    )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
