"""Puts into a document what its file leaves open: `${NAME}`, and what `--set KEY=VALUE` says.

A value is one scalar as YAML reads it, whatever characters it has: never a list, a mapping, or a
further key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from amlc.config.load import UNPRINTABLE
from amlc.config.scalars import resolve
from amlc.config.schema import load_schema
from amlc.config.spelling import fold
from amlc.config.tree import secret
from amlc.errors import Position, Problem, Sentence, UsageError, printable, shorten
from amlc.model import Document, JsonPath

_PLACEHOLDER: Final = re.compile(r"(\$?)(\$\{([A-Za-z_][A-Za-z0-9_]*)\})")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_FREE: Final = frozenset({"searchspace", "classargs", "job", "prices", "initial"})
"""Keys whose content has names of the user's, which are as they are written."""


_ON_A_COMMAND_LINE: Final = Sentence(
    "a secret on a command line is everybody's, and would stand in the manifest.",
    "Put it into the environment.",
)


class _UnusableError(Exception):
    """What is given cannot be used; said: why, and what to do."""

    def __init__(self, said: Sentence) -> None:
        super().__init__(said.text)
        self.said = said


@dataclass(frozen=True, slots=True)
class Values:
    """What fills a file.

    given: what `--set` says, or what a compiled experiment had, by name or key. environ: where
    `${NAME}` comes from otherwise; None: from nowhere, for a stranger's file.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] | None = None


def settings(words: Iterable[str]) -> Mapping[str, str]:
    """Return the KEY=VALUE of a command line. Raises UsageError for anything else."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            text = f"--set {printable(shorten(word))}: write KEY=VALUE, such as maxTrialNumber=20."
            raise UsageError(text)
        if key in found:
            raise UsageError(
                Sentence(
                    f"--set {printable(shorten(key))} is given twice.", hint="Keep one of them."
                )
            )
        found[key] = value
    return found


def filled(document: Document, values: Values) -> tuple[Document, frozenset[JsonPath]]:
    """Return an experiment's document with all that is given, and which parts lack a value.

    Those are the canonical paths of `searchSpace` and of `classArgs`.
    """
    for key, text in values.given.items():
        if _is_path(key, document):
            document = _set(document, key, text)
    open_: set[JsonPath] = set()
    for canonical, path in _places(document.data):
        document, is_whole = _named(document, path, values)
        open_ |= set() if is_whole else {canonical}
    return document, frozenset(open_)


def filled_space(document: Document, values: Values) -> tuple[Document, bool]:
    """Return the document of a search space with all `${NAME}`, and whether none lacks a value."""
    return _named(document, (), values)


def unused(document: Document, given: Mapping[str, str], used: Mapping[str, str]) -> list[Problem]:
    """Return an error for each of the given values that has changed nothing."""
    found = []
    for key in given:
        if key in used or _is_path(key, document):
            continue
        if secret((key,)):
            found.append(_problem(document, key, _ON_A_COMMAND_LINE))
        else:
            text = Sentence(
                f"the file has neither a key '{shorten(key)}' nor '${{{shorten(key)}}}' in its "
                "searchSpace or classArgs.",
                hint="Correct the name; keys inside others are written with dots, such as "
                "tuner.classArgs.seed.",
            )
            found.append(_problem(document, key, text))
    return found


# --- keys -----------------------------------------------------------------------------------------


def _is_path(key: str, document: Document) -> bool:
    there = document.data if isinstance(document.data, Mapping) else ()
    known = {fold(str(name)) for name in (*load_schema()["properties"], *there)}
    return key.startswith("/") or "." in key or fold(key) in known


def _set(document: Document, key: str, text: str) -> Document:
    """Return the document with a value at a key: as messages write it (/a/b/0), or with dots."""
    parts = key.split(".")
    if key.startswith("/"):
        parts = [part.replace("~1", "/").replace("~0", "~") for part in key[1:].split("/")]
    if secret((parts[-1],)):
        return _refused(document, key, _ON_A_COMMAND_LINE)
    try:
        value = _scalar(text)
        data, path = _put(document.data, tuple(parts), value, free=False)
    except _UnusableError as error:
        return _refused(document, key, error.said)
    place = {path: Position(Path(f"--set {key}"), 0, 0)}
    return replace(
        document,
        data=data,
        keys={**document.keys, **place},
        values={**document.values, **place},
        filled={**document.filled, key: text},
    )


def _put(node: Any, parts: tuple[str, ...], value: Any, *, free: bool) -> tuple[Any, JsonPath]:
    """Return a copy of a node with a value at a path in it, and that as the file spells it.

    free: keys are the user's own. Raises _UnusableError where the path leads nowhere.
    """
    if not parts:
        return value, ()
    name, rest = parts[0], parts[1:]
    if isinstance(node, list):
        if not _INDEX.fullmatch(name) or int(name) >= len(node):
            raise _UnusableError(
                Sentence(
                    f"'{shorten(name)}' is no item of a list of {len(node)}.", hint="Count from 0."
                )
            )
        index = int(name)
        inner, path = _put(node[index], rest, value, free=free)
        return [*node[:index], inner, *node[index + 1 :]], (index, *path)
    if not isinstance(node, Mapping):
        raise _UnusableError(
            Sentence(f"there is no '{shorten(name)}' in a single value.", hint="Correct the key.")
        )
    if name not in node and not free:
        name = next((one for one in node if fold(str(one)) == fold(name)), name)
    inside = free or fold(name) in _FREE
    inner, path = _put(node.get(name, {} if rest else None), rest, value, free=inside)
    return {**node, name: inner}, (name, *path)


# --- names ----------------------------------------------------------------------------------------


def _places(data: Any) -> Iterator[tuple[JsonPath, JsonPath]]:
    """Yield where `${NAME}` counts: its canonical path, and how the file spells it."""
    for key, value in data.items() if isinstance(data, Mapping) else ():
        name = fold(str(key))
        if name == "searchspace":
            yield ("searchSpace",), (key,)
        if name in ("tuner", "assessor", "advisor") and isinstance(value, Mapping):
            for inner in value:
                if fold(str(inner)) == "classargs":
                    yield (name, "classArgs"), (key, inner)


def _named(document: Document, path: JsonPath, values: Values) -> tuple[Document, bool]:
    """Return the document with `${NAME}` filled below a path, and whether each has a value."""
    used: dict[str, str] = {}
    problems: list[Problem] = []

    def fill(node: Any, here: JsonPath) -> Any:
        if isinstance(node, Mapping):
            return {name: fill(inner, (*here, name)) for name, inner in node.items()}
        if isinstance(node, list):
            return [fill(inner, (*here, index)) for index, inner in enumerate(node)]
        found = _PLACEHOLDER.fullmatch(node) if isinstance(node, str) else None
        if found is None:
            return node
        if found[1]:
            return found[2]
        try:
            text = _value(found[3], values)
            value = _scalar(text)
        except _UnusableError as error:
            problems.append(document.problem(here, "E-placeholder", error.said))
            return node
        used[found[3]] = text
        return value

    def below(node: Any, parts: JsonPath) -> Any:
        if not parts:
            return fill(node, path) if _is_open(node) else node
        return {**node, parts[0]: below(node[parts[0]], parts[1:])}

    whole = replace(
        document,
        data=below(document.data, path),
        filled={**document.filled, **used},
        variables={**document.variables, **used},
        remarks=(*document.remarks, *problems),
    )
    return whole, not problems


def _is_open(node: Any) -> bool:
    """Tell whether there is a `${NAME}` anywhere in a value, which may have a million others."""
    left = [node]
    while left:
        one = left.pop()
        if isinstance(one, str):
            if _PLACEHOLDER.fullmatch(one):
                return True
        elif isinstance(one, Mapping):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return False


def _value(name: str, values: Values) -> str:
    """Return what a name stands for. Raises _UnusableError, with what to do, if nothing says so."""
    if secret((name,)):
        raise _UnusableError(
            Sentence(
                f"'{name}' is the name of a secret, and parameters stand in job files and results "
                "for all to read.",
                hint="Give it another name, or let the trial read it from its environment.",
            )
        )
    text = values.given.get(name) or (values.environ or {}).get(name)
    if text:
        return text
    if values.environ is None:
        ways = f"With --untrusted nothing is read from the environment: use `--set {name}=…`."
    else:
        ways = f"Use `--set {name}=…` or `export {name}=…`, or write the value in its place"
        ways += f"; `$${{{name}}}` is the text itself."
    raise _UnusableError(Sentence(f"the placeholder '${{{name}}}' is not set.", hint=ways))


def _scalar(text: str) -> Any:
    """Return the value of a text as that of a scalar in YAML; in quotes it is text.

    Raises _UnusableError for what no file could hold.
    """
    if not text:
        raise _UnusableError(
            Sentence("there is no value.", hint="Write null for none, or '' for an empty text.")
        )
    if bad := UNPRINTABLE.search(text):
        raise _UnusableError(
            Sentence(f"the character U+{ord(bad[0]):04X} is not text.", hint="Remove it.")
        )
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    try:
        value, _ = resolve(text, json_words=False)
    except ValueError:
        raise _UnusableError(
            Sentence("a number of so many digits is none.", hint="Shorten it.")
        ) from None
    return value


def _refused(document: Document, key: str, text: Sentence) -> Document:
    return replace(document, remarks=(*document.remarks, _problem(document, key, text)))


def _problem(document: Document, key: str, text: str | Sentence) -> Problem:
    at = Position(Path(f"--set {printable(shorten(key))}"), 0, 0)
    return replace(document.problem((), "E-set", text), position=at)
