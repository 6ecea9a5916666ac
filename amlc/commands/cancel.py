"""`amlc cancel`: end running trials, or the whole experiment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from amlc.attempts import Attempt
from amlc.collect.results import Results
from amlc.commands.observe import backend_named, up_to_date
from amlc.commands.steps import NOBODY, Canceling, Listener
from amlc.commands.trials import chosen
from amlc.errors import UsageError
from amlc.events import cancel_asked, stop
from amlc.files import check_locks
from amlc.folders import Folders
from amlc.ledger import Ledger, open_ledger
from amlc.manifest import Manifest


def cancel(
    manifest: Manifest,
    trials: Sequence[str] | None,
    *,
    folders: Folders,
    listener: Listener = NOBODY,
) -> Canceling:
    """Cancel the jobs of `trials` or, with None, all; then a submit that runs submits no more.

    Needs no lock, so that it works beside a submit, which sees the jobs end and records that.
    Raises UsageError if nothing was submitted, or for a trial that is not there.
    """
    experiment = manifest.header.experiment
    path = folders.ledger(experiment)
    if not path.exists():
        raise UsageError(f"{experiment}: nothing was submitted yet.")
    check_locks(folders.lock(experiment))
    with open_ledger(path) as ledger:
        if trials is None:
            # First, so that a submit that runs sees it after each job that is not in the list.
            ledger.append([stop(at=time.time())])
        working = _working(ledger, manifest, trials)
        canceling = Canceling(experiment, list(working.values()))
        listener.tell(canceling)
        ledger.append([cancel_asked(job, at=time.time()) for job in sorted(working)])
    for name in sorted({attempt.backend for attempt in working.values()}):
        jobs = sorted(job for job, attempt in working.items() if attempt.backend == name)
        backend_named(name, manifest, folders).cancel(jobs)
    with up_to_date(manifest, folders):
        pass  # records the end where no submit is there to do so
    return canceling


def _working(
    ledger: Ledger, manifest: Manifest, trials: Sequence[str] | None
) -> Mapping[str, Attempt]:
    """Return the attempts at work, by job name; of `trials`, or of all."""
    working = ledger.working()
    if trials is None:
        return working
    named = {row.attempt.job for row in chosen(Results(manifest, ledger), trials) if row.attempt}
    return {job: attempt for job, attempt in working.items() if job in named}
