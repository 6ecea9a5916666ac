"""Bring the ledger up to date before a command reads it, unless a submit is doing so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from amlc.backends import open_backend
from amlc.collect import Results, read_results
from amlc.drive import observe_once
from amlc.errors import LockedError
from amlc.files import lock
from amlc.ledger import Ledger, fold, open_ledger, read_ledger
from amlc.manifest import Manifest
from amlc.places import Places


@contextmanager
def looked_up(manifest: Manifest, places: Places) -> Iterator[tuple[Results, Ledger]]:
    """Give the results as they are now, and the ledger that they come from, open for reading."""
    path = places.ledger(manifest.header.experiment)
    with read_ledger(path) as ledger:
        if any(attempt.working for attempt in fold(ledger.events()).values()):
            _observe(manifest, places)
        yield read_results(manifest, ledger), ledger


def _observe(manifest: Manifest, places: Places) -> None:
    try:
        experiment = manifest.header.experiment
        with lock(places.lock(experiment)), open_ledger(places.ledger(experiment)) as ledger:
            observe_once(ledger, open_backend(manifest.header, places.runs(experiment)), clock=time.time)
    except LockedError:
        return  # a submit is at work, and records what it sees
