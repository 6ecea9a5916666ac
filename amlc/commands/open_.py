"""`amlc open`: the page of a trial's job in the studio."""

from __future__ import annotations

from typing import TextIO

from amlc.collect import Results
from amlc.commands.trials import chosen
from amlc.errors import UsageError
from amlc.folders import Folders
from amlc.ledger import read_ledger


def open_(*, trial: str, target: str | None, folders: Folders, out: TextIO) -> int:
    """Print the address of the trial's last attempt."""
    manifest = folders.manifest(target)
    with read_ledger(folders.ledger(manifest.header.experiment)) as ledger:
        (row,) = chosen(Results(manifest, ledger), [trial])
    found, attempt = row.trial, row.attempt
    if attempt is None:
        raise UsageError(f"trial {found.id}: it was not submitted yet, so it has no page.")
    if attempt.latest.url is None:
        raise UsageError(f"trial {found.id}: the back end '{attempt.backend}' has no pages. amlc logs shows its log.")
    print(attempt.latest.url, file=out)
    return 0
