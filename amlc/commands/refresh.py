"""`amlc refresh`.

Rebuild the ledger, and a build folder that is gone, from what the target remembers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from amlc.errors import BackendError, UsageError
from amlc.folders import Folders
from amlc.manifest import FILE_NAME, Manifest
from amlc.targets import Rebuild, names
from amlc.targets import target as target_named


def refresh(
    name: str | None, *, backend: str | None, where: Mapping[str, str | None], folders: Folders
) -> str:
    """Record every job that the target has and the ledger does not, with its results.

    Return in one line what that was. name: the experiment, as for `Folders.manifest`; it need not
    be compiled. backend: the target to ask, None for the experiment's. where: see `Rebuild`.
    """
    manifest = _compiled(folders, name)
    return _rebuild(backend, manifest).refresh(manifest, name, where, folders)


def _compiled(folders: Folders, target: str | None) -> Manifest | None:
    """Return the compiled experiment if there is one.

    A name that is not compiled may still be known elsewhere.
    """
    if target is None and not any(folders.build.glob(f"*/{FILE_NAME}")):
        return None
    try:
        return folders.manifest(target)
    except UsageError:
        if target is None or Path(target).is_file():
            raise
        return None


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
