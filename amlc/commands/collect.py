"""`amlc collect` and `amlc best`: the results as a table, and the best of them."""

from __future__ import annotations

import json
import time
from typing import BinaryIO, TextIO

from amlc.backends import Remote, open_backend
from amlc.collect import Results, history_table, number, trials_table, verdict, without_number
from amlc.commands.look import looked_up
from amlc.errors import IncompleteError
from amlc.ledger import Event, Ledger
from amlc.model import Trial
from amlc.places import Places
from amlc.report.tables import WRITERS, finite


def collect(
    *,
    target: str | None,
    places: Places,
    format_: str,
    history: bool,
    out: BinaryIO,
    err: TextIO,
    quiet: bool,
    numbers: bool = False,
) -> int:
    """Write one row for each compiled trial (with `history`, for each intermediate result) to `out`.

    numbers: say so when final results are no numbers, which only a tuner that learns cannot do without.
    Returns 4 when some trial has not come to a good end.
    """
    manifest = places.manifest(target)
    with looked_up(manifest, places) as (results, ledger):
        if history:
            _fetch_history(results, ledger, places)
        table = history_table(results, ledger) if history else trials_table(results)
        WRITERS[format_](table, out)
        out.flush()
        end = verdict(results)
        remark = without_number(results) if numbers else None
    if remark and not quiet:
        print(f"{manifest.header.experiment}: {remark}", file=err)
    if end.complete:
        if not quiet:
            print(f"{manifest.header.experiment}: {end}", file=err)
        return 0
    raise IncompleteError(f"{manifest.header.experiment}: {end}. The rows are written all the same.")


def _fetch_history(results: Results, ledger: Ledger, places: Places) -> None:
    """Record the intermediate results of ended jobs that a remote back end was not asked for yet."""
    header = results.manifest.header
    backend = open_backend(header, places.runs(header.experiment))
    if not isinstance(backend, Remote):
        return
    known = {event.job for event in ledger.events() if event.kind == "history"}
    last = (attempt for attempt in results.attempts.values() if attempt.backend == header.backend)
    jobs = [attempt.job for attempt in last if attempt.latest.status.ended and attempt.job not in known]
    for job, metrics in backend.history(jobs):
        ledger.append([Event(kind="history", at=time.time(), job=job)], metrics, job=job)


def best(*, target: str | None, places: Places, mode: str | None, out: TextIO, err: TextIO, quiet: bool) -> int:
    """Print the parameters of the best trial as JSON: that with the largest or smallest `default` result."""
    manifest = places.manifest(target)
    mode = mode or manifest.header.optimize_mode
    with looked_up(manifest, places) as (results, _):
        scores = _scores(results)
        remark = without_number(results)
    if not scores:
        why = f": {remark}" if remark else "."
        raise IncompleteError(f"{manifest.header.experiment}: no trial has a numeric final result yet{why}")
    if remark and not quiet:
        print(f"{manifest.header.experiment}: {remark}", file=err)
    sign = 1.0 if mode == "maximize" else -1.0
    score, trial = max(scores, key=lambda pair: (sign * pair[0], -pair[1].sequence))
    print(json.dumps(finite(trial.parameters), ensure_ascii=False, indent=2), file=out)
    if not quiet:
        print(f"trial {trial.id} (#{trial.sequence}): default = {score:g}, the best by {mode}", file=err)
    return 0


def _scores(results: Results) -> list[tuple[float, Trial]]:
    scores = []
    for trial, attempt, _ in results.trials():
        score = number(results.result(trial, attempt).get("default"))
        if score is not None:
            scores.append((score, trial))
    return scores
