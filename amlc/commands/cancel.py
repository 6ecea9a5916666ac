"""`amlc cancel`: end running trials, or the whole experiment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from amlc.collect import read_results
from amlc.commands.look import backend_named, looked_up
from amlc.commands.trials import chosen
from amlc.errors import UsageError
from amlc.ledger import Event, fold, open_ledger
from amlc.places import Places


def cancel(*, trials: Sequence[str], target: str | None, places: Places, err: TextIO, quiet: bool) -> int:
    """Cancel the jobs of `trials`; without any, all that are at work, and a submit that runs submits no more.

    Needs no lock, so that it works beside a submit, which sees the jobs end and records that.
    """
    manifest = places.manifest(target)
    path = places.ledger(manifest.header.experiment)
    if not path.exists():
        raise UsageError(f"{manifest.header.experiment}: nothing was submitted yet.")
    with open_ledger(path) as ledger:
        if not trials:  # first, so that a submit that runs sees it after each job that is not in the list
            ledger.append([Event(kind="stop", at=time.time())])
        working = {a.job: a for a in fold(ledger.events()).values() if a.working}
        jobs = sorted(working)
        if trials:
            named = {attempt.job for _, attempt in chosen(read_results(manifest, ledger), trials) if attempt}
            jobs = sorted(named & working.keys())
        ledger.append([Event(kind="cancel", at=time.time(), job=job) for job in jobs])
    for name in sorted({working[job].backend for job in jobs}):
        backend_named(name, manifest, places).cancel([job for job in jobs if working[job].backend == name])
    with looked_up(manifest, places):
        pass  # records the end where no submit is there to do so
    if not quiet:
        print(f"{manifest.header.experiment}: {len(jobs)} jobs canceled", file=err)
    return 0
