"""`amlc cancel`: end running trials, or the whole experiment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from amlc.attempts import Attempt
from amlc.collect import Results
from amlc.commands.observe import backend_named, up_to_date
from amlc.commands.trials import chosen
from amlc.errors import UsageError
from amlc.events import cancel_asked, stop
from amlc.folders import Folders
from amlc.ledger import open_ledger

_MOST_SHOWN = 10


def cancel(
    *, trials: Sequence[str], everything: bool, target: str | None, folders: Folders, err: TextIO, quiet: bool
) -> int:
    """Cancel the jobs of `trials` or, with `everything`, all that are at work, and a submit that runs submits no more.

    Needs no lock, so that it works beside a submit, which sees the jobs end and records that.
    Raises UsageError without either, or with both.
    """
    if everything == bool(trials):
        raise UsageError("name the trials to cancel, such as `amlc cancel 7`, or give --all for the whole experiment.")
    manifest = folders.manifest(target)
    path = folders.ledger(manifest.header.experiment)
    if not path.exists():
        raise UsageError(f"{manifest.header.experiment}: nothing was submitted yet.")
    with open_ledger(path) as ledger:
        if everything:  # first, so that a submit that runs sees it after each job that is not in the list
            ledger.append([stop(at=time.time())])
        working = ledger.working()
        if trials:
            named = {row.attempt.job for row in chosen(Results(manifest, ledger), trials) if row.attempt}
            working = {job: attempt for job, attempt in working.items() if job in named}
        if not quiet:
            print(f"{manifest.header.experiment}: {_described(list(working.values()))}", file=err)
        ledger.append([cancel_asked(job, at=time.time()) for job in sorted(working)])
    for name in sorted({attempt.backend for attempt in working.values()}):
        jobs = sorted(job for job, attempt in working.items() if attempt.backend == name)
        backend_named(name, manifest, folders).cancel(jobs)
    with up_to_date(manifest, folders):
        pass  # records the end where no submit is there to do so
    return 0


def _described(attempts: Sequence[Attempt]) -> str:
    """Return in one line what is about to be canceled."""
    numbers = sorted(trial.sequence for attempt in attempts for trial in attempt.trials)
    if not numbers:
        return "nothing is at work, so nothing is canceled"
    shown = ", ".join(str(number) for number in numbers[:_MOST_SHOWN])
    more = ", …" if len(numbers) > _MOST_SHOWN else ""
    jobs = f"{len(attempts)} job{'s' if len(attempts) > 1 else ''}"
    return f"canceling {jobs} with trial{'s' if len(numbers) > 1 else ''} {shown}{more}"
