"""Read rendered job files back: simple lines at once, everything else with PyYAML."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import yaml

from amlc.render.scalars import from_yaml, has_escaped, is_plain

_LINE = re.compile(
    r"""(\ \ )?([A-Za-z_$][A-Za-z0-9_.$-]*|"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'):(?:\ (\S.*))?""",
    re.VERBOSE,
)
_LONGEST_KEY = 1000  # YAML readers refuse longer ones, from 1,024 on
_SHORT = 100  # such lines recur from job to job
_SECTION = object()


class _NotSimpleError(Exception):
    """The text is not one that this module can read by itself."""


def read_job(text: str) -> Any:
    """Return what `from_yaml(text)` does, ten times faster for two levels with a key a line.

    Parsing every file that is written would take longer than all the rest of a compile. So scalars
    of the three simple styles are read here, other values (which recur) by PyYAML and remembered,
    and any other text by PyYAML as a whole. Raises yaml.YAMLError when the text is not YAML.
    """
    try:
        return _simple(text)
    except (_NotSimpleError, yaml.YAMLError):
        return from_yaml(text)


def is_read_as(written: str, text: str) -> bool:
    """Tell whether `written`, a scalar in YAML on one line, is this text to `from_yaml`.

    Raises yaml.YAMLError.
    """
    mark = written[0]
    is_quoted = mark in "\"'" and written == f"{mark}{text}{mark}"
    # Nothing in quotes is other than it stands, but for these.
    if is_quoted and mark not in text and (mark == "'" or "\\" not in text):
        return text.isprintable() or bool(_read_scalar(written) == text)
    return bool(_read_scalar(written) == text)


def _read_scalar(text: str) -> Any:
    try:
        if not has_escaped(text):
            return _scalar(text)
    except _NotSimpleError:
        pass
    return from_yaml(f"x: {text}")["x"]


def _simple(text: str) -> dict[str, Any]:
    job: dict[str, Any] = {}
    section: dict[str, Any] | None = None
    for line in filter(None, text.split("\n")):
        indented, key, value = _short_line(line) if len(line) <= _SHORT else _line(line)
        place = section if indented else job
        if place is None or key in place:
            raise _NotSimpleError
        if value is _SECTION:
            job[key] = section = {}
        else:
            place[key] = value
            section = section if indented else None
    if not job or not all(value != {} for value in job.values()):
        raise _NotSimpleError  # an empty section is null, and an empty text no mapping
    return job


def _line(line: str) -> tuple[bool, str, Any]:
    """Return whether `line` is indented, its key, and its value or _SECTION."""
    match = None if has_escaped(line) else _LINE.fullmatch(line)
    if match is None or len(match[2]) > _LONGEST_KEY:
        raise _NotSimpleError
    indent, key, value = match[1], _key(match[2]), match[3]
    if not isinstance(key, str) or (indent and not value):
        raise _NotSimpleError
    return bool(indent), key, _scalar(value) if value else _SECTION


@lru_cache(maxsize=1024)
def _short_line(line: str) -> tuple[bool, str, Any]:
    return _line(line)


def _scalar(text: str) -> Any:
    if text[0] == '"' == text[-1] and "\\" not in text and text.count('"') == 2:
        return text[1:-1]
    if (
        text[0] == '"' and "\\ud" not in text and "\\uD" not in text
    ):  # YAML does not join surrogates, JSON does
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
