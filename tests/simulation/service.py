"""Azure ML by its published limits, in virtual time: what a workspace answers, and what its cluster does meanwhile.

It is far less than tests/azure/emulator.py, which runs jobs and holds clients to the wire format: this one has to answer
a million calls. It answers what a submit of command jobs asks, and nothing else: any other call is a 404.

Microsoft publishes these limits, and they are kept:
- management.azure.com: a bucket of tokens for each subscription, region, principal and kind of call, and one that is 15
  times as large for all principals of a subscription (learn.microsoft.com/azure/azure-resource-manager/management/
  request-limits-and-throttling). Who finds it empty gets 429 with a Retry-After.
- A tag holds 1,000 characters (learn.microsoft.com/azure/machine-learning/resource-limits-capacity).
- A cluster has up to 65,000 nodes, and a workspace 10 million runs (…/how-to-manage-quotas): far from here.

It does not publish these, which are assumptions: limits of the machine learning service's own, of its MLflow and of its
storage (none here), how large a page of the list is, how long calls take and jobs wait to start, how often nodes go.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zlib import crc32

from amlc.backends.trials import trials_in

READS, WRITES = (250, 25.0), (200, 10.0)
"""Of one principal in one subscription and region: the bucket's size in calls, and how many come back each second."""
GLOBAL = 15
"""So many times that for all principals of a subscription."""
PAGE = 30
"""Jobs of a list page; an assumption, as in docs/benchmarks.md."""
LATENCY_S = 0.15
"""Of a call, give or take a half; an assumption, as in docs/benchmarks.md."""
SEARCHED_S = 0.0003
"""More for each run that a search gives; an assumption."""
LOST_PER_HOUR = 0.02
"""Of a low-priority node, that it goes; an assumption: Microsoft publishes no rate for Azure ML."""
TAG_LENGTH = 1000
HOST = "region.api.azureml.ms"
Answer = tuple[int, dict[str, str], bytes, float]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What jobs are like. nodes: of the cluster of each workspace; the seconds: to start a job, and of a trial."""

    nodes: int
    trial_s: float
    start_s: float
    seed: int


class Bucket:
    """Tokens that come back by the second."""

    def __init__(self, size: float, per_second: float) -> None:
        self._size, self._per_second = size, per_second
        self._tokens, self._at = size, 0.0

    def wait_s(self, now: float) -> float:
        """Return in how many seconds there is a token, 0: there is one."""
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        return max(0.0, (1 - self._tokens) / self._per_second)

    def take(self) -> None:
        self._tokens -= 1


@dataclass(slots=True)
class Job:
    name: str
    experiment: str
    text: bytes  # its properties as JSON, without what closes them
    trials: tuple[str, ...]
    status: str = "Queued"
    started: float | None = None
    ended: float | None = None

    @property
    def resource(self) -> bytes:
        head = f'{{"name":"{self.name}","systemData":{{}},"properties":'.encode()
        return head + self.text + f',"status":"{self.status}"}}}}'.encode()


@dataclass
class Workspace:
    """Jobs by name; by experiment their names as they were created, and those that ended, in that order."""

    free: int
    jobs: dict[str, Job] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    queue: deque[Job] = field(default_factory=deque)
    over: dict[str, list[Job]] = field(default_factory=dict)


class Service:
    """All workspaces. Calls have to come in the order of their times."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.calls: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.begun: float | None = None  # the first creation, the last of a trial's first job, the last end,
        self.created = self.last_end = 0.0
        self.busy_s = 0.0  # how long nodes had a job, while jobs were created
        self.runs: Counter[str] = Counter()  # by trial, how often it was run to its end
        self.preempted = 0
        self._asked: set[str] = set()  # trials that had a job
        self._busy, self._node_s, self._counted = 0, 0.0, 0.0
        self._spaces: dict[str, Workspace] = {}
        self._buckets: dict[tuple[str, ...], Bucket] = {}
        self._events: list[tuple[float, int, Workspace, Job, str]] = []
        self._numbers = itertools.count()

    @property
    def jobs(self) -> int:
        """How many were created."""
        return sum(len(space.jobs) for space in self._spaces.values())

    def call(self, now: float, principal: str, method: str, url: str, body: bytes) -> Answer:
        """Return status, headers, body and seconds of a call that is sent `now`."""
        self._go_on(now)
        parts = urlsplit(url)
        path = unquote(parts.path)
        kind = _kind(method, parts.netloc, path)
        latency_s = LATENCY_S * (0.5 + self._chance(f"{method} {path} {self.calls[kind]}"))
        self.calls[kind] += 1
        if parts.netloc == "management.azure.com":
            wait_s = self._throttled(now, principal, path.split("/")[2], is_read=method == "GET")
            if wait_s:
                self.throttled[kind] += 1
                error = b'{"error":{"code":"TooManyRequests","message":"Too many requests."}}'
                return 429, {"Retry-After": str(math.ceil(wait_s))}, error, latency_s
        answer = self._answer(now, kind, path, parse_qs(parts.query), body)
        if answer is None:
            return 404, {}, b'{"error":{"code":"NotFound","message":"It is not there."}}', latency_s
        if isinstance(answer, dict):
            runs = len(answer.get("runs") or ())
            answer, latency_s = json.dumps(answer).encode(), latency_s + SEARCHED_S * runs
        if kind != "blob":
            return 200, {}, answer, latency_s
        if answer.startswith(b"<"):
            return 200, {"Content-Type": "application/xml"}, answer, latency_s
        length = len(answer)
        return 206, {"Content-Range": f"bytes 0-{length - 1}/{length}", "ETag": '"1"'}, answer, latency_s

    def _chance(self, of: str) -> float:
        """Return a number from 0 to 1 that is always the same for the same text."""
        return crc32(f"{self.load.seed} {of}".encode()) / 2**32

    def _throttled(self, now: float, principal: str, subscription: str, *, is_read: bool) -> float:
        size, per_second = READS if is_read else WRITES
        kind = "read" if is_read else "write"
        own = self._buckets.setdefault((subscription, principal, kind), Bucket(size, per_second))
        all_ = self._buckets.setdefault((subscription, kind), Bucket(GLOBAL * size, GLOBAL * per_second))
        wait_s = max(own.wait_s(now), all_.wait_s(now))
        if not wait_s:
            own.take()
            all_.take()
        return wait_s

    # --- what is answered ---

    def _answer(  # noqa: C901 - a table
        self, now: float, kind: str, path: str, query: dict[str, list[str]], body: bytes
    ) -> Any:
        if kind == "blob":
            return self._blobs(path, query)
        where, _, rest = path.partition("/workspaces/")
        name, _, rest = rest.partition("/")
        subscription = where.partition("/subscriptions/")[2].split("/")[0]
        space = self._spaces.setdefault(f"{subscription} {name}", Workspace(self.load.nodes))
        key = rest.partition("/")[2]
        match kind:
            case "workspace":
                return {"properties": {"mlFlowTrackingUri": f"azureml://{HOST}/mlflow"}}
            case "compute":
                return {"properties": {"provisioningState": "Succeeded"}}
            case "store":
                secret = {"sasToken": "sig=1"}
                return secret if rest.endswith("listSecrets") else {"properties": _STORE}
            case "create":
                return self._created(now, space, key, body)
            case "job":
                return space.jobs[key].resource if key in space.jobs else None
            case "list":
                return _page(space, path, query)
            case "details":
                return _details(space.jobs[path.split("/")[-2]])
            case "search":
                return self._search(space, json.loads(body))
            case "run":
                job = space.jobs.get(query["run_id"][0])
                return None if job is None else {"run": self._run(job)}
            case "experiment":
                found = query["experiment_name"][0]
                return {"experiment": {"experiment_id": found}} if found in space.over else None
        return None

    def _created(self, now: float, space: Workspace, name: str, body: bytes) -> bytes:
        if name not in space.jobs:
            properties = json.loads(body)["properties"]
            trials = tuple(trial.id for trial in trials_in(properties["environmentVariables"]))
            properties["services"] = {"Studio": {"endpoint": f"https://ml.azure.com/runs/{name}?wsid=w"}}
            job = Job(name, properties["experimentName"], json.dumps(properties).encode()[:-1], trials)
            space.jobs[name] = job
            space.names.setdefault(job.experiment, []).append(name)
            space.over.setdefault(job.experiment, [])
            space.queue.append(job)
            self.begun = now if self.begun is None else self.begun
            self._count(now)
            if not self._asked.issuperset(trials):
                self.created, self.busy_s = now, self._node_s
            self._asked.update(trials)
            self._start(now, space)
        return space.jobs[name].resource

    def _search(self, space: Workspace, asked: dict[str, Any]) -> dict[str, Any]:
        over = space.over.get(asked["experiment_ids"][0], [])
        first, last = (int(part) for part in asked.get("page_token", f"0 {len(over)}").split())
        place = last - first
        jobs = over[max(0, place - asked["max_results"]) : place][::-1]  # the last that ended first
        following = {"next_page_token": f"{first + len(jobs)} {last}"} if place > len(jobs) else {}
        return {"runs": [self._run(job) for job in jobs], **following}

    def _blobs(self, path: str, query: dict[str, list[str]]) -> bytes | None:
        """Return a list of what the runner of a job left behind, or one file of it; with a lost node that went."""
        name = query["prefix"][0] if "prefix" in query else path.partition("/")[2].partition("/")[2]
        place = name.removeprefix("ExperimentRun/dcid.")
        job = next(space.jobs[one] for space in self._spaces.values() if (one := place.partition("/")[0]) in space.jobs)
        files: dict[str, bytes] = {}
        for trial in job.trials if job.status == "Completed" else ():
            here = f"ExperimentRun/dcid.{job.name}/outputs/amlc/{trial}"
            report = {"type": "final", "sequence": 0, "value": self._result(trial), "at": job.ended}
            files[f"{here}/metrics.jsonl"] = (json.dumps(report) + "\n").encode()
            end = {"trial": trial, "end": "exited", "exit_code": 0, "started": None, "ended": None, "error": None}
            files[f"{here}/result.json"] = json.dumps(end).encode()
        if "prefix" not in query:
            return files.get(name)
        found = "".join(_BLOB.format(name=one, length=len(content)) for one, content in files.items())
        return f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>{found}</Blobs></EnumerationResults>'.encode()

    def _result(self, trial: str) -> float:
        return math.sqrt(self._chance(f"result {trial}"))  # of 16 digits or so, as results are

    def _run(self, job: Job) -> dict[str, Any]:
        statuses = {"Completed": "FINISHED", "Failed": "FAILED", "Running": "RUNNING"}
        info = {"run_id": job.name, "experiment_id": job.experiment, "status": statuses.get(job.status, "SCHEDULED")}
        if job.started is not None:
            info["start_time"] = int(job.started * 1000)
        data: dict[str, Any] = {"metrics": [], "tags": []}
        if job.ended is not None:
            info["end_time"] = int(job.ended * 1000)
        if job.status == "Completed":
            at = int(job.ended * 1000) - 2000
            results = {}
            for trial in job.trials:
                value = self._result(trial)
                key = f"{trial}/default" if len(job.trials) > 1 else "default"
                data["metrics"].append({"key": key, "value": value, "timestamp": at, "step": 0})
                results[trial] = {"final": [value], "step": 0, "names": ["default"], "integers": [], "whole": True}
            tag = json.dumps(results, separators=(",", ":"))
            for number, start in enumerate(range(0, len(tag), TAG_LENGTH)):
                key = f"amlc.results.{number}" if number else "amlc.results"
                data["tags"].append({"key": key, "value": tag[start : start + TAG_LENGTH]})
            end = {"exit_code": 0, "at": at / 1000}
            data["tags"].append({"key": "amlc.end", "value": json.dumps(end)})
        return {"info": info, "data": data}

    # --- what happens meanwhile ---

    def _start(self, now: float, space: Workspace) -> None:
        self._count(now)
        while space.free and space.queue:
            job = space.queue.popleft()
            space.free -= 1
            self._busy += 1
            job.status = "Preparing"
            self._later(now + self.load.start_s, space, job, "Running")

    def _count(self, now: float) -> None:
        """Count up how long nodes had a job; how many have one changes now."""
        self._node_s += self._busy * (now - self._counted)
        self._counted = now

    def _later(self, at: float, space: Workspace, job: Job, status: str) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), space, job, status))

    def _go_on(self, now: float) -> None:
        while self._events and self._events[0][0] <= now:
            at, _, space, job, status = heapq.heappop(self._events)
            job.status = status
            if status == "Running":
                job.started = at
                ran_s = sum(self.load.trial_s * (0.5 + self._chance(trial)) for trial in job.trials)
                until_lost_s = -3600 / LOST_PER_HOUR * math.log(max(self._chance(f"node of {job.name}"), 1e-9))
                end = "Failed" if until_lost_s < ran_s else "Completed"
                self._later(at + min(ran_s, until_lost_s), space, job, end)
                continue
            job.ended = self.last_end = at
            self._count(at)
            self._busy -= 1
            if status == "Completed":
                self.runs.update(job.trials)
            else:
                self.preempted += 1
            space.over[job.experiment].append(job)
            space.free += 1
            self._start(at, space)


_STORE = {
    "accountName": "account",
    "containerName": "container",
    "endpoint": "core.windows.net",
    "protocol": "https",
    "credentials": {"credentialsType": "Sas"},
}
_BLOB = """<Blob><Name>{name}</Name><Properties><Content-Length>{length}</Content-Length><BlobType>BlockBlob</BlobType>
</Properties></Blob>"""


def _kind(method: str, host: str, path: str) -> str:
    """Return what a call is for."""
    if host.endswith("core.windows.net"):
        return "blob"
    if host == HOST:
        kinds = {"details": "details", "search": "search", "get": "run", "get-by-name": "experiment"}
        return kinds.get(path.rpartition("/")[2], "other")
    _, _, rest = path.partition("/workspaces/")
    what, _, key = rest.partition("/")[2].partition("/")
    if what == "jobs":
        return "list" if not key else ("create" if method == "PUT" else "job" if method == "GET" else "other")
    return {"": "workspace", "computes": "compute", "datastores": "store"}.get(what, "other")


def _page(space: Workspace, path: str, query: dict[str, list[str]]) -> bytes:
    """Return a page of an experiment's jobs, the newest first."""
    (wanted,) = query["properties"]
    experiment = wanted.partition("=")[2]
    names = space.names.get(experiment, [])
    last = int(query["last"][0]) if "last" in query else len(names)
    place = max(0, last - PAGE)
    found = [space.jobs[name].resource for name in reversed(names[place:last])]
    link = f"https://management.azure.com{path}?properties={wanted}&last={place}"
    tail = f'],"nextLink":"{link}"}}' if place else "]}"
    return b'{"value":[' + b",".join(found) + tail.encode()


def _details(job: Job) -> dict[str, Any]:
    if job.status != "Failed":
        return {}
    return {"error": {"error": {"code": "Preempted", "message": "The node went away."}}}
