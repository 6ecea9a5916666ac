"""Find the jobs that ended lately without reading the list of all jobs: MLflow has them by time.

What ended well needs no further call where the runner said so as well. All else that MLflow says is
a hint alone, for a trial can end its run by itself; such a job is looked up by its name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from amlc.errors import BackendError, TransientError
from amlc.targets.aml import runs
from amlc.targets.aml.client import Client
from amlc.targets.aml.jobs import get_job
from amlc.targets.aml.views import View, trials_of

_OVERLAP_S: Final = 15.0  # of two questions: MLflow may be a moment behind
_AGAIN_S: Final = 5.0  # until a job is looked up again, and then twice as long each time


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What MLflow had said of a job when it was looked up last, and when that is done again."""

    signs: tuple[object, ...] | None
    due: float
    pause_s: float


class Lately:
    """What MLflow says of ended jobs.

    works: whether it can be asked, for all that is known. runs: of jobs that ended, for all that is
    known, and are followed still.
    """

    def __init__(
        self, client: Client, *, parallel: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.works = True
        self.runs: dict[str, runs.Run] = {}
        self._client = client
        self._parallel = parallel
        self._clock = clock
        self._since: float | None = None
        self._expected = runs.PAGE
        self._experiments: dict[str, str | None] = {}  # MLflow's ids, as far as they are known
        self._jobs: dict[str, View] = {}
        self._doubts: dict[str, _Doubt] = {}

    def note(self, job: View) -> None:
        """Remember a job that is to be followed."""
        self._jobs[job.name] = job.slim
        self._experiments.setdefault(job.experiment, None)

    def keep(self, jobs: Collection[str]) -> None:
        """Forget all other jobs."""
        known: dict[str, Any]
        for known in (self._jobs, self.runs, self._doubts):
            for job in known.keys() - jobs:
                del known[job]

    def views(self, wanted: Collection[str], also: Collection[str]) -> list[View] | None:
        """Return what is new of the wanted jobs, None where MLflow cannot be asked for it.

        also: what is looked up whatever MLflow says of it.
        """
        found = self._found(wanted)
        if found is None:
            return None
        for run in found.runs:
            if not self._is_old_news(run):
                self.runs[run.job] = run
        well = {job: view for job, run in self.runs.items() if (view := self._ended_well(run))}
        looked_up = self._looked_up([job for job in self._due(also) if job not in well])
        # Only now: what was not told for an outage is to be found again.
        self._since = max(self._since or 0.0, found.latest - _OVERLAP_S)
        return [*well.values(), *looked_up]

    def _found(self, wanted: Collection[str]) -> runs.Endings | None:
        if not self.works:
            return None
        try:
            for name in [name for name, known in self._experiments.items() if known is None]:
                self._experiments[name] = runs.experiment_id(self._client, name)
            known = [known for known in self._experiments.values() if known is not None]
            found = (
                runs.ended(self._client, known, wanted, since=self._since, expected=self._expected)
                if known
                else None
            )
        except TransientError:
            raise
        except BackendError:
            found = None
        if found is None:
            self.works = False
        else:
            self._expected = found.count + found.count // 4  # rather one page than two
        return found

    def _is_old_news(self, run: runs.Run) -> bool:
        """Tell whether a job was looked up for the same signs, and found to be at work."""
        return run.job in self._doubts and self._doubts[run.job].signs == run.signs

    def _ended_well(self, run: runs.Run) -> View | None:
        """Return the job of a run as it is now, if no call is needed to know that it ended well.

        Its results must be at hand, since the runner's records may take a moment longer; and of a
        distributed trial this run's runner is one of several, of which others may have failed.
        """
        job = self._jobs.get(run.job)
        if job is None or not run.is_well or run.reports is None:
            return None
        return None if job.is_distributed or not trials_of(job) else job.completed

    def _due(self, also: Collection[str]) -> list[str]:
        now = self._clock()
        return [
            job
            for job in dict.fromkeys([*self.runs, *also, *self._doubts])
            if (doubt := self._doubts.get(job)) is None
            or doubt.due <= now
            or (job in self.runs and self.runs[job].signs != doubt.signs)
        ]

    def _looked_up(self, due: Collection[str]) -> list[View]:
        if not due:
            return []
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="lately") as pool:
            found = dict(
                zip(due, pool.map(lambda job: get_job(self._client, job), due), strict=True)
            )
        now = self._clock()
        for job, view in found.items():
            before = self._doubts.get(job, _Doubt(None, now, _AGAIN_S / 2))
            signs = self.runs[job].signs if job in self.runs else before.signs
            pause_s = 2 * before.pause_s if before.signs == signs else _AGAIN_S
            self._doubts[job] = _Doubt(signs, now + pause_s, pause_s)
            if view is None or not view.status.ended:
                self.runs.pop(job, None)  # it will say more when it has ended
        return [view.slim for view in found.values() if view is not None]
