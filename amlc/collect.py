"""Join the compiled trials with what became of them: one row for each trial, whatever happened to it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from amlc.history import scalar
from amlc.ledger import Attempt, Ledger, fold, latest
from amlc.manifest import Entry, Manifest
from amlc.model import Metric, Status, Trial
from amlc.render.context import flattened

_TRIAL_COLUMNS = ("sequence", "trial", "status", "attempt", "job", "revision", "started", "ended", "duration_s")
_HISTORY_COLUMNS = ("sequence", "trial", "attempt", "job", "step", "at")

_MOST_KINDS = 3
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to write out: `columns` in their order, and for each row a mapping that may lack some of them.

    rows can be gone through once.
    """

    columns: tuple[str, ...]
    rows: Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How complete the results are. statuses: how many trials have each; without_final: ended well, reported none."""

    trials: int
    statuses: Mapping[Status, int]
    without_final: int

    @property
    def complete(self) -> bool:
        """Whether every trial came to a good end; an early stop is one."""
        return self.statuses.get(Status.SUCCEEDED, 0) + self.statuses.get(Status.EARLY_STOPPED, 0) == self.trials

    def __str__(self) -> str:
        good = self.statuses.get(Status.SUCCEEDED, 0) + self.statuses.get(Status.EARLY_STOPPED, 0)
        others = [
            f"{count} {status.value}"
            for status, count in self.statuses.items()
            if count and status is not Status.SUCCEEDED
        ]
        if self.without_final:
            others.append(f"{self.without_final} without a final result")
        return f"{good} of {self.trials} trials done" + (f": {', '.join(others)}" if others else "")


@dataclass(frozen=True, slots=True)
class Results:
    """What is known of an experiment, read from its ledger at one moment."""

    manifest: Manifest
    attempts: Mapping[str, Attempt]
    final: Mapping[tuple[str, str], Any]
    entries: tuple[Entry, ...]

    def trials(self) -> Iterator[tuple[Trial, Attempt | None, Status]]:
        """Yield every compiled trial with its last attempt and its status."""
        for entry in self.entries:
            attempt = self.attempts.get(entry.id)
            for trial in entry.trials:
                yield trial, attempt, Status.PENDING if attempt is None else attempt.status(trial.id)

    def result(self, trial: Trial, attempt: Attempt | None) -> Mapping[str, Any]:
        """Return the trial's final result by metric name; a bare number goes by `default`."""
        key = (attempt.job if attempt else "", trial.id)
        return named(self.final[key]) if key in self.final else {}


def read_results(manifest: Manifest, ledger: Ledger) -> Results:
    """Read what the ledger knows of the compiled trials."""
    attempts = latest(fold(ledger.events()))
    final = {(job, metric.trial): metric.value for job, metric in ledger.metrics("final")}
    return Results(manifest, attempts, final, tuple(manifest.entries()))


def named(value: Any) -> Mapping[str, Any]:
    """Return a reported value as metrics by name: a mapping as it is, anything else as `default`."""
    return value if isinstance(value, Mapping) else {"default": value}


def number(value: Any) -> float | None:
    """Return a reported value as a finite float; None for anything else, and for truth values."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:  # JSON's integers have no upper bound
        return None
    return found if math.isfinite(found) else None


def verdict(results: Results) -> Verdict:
    """Count the trials by status."""
    statuses: Counter[Status] = Counter()
    without_final = 0
    for trial, attempt, status in results.trials():
        statuses[status] += 1
        if status is Status.SUCCEEDED and not results.result(trial, attempt):
            without_final += 1
    return Verdict(sum(statuses.values()), {status: statuses[status] for status in Status}, without_final)


def without_number(results: Results) -> str | None:
    """Say in one line how many trials ended well and reported no number that a tuner can learn from; None: none did."""
    finals = [
        results.result(trial, attempt) for trial, attempt, status in results.trials() if status is Status.SUCCEEDED
    ]
    odd = [final for final in finals if final and scalar(final) is None]
    if not odd:
        return None
    kinds = list(dict.fromkeys(map(_reported, odd)))
    shown = "; ".join(kinds[:_MOST_KINDS]) + ("; …" if len(kinds) > _MOST_KINDS else "")
    return (
        f"{len(odd)} without a number as 'default' (they reported: {shown}). "
        "Report a finite number, or a dict with 'default'."
    )


def _reported(final: Mapping[str, Any]) -> str:
    """Return the names of a final result, or its `default` if there is one."""
    text = json.dumps(final["default"]) if "default" in final else ", ".join(map(str, final))
    text = " ".join(text.split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def trials_table(results: Results) -> Table:
    """Return one row for each compiled trial; times are in seconds since the epoch."""
    parameters: dict[str, None] = {}
    metrics: set[str] = set()
    for trial, attempt, _ in results.trials():
        parameters |= dict.fromkeys(flattened(trial.parameters))
        metrics.update(map(str, results.result(trial, attempt)))
    columns = (*_TRIAL_COLUMNS, *(f"param.{name}" for name in parameters), *_metric_columns(metrics))
    return Table(columns, (_trial_row(results, *row) for row in results.trials()))


def history_table(results: Results, ledger: Ledger) -> Table:
    """Return one row for each intermediate result of each trial's last attempt, by trial and step."""
    names: set[str] = set()
    for _, metric in ledger.metrics("intermediate"):
        names.update(map(str, named(metric.value)))
    return Table((*_HISTORY_COLUMNS, *_metric_columns(names)), _history_rows(results, ledger))


def _history_rows(results: Results, ledger: Ledger) -> Iterator[Mapping[str, Any]]:
    for trial, attempt, _ in results.trials():
        if attempt is None:
            continue
        for _, metric in ledger.metrics("intermediate", job=attempt.job):
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


def _trial_row(results: Results, trial: Trial, attempt: Attempt | None, status: Status) -> Mapping[str, Any]:
    row: dict[str, Any] = {"sequence": trial.sequence, "trial": trial.id, "status": status.value}
    if attempt is not None:
        outcome = attempt.outcomes.get(trial.id)
        started = (outcome and outcome.started) or attempt.latest.started
        ended = (outcome and outcome.ended) or attempt.latest.ended
        row |= {"attempt": attempt.number, "job": attempt.job, "revision": attempt.revision[:6]}
        row |= {"started": started, "ended": ended}
        if started is not None and ended is not None:
            row["duration_s"] = round(ended - started, 3)
    row |= {f"param.{name}": value for name, value in flattened(trial.parameters).items()}
    row |= {f"metric.{name}": value for name, value in results.result(trial, attempt).items()}
    return row


def _metric_columns(names: Iterable[str]) -> list[str]:
    """Return the columns in an order that does not depend on which trial ended first: `default`, then by name."""
    return [f"metric.{name}" for name in sorted(names, key=lambda name: (name != "default", name))]
