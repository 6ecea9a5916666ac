"""`amlc code` and `amlc gc`: the code that a row was made by, and what of it goes."""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from amlc import files
from amlc.attempts import by_trial, fold
from amlc.collect.rows import Row
from amlc.commands.observe import up_to_date
from amlc.commands.trials import chosen
from amlc.errors import LockedError, UsageError
from amlc.events import EventKind
from amlc.folders import PATIENCE_S, Folders
from amlc.kept import KeptCode
from amlc.ledger import Ledger, check_not_lost, read_ledger
from amlc.manifest import Manifest, read_manifest
from amlc.revision import Contents, differences, parse_contents, read_contents


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision that was run. name: 64 hex digits, or as many as are known."""

    name: str
    contents: Contents
    kept: KeptCode


def folders_again(place: Path) -> Folders:
    """Return where a row is run again, in `place`."""
    return Folders(place / "build", place / "state")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `gc` removed: files of code that no row needs, of so many bytes, and reproductions.

    is_known: whether it is on record what each row was made by; else no code was removed.
    at_work: the folders of the reproductions that stay, since they have not ended.
    """

    files: int
    size: int
    reproductions: int
    is_known: bool = True
    at_work: Sequence[Folders] = ()


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
    """Yield how the code of a revision differs from what is compiled now, as a unified diff.

    Raises UsageError when a file of it is not kept.
    """
    old = revision.contents.files
    new = read_contents(manifest.folder).files
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            before = revision.kept.needed(name, old[name]) if name in old else b""
            after = (manifest.folder / "code" / name).read_bytes() if name in new else b""
            if before == after:
                yield _unlike(name, then=name in old, now=name in new)
            yield from difflib.unified_diff(
                _lines(before), _lines(after), f"then/{name}", f"now/{name}"
            )


def _unlike(name: str, *, then: bool, now: bool) -> str:
    """Return a line about a file whose content is the same, or nothing on one side."""
    if then and now:
        return f"Only the mode of {name} differs\n"
    return f"Only in {'then' if then else 'now'}: {name}, which is empty\n"


def other_changes(revision: Revision, manifest: Manifest) -> list[str]:
    """Return how else it differs: its command, environment and inputs, a line each."""
    now = read_contents(manifest.folder)
    return differences(replace(revision.contents, files=now.files), now)


def gc(manifest: Manifest, *, folders: Folders) -> Pruned:
    """Remove the code that no row was made by, and the reproductions; nothing else.

    No code while nobody knows what a row was made by, as in a ledger that was lost and rebuilt.
    Raises DamageError when it is lost or damaged.
    """
    experiment = manifest.header.experiment
    check_not_lost(folders.ledger(experiment))
    folders.prepare_state()
    with files.lock(folders.lock(experiment), patience_s=PATIENCE_S):
        with read_ledger(folders.ledger(experiment)) as ledger:
            last = by_trial(fold(ledger.events()).values())
            used = {attempt.revision for attempt in last.values() if attempt.revision}
            made_of = _made_of(ledger)
        marks = _marks(made_of, {manifest.header.revision, *used})
        is_known = all(any(name.startswith(one) for name in made_of) for one in used)
        kept = KeptCode(folders.kept_code(experiment))
        sizes = list(kept.prune(marks)) if is_known else []
        again = files.folders_in(folders.again(experiment))
        at_work = [place for place in again if _is_at_work(place)]
        for place in (done := [place for place in again if place not in at_work]):
            shutil.rmtree(place)
    return Pruned(len(sizes), sum(sizes), len(done), is_known, [*map(folders_again, at_work)])


def _marks(made_of: Mapping[str, Contents], used: Iterable[str]) -> set[str]:
    """Return the marks of all files of these revisions, of which the first digits are enough."""
    return {
        mark
        for one in used
        for name, contents in made_of.items()
        if name.startswith(one)
        for mark in contents.files.values()
    }


def _made_of(ledger: Ledger) -> Mapping[str, Contents]:
    """Return what each revision on record is made of."""
    return {
        event.data["revision"]: parse_contents(json.dumps(event.data["contents"]))
        for event in ledger.events(kind=EventKind.REVISION)
    }


def _is_at_work(place: Path) -> bool:
    """Tell whether a reproduction, or its job without it, is at work."""
    own = folders_again(place)
    try:
        for folder in files.folders_with("lock", own.state):
            with files.lock(folder / "lock"):
                pass
    except LockedError:
        return True
    for build in own.compiled_folders():
        manifest = read_manifest(build)
        with up_to_date(manifest, own), read_ledger(own.ledger(manifest.header.experiment)) as now:
            if now.working():
                return True
    return False


def _lines(content: bytes) -> list[str]:
    text = content.decode("utf-8", "replace")
    return [line if line.endswith("\n") else f"{line}\n" for line in text.splitlines(keepends=True)]
