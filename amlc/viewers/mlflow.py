"""Runs on an MLflow tracking server, over its REST interface: all it takes is its address.

Sources: mlflow's `service.proto`, and `validation.py` for the limits.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from amlc.errors import BackendError
from amlc.model import Status
from amlc.space.points import flattened
from amlc.viewers.mlflow_server import Server
from amlc.viewers.runs import Report, Run, Sent, numbers, text, words

_AT_ONCE: Final = 4  # runs on their way; SQLite takes one at a time, others are far away
_PAGE: Final = 1_000
_PARAMS, _METRICS = 100, 800  # in a request, which takes 1,000 of both and the tags
_NAME_LENGTH, _PARAM_LENGTH, _TAG_LENGTH = 250, 6_000, 5_000
_STATUSES: Final = {
    Status.WAITING: "SCHEDULED",
    Status.RUNNING: "RUNNING",
    Status.SUCCEEDED: "FINISHED",
    Status.EARLY_STOPPED: "FINISHED",
    Status.CANCELED: "KILLED",
    Status.FAILED: "FAILED",
    Status.UNFINISHED: "FAILED",
}
_TRIAL: Final = "amlc.trial"
_REPORTS: Final = "amlc.reports"
"""A tag: how many reports were sent, and a digest of them. What MLflow has once, it keeps."""
_STATE: Final = "amlc.state"
"""A tag: a digest of all of the run."""


def send(runs: Iterable[Run], server: Server, *, experiment: str) -> Iterator[Sent]:
    """Send each run to the server's experiment of that name, and say what that did.

    A run is found by its tag `amlc.trial`, gets what is new, and is replaced where it has what is
    no longer so: a new attempt has a run of its own. Raises BackendError.
    """
    place = _experiment(server, experiment)
    known = _known(server, place)
    waiting: deque[Future[Sent]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            for run in runs:
                waiting.append(threads.submit(_send, server, place, run, known.pop(run.id, ())))
                if len(waiting) > 2 * _AT_ONCE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            for future in waiting:
                future.cancel()
            raise


def _experiment(server: Server, name: str) -> str:
    """Return the id of the server's experiment of that name, which is made if there is none."""
    found = server.find("experiments/get-by-name", experiment_name=name)
    if found is None:
        return str(server.post("experiments/create", {"name": name})["experiment_id"])
    one = found["experiment"]
    if one.get("lifecycle_stage") == "deleted":
        raise BackendError(
            f"{server.name}: its experiment '{name}' is deleted. Bring it back: "
            f"mlflow experiments restore --experiment-id {one['experiment_id']}."
        )
    return str(one["experiment_id"])


def _known(server: Server, experiment: str) -> dict[str, tuple[tuple[str, str, str], ...]]:
    """Return (id, reports, state) of the runs that are there, by trial."""
    found: dict[str, tuple[tuple[str, str, str], ...]] = {}
    page: dict[str, Any] = {"experiment_ids": [experiment], "max_results": _PAGE}
    while True:
        answer = server.post("runs/search", page)
        for run in answer.get("runs", ()):
            tags = {tag["key"]: tag.get("value", "") for tag in run["data"].get("tags", ())}
            if _TRIAL in tags:
                one = run["info"]["run_id"], tags.get(_REPORTS, ""), tags.get(_STATE, "")
                found[tags[_TRIAL]] = (*found.get(tags[_TRIAL], ()), one)
        if not answer.get("next_page_token"):
            return found
        page["page_token"] = answer["next_page_token"]


def _send(server: Server, experiment: str, run: Run, known: Sequence[tuple[str, str, str]]) -> Sent:
    """Make what the server has of a trial this one run. known: as in `_known`."""
    state = _digest(run)
    kept = next((one for one in known if one[2] == state), None)
    kept = kept or next((one for one in known if _begins(run, one[1])), None)
    for one in known:  # of an earlier attempt, or twice there since two were at it
        if one is not kept:
            server.post("runs/delete", {"run_id": one[0]})
    if kept is not None and kept[2] == state:
        return Sent.SAME
    begun = {} if run.started is None else {"start_time": _milliseconds(run.started)}
    if kept is None:
        tag = {"key": _TRIAL, "value": run.id}
        new = {"experiment_id": experiment, "run_name": run.name, "tags": [tag], **begun}
        place, sent = server.post("runs/create", new)["run"]["info"]["run_id"], 0
    else:
        place, sent = kept[0], int(kept[1].partition(" ")[0])
    end = {} if run.ended is None else {"end_time": _milliseconds(run.ended)}
    status = _STATUSES.get(run.status, "RUNNING")
    update = {"run_id": place, "run_name": run.name, "status": status, **end}
    server.post("runs/update", update)
    for batch in _batches(run, run.reports[sent:], state):
        server.post("runs/log-batch", {"run_id": place, **batch})
    return Sent.CHANGED if known else Sent.NEW


def _begins(run: Run, reports: str) -> bool:
    """Return whether a run begins with the reports that a tag tells of."""
    count, _, digest = reports.partition(" ")
    return count.isdigit() and digest == _digest(run, int(count))


def _digest(run: Run, reports: int | None = None) -> str:
    """Return a digest of the run or, of its attempt, of so many reports."""
    about: list[Any] = [run.about["job"], run.started]
    shown = list(map(_plain, run.reports[:reports]))
    if reports is None:
        about += [run.ended, run.about, run.parameters, run.result]
    return hashlib.sha256(json.dumps([about, shown], sort_keys=True).encode()).hexdigest()[:16]


def _plain(report: Report) -> list[Any]:
    return [report.step, report.at, report.values]


def _batches(
    run: Run, reports: Sequence[Report], state: str
) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Yield what is to be logged; the tags last, which say that all the rest is there."""
    parameters = flattened(run.parameters)
    names = _names(parameters)
    params = [
        {"key": names[name], "value": text(value)[:_PARAM_LENGTH]}
        for name, value in parameters.items()
    ]
    metrics = list(_metrics(run, reports))
    count = max(1, -(-len(params) // _PARAMS), -(-len(metrics) // _METRICS))
    for number in range(count):
        yield {
            "params": params[_PARAMS * number : _PARAMS * (number + 1)],
            "metrics": metrics[_METRICS * number : _METRICS * (number + 1)],
            "tags": _tags(run, state) if number == count - 1 else [],
        }


def _metrics(run: Run, reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
    names = _names(name for report in run.reports for name in numbers(report.values))
    for report in reports:
        at = {"timestamp": _milliseconds(report.at), "step": report.step}
        for name, value in numbers(report.values).items():
            yield {"key": names[name], "value": _number(value), **at}


def _number(value: float) -> float | str:
    """Return a number as JSON of Protocol Buffers has it, which has words for some."""
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    words = {float("inf"): "Infinity", float("-inf"): "-Infinity"}
    return words.get(value, value)


def _tags(run: Run, state: str) -> list[dict[str, Any]]:
    """Return the tags; of the final result, what is no number is among them."""
    tags = {f"amlc.{name}": one for name, one in run.about.items()}
    tags |= {f"amlc.result.{name}": one for name, one in words(run.result).items()}
    tags |= {_REPORTS: f"{len(run.reports)} {_digest(run, len(run.reports))}", _STATE: state}
    names = _names(tags)
    return [{"key": names[name], "value": tags[name][:_TAG_LENGTH]} for name in tags]


def _names(names: Iterable[str]) -> Mapping[str, str]:
    """Return each name as MLflow takes it, no two of them alike."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        clean = again = _clean(name)
        number = 2
        while again in taken:
            again = f"{clean[: _NAME_LENGTH - 10]}_{number}"
            number += 1
        taken.add(again)
        found[name] = again
    return found


def _clean(name: str) -> str:
    """Return a name of letters, digits and `_-./ `, which is a plain relative path."""
    clean = re.sub(r"[^\w./ -]", "_", name)
    parts = clean.split("/")
    if "" in parts or "." in parts or ".." in parts:
        clean = clean.replace("/", "_").replace("..", "__")
    return "_" if clean in ("", ".") else clean[:_NAME_LENGTH]


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
