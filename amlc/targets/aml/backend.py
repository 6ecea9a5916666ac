"""The AML back end: the contract of `amlc.backends`, kept with few calls."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from amlc.backends import Check, Fetched, Submission, Submitted
from amlc.backends.printed import Printed
from amlc.errors import BackendError, TransientError
from amlc.manifest import Header
from amlc.model import Metric, Observation, Status
from amlc.names import aml_name
from amlc.targets.aml import missing_azure, storage_of, workspace_of
from amlc.targets.aml.artifacts import Artifacts
from amlc.targets.aml.client import Client
from amlc.targets.aml.doctor import examine
from amlc.targets.aml.jobs import Submitter, adopted, cancel_jobs, get_job
from amlc.targets.aml.observe import PATIENCE, Observer
from amlc.targets.aml.outputs import Outputs

_SHORTEST_S, _LONGEST_S = (
    1.0,
    20.0,
)  # between two looks at all jobs; the longer nothing changes, the longer
_SHARE = 10  # a look may take a tenth of the time
_WORTH = 20  # jobs that should have ended for each call of a look that takes more than a few
_FEW, _EACH_S = 2, 0.1
_MANY = 8  # calls of a look, beyond which what ended lately is asked for between two of them,
_WHOLE = 4.0  # which are then as many seconds apart for each call
_GLANCE_S = 5.0
_SMALL_PAGE = 30  # jobs, of the list
_FOLLOW_S = 2.0
_LOGS = ("user_logs/", "azureml-logs/70_driver_log")


class AmlBackend:
    """Runs jobs in the workspace of `header`; signs in, and imports what is slow, when called."""

    slots: int | None = None
    has_gpus = True  # the cluster's business

    def __init__(self, header: Header, environ: Mapping[str, str], *, parallel: int) -> None:
        workspace = workspace_of(header)
        if workspace is None:
            raise BackendError(
                f"{header.experiment}: it was compiled without a workspace. Give trainingService "
                "platform aml, subscriptionId, resourceGroup, workspaceName and computeTarget, "
                "and compile again."
            )
        self.client = Client(workspace)
        self._parallel = parallel
        self._header, self._environ = header, environ
        self._artifacts = Artifacts(self.client)
        self._outputs = Outputs(self.client, self._artifacts)
        self._submitter = Submitter(self.client, header, environ)
        self.observer = Observer(
            self.client, self._artifacts, experiment=aml_name(header.experiment), parallel=parallel
        )
        self._seen: dict[str, Observation] = {}
        self._due = 0.0
        self._looked = time.monotonic()
        self._pause_s = _SHORTEST_S
        self._outage: TransientError | None = None
        self._unanswered: set[str] = set()
        self._canceled: set[str] = set()
        self._whole = 0.0  # when all jobs are looked at again; until then at what ended lately

    def submit(self, batch: Sequence[Submission]) -> Iterator[Submitted]:
        _ = self.client.facts  # a workspace that is not there is found out before anything is made
        for answer in self._submitter.submit(batch, parallel=self._parallel):
            self._unanswered.discard(answer.job)
            if answer.refused is None:
                self._seen[answer.job] = Observation(
                    job=answer.job, status=Status.WAITING, url=answer.url
                )
            yield answer
        # So many cannot all have news at once.
        self._soon(min(_LONGEST_S, _EACH_S * len(self._seen) / _SMALL_PAGE))

    def adopt(self, jobs: Mapping[str, str | None]) -> Iterator[Submitted]:
        self._unanswered |= jobs.keys()
        for found in self.observer.views(jobs) if jobs else ():
            self._unanswered.discard(found.name)
            yield adopted(found, jobs[found.name], self.client.tenant)

    def poll(self, jobs: Collection[str], *, timeout_s: float) -> list[Observation]:
        if not jobs:
            return []
        pause = min(self._due - time.monotonic(), timeout_s)
        if pause > 0:
            time.sleep(pause)
        if timeout_s > 0 and time.monotonic() < self._due:
            if self._outage is not None:
                raise self._outage
            if all(job in self._seen for job in jobs):
                return [self._seen[job] for job in jobs]
        try:
            return self._look(jobs)
        except TransientError as err:
            self._outage = err
            self._pause_s = min(self._pause_s * 2, _LONGEST_S)
            self._due = time.monotonic() + self._pause_s
            raise

    def cancel(self, jobs: Collection[str]) -> None:
        cancel_jobs(self.client, jobs, parallel=self._parallel)
        self._canceled |= set(jobs)
        self._soon()

    def fetch(self, job: str) -> Fetched:
        return self.observer.fetched(job)

    def history(self, jobs: Collection[str]) -> Iterator[tuple[str, Sequence[Metric]]]:
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="history") as pool:
            yield from zip(jobs, pool.map(self.observer.history, jobs), strict=True)

    def reasons(self, jobs: Collection[str]) -> Mapping[str, str]:
        return self.observer.reasons(jobs)

    def outputs(self, job: str) -> Mapping[str, int]:
        return self._outputs.sizes(job)

    def output(self, job: str, name: str, *, start: int) -> Iterator[bytes]:
        return self._outputs.read(job, name, start=start)

    def examine(self, build: Path, /) -> Iterator[Check]:
        try:
            yield from examine(
                self.client, self._artifacts, storage_of(self._header), build, self._environ
            )
        except ModuleNotFoundError as err:
            raise missing_azure(err) from err

    def log(self, job: str, *, follow: bool) -> Iterator[bytes]:
        sizes: Counter[str] = Counter()
        printed: defaultdict[str, Printed] = defaultdict(Printed)
        while True:
            # Asked before reading, so that the last words are not missed.
            found = get_job(self.client, job)
            if found is None:
                raise BackendError(f"job '{job}': the workspace does not have it (any more).")
            names = [name for prefix in _LOGS for name in self._artifacts.names(job, prefix)]
            for name in sorted(names):
                chunk = self._artifacts.read(job, name, start=sizes[name])
                sizes[name] += len(chunk)
                if text := printed[name].feed(chunk):
                    yield text
            if not follow or found.status.ended:
                yield from filter(None, [one.close() for one in printed.values()])
                return
            time.sleep(_FOLLOW_S)

    def _look(self, jobs: Collection[str]) -> list[Observation]:
        start = time.monotonic()
        self.observer.keep(jobs)
        self._seen = {job: seen for job, seen in self._seen.items() if job in jobs}
        known = {job: self._seen[job] for job in jobs if job in self._seen}
        glance = None
        if start < self._whole and len(known) == len(jobs):
            glance = self.observer.glance(jobs, self._canceled.intersection(jobs))
        if glance is not None:
            found = list({**known, **{seen.job: seen for seen in glance}}.values())
            self._looked_at(found, start)
            return found
        found = self.observer.look(jobs)
        found += self._deleted(set(jobs) - {seen.job for seen in found} - self._unanswered)
        calls = self.observer.calls
        self._whole = start + _WHOLE * calls if calls > _MANY else 0.0
        unread = self.observer.unread
        if found and all(
            seen.job in unread and unread[seen.job].tries > PATIENCE for seen in found
        ):
            raise unread[found[0].job].error  # nothing else is at work, and it does not heal
        now = time.monotonic()
        self._outage = None
        is_news = any(self._seen.get(seen.job) != seen for seen in found) or len(found) < len(jobs)
        longest = max(_LONGEST_S, float(self.observer.calls))  # one call a second at the most
        longer = _SHORTEST_S if is_news else min(self._pause_s * 1.5, longest)
        if self._whole and self.observer.can_glance:
            longer = _GLANCE_S
        elif self.observer.calls > _FEW:
            longer = max(longer, min(self._until_worth_it(found, now), longest))
        self._looked = now
        self._pause_s = max(longer, _SHARE * (now - start))
        self._due = now + self._pause_s
        self._seen.update((seen.job, seen) for seen in found)
        return found

    def _looked_at(self, found: Sequence[Observation], start: float) -> None:
        """Take note of a look at what ended lately."""
        now = time.monotonic()
        self._outage = None
        is_news = any(self._seen[seen.job] != seen for seen in found)
        self._looked = now
        longer = _GLANCE_S if is_news else min(max(self._pause_s, _GLANCE_S) * 1.5, _LONGEST_S)
        self._pause_s = max(longer, _SHARE * (now - start))
        self._due = now + self._pause_s
        self._seen.update((seen.job, seen) for seen in found)

    def _until_worth_it(self, found: Sequence[Observation], now: float) -> float:
        """Return after how many seconds a look is worth its calls: by how many jobs ended."""
        ended = sum(seen.status.ended and not self._seen_ended(seen.job) for seen in found)
        if not ended:
            return max(self._pause_s * 1.5, _EACH_S * self.observer.calls)
        wanted = min(_WORTH * self.observer.calls, 0.75 * (len(found) - ended))
        return max(wanted * (now - self._looked) / ended, _EACH_S * self.observer.calls)

    def _seen_ended(self, job: str) -> bool:
        return job in self._seen and self._seen[job].status.ended

    def _deleted(self, jobs: Collection[str]) -> list[Observation]:
        """Return what is said of jobs that were there: a person took them away."""
        text = "somebody deleted it in the workspace"
        return [Observation(job=job, status=Status.CANCELED, error=text) for job in sorted(jobs)]

    def _soon(self, pause_s: float = _SHORTEST_S) -> None:
        self._pause_s = max(_SHORTEST_S, pause_s)
        self._due = time.monotonic() + self._pause_s
