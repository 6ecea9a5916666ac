"""`amlc doctor`: check that everything is there that the experiment needs to run."""

from __future__ import annotations

import os
from typing import TextIO

from amlc.backends import missing_azure
from amlc.errors import BackendError
from amlc.folders import Folders


def doctor(*, target: str | None, backend: str | None, folders: Folders, out: TextIO) -> int:
    """Print a line for each check; return 5 when one of them failed."""
    manifest = folders.manifest(target)
    if (backend or manifest.header.backend) == "local":
        print("ok      local: nothing is needed but this machine", file=out)
        return 0
    try:
        from amlc.backends.aml.doctor import examine, first_job

        failed = 0
        for check in examine(manifest.header, first_job(manifest.folder), os.environ):
            failed += not check.is_well
            print(f"{'ok    ' if check.is_well else 'failed'}  {check.name}: {check.text}", file=out, flush=True)
    except ModuleNotFoundError as err:
        raise missing_azure(err) from err
    return BackendError.exit_code if failed else 0
