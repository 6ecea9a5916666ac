"""A trial as viewers know one: a run, with its parameters, curves, result and times."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Any

from amlc.attempts import Attempt
from amlc.collect.rows import Row, named
from amlc.files import write_if_changed
from amlc.ledger import Ledger
from amlc.model import Metric, MetricKind, Status
from amlc.names import slug
from amlc.space.canonical import canonical
from amlc.space.points import flattened


class Sent(Enum):
    """What became of a run that was sent to a viewer."""

    NEW = "new"
    CHANGED = "brought up to date"
    SAME = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a trial reported at once. step: from 0, the final result's last. at: as in `Run`."""

    step: int
    at: float
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The last attempt of a trial that was submitted. Times are in seconds since the epoch.

    id: the trial's. about: what else is known of it, by name, as text.
    parameters: nested as the
    trial has them. reports: its intermediate results in order, then its final one.
    """

    id: str
    number: int
    status: Status
    started: float | None
    ended: float | None
    about: Mapping[str, str]
    parameters: Mapping[str, Any]
    reports: tuple[Report, ...]
    result: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What people call it."""
        return f"#{self.number}"

    @property
    def is_well(self) -> bool:
        """Whether it came to a good end; an early stop is one."""
        return self.status in (Status.SUCCEEDED, Status.EARLY_STOPPED)


def runs(jobs: Iterable[Sequence[Row]], ledger: Ledger) -> Iterator[Run]:
    """Yield a run for each trial that was submitted. jobs: the rows of each compiled job."""
    for rows in jobs:
        names = dict.fromkeys(row.attempt.job for row in rows if row.attempt is not None)
        reported: dict[tuple[str, str], list[Metric]] = {}
        for job in names:
            for kind in (MetricKind.INTERMEDIATE, MetricKind.FINAL):
                for _, metric in ledger.metrics(kind, job=job):
                    reported.setdefault((job, metric.trial), []).append(metric)
        for row in rows:
            if row.attempt is not None:
                found = reported.get((row.attempt.job, row.trial.id), ())
                yield _run(row, row.attempt, found)


def _run(row: Row, attempt: Attempt, metrics: Sequence[Metric]) -> Run:
    trial = row.trial
    started, ended = row.times
    about = {
        "trial": trial.id,
        "number": str(trial.sequence),
        "set": canonical(trial.parameters).hex(),
        "attempt": str(attempt.number),
        "job": attempt.job,
        "revision": attempt.revision[:6],
        "status": row.status.value,
        "error": row.error or "",
        "page": attempt.latest.url or "",
    }
    return Run(
        id=trial.id,
        number=trial.sequence,
        status=row.status,
        started=started if started is not None else attempt.submitted,
        ended=ended if row.status.ended else None,
        about={name: text for name, text in about.items() if text},
        parameters=trial.parameters,
        reports=tuple(_reports(metrics)),
        result=row.result,
    )


def _reports(metrics: Sequence[Metric]) -> Iterator[Report]:
    """Yield them in order: viewers take the value of the highest step for the result."""
    step = -1
    finals = [metric for metric in metrics if metric.kind is MetricKind.FINAL]
    for metric in chain((one for one in metrics if one.kind is not MetricKind.FINAL), finals[-1:]):
        step = step + 1 if metric.kind is MetricKind.FINAL else max(metric.sequence, step + 1)
        yield Report(step=step, at=metric.at, values=named(metric.value))


def own_folder(folder: Path, experiment: str) -> Path:
    """Make a folder of the experiment's own in `folder`, which is in no snapshot of trial code.

    Nor does git see it.
    """
    own = folder / slug(experiment)
    own.mkdir(parents=True, exist_ok=True)
    write_if_changed(own / ".gitignore", b"*\n")
    return own


def words(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is no number of reported values, one level deep, as text."""
    known = numbers(values)
    return {name: text(one) for name, one in flattened(values).items() if name not in known}


def text(value: Any) -> str:
    """Return a text as it is, and anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return what is a number of reported values, one level deep, true and false as 1 and 0.

    NaN and the infinities are numbers here: viewers show them.
    """
    found = {}
    for name, value in flattened(values).items():
        if isinstance(value, (bool, int, float)):
            try:
                found[str(name)] = float(value)
            except OverflowError:  # JSON's integers have no upper bound
                continue
    return found
