"""The AML back end: the contract of `amlc.backends`, kept with few calls."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from amlc.backends import Check, Fetched, Submission, Submitted
from amlc.backends.printed import Printed
from amlc.errors import BackendError, TransientError
from amlc.manifest import Header
from amlc.model import Metric, Observation, Status
from amlc.names import aml_name
from amlc.targets.aml import missing_azure, storage_of, workspace_of
from amlc.targets.aml.artifacts import Artifacts, trial_log
from amlc.targets.aml.client import Client
from amlc.targets.aml.doctor import examine
from amlc.targets.aml.jobs import Submitter, adopted, cancel_jobs, get_job
from amlc.targets.aml.observe import PATIENCE, Observer
from amlc.targets.aml.outputs import Outputs
from amlc.targets.aml.views import View

_SHORTEST_S, _LONGEST_S = (
    1.0,
    20.0,
)  # between two looks at all jobs; the longer nothing changes, the longer
_SHARE = 10  # a look may take a tenth of the time
_WORTH = 20  # jobs that should have ended for each call of a look that takes more than a few
_FEW, _EACH_S = 2, 0.1
_MANY = 8  # calls of a look, beyond which what ended lately is asked for between two of them,
_WHOLE, _WHOLE_S = 30, 4.0  # which are worth so many jobs that ended for each call, and take time,
_WHOLE_IDLE_S = 15.0  # more of it where hardly any end
_GLANCE_S, _GLANCE = 5.0, 25  # at first; then jobs that should have ended for a call,
_GLANCE_SHARE = 2  # which is one alone, and may take half of the time
_SMALL_PAGE = 30  # jobs, of the list
_FOLLOW_S = 2.0
_LOGS = ("user_logs/", "azureml-logs/70_driver_log")


class _Aside:
    """A look at all of `jobs` in a thread of its own, which ends with the process."""

    def __init__(
        self, jobs: AbstractSet[str], begun: float, look: Callable[[], Sequence[View]]
    ) -> None:
        self.jobs, self.begun = jobs, begun
        self.views: Future[Sequence[View]] = Future()
        self._look = look
        threading.Thread(target=self._run, name="list", daemon=True).start()

    def _run(self) -> None:
        try:
            self.views.set_result(self._look())
        except BaseException as err:  # noqa: BLE001 - raised where the result is asked for
            self.views.set_exception(err)


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
        self.observer = Observer(
            self.client, self._artifacts, experiment=aml_name(header.experiment), parallel=parallel
        )
        self._submitter = Submitter(self.client, header, environ, note=self.observer.note)
        self._seen: dict[str, Observation] = {}
        self._due = 0.0
        self._looked = time.monotonic()
        self._pause_s = _SHORTEST_S
        self._outage: TransientError | None = None
        self._unanswered: set[str] = set()
        self._canceled: set[str] = set()
        self._calls = 0  # of the last look at all jobs, if it took many,
        self._next_s = 0.0  # when the next one is due at the earliest,
        self._over = 0  # and how many jobs were seen to end since
        self._idle_s = _WHOLE_IDLE_S
        self._aside: _Aside | None = None  # the look at all jobs that is under way

    def ready(self) -> None:
        _ = self.client.facts

    def submit(self, batch: Sequence[Submission]) -> Iterator[Submitted]:
        self.ready()  # a workspace that is not there is found out before anything is made
        for answer in self._submitter.submit(batch, parallel=self._parallel):
            self._unanswered.discard(answer.job)
            if answer.refused is None:
                self._seen[answer.job] = Observation(
                    job=answer.job, status=Status.WAITING, url=answer.url
                )
            yield answer
        if not self._calls:  # else what ended lately has a pace of its own
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
        self._idle_s = _WHOLE_S  # who wants to know what runs has to see what began
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="history") as pool:
            yield from zip(jobs, pool.map(self.observer.history, jobs), strict=True)

    def child(self, job: str, trial: str) -> str | None:
        return self.observer.child(job, trial)

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

    def trial_log(self, job: str, trial: str, *, follow: bool) -> Iterator[bytes]:
        name = trial_log(trial)
        if name not in self._artifacts.names(job, name):
            return self.log(job, follow=follow)  # while it runs, not all of them are there
        return self._log(job, (name,), follow=follow)

    def log(self, job: str, *, follow: bool) -> Iterator[bytes]:
        return self._log(job, _LOGS, follow=follow)

    def _log(self, job: str, prefixes: Sequence[str], *, follow: bool) -> Iterator[bytes]:
        sizes: Counter[str] = Counter()
        printed: defaultdict[str, Printed] = defaultdict(Printed)
        while True:
            # Asked before reading, so that the last words are not missed.
            found = get_job(self.client, job)
            if found is None:
                raise BackendError(f"job '{job}': the workspace does not have it (any more).")
            names = [name for prefix in prefixes for name in self._artifacts.names(job, prefix)]
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
        if self._calls and len(known) == len(jobs):
            glance = self.observer.glance(jobs, self._canceled.intersection(jobs))
        if glance is not None:
            known.update((seen.job, seen) for seen in glance)
            known.update((seen.job, seen) for seen in self._seen_aside(known))
            found = list(known.values())
            self._give_up_on(found)
            self._looked_at(found, start)
            return found
        self._aside = None
        found = self.observer.look(jobs)
        found += self._deleted(set(jobs) - {seen.job for seen in found} - self._unanswered)
        self._looked_wholly(start)
        self._give_up_on(found)
        now = time.monotonic()
        self._outage = None
        is_news = any(self._seen.get(seen.job) != seen for seen in found) or len(found) < len(jobs)
        longest = max(_LONGEST_S, float(self.observer.calls))  # one call a second at the most
        longer = _SHORTEST_S if is_news else min(self._pause_s * 1.5, longest)
        if self.observer.calls > _FEW:
            longer = max(longer, min(self._until_worth_it(found, now), longest))
        may_glance = self._calls and self.observer.can_glance
        self._looked = now
        self._pause_s = _GLANCE_S if may_glance else max(longer, _SHARE * (now - start))
        self._due = now + self._pause_s
        self._seen.update((seen.job, seen) for seen in found)
        return found

    def _give_up_on(self, found: Sequence[Observation]) -> None:
        """Raise why none can be read where nothing else is at work, and it does not heal."""
        unread = self.observer.unread
        if found and all(
            seen.job in unread and unread[seen.job].tries > PATIENCE for seen in found
        ):
            raise unread[found[0].job].error

    def _seen_aside(self, known: Mapping[str, Observation]) -> Sequence[Observation]:
        """Return what a look at all jobs says of known ones, which goes on between two calls.

        For it may take a minute, in which jobs end and others could run.
        """
        now = time.monotonic()
        live = {job for job, seen in known.items() if not seen.status.ended}
        if self._aside is None:
            if self._is_whole_due(now):
                self._aside = _Aside(live, now, partial(self.observer.views, live, slim=True))
            return ()
        if not self._aside.views.done():
            return ()
        aside, self._aside = self._aside, None
        views = aside.views.result()
        self._looked_wholly(aside.begun)
        gone = (live & aside.jobs) - {job.name for job in views} - self._unanswered
        found = self.observer.tell_listed([job for job in views if job.name in live])
        return [*found, *self._deleted(gone)]

    def _looked_wholly(self, begun: float) -> None:
        """Take note of a look at all jobs."""
        calls = self.observer.calls
        self._calls, self._over = calls if calls > _MANY else 0, 0
        self._next_s = begun + max(_WHOLE_S * calls, _SHARE * (time.monotonic() - begun))

    def _looked_at(self, found: Sequence[Observation], start: float) -> None:
        """Take note of a look at what ended lately: the next is due when it is worth its call."""
        now = time.monotonic()
        self._outage = None
        over = sum(seen.status.ended and not self._seen_ended(seen.job) for seen in found)
        longer = min(2 * self._pause_s, _LONGEST_S)
        if over:
            longer = min(longer, _GLANCE * (now - self._looked) / over)
        longer = max(longer, _SHORTEST_S)
        self._over += over
        self._looked = now
        self._pause_s = max(longer, _GLANCE_SHARE * (now - start))
        self._due = now + self._pause_s
        self._seen.update((seen.job, seen) for seen in found)

    def _is_whole_due(self, now: float) -> bool:
        """Tell whether a look at all jobs is due: by what it takes, and how many ended."""
        idle_s = 0.0 if self._over >= _WHOLE * self._calls else self._idle_s - _WHOLE_S
        return now >= self._next_s + idle_s * self._calls

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
