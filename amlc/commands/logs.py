"""`amlc logs`: what a trial printed."""

from __future__ import annotations

from typing import BinaryIO

from amlc.collect import Results
from amlc.commands.observe import backend_named
from amlc.commands.trials import chosen
from amlc.errors import UsageError
from amlc.folders import Folders
from amlc.ledger import read_ledger


def logs(*, trial: str, target: str | None, folders: Folders, follow: bool, out: BinaryIO) -> int:
    """Write the log of the trial's last attempt to `out`; with `follow`, until the job ends."""
    manifest = folders.manifest(target)
    with read_ledger(folders.ledger(manifest.header.experiment)) as ledger:
        (row,) = chosen(Results(manifest, ledger), [trial])
    if row.attempt is None:
        raise UsageError(f"trial {row.trial.id}: it was not submitted yet, so there is no log.")
    for chunk in backend_named(row.attempt.backend, manifest, folders).log(row.attempt.job, follow=follow):
        out.write(chunk)
        out.flush()
    return 0
