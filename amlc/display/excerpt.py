"""The line of a file that a problem is about, with a caret below: never one that may hold a secret.

A file says too little of what is secret in it to show a line and hope. So a line is shown only when
nothing on it, and nothing that goes on from the lines before it, has the name of a secret.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from amlc.config.load import BREAK, parse_document
from amlc.config.tree import secret
from amlc.errors import ConfigError, Problem, printable
from amlc.model import Document, JsonPath

_MOST_BYTES: Final = 1_000_000
_WIDTH: Final = 76  # columns of the line that are shown
_TAB: Final = 4
_WORDS: Final = re.compile(
    r"key|passw(or)?d|token|secret|passphrase|credential|sig=|environmentvariables|://[^/\s]*@",
    re.IGNORECASE,
)
_VARIABLE: Final = re.compile(r"\b[A-Z][A-Z0-9_]+=")  # what a command sets for its program
_ESCAPE: Final = re.compile(r"\\[xuU]")  # which may write such a word in other letters
_SHORTEST: Final = 4  # characters of a secret that are looked for elsewhere in the file


def excerpt(problem: Problem) -> tuple[str, str] | None:
    """Return the line of a problem, as a terminal shows it, and the spaces before the caret.

    None: there is no such line, or it may hold a secret.
    """
    place = problem.position
    if not place.line or (problem.code == "E-outside" and not problem.path):
        return None  # what that file is, is what --untrusted does not want to know
    lines, is_hidden = _read(place.file)
    if place.line > len(lines) or is_hidden(place.line):
        return None
    line = lines[place.line - 1]
    return _clipped(line, min(place.column - 1, len(line))) if line.strip() else None


def _read(file: Path) -> tuple[list[str], Callable[[int], bool]]:
    """Return the lines of a file, and what tells of the number of one, from 1, if it is hidden."""
    try:
        found = os.stat(file)
        if not stat.S_ISREG(found.st_mode):  # a pipe was read already
            return [], _always
        return _as_it_is(file.absolute(), found.st_ino, found.st_mtime_ns)
    except (OSError, ValueError):
        return [], _always


@lru_cache(maxsize=8)  # each problem of a file asks anew
def _as_it_is(file: Path, *_: int) -> tuple[list[str], Callable[[int], bool]]:
    with file.open("rb") as stream:
        raw = stream.read(_MOST_BYTES + 1)
    text = raw.decode("utf-8-sig", "replace")
    lines = BREAK.split(text)
    if len(raw) > _MOST_BYTES:
        return lines, _always
    return lines, _hidden(text, lines, file)


def _always(_: int) -> bool:
    return True


def _hidden(text: str, lines: list[str], file: Path) -> Callable[[int], bool]:
    if not (_names_secret(text) or _ESCAPE.search(text)):
        return lambda _: False
    named = {number for number, line in enumerate(lines, 1) if _names_secret(line)}
    try:
        document = parse_document(text, file)
    except ConfigError:
        # Where a value ends is anybody's guess then.
        first = 1 if _ESCAPE.search(text) else min(named, default=1)
        return lambda number: number >= first
    hidden = named | set(_secret_lines(document, len(lines)))
    words = [word for word in _secret_words(document) if len(word) >= _SHORTEST]
    return lambda number: number in hidden or any(word in lines[number - 1] for word in words)


def _names_secret(text: str) -> bool:
    return bool(_WORDS.search(text.replace("_", "")) or _VARIABLE.search(text))


def _secret_lines(document: Document, last: int) -> Iterator[int]:
    """Yield the lines of secret values, each up to where the next thing stands in the file."""
    marks = sorted(
        (position, _is_secret(path))
        for table in (document.keys, document.values)
        for path, position in table.items()
    )
    end = last + 1
    for position, is_secret in reversed(marks):
        if is_secret:
            yield from range(position.line, max(end, position.line + 1))
        else:
            end = position.line


def _secret_words(document: Document) -> Iterator[str]:
    """Yield the texts of secret values, which may stand elsewhere too."""
    for path in document.values:
        if _is_secret(path):
            value = document.data
            for part in path:
                value = value[part]
            if isinstance(value, (str, int, float)):
                yield from str(value).splitlines()


def _is_secret(path: JsonPath) -> bool:
    return any(
        secret(path[: depth + 1])
        or str(part).lower().replace("_", "").endswith("environmentvariables")
        for depth, part in enumerate(path)
    )


def _clipped(line: str, index: int) -> tuple[str, str]:
    """Return the part of a line around a character, and as many spaces as stand before that."""
    cells = _cells(line)
    before, total = cells[index], cells[-1]
    start, end = 0, len(line)
    if total > _WIDTH:
        left = min(max(before - _WIDTH // 2, 0), total - _WIDTH)
        start = next(place for place, cell in enumerate(cells) if cell >= left)
        end = max(place for place, cell in enumerate(cells) if cell <= left + _WIDTH)
    head, tail = "…" if start else "", "…" if end < len(line) else ""
    shown = "".join(_shown(line[place], cells[place]) for place in range(start, end))
    return f"{head}{shown}{tail}".rstrip(), " " * (before - cells[start] + len(head))


def _cells(line: str) -> list[int]:
    """Return how many columns of a terminal stand before each character, and before the end."""
    cells = [0]
    for character in line:
        cells.append(cells[-1] + _width(_shown(character, cells[-1])))
    return cells


def _shown(character: str, cell: int) -> str:
    return " " * (_TAB - cell % _TAB) if character == "\t" else printable(character)


def _width(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    none = sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)
    return len(text) + wide - none
