"""Says in plain words what a YAML reader stumbled on.

A reader's own words change with its version, and so does how far it looks ahead. So all is decided
by the error's type, its two marks (where it stopped, and where what it was reading began), and by
what stands in the text there.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from amlc.errors import Sentence

_CLOSED = re.compile(r"""'(?:[^']|'')*'(?!')|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_BEYOND_UNICODE = re.compile(r"\\U(?!00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})")
_BREAK = re.compile("[\n\r\x85\u2028\u2029]")

_ITEM = Sentence("an item without ',' or closing bracket after it.", "Check commas and brackets.")
_NO_VALUE = Sentence("a bracket or comma where a value should be.", "Check commas and brackets.")
_NO_ENTRY = Sentence(
    "a line that is no 'key: value' of its block.", "Check indentation and quotes."
)
_NO_ITEM = Sentence("a line that is no '- item' of its list.", "Check the indentation.")
_NO_COLON = Sentence("a key without ':'.", "Write 'key: value'.")
_NO_SPACE = Sentence("a ':' without a space after it.", "Write 'key: value', or quote the value.")
_NO_TOKEN = Sentence(
    "a tab, '@', '%' or '`' where a value starts.", "Indent with spaces; quote the value."
)
_TAB = Sentence("a tab in the indentation.", "Indent with spaces.")
_QUOTE = Sentence("a quote that is never closed.", "Close it.")
_ESCAPE = Sentence(
    "an unknown '\\' escape in double quotes.", "Write '\\\\', or use single quotes."
)
_CODE = Sentence("a '\\u' escape that is no character.", "Write the character itself.")
_AFTER_END = Sentence("text after the end of the document.", "Check brackets and indentation.")
_UNKNOWN = Sentence("the text cannot be read here.", "Check the lines around it.")

_SPECIAL = {
    "&": Sentence("an '&' names a value, and here is no name.", "Quote the value."),
    "*": Sentence("a '*' repeats a named value, and here is no name.", "Quote the value."),
    "!": Sentence("a '!' begins a tag, and this is none.", "Quote the value."),
    "%": Sentence(
        "a line that starts with '%' is a directive to YAML readers.",
        "Remove it, or quote the key.",
    ),
    "|": Sentence(
        "a '|' begins a block of lines, and something follows on its own line.", "Quote the value."
    ),
    ">": Sentence(
        "a '>' begins a block of lines, and something follows on its own line.", "Quote the value."
    ),
}
_MISPLACED = {
    ":": Sentence("a ':' where no key can be.", "Check the indentation, or quote the value."),
    "-": Sentence(
        "a '- item' where no list can be.", "Start it on a line of its own, or quote the value."
    ),
    "?": Sentence("a '?' where no key can be.", "Quote the value."),
    **{sign: _SPECIAL[sign] for sign in "|>"},
}


def explain(error: yaml.YAMLError, text: str) -> tuple[int, Sentence]:
    """Return the index of what is wrong in the text, and in our words what it is and what to do."""
    stopped, began = (mark_index(error, name) for name in ("problem_mark", "context_mark"))
    if stopped is None:
        beyond = _BEYOND_UNICODE.search(text)
        return (beyond.start(), _CODE) if beyond else (0, _UNKNOWN)
    if isinstance(error, yaml.scanner.ScannerError):
        return _scanned(text, stopped, stopped if began is None else began)
    return stopped, _parsed(text, stopped, began)


def mark_index(error: yaml.YAMLError, name: str = "problem_mark") -> int | None:
    """Return the index of an error's mark in the text, None where it has none."""
    mark: Any = getattr(error, name, None)
    return None if mark is None else int(mark.index)


def _scanned(text: str, stopped: int, began: int) -> tuple[int, Sentence]:
    """Explain text that makes no token.

    A character that fits nowhere, a quote, an escape, a key without ':'.
    """
    found, first = text[stopped : stopped + 1], text[began : began + 1]
    if stopped == began:
        return stopped, _MISPLACED.get(found, _NO_TOKEN)
    if found == "\t" and not _line_before(text, stopped).strip(" "):
        return stopped, _TAB
    if first in ("'", '"') and not _is_closed(text, began, stopped):
        return _quoted(text, stopped, began)
    if not _BREAK.search(text, began, stopped):
        if first in _SPECIAL:
            return began, _SPECIAL[first]
        if found == ":":
            return stopped, _NO_SPACE
    return stopped, _NO_COLON


def _is_closed(text: str, began: int, stopped: int) -> bool:
    """Tell whether the quoted text that began there has its end before `stopped`."""
    whole = _CLOSED.match(text, began)
    return whole is not None and whole.end() <= stopped


def _quoted(text: str, stopped: int, began: int) -> tuple[int, Sentence]:
    """Explain a quoted text that was left unread.

    A wrong escape right before where that stopped, or no end.
    """
    escape = text.rfind("\\", began, stopped + 1)
    if escape >= stopped - 2 and stopped < len(text) > escape + 1:
        return escape, _CODE if text[escape + 1] in "xuU" else _ESCAPE
    return began, _QUOTE


def _parsed(text: str, stopped: int, began: int | None) -> Sentence:
    """Explain tokens in a wrong order, by what began before the one that is wrong."""
    if began is None:
        return (
            _SPECIAL["%"] if "%" in (text[stopped : stopped + 1], text.lstrip()[:1]) else _AFTER_END
        )
    first = text[began : began + 1]
    if began == stopped:
        return {"!": _SPECIAL["!"], ":": _MISPLACED[":"]}.get(first, _NO_VALUE)
    if first and first in "[{":
        return _ITEM
    return _NO_ITEM if re.match(r"-(?:\s|\Z)", text[began : began + 2]) else _NO_ENTRY


def _line_before(text: str, index: int) -> str:
    """Return what stands before an index on its line."""
    return _BREAK.split(text[:index])[-1]
