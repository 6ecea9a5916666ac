"""`amlc status`: how the trials stand, for people or as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from amlc.backends import Reasons
from amlc.collect.causes import Causes
from amlc.collect.rows import Row
from amlc.collect.tables import Table, trials_table
from amlc.collect.verdict import Tally, Verdict
from amlc.commands.observe import up_to_date
from amlc.cost import Cost
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.model import Status
from amlc.targets import open_backend

_MOST_ROWS = 40


@dataclass(frozen=True, slots=True)
class Standing:
    """How the trials stand.

    rows: the first, or all. causes: why trials failed. reasons: why jobs wait, by name. cost: of
    all trials, None where they cost nothing.
    """

    rows: Sequence[Row]
    verdict: Verdict
    causes: Causes
    reasons: Mapping[str, str]
    cost: Cost | None = None


def status(manifest: Manifest, *, folders: Folders, everything: bool = False) -> Standing:
    """Return how the trials stand; the rows of the first 40, or with `everything` of all."""
    causes = Causes()
    shown: list[Row] = []
    with up_to_date(manifest, folders) as results:
        tally = Tally(results)
        for row in tally.counted(results.rows()):
            causes.count(row)
            if everything or len(shown) < _MOST_ROWS:
                shown.append(row)
        end = tally.verdict
    return Standing(shown, end, causes, _reasons(manifest, shown, folders), tally.cost)


@contextmanager
def status_table(manifest: Manifest, *, folders: Folders) -> Iterator[Table]:
    """Give what is known of each trial but its parameters and results.

    Its rows can be gone through once.
    """
    with up_to_date(manifest, folders) as results, trials_table(results.rows()) as table:
        columns = tuple(
            name for name in table.columns if not name.startswith(("param.", "metric."))
        )
        yield Table(columns, table.rows)


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
