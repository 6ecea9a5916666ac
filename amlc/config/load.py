"""Reads a YAML or JSON file into a Document, or says why its text is neither."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import yaml

from amlc.config.syntax import explain
from amlc.config.tree import build_document
from amlc.errors import ConfigError, Position, Problem, Sentence, UsageError, printable
from amlc.files import read_bounded
from amlc.model import Document

MOST_BYTES = 10_000_000
"""Of an experiment file, or that of a search space: reading them takes memory, a hundred times."""

UNPRINTABLE = re.compile(
    "[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_JSON_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|\t', re.DOTALL)
_HEX = "[0-9a-fA-F]"
_JSON_ESCAPE = re.compile(
    rf"\\u([dD][89abAB]{_HEX}{{2}})\\u([dD][c-fC-F]{_HEX}{{2}})"  # a surrogate pair
    rf"|\\u([dD][89a-fA-F]{_HEX}{{2}})"  # half of one
    r"|\\."  # any other escape
    r"|[\x7f-\x9f\u2028\u2029\ufeff]",  # what JSON allows as it stands and YAML does not
    re.DOTALL,
)
_LONGEST_KEY = 1_000  # YAML readers refuse keys beyond 1,024, their quotes and spaces counted
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class UnreadableError(UsageError):
    """A file cannot be read. problem: that, as one of its own."""

    code = "E-file"

    def __init__(self, file: Path, reason: str) -> None:
        said = Sentence(printable(f"cannot be read: {reason}."), "Check the path.")
        super().__init__(replace(said, what=f"{printable(str(file))}: {said.what}"))
        self.problem = Problem.at(Position(file, 1, 1), self.code, said)


def load_document(file: Path) -> Document:
    """Return the values of a YAML or JSON file with their positions.

    Text is UTF-8, a byte order mark is accepted. A text that starts with `{` or `[` may also have
    what JSON files have: tabs, trailing commas, NaN, escaped pairs. A key that is no text stands as
    it is written, with an error among the remarks. Raises UnreadableError if the file cannot be
    read, ConfigError if its text cannot.
    """
    try:
        raw = read_bounded(file, MOST_BYTES)
    except OSError as error:
        raise UnreadableError(file, error.strerror or str(error)) from error
    return parse_document(_decode(raw, file), file)


def parse_document(text: str, file: Path) -> Document:
    """Return the Document of a text; `file` is what positions name.

    Raises ConfigError if the text is not one YAML or JSON document.
    """
    json_like = text.lstrip().startswith(("{", "["))
    if json_like:
        text = _json_as_yaml(text, file)
    if bad := UNPRINTABLE.search(text):
        what = f"the control character U+{ord(bad[0]):04X} is not text."
        message = Sentence(what, "Remove it.")
        _refuse(file, *_place(text, bad.start()), message, "E-text")
    try:
        document = build_document(text, file, json_words=json_like)
    except yaml.YAMLError as error:
        _explain(error, text, file, kind="JSON" if json_like else "YAML")
    if document is None:
        _refuse(
            file,
            1,
            1,
            Sentence("the file is empty.", "Write the keys of an experiment or of a search space."),
            "E-empty",
        )
    return document


def _decode(raw: bytes, file: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        # The column counts characters, as editors do; those before the wrong byte are whole.
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        byte = error.object[error.start]
        message = Sentence(f"the byte 0x{byte:02X} is not UTF-8.", "Save the file as UTF-8.")
        _refuse(file, before.count(b"\n") + 1, column, message, "E-text")


def _json_as_yaml(text: str, file: Path) -> str:
    """Rewrite what JSON has and YAML has not.

    Tabs between values, surrogate pairs, raw control characters.
    """

    def piece(match: re.Match[str]) -> str:
        found = match[0]
        if found == "\t":
            return " "
        return _JSON_ESCAPE.sub(lambda escape: _escape(escape, text, match.start(), file), found)

    return _JSON_PIECE.sub(piece, text)


def _escape(found: re.Match[str], text: str, start: int, file: Path) -> str:
    """Return one escape of a JSON string as YAML writes it.

    The string starts at `start` in the text.
    """
    if found[1]:
        code = 0x10000 + (int(found[1], 16) - 0xD800) * 0x400 + int(found[2], 16) - 0xDC00
        return f"\\U{code:08x}"
    if found[3]:
        what = f"'\\u{found[3]}' is half of a surrogate pair and no character."
        message = Sentence(what, "Write both halves.")
        _refuse(file, *_place(text, start + found.start()), message, "E-text")
    return found[0] if len(found[0]) > 1 else f"\\u{ord(found[0]):04x}"


def _explain(error: yaml.YAMLError, text: str, file: Path, *, kind: str) -> NoReturn:
    """Raise the ConfigError that says in our words what the YAML reader stumbled on."""
    index, advice = explain(error, text)
    line, _ = _place(text, index)
    lines = BREAK.split(text)
    for number in (line, line - 1):
        if number > 0 and lines[number - 1].strip() == "...":
            message = Sentence(
                "a line '...' ends a YAML document, but more follows.",
                "Write the keys that it stands for.",
            )
            _refuse(file, number, lines[number - 1].index("...") + 1, message, "E-syntax")
    if kind == "JSON" and text[index : index + 1] == ":" and (key := _long_key(text, index)):
        message = Sentence(
            "not JSON that YAML readers take: "
            f"a key of {len(key[0]) - 2:,} characters, where they take 1,000.",
            "Shorten it.",
        )
        _refuse(file, *_place(text, key.start()), message, "E-syntax")
    said = replace(advice, what=f"not {kind}: {advice.what}")
    _refuse(file, *_place(text, index), said, "E-syntax")


def _long_key(text: str, end: int) -> re.Match[str] | None:
    """Return the JSON string of more than 1,000 characters that ends at `end` but for space."""
    strings = (
        piece for piece in _JSON_PIECE.finditer(text, 0, end) if len(piece[0]) > _LONGEST_KEY
    )
    return next((piece for piece in strings if not text[piece.end() : end].strip()), None)


def _place(text: str, index: int) -> tuple[int, int]:
    """Return line and column, from 1, of a character."""
    breaks = list(BREAK.finditer(text, 0, index))
    return len(breaks) + 1, index - (breaks[-1].end() if breaks else 0) + 1


def _refuse(file: Path, line: int, column: int, message: Sentence, code: str) -> NoReturn:
    raise ConfigError([Problem.at(Position(file, line, column), code, message)])
