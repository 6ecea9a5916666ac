"""One copy of the runner for all jobs that run where the code lies: each would copy thirty files.

Not the snapshot's own, which a compile replaces while jobs run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from amlc.backends.run_folder import RUNNER, is_kept_from_caching, keep_from_caching
from amlc.files import copy_tree, remove_leftovers


def shared_runner(snapshot: Path, state: Path) -> Path:
    """Return the folder in `state` that holds the runner of `snapshot`; it is made if need be.

    Its name is the digest of its content, so that one which a power cut left half written, or
    somebody changed, is replaced; so is one with bytecode of a trial's Python. Raises OSError.
    """
    remove_leftovers(state / "runner")
    folder = state / f"runner-{_digest(snapshot)}"
    if _is_whole(folder):
        return folder
    made = Path(tempfile.mkdtemp(prefix=".runner.", suffix=f".{os.getpid()}.tmp", dir=state))
    try:
        for top in _tops(snapshot):
            copy = copy_tree if top.is_dir() else shutil.copy2
            copy(top, made / top.name)
        keep_from_caching(made)
        made.chmod(0o755)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            if _is_whole(folder):
                return folder  # somebody else was faster, and jobs may use it already
            folder.rename(made / ".old")
            made.rename(folder)
            shutil.rmtree(folder / ".old", ignore_errors=True)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _is_whole(folder: Path) -> bool:
    return is_kept_from_caching(folder) and folder.name == f"runner-{_digest(folder)}"


def _tops(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.startswith(RUNNER))


def _digest(folder: Path) -> str:
    """Return a digest of the runner's files in `folder`: their names and contents."""
    digest = hashlib.sha256()
    for path in _files(folder):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _files(folder: Path) -> Iterator[Path]:
    for top in _tops(folder):
        if top.is_file():
            yield top
        for root, folders, names in os.walk(top):
            folders[:] = sorted(set(folders) - {"__pycache__"})
            yield from (Path(root, name) for name in sorted(set(names) - {"__pycache__"}))
