"""`amlc open`: the page of a trial's job in the studio."""

from __future__ import annotations

from typing import TextIO

from amlc.collect import Results
from amlc.commands.trials import chosen
from amlc.errors import UsageError
from amlc.ledger import read_ledger
from amlc.places import Places


def open_(*, trial: str, target: str | None, places: Places, out: TextIO) -> int:
    """Print the address of the trial's last attempt."""
    manifest = places.manifest(target)
    with read_ledger(places.ledger(manifest.header.experiment)) as ledger:
        (row,) = chosen(Results(manifest, ledger), [trial])
    found, attempt = row.trial, row.attempt
    if attempt is None:
        raise UsageError(f"trial {found.id}: it was not submitted yet, so it has no page.")
    if attempt.latest.url is None:
        raise UsageError(f"trial {found.id}: the back end '{attempt.backend}' has no pages. amlc logs shows its log.")
    print(attempt.latest.url, file=out)
    return 0
