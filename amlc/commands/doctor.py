"""`amlc doctor`: check that everything is there that the experiment needs to run."""

from __future__ import annotations

from typing import TextIO

from amlc.backends import Doctor
from amlc.commands.observe import backend_named
from amlc.errors import BackendError
from amlc.folders import Folders


def doctor(*, target: str | None, backend: str | None, folders: Folders, out: TextIO) -> int:
    """Print a line for each check; return 5 when one of them failed."""
    manifest = folders.manifest(target)
    name = backend or manifest.header.backend
    found = backend_named(name, manifest, folders)
    if not isinstance(found, Doctor):
        raise BackendError(f"the back end {name!r} has nothing that could be checked before jobs are submitted.")
    failed = 0
    for check in found.examine(manifest.folder):
        failed += not check.is_well
        print(f"{'ok    ' if check.is_well else 'failed'}  {check.name}: {check.text}", file=out, flush=True)
    return BackendError.exit_code if failed else 0
