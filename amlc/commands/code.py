"""`amlc code` and `amlc gc`: the code that a row was made by, and what of it goes."""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from amlc.attempts import by_trial, fold
from amlc.collect.rows import Row
from amlc.commands.observe import up_to_date
from amlc.commands.trials import chosen
from amlc.errors import UsageError
from amlc.events import EventKind
from amlc.files import lock
from amlc.folders import PATIENCE_S, Folders
from amlc.kept import KeptCode
from amlc.ledger import Ledger, read_ledger
from amlc.manifest import Manifest
from amlc.revision import Contents, parse_contents, read_contents


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision that was run. name: 64 hex digits, or as many as are known."""

    name: str
    contents: Contents
    kept: KeptCode


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `gc` removed: files of code that no row needs, of so many bytes, and reproductions."""

    files: int
    size: int
    reproductions: int


def revision_named(manifest: Manifest, name: str, *, folders: Folders) -> Revision:
    """Return the revision that the trial's last attempt was run at. Raises UsageError."""
    with up_to_date(manifest, folders) as results:
        (row,) = chosen(results, [name])
        return revision_of_row(row, results.ledger, folders, manifest.header.experiment)


def revision_of_row(row: Row, ledger: Ledger, folders: Folders, experiment: str) -> Revision:
    """Return the revision of a row. Raises UsageError when nobody wrote down what it is made of."""
    if row.attempt is None:
        raise UsageError(f"#{row.trial.sequence} was not run yet.")
    name = row.attempt.revision
    if not name:
        raise UsageError(f"#{row.trial.sequence} was imported: nothing is known of its code.")
    # Of a job that `amlc refresh` found, only the first digits are known.
    found = {full: made_of for full, made_of in _made_of(ledger).items() if full.startswith(name)}
    if len(found) != 1:
        raise UsageError(
            f"#{row.trial.sequence}: nothing is on record of what its revision {name[:6]} is made "
            "of. It was run by an older amlc, or elsewhere."
        )
    ((full, made_of),) = found.items()
    return Revision(full, made_of, KeptCode(folders.kept_code(experiment)))


def changes(revision: Revision, manifest: Manifest) -> Iterator[str]:
    """Yield how the code of a revision differs from what is compiled now, as a unified diff."""
    old = revision.contents.files
    new = read_contents(manifest.folder).files
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            before = _lines(revision.kept.content(old[name]) if name in old else b"")
            after = _lines((manifest.folder / "code" / name).read_bytes() if name in new else b"")
            yield from difflib.unified_diff(before, after, f"then/{name}", f"now/{name}")


def gc(manifest: Manifest, *, folders: Folders) -> Pruned:
    """Remove the code that no row was made by, and the reproductions; nothing else."""
    experiment = manifest.header.experiment
    folders.prepare_state()
    with lock(folders.lock(experiment), patience_s=PATIENCE_S):
        with read_ledger(folders.ledger(experiment)) as ledger:
            last = by_trial(fold(ledger.events()).values())
            used = {attempt.revision for attempt in last.values()}
            made_of = _made_of(ledger)
        used.add(manifest.header.revision)
        marks = {
            mark
            for name, contents in made_of.items()
            if any(one and name.startswith(one) for one in used)
            for mark in contents.files.values()
        }
        sizes = list(KeptCode(folders.kept_code(experiment)).prune(marks))
        done = [place for place in folders.again(experiment).glob("*/") if _is_done(place)]
        for place in done:
            shutil.rmtree(place)
    return Pruned(len(sizes), sum(sizes), len(done))


def _made_of(ledger: Ledger) -> Mapping[str, Contents]:
    """Return what each revision on record is made of."""
    return {
        event.data["revision"]: parse_contents(json.dumps(event.data["contents"]))
        for event in ledger.events(kind=EventKind.REVISION)
    }


def _is_done(place: Path) -> bool:
    """Tell whether nothing is at work in a reproduction."""
    for path in place.glob("state/*/ledger.db"):
        with read_ledger(path) as ledger:
            if ledger.working():
                return False
    return True


def _lines(content: bytes | None) -> list[str]:
    text = (content or b"").decode("utf-8", "replace")
    return [line if line.endswith("\n") else f"{line}\n" for line in text.splitlines(keepends=True)]
