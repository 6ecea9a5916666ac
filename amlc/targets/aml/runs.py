"""Read metrics from the workspace's MLflow, a thousand runs a call; a run has the name of its job.

The runner's tags tell which of them are its own, and what is the final result of a trial: see its
docstring.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from amlc.errors import BackendError
from amlc.model import Metric, MetricKind, Trial
from amlc.targets.aml.client import Client

PAGE = 1000
"""Runs; the most that Azure ML is known to give at once."""
_PARENT_TAG = "mlflow.parentRunId"
_SMALLEST_PAGE = 100
_HISTORY_PAGE = 25_000
RESULTS_TAG, END_TAG, TRIAL_TAG = "amlc.results", "amlc.end", "amlc.trial"


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a metric; `at` in seconds since the epoch."""

    value: float
    step: int
    at: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a trial reported. final: its final result, if any; at `step` if that holds numbers.

    names: of the metrics that are the runner's. integers: those that are, which MLflow makes floats
    of. whole: whether they hold every report, not only some of its numbers.
    """

    final: tuple[Any, ...] = ()
    step: int | None = None
    names: frozenset[str] = frozenset()
    integers: frozenset[str] = frozenset()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """One MLflow run: when it was at work (seconds since the epoch), and each metric's last value.

    reports: by trial, for those that reported; None when the runner did not get to say, or it was
    too much for its tags. status: MLflow's word. exit_code: its runner's, who said it at `said`.
    """

    job: str
    started: float | None
    ended: float | None
    last: Mapping[str, Point]
    reports: Mapping[str, Report] | None = None
    status: str = ""
    exit_code: int | None = None
    said: float | None = None

    @property
    def is_well(self) -> bool:
        """Whether it ended with its job, whose runner ended well, and not by its trial before."""
        ends = self.ended, self.said
        return self.status == "FINISHED" and self.exit_code == 0 and _in_order(*ends)

    @property
    def signs(self) -> tuple[object, ...]:
        """What tells of its end, to see whether there is news of it."""
        return self.ended, self.status, self.exit_code, self.said


def text_in(tags: Mapping[str, str], name: str) -> str:
    """Return what a runner said in as many tags as it took: `name`, `name.1`, `name.2`, ..."""
    parts = [tags.get(name, "")]
    while part := tags.get(f"{name}.{len(parts)}"):
        parts.append(part)
    return "".join(parts)


def is_part(tag: str, name: str) -> bool:
    """Tell whether `text_in` may read this tag for that name."""
    return tag == name or (tag.startswith(f"{name}.") and tag[len(name) + 1 :].isdigit())


def experiment_id(client: Client, experiment: str) -> str | None:
    """Return MLflow's id of an AML experiment, or None while nothing ran in it."""
    found = _call(
        client,
        "GET",
        "experiments/get-by-name",
        params={"experiment_name": experiment},
        missing=True,
    )
    return None if found is None else str(found["experiment"]["experiment_id"])


def search(client: Client, experiment: str, jobs: Collection[str]) -> dict[str, Run]:
    """Return the runs of jobs of an experiment (its id): a call a thousand, to the last of them."""
    body: dict[str, Any] = {"experiment_ids": [experiment], "max_results": PAGE}
    runs: dict[str, Run] = {}
    while True:
        page = _call(client, "POST", "runs/search", body=body) or {}
        for raw in page.get("runs") or ():
            run = _run(raw)
            if run.job in jobs:
                runs[run.job] = run
        if len(runs) == len(jobs) or not page.get("next_page_token"):
            return runs
        body["page_token"] = page["next_page_token"]


def children(
    client: Client, experiment: str, sweep: str
) -> Iterator[tuple[Run, Mapping[str, str]]]:
    """Yield the runs of a sweep's children, in an experiment (its id), each with its tags."""
    body: dict[str, Any] = {
        "experiment_ids": [experiment],
        "max_results": PAGE,
        "filter": f"tags.{_PARENT_TAG} = '{sweep}'",
    }
    while True:
        page = _call(client, "POST", "runs/search", body=body) or {}
        for raw in page.get("runs") or ():
            pairs = (raw.get("data") or {}).get("tags") or ()
            tags = {str(tag["key"]): str(tag["value"]) for tag in pairs}
            if tags.get(_PARENT_TAG, sweep) == sweep:
                yield _run(raw), tags
        if not page.get("next_page_token"):
            return
        body["page_token"] = page["next_page_token"]


@dataclass(frozen=True, slots=True)
class Endings:
    """What ended lately: the runs, how many were looked through for them, and the latest end."""

    runs: Sequence[Run]
    count: int
    latest: float


def ended(
    client: Client,
    experiments: Sequence[str],
    jobs: Collection[str],
    *,
    since: float | None = None,
    expected: int = PAGE,
) -> Endings | None:
    """Return the runs of jobs of experiments (their ids) that ended after `since`.

    since: without it, what a page tells. expected: how many ended since, of whatever jobs. None:
    the answers are not in that order. Azure ML does not filter runs by their fields, but orders
    them (learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow).
    """
    body: dict[str, Any] = {
        "experiment_ids": list(experiments),
        "max_results": max(_SMALLEST_PAGE, min(expected, PAGE)),
        "order_by": ["end_time DESC"],
    }
    found: list[Run] = []
    count, latest = 0, since or 0.0
    while True:
        page = _call(client, "POST", "runs/search", body=body) or {}
        raws = page.get("runs") or ()
        times = [_seconds(raw["info"].get("end_time")) for raw in raws]
        known = [at for at in times if at is not None]
        if times[: len(known)] != sorted(known, reverse=True):
            return None
        late = [at for at in known if since is None or at > since]
        found += [_run(raw) for raw in raws[: len(late)] if raw["info"]["run_id"] in jobs]
        count, latest = count + len(late), max([latest, *late[:1]])
        is_all = since is None or len(late) < len(raws)
        if is_all or not page.get("next_page_token"):
            return Endings(found, count, latest)
        body["page_token"] = page["next_page_token"]


def get(client: Client, job: str) -> Run | None:
    """Return the run of one job, or None if it has none yet."""
    found = _call(client, "GET", "runs/get", params={"run_id": job}, missing=True)
    return None if found is None else _run(found["run"])


def history(client: Client, job: str, key: str) -> list[Point]:
    """Return every value of one metric of one run, in the order of their steps."""
    points: list[Point] = []
    params = {"run_id": job, "metric_key": key, "max_results": str(_HISTORY_PAGE)}
    while True:
        page = _call(client, "GET", "metrics/get-history", params=params, missing=True) or {}
        points += [_point(raw) for raw in page.get("metrics") or ()]
        if not page.get("next_page_token"):
            return sorted(points, key=lambda point: (point.step, point.at))
        params["page_token"] = page["next_page_token"]


def final_metrics(run: Run, trials: Sequence[Trial]) -> Iterator[Metric]:
    """Yield each trial's final result, and beside it the last values that it logged by itself."""
    for trial in trials:
        report = (run.reports or {}).get(trial.id, Report())
        last = dict(_of(trial, run.last, packed=len(trials) > 1))
        own = {name: point.value for name, point in last.items() if name not in report.names}
        if not report.final and not own:
            continue
        value = report.final[0] if report.final else own
        if report.final and own:
            value = {**own, **(value if isinstance(value, Mapping) else {"default": value})}
        at = max((point.at for point in last.values()), default=run.ended or 0.0)
        yield Metric(trial=trial.id, kind=MetricKind.FINAL, sequence=0, value=value, at=at)


def intermediate_metrics(
    run: Run, histories: Mapping[str, Sequence[Point]], trials: Sequence[Trial]
) -> Iterator[Metric]:
    """Yield the reports of each trial by step, without its final result."""
    for trial in trials:
        report = (run.reports or {}).get(trial.id, Report())
        steps: dict[int, dict[str, Point]] = {}
        for name, points in _of(trial, histories, packed=len(trials) > 1):
            for point in points:
                if name not in report.names or point.step != report.step:
                    steps.setdefault(point.step, {})[name] = point
        for step in sorted(steps):
            values = {
                name: int(point.value) if name in report.integers else point.value
                for name, point in steps[step].items()
            }
            value: Any = values["default"] if values.keys() == {"default"} else values
            at = max(point.at for point in steps[step].values())
            yield Metric(
                trial=trial.id, kind=MetricKind.INTERMEDIATE, sequence=step, value=value, at=at
            )


def _of(trial: Trial, values: Mapping[str, Any], *, packed: bool) -> Iterable[tuple[str, Any]]:
    """Return the trial's part of the values by metric; in a pack its id stands before them."""
    if not packed:
        return values.items()
    prefix = f"{trial.id}/"
    return [
        (name.removeprefix(prefix), value)
        for name, value in values.items()
        if name.startswith(prefix)
    ]


def _run(raw: Mapping[str, Any]) -> Run:
    info, data = raw["info"], raw.get("data") or {}
    last = {str(metric["key"]): _point(metric) for metric in data.get("metrics") or ()}
    tags = {str(tag["key"]): str(tag["value"]) for tag in data.get("tags") or ()}
    times = _seconds(info.get("start_time")), _seconds(info.get("end_time"))
    return Run(
        str(info["run_id"]),
        *times,
        last,
        _reports(text_in(tags, RESULTS_TAG)),
        str(info.get("status") or ""),
        *_end(tags.get(END_TAG)),
    )


def _end(tag: str | None) -> tuple[int | None, float | None]:
    """Return the exit code in a runner's tag, and when it was said."""
    try:
        told = json.loads(tag or "")
        end = int(told["exit_code"]), float(told["at"])
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None, None
    return end if math.isfinite(end[1]) else (None, None)


def _in_order(ended: float | None, said: float | None) -> bool:
    # Both to the millisecond, as MLflow has times.
    return ended is not None and said is not None and ended >= int(said * 1000) / 1000


def _reports(text: str) -> dict[str, Report] | None:
    try:
        return {
            trial: Report(
                tuple(told["final"]),
                told["step"],
                frozenset(told["names"]),
                frozenset(told["integers"]),
                told["whole"],
            )
            for trial, told in json.loads(text).items()
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _point(raw: Mapping[str, Any]) -> Point:
    return Point(
        float(raw["value"]), int(raw.get("step") or 0), int(raw.get("timestamp") or 0) / 1000
    )


def _seconds(milliseconds: object) -> float | None:
    return int(str(milliseconds)) / 1000 if milliseconds else None


def _call(
    client: Client,
    method: str,
    name: str,
    *,
    params: Mapping[str, str] | None = None,
    body: Any = None,
    missing: bool = False,
) -> Any:
    url = f"/mlflow/v2.0{client.scope}/api/2.0/mlflow/{quote(name)}"
    try:
        return client.api.call(
            method, url, doing="MLflow", params=params, body=body, missing=missing
        )
    except (KeyError, TypeError) as err:
        raise BackendError(f"MLflow: an answer to {name} without {err}.") from err
