"""Read files as a git revision has them, into a folder of their own: the work tree stays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from amlc.errors import UsageError, printable, shorten

_LINK: Final = "120000"
_EXECUTABLE: Final = "100755"
_FILES: Final = ("100644", _EXECUTABLE, _LINK)
_MOST_BYTES: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, by its full name, and the top folder of the work tree that it belongs to."""

    top: Path
    name: str


def commit(revision: str, folder: Path) -> Commit:
    """Return the commit that a revision names in the repository around a folder.

    Raises UsageError when there is no git, no repository or no such revision.
    """
    top = Path(_git(folder, "rev-parse", "--show-toplevel").decode().rstrip("\n"))
    wanted = f"{revision}^{{commit}}"
    name = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted, of=revision)
    return Commit(top, name.decode().strip())


def extract(found: Commit, paths: Iterable[Path], into: Path) -> None:
    """Write the files below `paths` as the commit has them into a folder, as they lie in the tree.

    Paths outside of the work tree, and those that the commit has not, are left out. No filter of
    the repository is run.
    """
    names = [os.path.relpath(path, found.top) for path in paths]
    inside = [f":(literal){name}" for name in names if not name.startswith("..")]
    if not inside:
        return
    listed = _git(found.top, "ls-tree", "-r", "-z", found.name, "--", *map(_plain, inside))
    files = [file for file in map(_file, listed.split(b"\0")) if file is not None]
    with subprocess.Popen(
        ["git", "-C", str(found.top), "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environ(),
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for mode, name, content in _contents(files, reader.stdin, reader.stdout):
            _put(into, os.fsdecode(name), mode, content)
        reader.stdin.close()


def _plain(spec: str) -> str:
    return spec.removeprefix(":(literal)")  # ls-tree takes plain paths, and no patterns


def _file(line: bytes) -> tuple[str, bytes, bytes] | None:
    """Return mode, object and path of a line of `git ls-tree`; None for a submodule."""
    about, _, name = line.partition(b"\t")
    words = about.decode().split()
    if len(words) != 3 or words[0] not in _FILES:
        return None
    return words[0], words[2].encode(), name


def _contents(
    files: Sequence[tuple[str, bytes, bytes]], ask: IO[bytes], answer: IO[bytes]
) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield mode, path and content of each file."""
    left = _MOST_BYTES
    for mode, name, path in files:
        ask.write(name + b"\n")
        ask.flush()
        size = int(answer.readline().split()[2])
        left -= size
        if left < 0:
            raise UsageError("the revision has more than 1 GB of files beside the experiment.")
        content = answer.read(size)
        answer.read(1)
        yield mode, path, content


def _put(into: Path, name: str, mode: str, content: bytes) -> None:
    path = into / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == _LINK:
        target = (path.parent / os.fsdecode(content)).resolve()
        if target.is_relative_to(into.resolve()):  # nothing of today is read through it
            path.symlink_to(os.fsdecode(content))
        return
    path.write_bytes(content)
    path.chmod(0o755 if mode == _EXECUTABLE else 0o644)


def _git(folder: Path, *arguments: str, of: str | None = None) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            env=_environ(),
        )
    except FileNotFoundError as err:
        raise UsageError("git is not installed, or not on PATH.") from err
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines()
        text = (why or ["git failed"])[-1]
        if of is not None:
            text = f"git has no revision '{shorten(of)}'"
        raise UsageError(printable(f"{folder}: {text}. Name a branch, a tag or a commit."))
    return done.stdout


def _environ() -> dict[str, str]:
    """Return the environment without what would lead git to another repository."""
    theirs = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    return {name: value for name, value in os.environ.items() if name not in theirs}
