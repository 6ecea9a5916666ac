"""`amlc status`: how the trials stand, for people or as data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from amlc.backends import Reasons
from amlc.collect.causes import Causes
from amlc.collect.rows import Row
from amlc.collect.tables import Table, trials_table
from amlc.collect.verdict import Tally, Verdict
from amlc.commands.observe import up_to_date
from amlc.cost import Cost
from amlc.errors import LockedError
from amlc.files import lock
from amlc.folders import Folders
from amlc.manifest import Manifest, read_manifest
from amlc.model import Status
from amlc.targets import open_backend

_MOST_ROWS = 40
_PAUSE_S = 2.0


class Chosen(Enum):
    """Which trials are shown: the first 40, all, or those that failed or were cut short."""

    FIRST = "first"
    ALL = "all"
    FAILED = "failed"

    def takes(self, row: Row) -> bool:
        """Tell whether a trial is one of those, however many there are."""
        return self is not Chosen.FAILED or row.status in (Status.FAILED, Status.UNFINISHED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the trials stand.

    rows: those that are chosen. causes: why trials failed. reasons: why jobs wait, by name. cost:
    of all trials, None where they cost nothing. is_at_work: a back end may be, on some job; it is
    looked up for who waits for the end.
    """

    rows: Sequence[Row]
    verdict: Verdict
    causes: Causes
    reasons: Mapping[str, str]
    cost: Cost | None = None
    chosen: Chosen = Chosen.FIRST
    is_at_work: bool = False


def status(
    manifest: Manifest, *, folders: Folders, chosen: Chosen = Chosen.FIRST, again: bool = False
) -> Standing:
    """Return how the trials stand, with the rows that are chosen. again: as for `standings`."""
    causes = Causes()
    shown: list[Row] = []
    with up_to_date(manifest, folders) as results:
        tally = Tally(results)
        for row in tally.counted(results.rows()):
            causes.count(row)
            if chosen.takes(row) and (chosen is not Chosen.FIRST or len(shown) < _MOST_ROWS):
                shown.append(row)
        end = tally.verdict
        is_at_work = again and bool(results.ledger.working())
    reasons = _reasons(manifest, shown, folders)
    return Standing(shown, end, causes, reasons, tally.cost, chosen, is_at_work)


def standings(
    manifest: Manifest,
    *,
    folders: Folders,
    chosen: Chosen,
    again: bool,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Standing]:
    """Yield how the trials stand; again: every two seconds, until nothing is at work any more.

    What a submit compiles meanwhile counts too.
    """
    while True:
        standing = status(manifest, folders=folders, chosen=chosen, again=again)
        yield standing
        if not again or not (standing.is_at_work or _is_submitting(manifest, folders)):
            return
        pause(_PAUSE_S)
        manifest = read_manifest(manifest.folder)


@contextmanager
def status_table(
    manifest: Manifest, *, folders: Folders, chosen: Chosen = Chosen.ALL
) -> Iterator[Table]:
    """Give what is known of each trial, of all or of the failed, but its parameters and results.

    Its rows can be gone through once.
    """
    with (
        up_to_date(manifest, folders) as results,
        trials_table(filter(chosen.takes, results.rows())) as table,
    ):
        columns = tuple(
            name for name in table.columns if not name.startswith(("param.", "metric."))
        )
        yield Table(columns, table.rows)


def _is_submitting(manifest: Manifest, folders: Folders) -> bool:
    """Tell whether a submit is at work, between two jobs perhaps."""
    try:
        with lock(folders.lock(manifest.header.experiment)):
            return False
    except LockedError:
        return True
    except OSError:  # nobody can submit where nothing can be written
        return False


def _reasons(manifest: Manifest, rows: Sequence[Row], folders: Folders) -> Mapping[str, str]:
    """Return why waiting jobs wait, as far as the back end says so."""
    header = manifest.header
    jobs: dict[str, None] = {}
    for row in rows:
        attempt = row.attempt
        if (
            row.status is Status.WAITING
            and attempt is not None
            and attempt.backend == header.backend
        ):
            jobs[attempt.job] = None
    if not jobs:
        return {}
    backend = open_backend(header, folders.runs(header.experiment))
    return backend.reasons(list(jobs)[:_MOST_ROWS]) if isinstance(backend, Reasons) else {}
