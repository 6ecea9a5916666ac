"""`amlc refresh`.

Rebuild a ledger that is lost or damaged, and a build folder that is gone, from what the target
remembers.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from amlc import files
from amlc.errors import BackendError, UsageError
from amlc.folders import PATIENCE_S, Folders
from amlc.manifest import Manifest, ManifestError
from amlc.salvage import go_on, is_whole, mended, put_in_place
from amlc.targets import Rebuild, names
from amlc.targets import target as target_named


def refresh(
    name: str | None, *, backend: str | None, where: Mapping[str, str | None], folders: Folders
) -> str:
    """Record every job that the target has and the ledger does not, with its results.

    A damaged ledger is mended: what is whole in it stays, and the damaged file is kept beside it.
    One that is lost or damaged stays so until the new one is whole. Return in one line what that
    was. name: the experiment, as for `Folders.manifest`; it need not
    be compiled. backend: the target to ask, None for the experiment's. where: see `Rebuild`.
    """
    manifest = _compiled(folders, name)
    if manifest is None and backend is None:
        _check_not_of_runs(folders, name)
    rebuild = _rebuild(backend, manifest)
    experiment = manifest.header.experiment if manifest else name
    if experiment is None or _is_whole(folders, experiment):
        return rebuild.refresh(manifest, name, where, folders)
    folders.prepare_state()
    with (
        files.lock(folders.lock(experiment), patience_s=PATIENCE_S),
        _apart(folders, experiment) as apart,
    ):
        said = rebuild.refresh(manifest, name, where, apart)
        path, rebuilt = folders.ledger(experiment), apart.ledger(experiment)
        new = rebuilt.with_name("mended.db")
        mended(path, rebuilt, new)
        kept = put_in_place(path, new)
    if kept is None:
        return said
    return f"{said}; the ledger was damaged and is mended, {kept} is what it was"


def _is_whole(folders: Folders, experiment: str) -> bool:
    """Tell whether the experiment's ledger needs no mending, after going on where one was cut."""
    path = folders.ledger(experiment)
    if path.parent.is_dir():
        with files.lock(folders.lock(experiment), patience_s=PATIENCE_S):
            go_on(path)
    return is_whole(path)


@contextmanager
def _apart(folders: Folders, experiment: str) -> Iterator[Folders]:
    """Give folders with a ledger of their own, and the same build folder and runs."""
    apart = Folders(folders.build, folders.ledger(experiment).with_name(".refresh"))
    shutil.rmtree(apart.state, ignore_errors=True)  # of one that was killed; the lock is held
    try:
        apart.ledger(experiment).parent.mkdir(parents=True)
        apart.runs(experiment).symlink_to(folders.runs(experiment).absolute())
        yield apart
    finally:
        shutil.rmtree(apart.state, ignore_errors=True)


def _compiled(folders: Folders, target: str | None) -> Manifest | None:
    """Return the compiled experiment if there is one.

    A name that is not compiled may still be known elsewhere.
    """
    if target is None and not folders.compiled_folders():
        return None
    try:
        return folders.manifest(target)
    except UsageError as err:
        is_there = isinstance(err, ManifestError)
        if is_there or target is None or Path(target).is_file():
            raise
        return None


def _check_not_of_runs(folders: Folders, name: str | None) -> None:
    """Raise UsageError if what is not compiled has run folders, so that no workspace is meant."""
    for own in files.folders_with("runs", folders.state):
        if name is not None and own.name != name:
            continue
        raise UsageError(
            f"{own.name} is not compiled, and its run folders say nothing without that. "
            "Compile it first: amlc compile FILE. Then do this again. Of what ran on Azure ML: "
            "amlc refresh --backend aml."
        )


def _rebuild(backend: str | None, manifest: Manifest | None) -> Rebuild:
    """Return the target to ask.

    The one that is named, the experiment's, or the first that remembers jobs.
    """
    compiled = [manifest.header.backend, *manifest.header.target] if manifest else []
    for name in [backend] if backend else [*compiled, *names()]:
        found = target_named(name)
        if isinstance(found, Rebuild):
            return found
    raise BackendError(
        f"the back end {backend!r} remembers no jobs, so that nothing can be rebuilt from it."
    )
