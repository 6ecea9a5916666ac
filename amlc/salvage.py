"""Mend a damaged ledger: what is whole in it, and what a target remembers of the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from heapq import merge
from itertools import islice
from pathlib import Path

from amlc.events import EventKind
from amlc.files import is_there
from amlc.ledger import MENDED, OF_TRIALS, DamageError, Ledger, open_ledger, read_ledger
from amlc.model import MetricKind
from amlc.names import JOB_NAME

_PIECE = 1000  # events
_OURS_ALONE = (EventKind.EARLY_STOP, EventKind.REPORTED)  # no target remembers them


def is_whole(path: Path) -> bool:
    """Tell whether there is a ledger at `path` with no damage in it. All of it is read.

    Raises LedgerError when it cannot be read for another reason.
    """
    if not is_there(path):
        return False
    with _whole(path) as ledger:
        return ledger is not None and not ledger.damage


def mended(path: Path, rebuilt: Path, new: Path) -> None:
    """Write a ledger at `new` from the damaged one at `path`, if any, and the one at `rebuilt`.

    All attempts of a job come from `rebuilt` if that has one which is damaged or missing in the
    other, and everything else is kept, as far as it can be read. So is, of each job, what only the
    ledger knew.
    """
    with _whole(path) as old, read_ledger(rebuilt) as fresh, open_ledger(new) as ledger:
        again = {_identity(job) for job in fresh.jobs() - _sound(old, fresh)}
        # Nothing tells how a trial ended that was imported; it can be imported again.
        lost = {job for job in _damaged(old) if JOB_NAME.fullmatch(job) is None}
        kept = (
            event
            for event in (old.events() if old else ())
            if event.job not in lost
            and (event.kind in _OURS_ALONE or _identity(event.job) not in again)
        )
        anew = (event for event in fresh.events() if _identity(event.job) in again)
        events = merge(kept, anew, key=lambda event: event.at)
        while piece := list(islice(events, _PIECE)):
            ledger.append(piece)
        for job in ledger.jobs():
            source = fresh if _identity(job) in again else old
            if source is not None:
                _copy_metrics(source, ledger, job)
        ledger.checkpoint()  # what is put in its place is this one file


def _sound(old: Ledger | None, fresh: Ledger) -> set[str]:
    """Return the jobs of which all is whole in the old ledger."""
    if old is None or old.damaged_jobs is None:
        return set()
    # Not those of the index, which may have one whose intent is damaged.
    jobs = {event.job for kind in OF_TRIALS for event in old.events(kind=kind)}
    # Of what ended meanwhile, or whose end is what is damaged, the target knows the end.
    return jobs - old.damaged_jobs - (old.working().keys() - fresh.working().keys())


def _damaged(old: Ledger | None) -> frozenset[str]:
    return (old.damaged_jobs if old else None) or frozenset()


def put_in_place(path: Path, new: Path) -> Path | None:
    """Put the ledger at `new` into the place of the one at `path`; return where that is kept.

    Killed on the way it leaves no ledger, which nobody takes for a beginning, and `go_on` goes on.
    """
    os.replace(new, path.with_name(MENDED))
    aside = _aside(path)
    was_there = path.exists()
    if was_there:
        path.rename(aside)
    _swap(path, aside)
    return aside if was_there else None


def go_on(path: Path) -> None:
    """Go on where a `put_in_place` was killed; one that had not begun is forgotten."""
    ready = path.with_name(MENDED)
    if is_there(path):
        ready.unlink(missing_ok=True)
    elif is_there(ready):
        _swap(path, _aside(path, last=True))


def _aside(path: Path, *, last: bool = False) -> Path:
    """Return the first free name for a ledger that is put aside; last: the one before that."""
    number = 1
    while (aside := _numbered(path, number)).exists():
        number += 1
    return _numbered(path, max(number - 1, 1)) if last else aside


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-damaged-{number}{path.suffix}")


def _swap(path: Path, aside: Path) -> None:
    """Put what SQLite has beside the ledger at `path` aside too, and the mended one in place."""
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").rename(aside.with_name(f"{aside.name}-wal"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    os.replace(path.with_name(MENDED), path)


@contextmanager
def _whole(path: Path) -> Iterator[Ledger | None]:
    """Give a reader that has been through all of a ledger; None: no database is left of it."""
    with ExitStack() as stack:
        ledger: Ledger | None
        try:
            ledger = stack.enter_context(read_ledger(path, tolerant=True))
            ledger.check(whole=True)
        except DamageError:
            ledger = None
        yield ledger


def _identity(job: str) -> str:
    """Return what all attempts of a job share; of what is none, its name."""
    match = JOB_NAME.fullmatch(job)
    return match["id"] if match else job


def _copy_metrics(source: Ledger, ledger: Ledger, job: str) -> None:
    metrics = [one for kind in MetricKind for _, one in source.metrics(kind, job=job)]
    if metrics:
        ledger.append((), metrics, job=job)
