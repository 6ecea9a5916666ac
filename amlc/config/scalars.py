"""Decides what an unquoted YAML scalar means.

YAML 1.2 numbers, and NNI's YAML 1.1 meaning where the two disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_YES = {"yes", "Yes", "YES", "on", "On", "ON"}
_NO = {"no", "No", "NO", "off", "Off", "OFF"}
_JSON_ONLY = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

_START = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PREFIXED = re.compile(r"[-+]?0(x[0-9a-fA-F]+|o[0-7]+)")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_OLD_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")


def resolve(text: str, *, json_words: bool) -> tuple[Any, str]:
    """Return the value of a plain scalar, and why a YAML 1.2 reader sees something else, or "".

    json_words: whether `NaN`, `Infinity` and `-Infinity` are numbers, as in Python's and NNI's
    JSON. Raises ValueError for a whole number of more digits than Python converts.
    """
    if json_words and text in _JSON_ONLY:
        return _JSON_ONLY[text], ""
    if text[:1] in _START:
        return _number(text)
    if text in _NULL:
        return None, ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE, ""
    if text in _YES or text in _NO:
        return text in _YES, "a word that YAML 1.1 takes for true or false"
    return text, ""


def _number(text: str) -> tuple[Any, str]:
    if _INTEGER.fullmatch(text):
        return int(text), ""
    if _LEADING_ZERO.fullmatch(text):
        return _leading_zero(text)
    if _FLOAT.fullmatch(text):
        return float(text), ""
    if _PREFIXED.fullmatch(text):
        return int(text, 0), ""
    if found := _INFINITE.fullmatch(text):
        return (float(f"{found[1]}inf") if found[2] else float("nan")), ""
    return _old_number(text)


def _leading_zero(text: str) -> tuple[Any, str]:
    if _OLD_OCTAL.fullmatch(text):
        return int(text, 8), "a number in base 8 in YAML 1.1, in base 10 in YAML 1.2"
    return text, "text in YAML 1.1, a number in YAML 1.2"


def _old_number(text: str) -> tuple[Any, str]:
    bare = text.replace("_", "")
    for pattern, convert, kind in _OLD:
        if pattern.fullmatch(text) and bare[-1] not in "bx":
            return convert(bare), f"a number {kind} in YAML 1.1, text in YAML 1.2"
    return text, ""


def _base_sixty(text: str) -> float:
    sign = -1 if text.startswith("-") else 1
    total: float = 0
    for part in text.lstrip("+-").split(":"):
        total = total * 60 + (float(part) if "." in part else int(part))
    return sign * total


_OLD: tuple[tuple[re.Pattern[str], Callable[[str], float], str], ...] = (
    (
        re.compile(r"[-+]?([1-9][0-9_]*(:[0-5]?[0-9])+|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)"),
        _base_sixty,
        "in base 60",
    ),
    (re.compile(r"[-+]?0b[01_]+"), lambda text: int(text, 2), "in base 2"),
    (re.compile(r"[-+]?0x[0-9a-fA-F_]+"), lambda text: int(text, 16), "with underscores"),
    (_OLD_OCTAL, lambda text: int(text, 8), "in base 8"),
    (re.compile(r"[-+]?[1-9][0-9_]*"), int, "with underscores"),
    (re.compile(r"[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?"), float, "with underscores"),
    (re.compile(r"\.[0-9][0-9_]*([eE][-+][0-9]+)?"), float, "with underscores"),
)
"""What only YAML 1.1 takes for a number."""
