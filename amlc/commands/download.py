"""`amlc download`: fetch the files that a trial left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from amlc import files
from amlc.attempts import Attempt
from amlc.backends import Outputs
from amlc.collect.rows import Row
from amlc.commands.observe import backend_named, up_to_date
from amlc.commands.trials import child, chosen
from amlc.errors import BackendError, UsageError
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.model import Trial
from amlc.names import DOWNLOADED

Watch: TypeAlias = "Callable[[str, int, int], None]"
"""Called with the file that is fetched, how many bytes are there of all, and how many all are."""

_PART = ".amlc-part"
_RECORDS = "amlc"
_OWN = "nnioutput"


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What was fetched: of which trial, into which folder, how many files of how many bytes.

    shared: how many of them are from what all trials of a packed job write to, the last one last.
    """

    trial: Trial
    job: str
    folder: Path
    files: int
    size: int
    shared: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """What a trial left: who has it, of which job, and its files by where they go.

    Each with its name in the job and its size in bytes.
    """

    backend: Outputs
    job: str
    files: Mapping[str, tuple[str, int]]


def trial_named(manifest: Manifest, name: str, *, folders: Folders) -> Row:
    """Return the trial that a name stands for, as it is now."""
    with up_to_date(manifest, folders) as results:
        (row,) = chosen(results, [name])
    return row


def download(
    manifest: Manifest, row: Row, to: Path | None, *, folders: Folders, watch: Watch
) -> Downloaded:
    """Fetch the outputs of a trial's last attempt into the folder `to`, or where amlc keeps them.

    What is there already, whole or in part, is not fetched again. Raises UsageError for a trial
    without outputs yet, and for a folder with anything else in it.
    """
    attempt = _ended(row)
    left = outputs_of(manifest, row, folders=folders)
    backend, job, sizes = left.backend, left.job, left.files
    folder = to or folders.downloads(manifest.header.experiment) / job
    _claim(folder, job, row.trial)
    total, done = sum(size for _, size in sizes.values()), 0
    for name, (source, size) in sizes.items():
        path = _inside(folder, name)
        for count in _fetch(backend, job, source, path, size):
            watch(name, done + count, total)
        done += size
    shared = 0
    if len(_together(attempt)) > 1:
        shared = sum(f"/{row.trial.id}/" not in source for source, _ in sizes.values())
    return Downloaded(row.trial, job, folder, len(sizes), total, shared)


def outputs_of(manifest: Manifest, row: Row, *, folders: Folders) -> Left:
    """Return what a trial's last attempt has left so far. Raises UsageError when there is none."""
    attempt = row.attempt
    if attempt is None:
        raise UsageError(f"trial {row.trial.id}: it was not submitted yet, so it has no outputs.")
    backend = backend_named(attempt.backend, manifest, folders)
    if not isinstance(backend, Outputs):
        raise BackendError(f"the back end '{attempt.backend}' keeps no files of jobs.")
    job = child(backend, attempt, row.trial.id)
    if job is None:
        raise UsageError(f"trial {row.trial.id}: its sweep has not begun it, so it has no outputs.")
    return Left(backend, job, _of_trial(backend.outputs(job), row.trial.id, _together(attempt)))


def _together(attempt: Attempt) -> Sequence[Trial]:
    """Return the trials that write into one folder: those of a pack, and none of a sweep."""
    return () if attempt.sweep else attempt.trials


def _ended(row: Row) -> Attempt:
    if row.attempt is None:
        raise UsageError(f"trial {row.trial.id}: it was not submitted yet, so it has no outputs.")
    if not row.status.ended if row.attempt.sweep else row.attempt.working:
        raise UsageError(
            f"trial {row.trial.id}: its job is {row.attempt.latest.status.value}, and its outputs "
            "are not complete. Download them when it has ended."
        )
    return row.attempt


def _of_trial(
    sizes: Mapping[str, int], trial: str, together: Sequence[Trial]
) -> dict[str, tuple[str, int]]:
    """Return the files of one trial by where they go, each with its name in the job and its size.

    together: the trials that wrote into one folder. Of a packed job each trial has a folder of its
    own in the outputs that its command names, and all of them share the rest. The runner's records
    are left out but for NNI_OUTPUT_DIR.
    """
    found = {}
    others = {one.id for one in together} - {trial}
    for name, size in sizes.items():
        top, _, below = name.partition("/")
        owner, _, rest = below.partition("/")
        if top == _RECORDS:
            if owner == trial and rest.startswith(f"{_OWN}/"):
                found[rest] = (name, size)
        elif rest and owner == trial and others:
            found[f"{top}/{rest}"] = (name, size)
        elif not (rest and owner in others):
            found[name] = (name, size)
    return found


def _claim(folder: Path, job: str, trial: Trial) -> None:
    """Mark the folder as that of a job. Raises UsageError when something else is in it."""
    mark = folder / DOWNLOADED
    mine = json.dumps({"job": job, "trial": trial.id})
    told = files.read_or_none(mark)
    if told is not None and told.decode("utf-8", "replace").strip() == mine:
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "the outputs of another trial" if told is not None else "other files"
        raise UsageError(f"{folder}: there are {what} in it. Name a new or an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(mine + "\n", encoding="utf-8")


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a file below the folder. Raises BackendError for a name that leads out."""
    parts = PurePosixPath(name).parts
    if ".." in parts or PurePosixPath(name).is_absolute() or "\0" in name:
        raise BackendError(f"the output {name!r} has a name that leads out of its folder.")
    return folder.joinpath(*parts)


def _fetch(backend: Outputs, job: str, source: str, path: Path, size: int) -> Iterator[int]:
    """Fetch one file, from where an earlier try stopped; yield how many bytes of it are there."""
    if path.is_file() and path.stat().st_size == size:
        yield size
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + _PART)
    count = part.stat().st_size if part.exists() else 0
    if count > size:  # of another file
        count = 0
    with part.open("ab" if count else "wb") as file:
        for chunk in backend.output(job, source, start=count) if count < size else ():
            file.write(chunk)
            count += len(chunk)
            yield count
    if count != size:
        raise BackendError(
            f"{path}: {count:,} of {size:,} bytes came. Download again: it goes on from there."
        )
    os.replace(part, path)
    yield size
