"""Join the compiled trials with what became of them.

One row for each trial, whatever happened to it.
"""

from __future__ import annotations

import json
import pickle
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from amlc import files
from amlc.attempts import Attempt, elapsed_s
from amlc.cost import Cost, cost
from amlc.events import EventKind
from amlc.ledger import Ledger
from amlc.manifest import Entry, Header, Manifest
from amlc.model import Metric, MetricKind, Outcome, Status, Trial
from amlc.numbers import scalar
from amlc.render.scalars import from_yaml
from amlc.space.points import flattened
from amlc.targets import target

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

_PIECE = 500  # trials
_MOST_KINDS = 3
_MOST_SHOWN = 40
_MOST_CAUSES = 10
_MOST_NAMED = 5  # trials of one cause
_MOST_KEPT = 1_000  # causes


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to write out.

    `columns` in their order, and for each row a mapping that may lack some of them. rows can be
    gone through once.
    """

    columns: tuple[str, ...]
    rows: Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """One compiled trial and what became of it.

    attempt: the last that has it. final: its report, as a 1-tuple. attempts: all that have it, in
    order.
    """

    trial: Trial
    attempt: Attempt | None = None
    final: tuple[Any, ...] = ()
    status: Status = Status.PENDING
    attempts: tuple[Attempt, ...] = ()

    @property
    def result(self) -> Mapping[str, Any]:
        """Its final result by metric name; a bare number goes by `default`.

        Empty: there is none.
        """
        return named(self.final[0]) if self.final else {}

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, if its runner got to say."""
        return None if self.attempt is None else self.attempt.outcomes.get(self.trial.id)

    @property
    def times(self) -> tuple[float | None, float | None]:
        """When it started and ended, in seconds since the epoch.

        Its job's times where its own are not known.
        """
        if self.attempt is None:
            return None, None
        latest, outcome = self.attempt.latest, self.outcome
        started, ended = (outcome.started, outcome.ended) if outcome else (None, None)
        return started or latest.started, ended or latest.ended

    @property
    def error(self) -> str | None:
        """Why it did not end well, or that it ended well without a final result, in one line.

        None: all is well.
        """
        if self.status is Status.SUCCEEDED:
            return None if self.final else "no final result"
        return None if self.attempt is None else self.attempt.error(self.trial.id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How complete the results are.

    trials: how many are compiled. statuses: how many of them have each. without_final: how many
    ended well, or at their time limit, and reported no final result. to_propose: how many trials
    the tuner is still to propose; None: nobody knows how many.
    """

    trials: int
    statuses: Mapping[Status, int]
    without_final: int
    to_propose: int | None = 0

    @property
    def done(self) -> int:
        """How many trials came to a good end; an early stop is one."""
        return self.statuses.get(Status.SUCCEEDED, 0) + self.statuses.get(Status.EARLY_STOPPED, 0)

    @property
    def failed(self) -> int:
        """How many trials stand failed, or unfinished after all that was tried."""
        return self.statuses.get(Status.FAILED, 0) + self.statuses.get(Status.UNFINISHED, 0)

    @property
    def complete(self) -> bool:
        """Whether the experiment has all its trials and every one came to a good end."""
        return self.done == self.trials and self.to_propose == 0

    @property
    def submitted(self) -> bool:
        """Whether every trial that the experiment is going to have was proposed and submitted."""
        return self.to_propose == 0 and not self.statuses.get(Status.PENDING, 0)

    def __str__(self) -> str:
        others = []
        for status, count in self.statuses.items():
            if count and status is not Status.SUCCEEDED:
                others.append(f"{count} {status.value}")
        if self.without_final:
            others.append(f"{self.without_final} without a final result")
        if self.to_propose is None:
            others.append("more not proposed yet")
        elif self.to_propose:
            others.append(f"{self.to_propose} not proposed yet")
        trials = self.trials + (self.to_propose or 0)
        text = f"{self.done} of {trials} trials done"
        return f"{text}: {', '.join(others)}" if others else text


class Tally:
    """Counts rows on their way, so that a reader of all of them need not read them twice."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._statuses: Counter[Status] = Counter()
        self._without_final = 0
        self._odd: Counter[str] = Counter()
        self._without_number = 0
        self._header, self._now = results.manifest.header, time.time()
        self._nodes = nodes(results.manifest)
        self._node_hours = 0.0

    def counted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows and count each."""
        for row in rows:
            self.count(row)
            yield row

    def count(self, row: Row) -> None:
        """Count one row."""
        status = row.status
        self._node_hours += cost(
            row.attempts, self._header, nodes=self._nodes, now=self._now
        ).node_hours
        self._statuses[status] += 1
        if (
            status is Status.EARLY_STOPPED
            and not row.final
            and row.attempt
            and not row.attempt.stopping
        ):
            self._without_final += (
                1  # at its time limit; what an assessor gave up has no final result to give
            )
        if status is not Status.SUCCEEDED:
            return
        if not row.final:
            self._without_final += 1
        elif scalar(row.final[0]) is None:
            self._without_number += 1
            if len(self._odd) <= _MOST_KINDS:
                self._odd[_reported(row.result)] += 1

    @property
    def verdict(self) -> Verdict:
        """How complete the results are, by the rows that were counted."""
        trials = sum(self._statuses.values())
        statuses = {status: self._statuses[status] for status in Status}
        return Verdict(trials, statuses, self._without_final, self._results.to_propose(trials))

    @property
    def cost(self) -> Cost | None:
        """What all of it cost; None where it costs nothing, which is on this machine."""
        if target(self._header.backend).RUNS_ANY:
            return None
        price, hours = self._header.price, self._node_hours
        return Cost(hours, None if price is None else hours * price)

    @property
    def without_number(self) -> str | None:
        """How many trials ended well and reported no number for a tuner, in a line; None: none."""
        if not self._without_number:
            return None
        kinds = list(self._odd)
        shown = "; ".join(kinds[:_MOST_KINDS]) + ("; …" if len(kinds) > _MOST_KINDS else "")
        return (
            f"{self._without_number} without a number as 'default' (they reported: {shown}). "
            "Report a finite number, or a dict with 'default'."
        )


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why trials failed or were left unfinished.

    count: of all of them. numbers: the first of them.
    """

    why: str
    count: int
    numbers: tuple[int, ...]


class Causes:
    """Counts why trials failed on their way, as Tally does."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[int]] = {}
        self._counts: Counter[str] = Counter()

    def count(self, row: Row) -> None:
        """Count the reason of a trial that failed or was left unfinished."""
        if row.status not in (Status.FAILED, Status.UNFINISHED):
            return
        why = " ".join((row.error or "no reason is known").split())
        if why not in self._counts and len(self._counts) >= _MOST_KEPT:
            why = "other reasons"
        self._counts[why] += 1
        numbers = self._numbers.setdefault(why, [])
        if len(numbers) < _MOST_NAMED:
            numbers.append(row.trial.sequence)

    @property
    def found(self) -> tuple[Cause, ...]:
        """The reasons that are shown, the most frequent first."""
        return tuple(
            Cause(why, count, tuple(self._numbers[why]))
            for why, count in self._counts.most_common(_MOST_CAUSES)
        )

    @property
    def rest(self) -> str:
        """A remark on the reasons that are not shown; empty: there are none."""
        more = len(self._counts) - _MOST_CAUSES
        if more <= 0:
            return ""
        return f"… and for {more} more reasons: amlc collect has them in its column 'error'"

    def lines(self) -> Iterator[str]:
        """Yield one line for each reason that is shown, and the remark on the others."""
        for cause in self.found:
            named = ", ".join(map(str, cause.numbers)) + (
                ", …" if cause.count > len(cause.numbers) else ""
            )
            yield (
                f"{cause.count} failed: {cause.why} (trial{'s' if cause.count > 1 else ''} {named})"
            )
        if self.rest:
            yield self.rest


@dataclass(frozen=True, slots=True)
class Results:
    """What is known of an experiment.

    Nothing is held: each call reads the manifest and the ledger anew, in pieces.
    """

    manifest: Manifest
    ledger: Ledger

    def jobs(self) -> Iterator[tuple[Entry, tuple[Row, ...]]]:
        """Yield every compiled job with the rows of its trials, in order."""
        entries = self.manifest.entries()
        while piece := _piece(entries):
            known: dict[str, list[Attempt]] = {}
            ids = (trial.id for entry in piece for trial in entry.trials)
            for attempt in self.ledger.all_attempts(ids):
                for trial in attempt.trials:
                    known.setdefault(trial.id, []).append(attempt)
            final = self.ledger.finals({attempts[-1].job for attempts in known.values()})
            for entry in piece:
                yield (
                    entry,
                    tuple(_row(trial, known.get(trial.id, ()), final) for trial in entry.trials),
                )

    def rows(self) -> Iterator[Row]:
        """Yield every compiled trial, in order."""
        for _, rows in self.jobs():
            yield from rows

    def to_propose(self, trials: int) -> int | None:
        """Return how many trials the tuner is still to propose when `trials` are compiled.

        None: nobody knows.
        """
        header = self.manifest.header
        if header.search is None or (header.max_trials is not None and trials >= header.max_trials):
            return 0
        exhausted = max(
            self.ledger.events(kind=EventKind.EXHAUSTED),
            key=lambda event: event.number,
            default=None,
        )
        if exhausted is not None and exhausted.data == {"search": header.search, "trials": trials}:
            return 0
        if header.max_seconds is not None and elapsed_s(self.ledger.times()) >= header.max_seconds:
            return 0
        return None if header.max_trials is None else header.max_trials - trials


def verdict(results: Results) -> Verdict:
    """Count all trials by status."""
    tally = Tally(results)
    for row in results.rows():
        tally.count(row)
    return tally.verdict


def _piece(entries: Iterator[Entry]) -> list[Entry]:
    """Return the next entries, as many as can be asked for together quickly, in little memory."""
    piece: list[Entry] = []
    left = _PIECE
    while left > 0 and (entry := next(entries, None)) is not None:
        piece.append(entry)
        left -= len(entry.trials)
    return piece


def _row(trial: Trial, attempts: Sequence[Attempt], final: Mapping[tuple[str, str], Any]) -> Row:
    if not attempts:
        return Row(trial)
    last = attempts[-1]
    key = last.job, trial.id
    result = (final[key],) if key in final else ()
    return Row(trial, last, result, last.status(trial.id), tuple(attempts))


def named(value: Any) -> Mapping[str, Any]:
    """Return a reported value as metrics by name.

    A mapping as it is, anything else as `default`.
    """
    return value if isinstance(value, Mapping) else {"default": value}


def _reported(final: Mapping[str, Any]) -> str:
    """Return the names of a final result, or its `default` if there is one."""
    text = json.dumps(final["default"]) if "default" in final else ", ".join(map(str, final))
    text = " ".join(text.split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


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


class Spool:
    """Rows that wait on disk: only after the last of them is it known which columns there are."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def put(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        pickle.dump(row, self._file, protocol=pickle.HIGHEST_PROTOCOL)

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Yield the rows in their order."""
        self._file.seek(0)
        with suppress(EOFError):
            while True:
                yield pickle.load(self._file)  # noqa: S301 - written above, into a file without a name


@contextmanager
def spooled() -> Iterator[Spool]:
    """Give a place on disk for rows, gone in the end."""
    with tempfile.TemporaryFile() as file:
        yield Spool(file)


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
        started, ended = row.times
        cells |= {"attempt": attempt.number, "job": attempt.job, "revision": attempt.revision[:6]}
        cells |= {"started": started, "ended": ended, "error": row.error}
        if started is not None and ended is not None:
            cells["duration_s"] = round(ended - started, 3)
    cells |= {f"param.{name}": value for name, value in values.items()}
    cells |= {f"metric.{name}": value for name, value in result.items()}
    return cells


def nodes(manifest: Manifest) -> int:
    """Return on how many nodes each job runs, by the first job's file; this machine is one."""
    first = next(manifest.entries(), None)
    if first is None or target(manifest.header.backend).RUNS_ANY:
        return 1
    text = files.read_or_none(manifest.folder / first.file)
    resources = (from_yaml(text) if text else {}).get("resources") or {}
    count = resources.get("instance_count")
    return count if type(count) is int else 1


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
