"""Bring the ledger up to date before a command reads it, unless a submit is doing so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from amlc.backends import Backend, open_backend
from amlc.collect import Results, read_results
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
        results = read_results(manifest, ledger)
        if any(attempt.working for attempt in results.attempts.values()):
            _observe(manifest, places)
            results = read_results(manifest, ledger)
        yield results, ledger


def backend_named(name: str, manifest: Manifest, places: Places) -> Backend:
    """Open the back end on which an attempt runs: not always the one that was compiled for."""
    return open_backend(replace(manifest.header, backend=name), places.runs(manifest.header.experiment))


def _observe(manifest: Manifest, places: Places) -> None:
    from amlc.drive import observe_once  # here, because it brings the templates, which reading needs not

    try:
        experiment = manifest.header.experiment
        with lock(places.lock(experiment)), open_ledger(places.ledger(experiment)) as ledger:
            working = {attempt.backend for attempt in fold(ledger.events()).values() if attempt.working}
            for name in sorted(working):
                observe_once(ledger, backend_named(name, manifest, places), name, clock=time.time)
    except LockedError:
        return  # a submit is at work, and records what it sees
