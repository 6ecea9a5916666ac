"""What the report shows of an experiment, as frozen values: one row a trial, and the curves of some of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amlc import collect
from amlc.collect import Results, Tally, named, number, trials_table
from amlc.ledger import Ledger
from amlc.model import Status

MOST_STEPS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trial and what became of it. Times are seconds since the epoch; absent ones are None.

    parameters: flattened, nested names joined with dots. score: the `default` metric, if it is a finite number.
    """

    sequence: int
    trial: str
    status: Status
    attempt: int | None
    job: str
    revision: str
    started: float | None
    ended: float | None
    duration_s: float | None
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    score: float | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An experiment at one moment. revision: six hex digits. parameters, metrics: every name, in column order."""

    experiment: str
    verdict: str
    revision: str
    backend: str
    maximize: bool
    statuses: Mapping[Status, int]
    parameters: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def best(self) -> Row | None:
        """The trial with the best score; among equals, the first."""
        return min(self.scored, key=self.rank, default=None)

    @property
    def scored(self) -> tuple[Row, ...]:
        """The trials that have a score, by sequence."""
        return tuple(row for row in self.rows if row.score is not None)

    def rank(self, row: Row) -> tuple[float, int]:
        """Return a key that sorts the best trial first and those without a score last."""
        if row.score is None:
            return math.inf, row.sequence
        return -row.score if self.maximize else row.score, row.sequence


@dataclass(frozen=True, slots=True)
class Curve:
    """The intermediate results of one trial: (step, value) by step, at most MOST_STEPS of `reported`."""

    row: Row
    points: tuple[tuple[int, float], ...]
    reported: int


def read_view(results: Results) -> View:
    """Return what the report shows of `results`."""
    header = results.manifest.header
    tally = Tally(results)
    rows = list(tally.counted(results.rows()))
    end = tally.verdict
    with trials_table(rows) as table:
        columns, cells = table.columns, list(table.rows)
    return View(
        experiment=header.experiment,
        verdict=str(end),
        revision=header.revision[:6],
        backend=header.backend,
        maximize=header.optimize_mode == "maximize",
        statuses=end.statuses,
        parameters=_named(columns, "param."),
        metrics=_named(columns, "metric."),
        rows=tuple(map(_row, cells, rows)),
    )


def read_curves(ledger: Ledger, rows: Iterable[Row]) -> tuple[Curve, ...]:
    """Read the intermediate `default` results of `rows`; a trial that reported no finite number is left out."""
    by_job: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_job.setdefault(row.job, {})[row.trial] = row
    curves = [curve for job, wanted in by_job.items() if job for curve in _curves(ledger, job, wanted)]
    return tuple(sorted(curves, key=lambda curve: curve.row.sequence))


def shown(value: Any, most: int) -> str:
    """Return a parameter or metric as people read it: text as it is, the rest as JSON, at most `most` characters."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, float):
        text = f"{value:.6g}"
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else text[: most - 1] + "…"


def chosen(view: View, rows: Sequence[Row], most: int) -> tuple[Row, ...]:
    """Return at most `most` of `rows` in their order: half of them the best, the others evenly spaced."""
    if len(rows) <= most:
        return tuple(rows)
    best = sorted((row for row in rows if row.score is not None), key=view.rank)[: most // 2]
    kept = {row.sequence for row in best}
    others = [row for row in rows if row.sequence not in kept]
    kept |= {row.sequence for row in evenly(others, most - len(kept))}
    return tuple(row for row in rows if row.sequence in kept)


def evenly(items: Sequence[Any], most: int) -> tuple[Any, ...]:
    """Return at most `most` of `items`, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return tuple(items)
    if most <= 1:
        return tuple(items[:most])
    return tuple(items[index * (len(items) - 1) // (most - 1)] for index in range(most))


def thinned(points: Sequence[tuple[int, float]], most: int) -> tuple[tuple[int, float], ...]:
    """Return at most `most` of `points`: the lowest and the highest of equal spans, so that no spike is lost."""
    if len(points) <= most:
        return tuple(points)
    spans = (most - 2) // 2
    kept = {points[0], points[-1]}
    for span in range(spans):
        part = points[len(points) * span // spans : len(points) * (span + 1) // spans]
        kept |= {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
    return tuple(sorted(kept))


def _named(columns: Iterable[str], prefix: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(prefix) for name in columns if name.startswith(prefix))


def _row(cells: Mapping[str, Any], known: collect.Row) -> Row:
    metrics = {name.removeprefix("metric."): cells[name] for name in cells if name.startswith("metric.")}
    return Row(
        sequence=known.trial.sequence,
        trial=known.trial.id,
        status=known.status,
        attempt=cells.get("attempt"),
        job=cells.get("job", ""),
        revision=cells.get("revision", ""),
        started=cells.get("started"),
        ended=cells.get("ended"),
        duration_s=cells.get("duration_s"),
        parameters={name.removeprefix("param."): cells[name] for name in cells if name.startswith("param.")},
        metrics=metrics,
        score=number(metrics.get("default")),
        error=known.error or "",
    )


def _curves(ledger: Ledger, job: str, wanted: Mapping[str, Row]) -> list[Curve]:
    points: dict[str, list[tuple[int, float]]] = {trial: [] for trial in wanted}
    for _, metric in ledger.metrics("intermediate", job=job):
        value = number(named(metric.value).get("default"))
        if metric.trial in points and value is not None:
            points[metric.trial].append((metric.sequence, value))
    return [Curve(wanted[trial], thinned(found, MOST_STEPS), len(found)) for trial, found in points.items() if found]
