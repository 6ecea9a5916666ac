"""`amlc cancel`: end running trials, or the whole experiment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from amlc import files
from amlc.attempts import Attempt
from amlc.backends import Backend
from amlc.collect.results import Results
from amlc.collect.rows import Row
from amlc.commands.observe import backend_named, up_to_date
from amlc.commands.steps import NOBODY, Canceling, Listener
from amlc.commands.trials import child, chosen
from amlc.errors import UsageError
from amlc.events import cancel_asked, stop
from amlc.folders import Folders
from amlc.ledger import DamageError, Ledger, open_ledger, read_ledger
from amlc.manifest import Manifest
from amlc.plural import plural
from amlc.targets import at_work


def cancel(
    manifest: Manifest,
    trials: Sequence[str] | None,
    *,
    folders: Folders,
    listener: Listener = NOBODY,
) -> Canceling:
    """Cancel the jobs of `trials` or, with None, all; then a submit that runs submits no more.

    Needs no lock, so that it works beside a submit, which sees the jobs end and records that.
    Raises UsageError if nothing was submitted, or for a trial that is not there; DamageError, with
    nothing canceled, when the ledger is lost or damaged: a job that it does not name would go on.
    """
    experiment = manifest.header.experiment
    files.check_locks(folders.lock(experiment))
    _check_whole(manifest, folders, everything=trials is None)
    with open_ledger(folders.ledger(experiment)) as ledger:
        if trials is None:
            # First, so that a submit that runs sees it after each job that is not in the list.
            ledger.append([stop(at=time.time())])
        rows = None if trials is None else chosen(Results(manifest, ledger), trials)
        working = _working(ledger, rows)
        ends = [
            (backend, sorted(_jobs(backend, some, ledger.working(), whole=trials is None)))
            for backend, some in _by_backend(working, manifest, folders)
        ]
        named = [row.trial.sequence for row in rows or ()]
        canceling = Canceling(experiment, working, named)
        listener.tell(canceling)
        whole = {job for _, jobs in ends for job in jobs} & {one.job for one in working}
        ledger.append([cancel_asked(job, at=time.time()) for job in sorted(whole)])
    for backend, jobs in ends:
        backend.cancel(jobs)
    with up_to_date(manifest, folders):
        pass  # records the end where no submit is there to do so
    return canceling


def _check_whole(manifest: Manifest, folders: Folders, *, everything: bool) -> None:
    """Raise DamageError when the ledger may lack a job that is at work; UsageError without any.

    everything: whether jobs of any trial count that only a run folder knows.
    """
    experiment = manifest.header.experiment
    path = folders.ledger(experiment)
    runs = {run.name for run in files.folders_in(folders.runs(experiment))}
    if not files.is_there(path) or path.stat().st_size == 0:
        if runs:
            raise DamageError(
                _refused(
                    f"{path} is lost, and submitted were {plural(len(runs), 'job')}",
                    folders,
                    experiment,
                )
            )
        lost = folders.advice("refresh", experiment)
        raise UsageError(
            f"{experiment}: nothing was submitted yet. If its ledger was lost: {lost}."
        )
    try:
        with read_ledger(path, tolerant=True) as ledger:
            ledger.check()
            ledger.working()
            damage = ledger.damage
            unknown = runs - ledger.jobs() if everything else set()
    except DamageError as err:
        raise DamageError(f"nothing was canceled, and jobs may be at work: {err}") from err
    if damage:
        raise DamageError(f"nothing was canceled, and jobs may be at work: {damage[0]}")
    found = at_work(manifest.header, folders.runs(experiment), unknown) if unknown else ()
    if found:
        what = f"{found[0]} is at work, and {path} lacks it"
        raise DamageError(_refused(what, folders, experiment))


def _refused(what: str, folders: Folders, experiment: str) -> str:
    return (
        f"nothing was canceled: {what}. Rebuild it first: {folders.advice('refresh', experiment)}."
    )


def _working(ledger: Ledger, rows: Sequence[Row] | None) -> list[Attempt]:
    """Return the attempts at work; of the trials of `rows`, of a sweep those alone, or of all."""
    working = ledger.working()
    if rows is None:
        return list(working.values())
    found = []
    for job, attempt in working.items():
        of_job = (row for row in rows if row.attempt is not None and row.attempt.job == job)
        named = [row for row in of_job if not row.status.ended]
        if attempt.sweep:
            attempt = replace(attempt, trials=tuple(row.trial for row in named))  # noqa: PLW2901
        if named:
            found.append(attempt)
    return found


def _by_backend(
    attempts: Sequence[Attempt], manifest: Manifest, folders: Folders
) -> Iterator[tuple[Backend, Sequence[Attempt]]]:
    for name in sorted({attempt.backend for attempt in attempts}):
        some = [attempt for attempt in attempts if attempt.backend == name]
        yield backend_named(name, manifest, folders), some


def _jobs(
    backend: Backend, attempts: Sequence[Attempt], working: Mapping[str, Attempt], *, whole: bool
) -> Iterator[str]:
    """Yield the jobs that end with the trials of these attempts; of a sweep perhaps children alone.

    whole: all are to end, and those too that a sweep has yet to draw. Raises UsageError for a trial
    that its sweep has not begun.
    """
    for attempt in attempts:
        is_all = len(attempt.trials) == len(working[attempt.job].trials)
        if whole or (is_all and not attempt.draws):
            yield attempt.job
            continue
        for trial in attempt.trials:
            job = child(backend, attempt, trial.id)
            if job is None:
                raise UsageError(
                    f"trial {trial.sequence}: its sweep has not begun it, and will in its turn. "
                    "Cancel it then, or all with --all."
                )
            yield job
