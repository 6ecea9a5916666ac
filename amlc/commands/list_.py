"""`amlc list`: the experiments of this folder, and how they stand."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amlc import files
from amlc.collect.results import Results
from amlc.collect.verdict import Verdict, verdict
from amlc.errors import AmlcError, DamageWarning, UsageError, os_text
from amlc.folders import Folders
from amlc.ledger import FILE_NAME, LedgerError, check_not_lost, read_ledger
from amlc.manifest import Manifest, read_manifest


@dataclass(frozen=True, slots=True)
class Listed:
    """An experiment: compiled, or with a state folder alone (manifest, verdict: None).

    working: how many jobs a back end may be at work on, as was recorded last. problem: why its
    build folder or its ledger cannot be read, which is warned of too.
    """

    name: str
    working: int
    manifest: Manifest | None = None
    verdict: Verdict | None = None
    problem: str | None = None


def experiments(folders: Folders) -> Iterator[Listed]:
    """Yield the experiments by name, as they are on record: no back end is asked."""
    names = {folder.name for folder in folders.compiled_folders()}
    names |= {folder.name for folder in files.folders_with(FILE_NAME, folders.state)}
    # A ledger that is lost leaves those.
    names |= {folder.name for folder in files.folders_with("runs", folders.state) if _ran(folder)}
    for name in sorted(names):
        yield _listed(folders.build / name, folders.state / name / FILE_NAME)


def _ran(state: Path) -> bool:
    """Tell whether jobs were run in an experiment's state folder, as far as it lets one look."""
    try:
        return bool(files.folders_in(state / "runs"))
    except OSError:
        return True


def _listed(build: Path, ledger_file: Path) -> Listed:
    try:
        return _standing(build, ledger_file)
    except (LedgerError, OSError) as err:
        return _unread(build.name, 0, err)


def _standing(build: Path, ledger_file: Path) -> Listed:
    with read_ledger(ledger_file, tolerant=True) as ledger:
        ledger.check()
        working = len(ledger.working())
        if not files.is_there(build):
            check_not_lost(ledger_file, is_compiled=False)
            return Listed(build.name, working)
        try:
            manifest = read_manifest(build)
        except (UsageError, OSError) as err:
            return _unread(build.name, working, err)
        with ledger.snapshot():
            results = Results(manifest, ledger)
            end = verdict(results)
    for text in (*ledger.damage, *results.damage):
        warnings.warn(text, DamageWarning, stacklevel=2)
    return Listed(manifest.header.experiment, working, manifest, end)


def _unread(name: str, working: int, err: AmlcError | OSError) -> Listed:
    text = os_text(err) if isinstance(err, OSError) else str(err)
    warnings.warn(text, DamageWarning, stacklevel=2)
    return Listed(name, working, problem=text)
