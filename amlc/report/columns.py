"""Columns of values as the page's script reads them: short, exact, and never markup.

A column of numbers is a list of them. Everything else is written once, as JSON text, and named by
its place: values repeat.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

ABSENT: Final = object()
"""What stands for a value that a trial does not have."""

_SAFE = 2**53  # whole numbers up to that are exact in a browser


def numbers(name: str, values: Iterable[float | None]) -> dict[str, Any]:
    """Return a column of finite numbers; None is one that is absent."""
    return {"name": name, "values": list(values)}


def words(name: str, values: Iterable[str], *, most: int) -> dict[str, Any]:
    """Return a column of plain texts, at most `most` characters of each; "" is one that is absent.

    What all begin with is written once: job names do.
    """
    texts = [value if len(value) <= most else value[: most - 1] + "…" for value in values]
    prefix = _beginning({text for text in texts if text})
    place = {text: index for index, text in enumerate(dict.fromkeys(filter(None, texts)))}
    short = [text[len(prefix) :] for text in place]
    column = {"name": name, "words": short, "values": [place.get(text, -1) for text in texts]}
    return column | ({"prefix": prefix} if prefix else {})


def anything(name: str, values: Sequence[Any], *, most: int) -> dict[str, Any]:
    """Return a column of any JSON values, ABSENT among them; most: characters of one as JSON.

    `whole` says of numbers that they are integers. `cut` says that a text is not all of a value.
    """
    kinds = {type(value) for value in values if value is not ABSENT}
    if len(kinds) == 1 and kinds <= {int, float} and all(map(_is_safe, values)):
        column = numbers(name, (None if value is ABSENT else value for value in values))
        return column | ({"whole": True} if kinds == {int} else {})
    texts = ["" if value is ABSENT else json.dumps(value) for value in values]
    cut = any(len(text) > most for text in texts)
    place: dict[str, int] = {}
    for text in filter(None, texts):
        place.setdefault(text, len(place))
    found = {
        "name": name,
        "json": [_shortened(text, most) for text in place],
        "values": [place.get(text, -1) for text in texts],
    }
    return found | ({"cut": True} if cut else {})


def as_json(values: Mapping[str, Any]) -> str:
    """Return JSON that may stand inside a script element.

    No `<`, `>` or `&`, and plain ASCII, so that half a surrogate pair is its escape.
    """
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plain(value: float, digits: int = 8) -> float:
    """Return a number as charts take it: `digits` are more than a screen shows."""
    return float(f"{max(-1e300, min(1e300, value)):.{digits}g}")


def _beginning(texts: set[str]) -> str:
    """Return what several texts all begin with; nothing of a single one."""
    if len(texts) < 2:
        return ""
    first, last = min(texts), max(texts)
    end = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:end]


def _is_safe(value: Any) -> bool:
    if value is ABSENT:
        return True
    return abs(value) <= _SAFE if isinstance(value, int) else math.isfinite(value)


def _shortened(text: str, most: int) -> str:
    """Return JSON text, or the beginning of a longer one, which is no JSON any more."""
    return text if len(text) <= most else text[: most - 1] + "…"
