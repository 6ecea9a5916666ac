"""Find out what became of jobs with few calls: a list for all, a search for those that ended."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from amlc.backends import Fetched
from amlc.backends.ends import Known, ended
from amlc.errors import BackendError, TransientError
from amlc.model import Metric, Observation, Outcome, Status, Trial
from amlc.targets.aml import runs
from amlc.targets.aml.artifacts import Artifacts, Records, records, written_trial
from amlc.targets.aml.assets import waiting_reason
from amlc.targets.aml.client import WORKSPACE_VERSION, Client
from amlc.targets.aml.jobs import get_job, job_pages
from amlc.targets.aml.lately import Lately
from amlc.targets.aml.sweeps import Sweeps, key_of
from amlc.targets.aml.views import Cause, View, cause, is_late, trials_of

PATIENCE: Final = 5
"""Looks at an ended job that cannot be looked into, before the service's word has to do."""

_BEFORE = ("Provisioning", "Preparing", "Starting")  # each says by itself what the job waits for


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a job that ended could not be looked into, and how often that was tried."""

    error: BackendError
    tries: int


class Observer:
    """What is known of the jobs of one workspace, and what the ended ones left behind."""

    def __init__(
        self, client: Client, artifacts: Artifacts, *, experiment: str, parallel: int
    ) -> None:
        self._client = client
        self._artifacts = artifacts
        self._experiment = experiment
        self._parallel = parallel
        self._lately = Lately(client, parallel=parallel)
        self._lists_by_experiment = True
        self._experiments: dict[str, str] = {}
        self.calls = 0  # for the last look at all jobs, without those for what ended
        self.ended: dict[str, tuple[Observation, Fetched]] = {}
        self.unread: dict[str, Unread] = {}
        self.sweeps = Sweeps(
            client, lambda job: get_job(client, job), lambda job: written_trial(artifacts, job)
        )

    def look(self, jobs: Collection[str]) -> list[Observation]:
        """Return what the service says of `jobs` now; those that it surely lacks are left out."""
        return self.tell_listed(self.views(jobs, slim=True))

    def tell_listed(self, views: Sequence[View]) -> list[Observation]:
        """Return what there is to say of jobs that are followed from now on."""
        for job in views:
            self._lately.note(job)
        return self.tell(views)

    def note(self, job: View) -> None:
        """Take note of a job that was created, and is to be followed."""
        self._lately.note(job)

    def keep(self, jobs: Collection[str]) -> None:
        """Forget the results of all other jobs: who follows thousands has recorded them."""
        kept = self.sweeps.keep(jobs)
        self.ended = {job: told for job, told in self.ended.items() if job in kept}
        self.unread = {job: unread for job, unread in self.unread.items() if job in kept}
        self._lately.keep(jobs)

    @property
    def can_glance(self) -> bool:
        """Whether what ended lately can be told for few calls, for all that is known."""
        return self._lately.works

    def glance(self, jobs: Collection[str], also: Collection[str]) -> list[Observation] | None:
        """Return what is new of `jobs` for few calls, None where that cannot be told.

        also: those that are looked up in any case, as are those that could not be read, and sweeps.
        """
        unread = self.unread.keys() - self.sweeps.are_children(self.unread)
        found = self._lately.views(jobs, {*also, *unread, *self.sweeps.standing})
        return None if found is None else self.tell(found)

    def tell(self, views: Iterable[View]) -> list[Observation]:
        """Return what there is to say of listed jobs; of those newly ended with their results."""
        views = list(views)
        swept = [job for job in views if job.is_sweep and job.name not in self.ended]
        found = self._each(lambda job: self.sweeps.of(job, self.ended), swept)
        children = {job.name: some for job, some in zip(swept, found, strict=True)}
        theirs = [child for some in children.values() for child in some]
        jobs = [*(job for job in views if not job.is_sweep), *(child.view for child in theirs)]
        fresh = [job for job in jobs if job.status.ended and job.name not in self.ended]
        self._take_in(fresh, {child.run.job: child.run for child in theirs})
        for sweep in swept:
            why = self._cause(sweep) if sweep.status is Status.FAILED else None
            now = self.sweeps.take_in(sweep, children[sweep.name], self.ended, why)
            if now.is_over:
                self.ended[sweep.name] = now.seen, now.fetched
        return [self._told(job) for job in views]

    def _told(self, job: View) -> Observation:
        if job.name in self.ended:
            return self.ended[job.name][0]
        if job.name in self.sweeps.standing:
            return self.sweeps.standing[job.name].seen
        remark = None
        if job.name in self.unread:
            remark = (
                f"Azure ML says {job.raw_status!r}, but its records cannot be read: "
                f"{self.unread[job.name].error}"
            )
            return Observation(
                job=job.name, status=Status.UNKNOWN, error=remark, url=job.url(self._client.tenant)
            )
        if job.status is Status.UNKNOWN:
            remark = f"Azure ML says {job.raw_status or 'nothing'!r}"
        return Observation(
            job=job.name, status=job.status, error=remark, url=job.url(self._client.tenant)
        )

    def views(self, jobs: Collection[str], *, slim: bool = False) -> list[View]:
        """Return `jobs` as the service has them now; one that it surely does not have is left out.

        slim: only what is told of them, since there may be thousands. A thread may do this while
        another one tells what there is to say.
        """
        wanted = set(jobs)
        self.calls = 0
        listed, is_whole = self._listed(wanted, slim=slim)
        self.calls += len(wanted) - len(listed)
        # The list may be a moment behind, and a job made by hand has no property to be filtered by.
        hidden = [
            view
            for view in self._each(lambda job: get_job(self._client, job), wanted - listed.keys())
            if view
        ]
        if hidden and not listed and is_whole:
            self._lists_by_experiment = False
        return [*listed.values(), *hidden]

    def _listed(self, wanted: Collection[str], *, slim: bool) -> tuple[dict[str, View], bool]:
        """Return those of the wanted jobs that the list has, and whether that is all of it.

        It is read no further than to the last of them, nor when as many pages were of no use as
        jobs are left: these are old, lie at its end, and each is asked for by itself.
        """
        known = self._experiment if self._lists_by_experiment else None
        listed: dict[str, View] = {}
        useless = 0
        for page in job_pages(self._client, experiment=known):
            self.calls += 1
            found = {job.name: job.slim if slim else job for job in page if job.name in wanted}
            listed |= found
            useless += not found
            if page and useless >= len(wanted) - len(listed):
                return listed, False
        return listed, True

    def fetched(self, job: str) -> Fetched:
        """Return what the trials of a job reported so far."""
        if self.known(job) is None:
            found = get_job(self._client, job)
            if found is None:
                return Fetched((), ())
            if found.is_sweep:
                self.tell([found])
                return self.fetched(job)
            run = runs.get(self._client, job)
            kept = self._kept(found, run)
            return _results(found, run, kept)
        return self.known(job) or Fetched((), ())

    def known(self, job: str) -> Fetched | None:
        """Return what was seen of the trials of a job that ended, or of a sweep so far."""
        if job in self.sweeps.standing:
            return self.sweeps.standing[job].fetched
        return self.ended[job][1] if job in self.ended else None

    def child(self, job: str, trial: str) -> str | None:
        """Return the job that runs a trial of `job`: itself, or of a sweep that child, if any."""
        found = get_job(self._client, job)
        if found is None or not found.is_sweep:
            return job
        children = self.sweeps.of(found)
        return next((child.view.name for child in children if child.trial.id == trial), None)

    def reasons(self, jobs: Collection[str]) -> dict[str, str]:
        """Return why waiting jobs wait, as far as the service or their compute target says so."""
        views = [
            job for job in self._each(lambda job: get_job(self._client, job), list(jobs)) if job
        ]
        computes = {job.compute: self._compute_says(job.compute) for job in views}
        said = {job.name: self._queue_says(job) or computes[job.compute] for job in views}
        return {name: text for name, text in said.items() if text}

    def _queue_says(self, job: View) -> str | None:
        details = self._details(job)
        queue = (details.get("queueingInfo") or {}).get("message")
        warnings = [str(warning.get("message") or "") for warning in details.get("warnings") or ()]
        return (
            queue or " ".join(warnings) or (job.raw_status if job.raw_status in _BEFORE else None)
        )

    def _compute_says(self, compute: str) -> str | None:
        if not compute:
            return None
        path, doing = f"/computes/{compute}", f"compute '{compute}'"
        try:
            found = self._client.get(path, doing=doing, version=WORKSPACE_VERSION, missing=True)
        except BackendError:
            return None  # not to be allowed to see it is no reason to stop
        return waiting_reason(found or {})

    def history(self, job: str) -> Sequence[Metric]:
        """Return every report of a job's trials: from MLflow or, if need be, the runner's records.

        Of a running job, and of one that was killed without a chance to say which numbers are the
        runner's, all that MLflow holds is taken for intermediate results.
        """
        found, run = get_job(self._client, job), runs.get(self._client, job)
        if found is None:
            return ()
        if found.is_sweep:
            return [
                replace(one, trial=key_of(child, found))
                for child in self.sweeps.of(found)
                for one in self._history(child.view, child.run)
            ]
        return self._history(found, run)

    def _history(self, found: View, run: runs.Run | None) -> Sequence[Metric]:
        told = None if run is None else run.reports
        if found.status.ended and (
            told is None or not all(report.whole for report in told.values())
        ):
            kept = self._reports(found)
            if kept or run is None:
                return kept
        if run is None:
            return ()
        trials = trials_of(found)
        points = {key: runs.history(self._client, found.name, key) for key in run.last}
        final = () if told is None else runs.final_metrics(run, trials)
        return [*runs.intermediate_metrics(run, points, trials), *final]

    def _reports(self, job: View) -> Sequence[Metric]:
        """Return what the runner recorded, or nothing: MLflow holds most of it."""
        try:
            return records(
                self._artifacts, job.name, [trial.id for trial in trials_of(job)]
            ).metrics
        except TransientError:
            raise
        except BackendError as err:
            warnings.warn(
                f"{job.name}: MLflow alone tells its history: {err}", RuntimeWarning, stacklevel=2
            )
            return ()

    def _each(self, call: Any, items: Collection[Any]) -> list[Any]:
        if not items:
            return []
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="look") as pool:
            return list(pool.map(call, items))

    def _take_in(self, jobs: Sequence[View], known: Mapping[str, runs.Run]) -> None:
        """Remember the ended jobs with their times and results. known: runs that are at hand."""
        if not jobs:
            return
        found = self._runs(jobs, known)
        self._each(lambda job: self._settle(job, found.get(job.name)), jobs)

    def _settle(self, job: View, run: runs.Run | None) -> None:
        """Remember how a job ended; what cannot be read stops nothing, and is asked for again."""
        why = kept = remark = None
        try:
            if job.status is Status.FAILED or (not _is_well(job) and _began(run)):
                why = self._cause(job)
            kept = heeding_ranks(job, self._kept(job, run))
        except BackendError as err:
            tries = self.unread[job.name].tries if job.name in self.unread else 0
            if _is_well(job) or tries < PATIENCE:
                self.unread[job.name] = Unread(err, tries + 1)
                return
            remark = f"its records cannot be read: {err}"
        self.unread.pop(job.name, None)
        fetched = _results(job, run, kept)
        seen = _ended(job, run, why, fetched.outcomes, began=kept is not None and kept.began)
        if remark is not None:
            seen = replace(seen, error=f"{seen.error}; {remark}" if seen.error else remark)
        self.ended[job.name] = replace(seen, url=job.url(self._client.tenant)), fetched

    def _runs(self, ended: Sequence[View], known: Mapping[str, runs.Run]) -> dict[str, runs.Run]:
        """Return the runs of ended jobs: few one by one, many by a search in their experiment."""
        known = {**self._lately.runs, **known}
        found = {job.name: known[job.name] for job in ended if job.name in known}
        unknown = [job for job in ended if job.name not in found]
        if len(unknown) > 2:
            for name in {job.experiment for job in unknown}:
                if name not in self._experiments:
                    self._experiments[name] = runs.experiment_id(self._client, name) or ""
                if self._experiments[name]:
                    names = {job.name for job in unknown if job.experiment == name}
                    found |= runs.search(self._client, self._experiments[name], names)
        bare = [
            job.name
            for job in ended
            if job.name not in found
            or (_is_well(job) and found[job.name].reports is None)  # perhaps a moment behind
        ]
        found.update(
            {
                run.job: run
                for run in self._each(lambda job: runs.get(self._client, job), bare)
                if run
            }
        )
        return found

    def _cause(self, job: View) -> Cause | None:
        return cause(self._details(job))

    def _details(self, job: View) -> Mapping[str, Any]:
        run = f"{self._client.scope}/experiments/{job.experiment}/runs/{job.name}"
        doing, url = f"details of '{job.name}'", f"/history/v1.0{run}/details"
        return self._client.api.call("GET", url, doing=doing, missing=True) or {}

    def _kept(self, job: View, run: runs.Run | None) -> Records | None:
        """Return the runner's records of a job; they are read only where MLflow cannot tell."""
        trials = trials_of(job)
        if not trials or (_is_well(job) and run is not None and run.reports is not None):
            return None
        if not (_is_well(job) or _began(run)):
            return None
        return records(self._artifacts, job.name, [trial.id for trial in trials])


def heeding_ranks(job: View, kept: Records | None) -> Records | None:
    """Return the records without the ends of trials that do not say why a distributed job failed.

    They are those of the first process, and one that is killed leaves no word.
    """
    if kept is None or job.status is not Status.FAILED or not job.is_distributed:
        return kept
    if not kept.outcomes or any(outcome.exit_code != 0 for outcome in kept.outcomes):
        return kept
    return replace(kept, outcomes=(), began=False)


def _is_well(job: View) -> bool:
    return job.status is Status.SUCCEEDED


def _began(run: runs.Run | None) -> bool:
    return run is not None and run.started is not None


def _ran_s(run: runs.Run | None) -> float | None:
    if run is None or run.started is None:
        return None
    return 0.0 if run.ended is None else run.ended - run.started


def _results(job: View, run: runs.Run | None, kept: Records | None) -> Fetched:
    """Return a job's results by its runner's records or, where those were not read, its run."""
    trials = trials_of(job)
    if kept is not None:
        return Fetched(kept.metrics, kept.outcomes or (_all_well(trials) if _is_well(job) else ()))
    if run is None or not _is_well(job):
        return Fetched((), ())
    return Fetched(list(runs.final_metrics(run, trials)), _all_well(trials))


def _ended(
    job: View, run: runs.Run | None, why: Cause | None, outcomes: Sequence[Outcome], *, began: bool
) -> Observation:
    seen = Observation(
        job=job.name,
        status=job.status,
        started=run.started if run else None,
        ended=run.ended if run else None,
    )
    if _is_well(job):
        return seen
    late = is_late(job, why, _ran_s(run))
    known = Known(
        code=why.code if why else None,
        canceled=job.status is Status.CANCELED and not late,
        late=late,
        began=began,
        gone=why.text if why and why.infrastructure else None,
        said=why.text if why else None,
    )
    return ended(seen, [trial.id for trial in trials_of(job)], outcomes, known)


def _all_well(trials: Sequence[Trial]) -> list[Outcome]:
    """Return the outcomes of a job that succeeded: its runner ends with 0 only if all trials do."""
    return [Outcome(trial=trial.id, exit_code=0, started=None, ended=None) for trial in trials]
