"""`amlc collect` and `amlc best`: the results as a table, and the best of them."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from amlc.attempts import Attempt
from amlc.backends import HistoryApart
from amlc.collect.results import Results
from amlc.collect.rows import Row
from amlc.collect.tables import Table, history_table, trials_table
from amlc.collect.verdict import Tally, Verdict, no_best
from amlc.commands.observe import up_to_date
from amlc.events import EventKind, history_fetched
from amlc.folders import Folders
from amlc.ledger import open_ledger
from amlc.manifest import Manifest
from amlc.nni_export import export
from amlc.plural import plural
from amlc.replicates import aggregate_table, best_sets, by_set
from amlc.targets import open_backend
from amlc.viewers import open_viewer
from amlc.viewers.runs import Sent, runs


@dataclass(frozen=True, slots=True)
class Collected:
    """The results. without_number: how many of them are no numbers, in a line; None: all are."""

    table: Table
    verdict: Verdict
    without_number: str | None


@dataclass(frozen=True, slots=True)
class Best:
    """The best parameter set: its trials, more than one of replicates.

    Their mean `default` result; by which order, and whether anybody said that one. without_number:
    as in `Collected`. better: the trial that reported the best of the numbers that are better and
    do not count, since it ended otherwise than well. partial: a set with a better score that does
    not count yet, since not all of its replicates have ended; its trials, and that.
    """

    rows: Sequence[Row]
    score: float
    mode: str
    is_said: bool
    without_number: str | None
    better: Row | None = None
    partial: tuple[Sequence[Row], float] | None = None

    @property
    def row(self) -> Row:
        """The best of its trials."""
        scored = [(value, row) for row in self.rows if (value := row.score) is not None]
        pick = max if self.mode == "maximize" else min
        return pick(scored, key=lambda one: one[0])[1]


@contextmanager
def collected(
    manifest: Manifest,
    *,
    folders: Folders,
    history: bool = False,
    aggregate: Sequence[str] = (),
    costs: bool = False,
) -> Iterator[Collected]:
    """Give one row for each compiled trial; the rows can be gone through once, inside the context.

    history: one for each intermediate result instead. aggregate: one for each parameter set, see
    AGGREGATES. costs: with columns for what each trial cost.
    """
    if history:
        fetch_history(manifest, folders)
    with up_to_date(manifest, folders) as results:
        tally = Tally(results)
        made = _table(results, tally, history=history, aggregate=aggregate, costs=costs)
        with made as table:
            # Which columns it has is known once all rows are in it, and counted.
            yield Collected(table, tally.verdict, tally.without_number)


@contextmanager
def exported(
    manifest: Manifest, *, folders: Folders, history: bool = False
) -> Iterator[tuple[Iterator[Mapping[str, Any]], Tally]]:
    """Give what NNI would export, which can be gone through once, and what counts it meanwhile."""
    if history:
        fetch_history(manifest, folders)
    with up_to_date(manifest, folders) as results:
        tally = Tally(results)
        yield export(tally.counted(results.rows()), results.ledger, history=history), tally


@contextmanager
def sent(
    manifest: Manifest, viewer: str, place: str, *, folders: Folders
) -> Iterator[tuple[Iterator[Sent], Tally]]:
    """Give what became of each run that a viewer is sent, and what counts the trials meanwhile.

    Intermediate results are fetched before. viewer, place: as in `viewers.open_viewer`.
    """
    send = open_viewer(viewer, place, manifest.header)
    fetch_history(manifest, folders)
    with up_to_date(manifest, folders) as results:
        tally = Tally(results)
        jobs = (tuple(tally.counted(rows)) for _, rows in results.jobs())
        yield send(runs(jobs, results.ledger)), tally


def _table(
    results: Results, tally: Tally, *, history: bool, aggregate: Sequence[str], costs: bool
) -> AbstractContextManager[Table]:
    rows = tally.counted(results.rows())
    if history:
        return history_table(rows, results.ledger)
    if aggregate:
        return aggregate_table(rows, results.manifest.header.replicates, aggregate)
    return trials_table(rows, costs=results.manifest if costs else None)


def fetch_history(manifest: Manifest, folders: Folders) -> None:
    """Record the intermediate results that a remote back end was not asked for yet."""
    header = manifest.header
    backend = open_backend(header, folders.runs(header.experiment))
    if not isinstance(backend, HistoryApart):
        return
    with up_to_date(manifest, folders) as results:
        known = {event.job for event in results.ledger.events(kind=EventKind.HISTORY)}
        jobs = {attempt.job: attempt for attempt in _ended(results, header.backend)}
    for job in known:  # what they reported is on record; asking again costs calls
        jobs.pop(job, None)
    path = folders.ledger(header.experiment)
    if jobs and not os.access(path, os.W_OK):
        text = f"{path} cannot be written, so that the intermediate results of "
        text += f"{plural(len(jobs), 'job')} "
        warnings.warn(f"{text}are not fetched, and not shown.", RuntimeWarning, stacklevel=2)
    elif jobs:
        with open_ledger(path) as ledger:
            for job, metrics in backend.history(jobs):
                own = jobs[job].own(metrics)
                ledger.append([history_fetched(job, at=time.time())], own, job=job)


def _ended(results: Results, backend: str) -> Iterator[Attempt]:
    """Yield the trials' last attempts that ended on that back end."""
    for row in results.rows():
        attempt = row.attempt
        if attempt is not None and attempt.backend == backend and attempt.latest.status.ended:
            yield attempt


def best(manifest: Manifest, *, folders: Folders, mode: str | None = None) -> Best:
    """Return the parameter set with the best `default` result, the mean of replicates.

    mode: `maximize` or `minimize`, None for the experiment's. Raises IncompleteError while no trial
    that succeeded has a number, NoResultError if none will.
    """
    header = manifest.header
    mode = mode or header.optimize_mode
    is_said = mode is not None
    sign = -1.0 if mode == "maximize" else 1.0
    with up_to_date(manifest, folders) as results:
        tally = Tally(results)
        others = _NotCounted(sign)
        sets = by_set(others.seen(tally.counted(results.rows())), header.replicates)
        whole, partial = best_sets(sets, replicates=header.replicates, maximize=sign < 0)
        end = tally.verdict
    found = whole or partial
    if found is None:
        logs = folders.advice("logs", header.experiment, "TRIAL")
        raise no_best(header.experiment, end, tally.without_number, logs=logs)
    better = others.better_than(found[1])
    if partial is not None and partial[1] * sign >= found[1] * sign:
        partial = None
    return Best(*found, mode or "minimize", is_said, tally.without_number, better, partial)


class _NotCounted:
    """Finds the best number among those of trials that ended otherwise than well."""

    def __init__(self, sign: float) -> None:
        """sign: -1 where more is better."""
        self._sign = sign
        self._best: tuple[float, Row] | None = None

    def seen(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows, and take note of each."""
        for row in rows:
            if row.status.ended and not row.status.counts and row.number is not None:
                rank = self._sign * row.number
                if self._best is None or rank < self._best[0]:
                    self._best = rank, row
            yield row

    def better_than(self, score: float) -> Row | None:
        """Return the trial that reported it, if it is better than `score`."""
        if self._best is None or self._best[0] >= self._sign * score:
            return None
        return self._best[1]
