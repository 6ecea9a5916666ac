"""`amlc doctor`: check that everything is there that the experiment needs to run."""

from __future__ import annotations

from collections.abc import Iterator

from amlc.backends import Check, Doctor
from amlc.commands.observe import backend_named
from amlc.errors import BackendError
from amlc.folders import Folders
from amlc.manifest import Manifest


def doctor(manifest: Manifest, *, backend: str | None, folders: Folders) -> Iterator[Check]:
    """Yield the checks as they are made. backend: the one to check, None for the experiment's."""
    name = backend or manifest.header.backend
    found = backend_named(name, manifest, folders)
    if not isinstance(found, Doctor):
        raise BackendError(
            f"the back end {name!r} has nothing that could be checked before jobs are submitted."
        )
    yield from found.examine(manifest.folder)
