"""Makes a Document of values that never were a file: a config that a Python program built."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amlc.config.load import UNPRINTABLE
from amlc.config.tree import MAX_DEPTH
from amlc.errors import ConfigError, Position, Problem, Sentence
from amlc.model import Document, JsonPath

_NOWHERE = Position(Path("config"), 0, 0)  # the path of the key is what tells where a value stands


def document_of(values: Mapping[str, Any], file: Path) -> Document:
    """Return the Document of an experiment as a mapping; `file` is what relative paths count from.

    Paths become text, tuples and arrays lists, numpy's numbers Python's. Raises ConfigError with
    every value that an experiment file cannot have.
    """
    problems: list[Problem] = []
    data = _plain(values, (), problems)
    if problems:
        raise ConfigError(problems)
    return Document(file, data, {}, {(): _NOWHERE})


def _plain(value: Any, path: JsonPath, problems: list[Problem]) -> Any:
    if len(path) > MAX_DEPTH:
        problems.append(
            _problem(
                path,
                "E-depth",
                Sentence(f"this is nested more than {MAX_DEPTH} levels deep.", hint="Flatten it."),
            )
        )
        return None
    if isinstance(value, Mapping):
        return {
            str(key): _plain(inner, (*path, _key(key, path, problems)), problems)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple, range)):
        return [_plain(inner, (*path, index), problems) for index, inner in enumerate(value)]
    return _scalar(value, path, problems)


def _scalar(value: Any, path: JsonPath, problems: list[Problem]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy's, and what behaves like it
        return _plain(value.tolist(), path, problems)
    if isinstance(value, str):
        text = str.__str__(value)  # of an enum too, which names itself otherwise
        _check_text(text, path, problems)
        return text
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    text = (
        f"a {type(value).__name__} is no value of an experiment: "
        "numbers, text, truth values, lists and mappings are."
    )
    problems.append(_problem(path, "E-type", text))
    return None


def _key(key: Any, path: JsonPath, problems: list[Problem]) -> str:
    if isinstance(key, str):
        _check_text(key, path, problems)
    else:
        problems.append(
            _problem(
                path,
                "E-key",
                Sentence(f"the key {key!r} is not text.", hint=f"Quote it: '{key}'."),
            )
        )
    return str(key)


def _check_text(text: str, path: JsonPath, problems: list[Problem]) -> None:
    """Note a character that no file can hold: half of a surrogate pair, or a control character."""
    if bad := UNPRINTABLE.search(text):
        message = Sentence(f"the character U+{ord(bad[0]):04X} is not text.", hint="Remove it.")
        problems.append(_problem(path, "E-text", message))


def _problem(path: JsonPath, code: str, message: str | Sentence) -> Problem:
    return Document(Path(), None, {}, {(): _NOWHERE}).problem(path, code, message)
