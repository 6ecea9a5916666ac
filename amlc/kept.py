"""The trial code of each revision that was run, kept once by content beside the ledger."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from amlc import files
from amlc.errors import UsageError
from amlc.revision import file_mark


@dataclass(frozen=True, slots=True)
class KeptCode:
    """The folder `.amlc/<experiment>/code/`: each file under the mark of its content.

    A mark is what `Contents.files` holds; of a file that can be executed it ends with `+x`.
    """

    folder: Path

    def keep(self, marks: Mapping[str, str], code: Path) -> None:
        """Keep the files of a snapshot at `code`, by their marks; what is kept is not read.

        What is not what its mark says, since somebody changed it there, is left out.
        """
        for name, mark in marks.items():
            path = self._path(mark)
            if path.exists():
                continue
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                content = (code / name).read_bytes()
            except FileNotFoundError:
                continue
            if _mark_of(content) == path.name:
                files.replace(path, content)

    def content(self, mark: str) -> bytes | None:
        """Return the content with this mark; None: it is not kept, or is damaged."""
        content = files.read_or_none(self._path(mark))
        return None if content is None or _mark_of(content) != self._path(mark).name else content

    def needed(self, name: str, mark: str) -> bytes:
        """Return the content of a revision's file. Raises UsageError when it is not kept."""
        content = self.content(mark)
        if content is None:
            raise UsageError(
                f"{name} of this revision is not kept in {self.folder}: it was run by an older "
                "amlc, elsewhere, or amlc gc removed it."
            )
        return content

    def check_out(self, marks: Mapping[str, str], folder: Path) -> None:
        """Write the files of a revision into `folder`. Raises UsageError when one is not kept."""
        for name, mark in marks.items():
            content = self.needed(name, mark)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(path, content, mode=0o755 if mark.endswith("+x") else 0o644)

    def prune(self, needed: Collection[str]) -> Iterator[int]:
        """Remove what has none of the `needed` marks; yield the bytes of each such file."""
        names = {self._path(mark).name for mark in needed}
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if path.name not in names:
                size = path.stat().st_size
                os.unlink(path)
                yield size

    def _path(self, mark: str) -> Path:
        return self.folder / mark.removesuffix("+x")


def _mark_of(content: bytes) -> str:
    return file_mark(hashlib.sha256(content).hexdigest(), executable=False)
