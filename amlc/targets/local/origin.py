"""Where a run folder was made, so that a copy of it is not taken for the original.

A copy has the same process ids and the same mark of its processes, which are not its own.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from amlc.backends.run_folder import content

FILE_NAME: Final = "origin"
_LONGEST: Final = 1000  # bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """What a run folder says of its making.

    mark: what the processes of its job have in their environment. host: the machine. is_copy:
    whether this is another folder than the one that was made then.
    """

    mark: str
    host: str
    is_copy: bool


def note(run: Path) -> str:
    """Write down that `run` is made here and now; return the mark of its job. Raises OSError."""
    mark = secrets.token_hex(16)
    record = {"mark": mark, "host": os.uname().nodename, "inode": run.stat().st_ino}
    (run / FILE_NAME).write_text(json.dumps(record), encoding="utf-8")
    return mark


def read(run: Path) -> Origin | None:
    """Return what a run folder says of its making, None if it does not."""
    try:
        record = json.loads(content(run / FILE_NAME, _LONGEST))
        mark, host, inode = record["mark"], record["host"], record["inode"]
        # An empty mark is in every environment.
        if not (isinstance(mark, str) and len(mark) == 32 and isinstance(host, str)):
            return None
        return Origin(mark, host, inode != run.stat().st_ino)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
