"""`amlc logs` and `amlc open`: what a trial printed, and the page of its job."""

from __future__ import annotations

from collections.abc import Iterator

from amlc.attempts import Attempt
from amlc.backends import Backend, TrialLogs
from amlc.collect.results import Results
from amlc.collect.rows import Row
from amlc.commands.observe import backend_named
from amlc.commands.trials import child, chosen
from amlc.errors import UsageError
from amlc.folders import Folders
from amlc.ledger import read_ledger
from amlc.manifest import Manifest


def log(
    manifest: Manifest, trial: str, *, follow: bool, folders: Folders, whole: bool = False
) -> Iterator[bytes]:
    """Yield the log of the trial's last attempt; with `follow`, until it ends.

    whole: that of its job, with what other trials printed.
    """
    identity, attempt = logged(manifest, trial, folders=folders)
    backend = backend_named(attempt.backend, manifest, folders)
    if whole:
        yield from backend.log(attempt.job, follow=follow)
    else:
        yield from printed(backend, attempt, identity, follow=follow)


def printed(backend: Backend, attempt: Attempt, trial: str, *, follow: bool) -> Iterator[bytes]:
    """Return what the trial printed in an attempt: of a packed job, that trial alone.

    Raises UsageError while its sweep has not begun it.
    """
    job = child(backend, attempt, trial)
    if job is None:
        raise UsageError(f"trial {trial}: its sweep has not begun it, so there is no log.")
    if len(attempt.trials) > 1 and not attempt.sweep and isinstance(backend, TrialLogs):
        return backend.trial_log(job, trial, follow=follow)
    return backend.log(job, follow=follow)


def logged(manifest: Manifest, trial: str, *, folders: Folders) -> tuple[str, Attempt]:
    """Return a trial's id and its last attempt, whose job has a log.

    Raises UsageError when there is none.
    """
    row = recorded(manifest, trial, folders)
    if row.attempt is None:
        raise UsageError(f"trial {row.trial.id}: it was not submitted yet, so there is no log.")
    _check_is_ours(row.attempt, row)
    return row.trial.id, row.attempt


def page(manifest: Manifest, trial: str, *, folders: Folders) -> str:
    """Return the address of the trial's last attempt in the back end's own pages."""
    row = recorded(manifest, trial, folders)
    attempt = row.attempt
    if attempt is None:
        raise UsageError(f"trial {row.trial.id}: it was not submitted yet, so it has no page.")
    _check_is_ours(attempt, row)
    if attempt.latest.url is None:
        raise UsageError(
            f"trial {row.trial.id}: the back end '{attempt.backend}' has no pages. "
            "amlc logs shows its log."
        )
    return attempt.latest.url


def _check_is_ours(attempt: Attempt, row: Row) -> None:
    if attempt.number == 0:
        raise UsageError(f"trial {row.trial.id}: it was imported. Its log is where it ran.")


def recorded(manifest: Manifest, trial: str, folders: Folders) -> Row:
    """Return the trial that a name stands for, as it is on record."""
    with read_ledger(folders.ledger(manifest.header.experiment), tolerant=True) as ledger:
        (row,) = chosen(Results(manifest, ledger), [trial])
    return row
