"""`amlc collect` and `amlc best`: the results as a table, and the best of them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, TextIO

from amlc.backends import HistoryApart
from amlc.collect import Results, Table, Tally, history_table, trials_table
from amlc.commands.observe import up_to_date
from amlc.commands.submit import hint
from amlc.errors import IncompleteError
from amlc.events import EventKind, history_fetched
from amlc.folders import Folders
from amlc.ledger import open_ledger
from amlc.manifest import Manifest
from amlc.model import Status
from amlc.replicates import aggregate_table, best_set, by_set
from amlc.report.tables import WRITERS, finite
from amlc.targets import open_backend


def collect(
    *,
    target: str | None,
    folders: Folders,
    format_: str,
    out: BinaryIO,
    err: TextIO,
    quiet: bool,
    history: bool = False,
    aggregate: Sequence[str] = (),
    numbers: bool = False,
) -> int:
    """Write one row for each compiled trial to `out`.

    history: one for each intermediate result instead. aggregate: one for each parameter set, see AGGREGATES. numbers:
    say so when final results are no numbers, which only a tuner that learns cannot do without.
    Raises IncompleteError when some trial has not come to a good end, or is not proposed yet.
    """
    manifest = folders.manifest(target)
    if history:
        _fetch_history(manifest, folders)
    with up_to_date(manifest, folders) as results:
        tally = Tally(results)
        with _table(results, tally, history=history, aggregate=aggregate) as table:
            WRITERS[format_](table, out)
        out.flush()
        end = tally.verdict
    if numbers and tally.without_number and not quiet:
        print(f"{manifest.header.experiment}: {tally.without_number}", file=err)
    if not end.complete:
        goes_on = hint(end, manifest, folders)
        raise IncompleteError(f"{manifest.header.experiment}: {end}{goes_on}. The rows are written all the same.")
    if not quiet:
        print(f"{manifest.header.experiment}: {end}", file=err)
    return 0


def _table(results: Results, tally: Tally, *, history: bool, aggregate: Sequence[str]) -> AbstractContextManager[Table]:
    rows = tally.counted(results.rows())
    if history:
        return history_table(rows, results.ledger)
    if aggregate:
        return aggregate_table(rows, results.manifest.header.replicates, aggregate)
    return trials_table(rows)


def _fetch_history(manifest: Manifest, folders: Folders) -> None:
    """Record the intermediate results of ended jobs that a remote back end was not asked for yet."""
    header = manifest.header
    backend = open_backend(header, folders.runs(header.experiment))
    if not isinstance(backend, HistoryApart):
        return
    with up_to_date(manifest, folders) as results:
        known = {event.job for event in results.ledger.events(kind=EventKind.HISTORY)}
        last = (row.attempt for row in results.rows() if row.attempt is not None)
        jobs = dict.fromkeys(
            attempt.job
            for attempt in last
            if attempt.backend == header.backend and attempt.latest.status.ended and attempt.job not in known
        )
    if jobs:
        with open_ledger(folders.ledger(header.experiment)) as ledger:
            for job, metrics in backend.history(jobs):
                ledger.append([history_fetched(job, at=time.time())], metrics, job=job)


def best(*, target: str | None, folders: Folders, mode: str | None, out: TextIO, err: TextIO, quiet: bool) -> int:
    """Print the parameters with the largest or smallest `default` result, the mean of replicates, as JSON."""
    manifest = folders.manifest(target)
    mode = mode or manifest.header.optimize_mode
    with up_to_date(manifest, folders) as results:
        tally = Tally(results)
        found = best_set(by_set(tally.counted(results.rows()), manifest.header.replicates), maximize=mode == "maximize")
    remark = tally.without_number
    if found is None:
        why = f": {remark}" if remark else "."
        raise IncompleteError(f"{manifest.header.experiment}: no trial has a numeric final result yet{why}")
    if remark and not quiet:
        print(f"{manifest.header.experiment}: {remark}", file=err)
    rows, score = found
    trial = rows[0].trial
    print(json.dumps(finite(trial.parameters), ensure_ascii=False, indent=2), file=out)
    if not quiet:
        which = f"trial {trial.id} (#{trial.sequence}): default = {score:g}"
        if len(rows) > 1:
            numbers = ", ".join(f"#{row.trial.sequence}" for row in rows)
            which = f"trials {numbers}: mean default = {score:g}"
        bad = next((row for row in rows if row.status in (Status.FAILED, Status.UNFINISHED)), None)
        remark = f"; but #{bad.trial.sequence} is {bad.status.value}: {bad.error}" if bad else ""
        print(f"{which}, the best by {mode}{remark}", file=err)
    return 0
