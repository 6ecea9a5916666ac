"""Bring the ledger up to date before a command reads it, unless a submit is doing so."""

from __future__ import annotations

import errno
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from amlc.backends import Backend
from amlc.collect.results import Results
from amlc.drawing import drawing
from amlc.errors import DamageWarning, LockedError
from amlc.files import check_locks, lock
from amlc.folders import Folders
from amlc.ledger import DamageError, LedgerError, open_ledger, read_ledger
from amlc.manifest import Manifest
from amlc.observe import Recorder, observe_once
from amlc.targets import open_backend


@contextmanager
def up_to_date(manifest: Manifest, folders: Folders) -> Iterator[Results]:
    """Give the results as they are at one moment: now."""
    check_locks(folders.lock(manifest.header.experiment))
    with read_ledger(folders.ledger(manifest.header.experiment), tolerant=True) as ledger:
        ledger.check()
        if ledger.working() and not ledger.damage:
            _observe(manifest, folders)
        results = Results(manifest, ledger)
        with ledger.snapshot():
            yield results
        for text in (*ledger.damage, *results.damage):
            warnings.warn(text, DamageWarning, stacklevel=2)


def backend_named(name: str, manifest: Manifest, folders: Folders) -> Backend:
    """Open the back end on which an attempt runs: not always the one that was compiled for."""
    return open_backend(
        replace(manifest.header, backend=name), folders.runs(manifest.header.experiment)
    )


def _observe(manifest: Manifest, folders: Folders) -> None:
    try:
        experiment = manifest.header.experiment
        with lock(folders.lock(experiment)), open_ledger(folders.ledger(experiment)) as ledger:
            working = {attempt.backend for attempt in ledger.working().values()}
            for name in sorted(working):
                backend = backend_named(name, manifest, folders)
                take_up = drawing(manifest, ledger)
                observe_once(Recorder(ledger, backend, time.time, take_up), name)
    except LockedError:
        return  # a submit is at work, and records what it sees
    except DamageError:
        raise
    except LedgerError as err:  # such as a full disk
        _warn(str(err))
    except OSError as err:
        if err.errno not in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT):
            raise
        _warn(f"{folders.state}: {err.strerror}.")


def _warn(why: str) -> None:
    text = f"{why} What is shown is what was recorded last."
    warnings.warn(text, RuntimeWarning, stacklevel=3)
