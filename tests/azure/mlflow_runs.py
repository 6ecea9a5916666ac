"""The MLflow side of a workspace: one run for each job, and the part of MLflow's REST protocol that clients use."""

import base64
import itertools
import json
import operator
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from amlc.runner.amlc_runner_lib.latent import drawn_trial
from tests.azure.wire import Reply, Request

_TAG_LENGTH = 1000  # resource-limits-capacity, "Length of tag value"
# Of one log-batch: for metrics resource-limits-capacity ("Metric rows per batch uploaded"), else MLflow's REST pages.
_LIMITS = {"metrics": 250, "params": 100, "tags": 100}
_METRIC_NAMES = 50  # resource-limits-capacity, "Metric names per run"
_STATUSES = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED", "Running": "RUNNING"}
_CLAUSE = re.compile(
    r"\s*(?:(attributes?|params?|tags?|metrics?|run)\.)?(`[^`]*`|\"[^\"]*\"|[\w.\-/]+)\s*(=|!=|>=|<=|>|<|I?LIKE|IN)\s*"
    r"(\([^)]*\)|'[^']*'|\"[^\"]*\"|[-\w.]+)\s*(?:AND\b|$)",
    re.IGNORECASE,
)


_COMPARISONS = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "IN": lambda found, values: found in values,
}


@dataclass
class Run:
    """One MLflow run. A job's run takes its status and times from the job, once that is over; a trial may end it before."""

    run_id: str
    experiment: str
    name: str
    job: Any = None
    status: str = "RUNNING"
    started: float | None = None
    ended: float | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[dict]] = field(default_factory=dict)

    def current_status(self) -> str:
        if self.job and (self.job.is_over or self.ended is None):
            return _STATUSES.get(self.job.status, "SCHEDULED")
        return self.status

    def times(self) -> tuple[float | None, float | None]:
        """Return when it began and ended."""
        return (self.job.started, self.job.ended or self.ended) if self.job else (self.started, self.ended)

    def last(self, key: str) -> dict:
        """Return the last value of a metric: MLflow's order is step, time, value."""
        return max(self.metrics[key], key=lambda m: (m["step"], m["timestamp"], _number(m["value"])))


class Bad(Exception):
    """A call that MLflow refuses."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


class Runs:
    """All runs of the workspace, and the calls on them."""

    def __init__(self, *, most_results: int = 1000):
        self.most_results = most_results
        self.forgets: set[str] = set()  # tags, as if nobody had set them
        self._runs: dict[str, Run] = {}
        self._experiments: dict[str, str] = {}
        self._lock = threading.Lock()
        self._number = itertools.count(1)

    # --- for the emulator and for tests ---

    def add(self, job, tags: dict[str, str] | None = None) -> Run:
        """Make the run of a job; its id is the job's name. tags: more of them."""
        with self._lock:
            self._experiment_id(job.experiment)
            own = {"mlflow.user": "someone", "mlflow.runName": job.name, "mlflow.rootRunId": job.name}
            run = Run(job.name, job.experiment, job.name, job=job, tags={**own, **job.tags, **(tags or {})})
            self._runs[job.name] = run
            return run

    def get(self, run_id: str) -> Run:
        try:
            return self._runs[run_id]
        except KeyError:
            raise Bad(404, "RESOURCE_DOES_NOT_EXIST", f"Run {run_id!r} not found.") from None

    def log(self, run_id: str, metrics: dict[str, list[float]]) -> None:
        """Give a run the metrics a job would have logged: a list of values for each name, steps from 0.

        Where the job is amlc's, the last of them are its trial's final result, as the runner tells.
        """
        with self._lock:
            now = int(time.time() * 1000)
            for key, values in metrics.items():
                entries = [_metric(key, value, now, step) for step, value in enumerate(values)]
                self._runs[run_id].metrics.setdefault(key, []).extend(entries)
            self._tell_final(self._runs[run_id], metrics)

    def tell_end(self, run_id: str, exit_code: int) -> None:
        """Give a run of amlc's what its runner says last."""
        with self._lock:
            run = self._runs[run_id]
            if _trial_of(run.job):
                _set_tag(run, "amlc.end", json.dumps({"exit_code": exit_code, "at": time.time()}))

    def _tell_final(self, run: Run, metrics: dict[str, list[float]]) -> None:
        trial = _trial_of(run.job)
        if trial:
            if run.job.properties.get("parentJobName"):
                _set_tag(run, "amlc.trial", json.loads(trial)["id"])
                if "AMLC_SPACE" in run.job.properties["environmentVariables"]:
                    _set_tag(run, "amlc.drawn", trial)
            final = {key: values[-1] for key, values in metrics.items()}
            step = max(len(values) for values in metrics.values()) - 1
            told = {"final": [final], "step": step, "names": list(metrics), "integers": [], "whole": True}
            _set_tag(run, "amlc.results", json.dumps({json.loads(trial)["id"]: told}))

    # --- the protocol ---

    def answer(self, request: Request, call: str) -> Reply:
        """Answer `call`, such as "runs/search"."""
        try:
            return Reply(200, self._act(request, call))
        except ValueError:
            return Reply(400, {"error_code": "BAD_REQUEST", "message": "The body is not JSON."})
        except Bad as error:
            return Reply(error.status, {"error_code": error.code, "message": str(error)})

    def _act(self, request: Request, call: str) -> dict:
        action = getattr(self, "_" + call.replace("/", "_").replace("-", "_"), None)
        if action is None:
            raise Bad(404, "ENDPOINT_NOT_FOUND", f"No endpoint {call!r}.")
        arguments = request.query if request.method == "GET" else request.json()
        if not isinstance(arguments, dict):
            raise Bad(400, "INVALID_PARAMETER_VALUE", "The body is not an object.")
        with self._lock:
            return action(arguments)

    def _experiment_id(self, name: str) -> str:
        return self._experiments.setdefault(name, f"{len(self._experiments) + 1:08d}-0000-4000-8000-000000000000")

    def _experiment(self, name: str) -> dict:
        found = {"experiment_id": self._experiments[name], "name": name, "lifecycle_stage": "active"}
        return {**found, "artifact_location": "", "tags": []}

    def _experiments_get_by_name(self, arguments):
        name = arguments.get("experiment_name", "")
        if name not in self._experiments:
            raise Bad(404, "RESOURCE_DOES_NOT_EXIST", f"Experiment {name!r} not found.")
        return {"experiment": self._experiment(name)}

    def _experiments_get(self, arguments):
        for name, found in self._experiments.items():
            if found == arguments.get("experiment_id"):
                return {"experiment": self._experiment(name)}
        raise Bad(404, "RESOURCE_DOES_NOT_EXIST", f"Experiment {arguments.get('experiment_id')!r} not found.")

    def _experiments_create(self, arguments):
        if arguments["name"] in self._experiments:
            raise Bad(400, "RESOURCE_ALREADY_EXISTS", f"Experiment {arguments['name']!r} exists.")
        return {"experiment_id": self._experiment_id(arguments["name"])}

    def _experiments_search(self, arguments):
        return {"experiments": [self._experiment(name) for name in self._experiments]}

    def _runs_create(self, arguments):
        names = {found: name for name, found in self._experiments.items()}
        run_id = f"{next(self._number):032x}"
        run = Run(run_id, names[arguments["experiment_id"]], arguments.get("run_name") or run_id, started=time.time())
        run.tags = {tag["key"]: tag["value"] for tag in arguments.get("tags", [])}
        self._runs[run_id] = run
        return {"run": self._view(run)}

    def _runs_get(self, arguments):
        return {"run": self._view(self.get(_run_id(arguments)))}

    def _runs_update(self, arguments):
        run = self.get(_run_id(arguments))
        run.status = arguments.get("status") or run.status
        run.name = arguments.get("run_name") or run.name
        if arguments.get("end_time"):
            run.ended = float(arguments["end_time"]) / 1000
        return {"run_info": self._view(run)["info"]}

    def _runs_search(self, arguments):
        most = int(arguments.get("max_results") or 1000)
        if not 0 < most <= 50_000:
            raise Bad(400, "INVALID_PARAMETER_VALUE", f"max_results {most} is not between 1 and 50000.")
        names = {found: name for name, found in self._experiments.items()}
        wanted = {names.get(found) for found in arguments.get("experiment_ids") or []}
        clauses = _clauses(arguments.get("filter") or "")
        start = int(base64.b64decode(arguments["page_token"])) if arguments.get("page_token") else 0
        most = min(most, self.most_results)
        newest_first = reversed(self._runs.values())
        found = [run for run in newest_first if run.experiment in wanted and all(_holds(run, c) for c in clauses)]
        for order in reversed(arguments.get("order_by") or []):
            found = _ordered(found, order)
        reply: dict[str, Any] = {"runs": [self._view(run) for run in found[start : start + most]]}
        if start + most < len(found):
            reply["next_page_token"] = base64.b64encode(str(start + most).encode()).decode()
        return reply

    def _metrics_get_history(self, arguments):
        run = self.get(_run_id(arguments))
        entries = run.metrics.get(arguments.get("metric_key", ""), [])
        start = int(base64.b64decode(arguments["page_token"])) if arguments.get("page_token") else 0
        most = int(arguments.get("max_results") or 25_000)
        reply: dict[str, Any] = {"metrics": entries[start : start + most]}
        if start + most < len(entries):
            reply["next_page_token"] = base64.b64encode(str(start + most).encode()).decode()
        return reply

    def _runs_log_batch(self, arguments):
        run = self.get(_run_id(arguments))
        entries = {kind: arguments.get(kind) or [] for kind in _LIMITS}
        for kind, most in _LIMITS.items():
            if len(entries[kind]) > most:
                raise Bad(400, "INVALID_PARAMETER_VALUE", f"A batch may hold {most} {kind}, got {len(entries[kind])}.")
        if sum(map(len, entries.values())) > 1000:
            raise Bad(400, "INVALID_PARAMETER_VALUE", "A batch may hold 1000 entries.")
        for param in entries["params"]:
            _set_param(run, param["key"], param["value"])
        for metric in entries["metrics"]:
            _add_metric(run, metric)
        for tag in entries["tags"]:
            if tag["key"] in self.forgets:
                continue
            _set_tag(run, tag["key"], tag["value"])
        return {}

    def _runs_log_metric(self, arguments):
        _add_metric(self.get(_run_id(arguments)), arguments)
        return {}

    def _runs_log_parameter(self, arguments):
        _set_param(self.get(_run_id(arguments)), arguments["key"], arguments["value"])
        return {}

    def _runs_set_tag(self, arguments):
        _set_tag(self.get(_run_id(arguments)), arguments["key"], arguments["value"])
        return {}

    def _artifacts_list(self, arguments):
        run = self.get(_run_id(arguments))
        folder = (arguments.get("path") or "").strip("/")
        prefix = folder + "/" if folder else ""
        files: dict[str, dict] = {}
        for path, size in run.job.artifacts.items() if run.job else ():
            if path.startswith(prefix):
                name, is_folder, _ = path[len(prefix) :].partition("/")
                entry = {"path": prefix + name, "is_dir": bool(is_folder)}
                files[name] = entry if is_folder else {**entry, "file_size": str(size)}
        return {"root_uri": self._artifact_uri(run), "files": list(files.values())}

    def _artifact_uri(self, run: Run) -> str:
        return f"azureml://artifacts/ExperimentRun/dcid.{run.run_id}"

    def _view(self, run: Run) -> dict:
        started, ended = run.times()
        info = {
            "run_id": run.run_id,
            "run_uuid": run.run_id,
            "run_name": run.name,
            "experiment_id": self._experiments[run.experiment],
            "user_id": "someone",
            "status": run.current_status(),
            "artifact_uri": self._artifact_uri(run),
            "lifecycle_stage": "active",
        }
        if started:
            info["start_time"] = int(started * 1000)
        if ended:
            info["end_time"] = int(ended * 1000)
        data = {
            "metrics": [run.last(key) for key in run.metrics],
            "params": [{"key": key, "value": value} for key, value in run.params.items()],
            "tags": [{"key": key, "value": value} for key, value in run.tags.items()],
        }
        return {"info": info, "data": data, "inputs": {}}


def _trial_of(job: Any) -> str | None:
    """Return the trial that a job of amlc's runs, of a sweep's child the one that its parameter says."""
    if job is None:
        return None
    variables, point = job.properties.get("environmentVariables") or {}, job.properties.get("point") or {}
    if point and "AMLC_SPACE" in variables:
        environ = {f"AZUREML_SWEEP_{name}".encode(): str(value).encode() for name, value in point.items()}
        space, experiment = json.loads(variables["AMLC_SPACE"]), json.loads(variables["AMLC_EXPERIMENT"])
        return json.dumps(drawn_trial(space, experiment, {**environ, b"AZUREML_RUN_ID": job.name.encode()}))
    return variables.get(f"AMLC_TRIAL_{point.get('amlc_trial', 0)}")


def _run_id(arguments: dict) -> str:
    found = arguments.get("run_id") or arguments.get("run_uuid")
    if not found:
        raise Bad(400, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'run_id'.")
    return found


def _metric(key, value, timestamp, step) -> dict:
    return {"key": key, "value": value, "timestamp": int(timestamp), "step": int(step)}


def _add_metric(run: Run, metric: dict) -> None:
    value = metric.get("value")
    if isinstance(value, bool) or not (isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity")):
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"Got invalid value {value!r} for metric {metric.get('key')!r}.")
    if "timestamp" not in metric:
        raise Bad(400, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'timestamp'.")
    if metric["key"] not in run.metrics and len(run.metrics) == _METRIC_NAMES:
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"A run may have {_METRIC_NAMES} metric names.")
    entry = _metric(metric["key"], value, metric["timestamp"], metric.get("step") or 0)
    run.metrics.setdefault(entry["key"], []).append(entry)


def _set_param(run: Run, key: str, value: str) -> None:
    if run.params.setdefault(key, value) != value:
        message = f"Changing param values is not allowed. Param with key={key!r} was already logged."
        raise Bad(400, "INVALID_PARAMETER_VALUE", message)


def _set_tag(run: Run, key: str, value: str) -> None:
    if len(value) > _TAG_LENGTH:
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"The value of tag {key!r} is longer than {_TAG_LENGTH} characters.")
    run.tags[key] = value
    if run.job:  # a job and its run have the same tags
        run.job.properties["tags"] = {**(run.job.properties.get("tags") or {}), key: value}


def _number(value: Any) -> float:
    return float(value)


def _ordered(runs: list[Run], order: str) -> list[Run]:
    """Return the runs by one of their times, which Azure ML can; those that have none come last."""
    key, _, direction = order.removeprefix("attributes.").partition(" ")
    if key not in ("start_time", "end_time"):
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"Ordering by {key!r} is not supported.")

    def at(run: Run) -> float | None:
        start, end = run.times()
        return start if key == "start_time" else end

    timed = sorted((run for run in runs if at(run)), key=lambda run: at(run) or 0.0, reverse=direction.upper() == "DESC")
    return [*timed, *(run for run in runs if not at(run))]


def _clauses(text: str) -> list[tuple[str, str, str, Any]]:
    clauses, position = [], 0
    while position < len(text.rstrip()):
        match = _CLAUSE.match(text, position)
        if match is None:
            raise Bad(400, "INVALID_PARAMETER_VALUE", f"Invalid filter {text!r}.")
        kind = (match[1] or "attribute").lower().rstrip("s")
        value = match[4]
        unquoted = [part.strip().strip("'\"") for part in value.strip("()").split(",")]
        is_list = match[3].upper() == "IN"
        clauses.append((kind, match[2].strip('`"'), match[3].upper(), unquoted if is_list else unquoted[0]))
        position = match.end()
    return clauses


def _holds(run: Run, clause: tuple[str, str, str, Any]) -> bool:
    kind, key, comparison, value = clause
    found = _found(run, kind, key)
    if found is None:
        return False
    if comparison in ("LIKE", "ILIKE"):
        flags = re.IGNORECASE if comparison == "ILIKE" else 0
        return bool(re.fullmatch(re.escape(value).replace("%", ".*").replace("_", "."), found, flags))
    return _COMPARISONS[comparison](found, value if isinstance(value, list) else type(found)(value))


def _found(run: Run, kind: str, key: str) -> Any:
    """Return what a clause compares with: a string, a number, or None when the run does not have it."""
    if kind == "tag":
        return run.tags.get(key)
    if kind == "param":
        return run.params.get(key)
    if kind == "metric":
        return float(run.last(key)["value"]) if key in run.metrics else None
    started = run.times()[0] or 0
    attributes = {"status": run.current_status(), "run_id": run.run_id, "run_name": run.name}
    attributes |= {"start_time": started * 1000}
    if key.lower() not in attributes:
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"Invalid attribute key {key!r}.")
    return attributes[key.lower()]
