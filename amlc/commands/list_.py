"""`amlc list`: the experiments of this folder, and how they stand."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amlc.collect.results import Results
from amlc.collect.verdict import Verdict, verdict
from amlc.errors import DamageWarning, UsageError
from amlc.folders import Folders
from amlc.ledger import FILE_NAME, LedgerError, read_ledger
from amlc.manifest import Manifest, read_manifest


@dataclass(frozen=True, slots=True)
class Listed:
    """An experiment: compiled, or with a state folder alone (manifest, verdict: None).

    working: how many jobs a back end may be at work on, as was recorded last. problem: why its
    build folder cannot be read.
    """

    name: str
    working: int
    manifest: Manifest | None = None
    verdict: Verdict | None = None
    problem: str | None = None


def experiments(folders: Folders) -> Iterator[Listed]:
    """Yield the experiments by name, as they are on record: no back end is asked."""
    names = {folder.name for folder in folders.compiled_folders()}
    names |= {ledger.parent.name for ledger in folders.state.glob(f"*/{FILE_NAME}")}
    for name in sorted(names):
        yield _listed(folders.build / name, folders.state / name / FILE_NAME)


def _listed(build: Path, ledger_file: Path) -> Listed:
    try:
        return _standing(build, ledger_file)
    except LedgerError as err:
        warnings.warn(str(err), DamageWarning, stacklevel=2)
        return Listed(build.name, 0, problem=str(err))


def _standing(build: Path, ledger_file: Path) -> Listed:
    with read_ledger(ledger_file, tolerant=True) as ledger:
        ledger.check()
        working = len(ledger.working())
        if not build.is_dir():
            return Listed(build.name, working)
        try:
            manifest = read_manifest(build)
        except UsageError as err:
            return Listed(build.name, working, problem=str(err))
        with ledger.snapshot():
            results = Results(manifest, ledger)
            end = verdict(results)
    for text in (*ledger.damage, *results.damage):
        warnings.warn(text, DamageWarning, stacklevel=2)
    return Listed(manifest.header.experiment, working, manifest, end)
