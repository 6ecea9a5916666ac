"""Find the jobs that ended lately without reading the whole list of jobs: MLflow has them by time.

What it says of them is a hint alone, for a trial can end its run by itself. Each is looked up where
it stood in the list, with its neighbours there, or by its name.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Final

from amlc.errors import BackendError, TransientError
from amlc.targets.aml import runs
from amlc.targets.aml.client import Client
from amlc.targets.aml.jobs import get_job, page_views
from amlc.targets.aml.views import View

_OVERLAP_S: Final = 15.0  # of two questions: MLflow may be a moment behind
_PER_SECOND, _PER_JOB = 0.5, 0.06  # calls to look jobs up: as time goes by, and for each that ended
_MOST_SPARE = 60.0
_PATIENCE_S = 20.0  # a job that waits for so long is worth two


class Lately:
    """What MLflow says of ended jobs that is not confirmed yet, and where each stands in the list.

    works: whether MLflow can be asked, for all that is known. runs: by job. places: by job, the
    link of the page of the list on which it was seen last.
    """

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._asked = clock()
        self._spare = 0.0
        self._since = 0.0
        self.works = True
        self._experiments: dict[str, str | None] = {}  # MLflow's ids, as far as they are known
        self.places: dict[str, str] = {}
        self.runs: dict[str, runs.Run] = {}

    def views(self, wanted: Collection[str], also: Collection[str]) -> list[View] | None:
        """Return what is new of the wanted jobs, None where MLflow cannot be asked for it.

        also: what is looked up whatever MLflow says of it.
        """
        fresh = self._fresh()
        if fresh is None:
            return None
        self.runs = {job: run for job, run in self.runs.items() if job in wanted}
        before = len(self.runs)
        self.runs |= {run.job: run for run in fresh if run.job in wanted}
        now = self._clock()
        earned = _PER_SECOND * (now - self._asked) + _PER_JOB * (len(self.runs) - before)
        self._asked, self._spare = now, min(self._spare, _MOST_SPARE) + earned
        return self._looked_up(wanted, {*self.runs, *also})

    def taken(self, jobs: Iterable[str]) -> dict[str, runs.Run]:
        """Return the runs of these jobs, as far as they are known, and forget them."""
        return {job: self.runs.pop(job) for job in jobs if job in self.runs}

    def _fresh(self) -> list[runs.Run] | None:
        if not self.works:
            return None
        try:
            for name in [name for name, known in self._experiments.items() if known is None]:
                self._experiments[name] = runs.experiment_id(self._client, name)
            known = [known for known in self._experiments.values() if known is not None]
            found = runs.ended(self._client, known, self._since) if known else None
        except TransientError:
            raise
        except BackendError:
            found = None
        if found is None:
            self.works = False
        elif found:
            self._since = max(self._since, max(run.ended or 0.0 for run in found) - _OVERLAP_S)
        return found

    def _looked_up(self, wanted: Collection[str], due: Collection[str]) -> list[View]:
        """Look the due jobs up as far as there are calls, first where many are, or wait long."""
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for job in due:
            groups[self.places.get(job, "")].append(job)
        alone = groups.pop("", [])
        found: dict[str, View] = {}
        for link, jobs in sorted(groups.items(), key=lambda group: -self._weight(group[1])):
            if self._spare < 1:
                break
            self._spare -= 1
            page = {job.name: job.slim for job in self._page(link) if job.name in wanted}
            found |= page
            alone += [job for job in jobs if job not in page]
        for job in alone:
            self.places.pop(job, None)
            if self._spare >= 1:
                self._spare -= 1
                view = get_job(self._client, job)
                found |= {job: view.slim} if view else {}
        for job in found.keys() & self.runs.keys():
            if not found[job].status.ended:
                del self.runs[job]  # its trial ended the run, or it will be there again
        return list(found.values())

    def _weight(self, jobs: Iterable[str]) -> float:
        """Return how much a call is worth that tells of these jobs."""
        ends = (self.runs[job].ended or self._since if job in self.runs else 0.0 for job in jobs)
        return sum(1 + (self._since + _OVERLAP_S - end) / _PATIENCE_S for end in ends)

    def _page(self, link: str) -> list[View]:
        try:
            return page_views(self._client, link)
        except TransientError:
            raise
        except BackendError:  # a link that is too old
            return []

    def note(self, jobs: Iterable[View], link: str) -> None:
        """Remember where jobs were seen, and of which experiment they are."""
        for job in jobs:
            self.places[job.name] = link
            self._experiments.setdefault(job.experiment, None)

    def keep(self, jobs: Collection[str]) -> None:
        """Forget where all other jobs are."""
        self.places = {job: link for job, link in self.places.items() if job in jobs}
