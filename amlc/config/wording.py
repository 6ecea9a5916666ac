"""Words for messages: what a value is, what was expected of it, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from amlc.config.spelling import Config
from amlc.config.tree import secret
from amlc.errors import Sentence, did_you_mean, shorten
from amlc.model import JsonPath

_LARGEST = 2**53
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping (key: value)",
    "array": "a list",
}


def wrong_type(
    name: str,
    found: str,
    value: Any,
    *,
    kinds: Sequence[str],
    expected: str = "",
    example: str = "",
) -> Sentence:
    """Return the sentence for a value that is none of the JSON Schema types `kinds`.

    name: the key, in quotes. found: the value as `show` gives it. expected: better words than the
    types'.
    """
    wanted = expected or " or ".join(_TYPES[kind] for kind in kinds)
    return expected_other(name, wanted, found, hint=_mend(value, kinds) or example or "Correct it.")


def expected_other(name: str, wanted: str, found: str, *, hint: str = "") -> Sentence:
    """Return the sentence for a value that is not what is expected of it."""
    what = f"{name} must be {wanted}, got {found}."
    return Sentence(what, hint or None, found=found, expected=wanted)


def no_parameter(name: str, known: Iterable[str]) -> Sentence:
    """Return the sentence for a name that is none of the search space's, `known`."""
    all_ = tuple(known)
    names = ", ".join(all_)
    hint = did_you_mean(name, all_).strip() or f"Known: {shorten(names) or 'none'}."
    what = f"the search space has no parameter '{name}'."
    return Sentence(what, hint, found=name, expected=f"one of {names}" if names else "none")


def _mend(value: Any, kinds: Sequence[str]) -> str:
    """Return what to do about a value of a wrong type that YAML's spelling explains."""
    if isinstance(value, str):
        return "Remove the quotes." if _is_quoted(value, kinds) else ""
    if list(kinds) == ["string"] and isinstance(value, (bool, int, float)):
        return "Put it in quotes."
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        # Beyond that, its digits are not those that were meant.
        return f"Write {int(value)}." if abs(value) <= _LARGEST else ""
    return ""


def _is_quoted(text: str, kinds: Sequence[str]) -> bool:
    """Tell whether a text would be of one of the kinds without its quotes."""
    text = text.strip()
    if text.lower() in ("true", "false"):
        return "boolean" in kinds
    return text.lstrip("+-").isdigit() and not {"integer", "number"}.isdisjoint(kinds)


def show(config: Config, path: JsonPath, value: Any) -> str:
    """Return a found value for a message.

    Never a secret, never what came from the environment, never long.
    """
    if isinstance(value, Mapping):
        return "a mapping"
    raw: Any = config.document.data
    for part in config.original(path):
        raw = raw[part]
    if secret(path):
        return "a value that is not shown"
    if isinstance(value, list):
        return f"the list {shorten(flow(raw))}"
    if isinstance(value, str):
        return f"the text '{shorten(str(raw))}'"
    return shorten(flow(raw))


def flow(value: Any) -> str:
    """Return a value as one line of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return f'"{value}"' if value[:1].isdigit() and "," in value else value
    return json.dumps(value)
