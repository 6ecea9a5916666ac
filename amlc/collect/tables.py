"""The rows as tables: their columns, and the cells of each row."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from amlc.attempts import Attempt
from amlc.collect.nodes import nodes
from amlc.collect.rows import Row, named
from amlc.collect.spool import spooled
from amlc.cost import cost
from amlc.ledger import Ledger
from amlc.manifest import Header, Manifest
from amlc.model import Metric, MetricKind, Trial
from amlc.space.points import flattened

_TRIAL_COLUMNS = (
    "sequence",
    "trial",
    "status",
    "attempt",
    "job",
    "revision",
    "started",
    "ended",
    "duration_s",
    "error",
)
_COST_COLUMNS = ("nodes", "node_hours", "cost")
_HISTORY_COLUMNS = ("sequence", "trial", "attempt", "job", "step", "at")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to write out.

    `columns` in their order, and for each row a mapping that may lack some of them. rows can be
    gone through once.
    """

    columns: tuple[str, ...]
    rows: Iterable[Mapping[str, Any]]


@contextmanager
def trials_table(rows: Iterable[Row], *, costs: Manifest | None = None) -> Iterator[Table]:
    """Give one row for each trial; times are in seconds since the epoch.

    costs: with columns for what each cost, the experiment being compiled so. The rows wait on disk,
    not in memory.
    """
    now, count = time.time(), 1 if costs is None else nodes(costs)
    parameters: dict[str, None] = {}
    metrics: set[str] = set()
    with spooled() as spool:
        for row in rows:
            values, result = flattened(row.trial.parameters), row.result
            parameters |= dict.fromkeys(values)
            metrics.update(map(str, result))
            cells = _cells(row, values, result)
            spool.put(
                cells if costs is None else {**cells, **_cost_cells(row, costs.header, count, now)}
            )
        columns = (
            *_TRIAL_COLUMNS,
            *(_COST_COLUMNS[: 2 if costs.header.price is None else 3] if costs else ()),
            *(f"param.{name}" for name in parameters),
            *_metric_columns(metrics),
        )
        yield Table(columns, spool.rows())


@contextmanager
def history_table(rows: Iterable[Row], ledger: Ledger) -> Iterator[Table]:
    """Give one row for each intermediate result of each trial's last attempt, by trial and step."""
    names: set[str] = set()
    with spooled() as spool:
        for row in rows:
            for cells in _history_rows(ledger, row):
                names.update(
                    name.removeprefix("metric.") for name in cells if name.startswith("metric.")
                )
                spool.put(cells)
        yield Table((*_HISTORY_COLUMNS, *_metric_columns(names)), spool.rows())


def _history_rows(ledger: Ledger, row: Row) -> Iterator[Mapping[str, Any]]:
    trial, attempt = row.trial, row.attempt
    if attempt is None:
        return
    for _, metric in ledger.metrics(MetricKind.INTERMEDIATE, job=attempt.job):
        if metric.trial == trial.id:
            yield _history_row(trial, attempt, metric)


def _history_row(trial: Trial, attempt: Attempt, metric: Metric) -> Mapping[str, Any]:
    return {
        "sequence": trial.sequence,
        "trial": trial.id,
        "attempt": attempt.number,
        "job": attempt.job,
        "step": metric.sequence,
        "at": metric.at,
        **{f"metric.{name}": value for name, value in named(metric.value).items()},
    }


def _cells(row: Row, values: Mapping[str, Any], result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the cells of a row. values: its parameters, flattened."""
    trial, attempt = row.trial, row.attempt
    cells: dict[str, Any] = {
        "sequence": trial.sequence,
        "trial": trial.id,
        "status": row.status.value,
    }
    if attempt is not None:
        started, ended = map(_shown, row.times)
        cells |= {"attempt": attempt.number, "job": attempt.job, "revision": attempt.revision[:6]}
        cells |= {"started": started, "ended": ended, "error": row.error}
        if started is not None and ended is not None:
            cells["duration_s"] = round(max(ended - started, 0.0), 3)
    cells |= {f"param.{name}": value for name, value in values.items()}
    cells |= {f"metric.{name}": value for name, value in result.items()}
    return cells


def _shown(at: float | None) -> float | None:
    """Return a time as tables write it, to the millisecond, so that a duration is that of both."""
    return None if at is None else round(at, 3)


def _cost_cells(row: Row, header: Header, nodes: int, now: float) -> Mapping[str, Any]:
    if not row.attempts:
        return {}
    found = cost(row.attempts, header, nodes=nodes, now=now)
    cells: dict[str, Any] = {"nodes": nodes, "node_hours": round(found.node_hours, 6)}
    if found.money is not None:
        cells["cost"] = round(found.money, 6)
    return cells


def _metric_columns(names: Iterable[str]) -> list[str]:
    """Return the columns in an order that does not depend on which trial ended first.

    `default`, then by name.
    """
    return [f"metric.{name}" for name in sorted(names, key=lambda name: (name != "default", name))]
