"""Read rendered job files back: simple lines at once, everything else with PyYAML."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import yaml

from amlc.render.scalars import ESCAPED, from_yaml, is_plain

_LINE = re.compile(
    r"""(\ \ )?(?:([A-Za-z_$][A-Za-z0-9_.$-]*)|("(?:[^"\\]|\\.)*")|('(?:[^']|'')*')):(?:\ (\S.*))?""", re.VERBOSE
)


class _NotSimpleError(Exception):
    """The text is not one that this module can read by itself."""


def read_job(text: str) -> Any:
    """Return what `from_yaml(text)` returns, ten times faster where the text is a mapping of two levels, a key a line.

    Parsing every file that is written would take longer than all the rest of a compile. So scalars of the three simple
    styles are read here, other values (which recur) by PyYAML and remembered, and any other text by PyYAML as a whole.
    Raises yaml.YAMLError when the text is not YAML.
    """
    try:
        return _simple(text)
    except (_NotSimpleError, yaml.YAMLError):
        return from_yaml(text)


def _simple(text: str) -> dict[str, Any]:
    if ESCAPED.search(text.replace("\n", "")):
        raise _NotSimpleError
    job: dict[str, Any] = {}
    section: dict[str, Any] | None = None
    for line in text.split("\n"):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise _NotSimpleError
        indent, plain, double, single, value = match.groups()
        key = _key(plain or double or single)
        place = job if indent is None else section
        if place is None or key in place or not isinstance(key, str):
            raise _NotSimpleError
        if value is not None:
            place[key] = _scalar(value)
            section = None if indent is None else section
        elif indent is None:
            job[key] = section = {}
        else:
            raise _NotSimpleError
    if not job or not all(value != {} for value in job.values()):
        raise _NotSimpleError  # an empty section is null, and an empty text no mapping
    return job


def _scalar(text: str) -> Any:
    if text[0] == '"' and "\\ud" not in text and "\\uD" not in text:  # YAML does not join surrogates, JSON does
        try:
            return json.loads(text)
        except ValueError as err:
            raise _NotSimpleError from err
    if text[0] == "'":
        inner = text[1:-1]
        if len(text) > 1 and text[-1] == "'" and "'" not in inner.replace("''", ""):
            return inner.replace("''", "'")
    return _other(text)


@lru_cache(maxsize=1024)
def _key(text: str) -> Any:
    return _scalar(text)


@lru_cache(maxsize=1024)
def _other(text: str) -> Any:
    return text if is_plain(text) else from_yaml(f"x: {text}")["x"]
