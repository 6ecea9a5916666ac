"""Writes a file's keys at other places and under other names, and leaves all else as it is."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from amlc.config.load import parse_document
from amlc.errors import ConfigError
from amlc.model import JsonPath

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STEP = "  "
_WIDTH = 1_000_000  # YAML's own line breaks would only be harder to read


@dataclass(slots=True)
class _Piece:
    """A key with its value, as lines from column 0, and the comments before it."""

    target: JsonPath
    lead: list[str]
    lines: list[str]


@dataclass(slots=True)
class _Block:
    """A mapping that is written: its keys, and the comments before, behind its name and at its end.

    was: it is one of the old text.
    """

    was: bool = False
    lead: list[str] = field(default_factory=list)
    header: str = ""
    keys: dict[Any, _Piece | _Block] = field(default_factory=dict)
    tail: list[str] = field(default_factory=list)


Moves: TypeAlias = "Mapping[JsonPath, JsonPath | None]"
"""Where each key goes, by where it stands; None: nowhere."""


def rewrite(
    text: str, moves: Moves, values: Mapping[str, Any], old: Mapping[str, Any]
) -> tuple[str, bool]:
    """Return the text with its keys moved, and whether its comments could be kept.

    values: what the new text says, old: what `text` says. A value that differs is written anew.
    """
    try:
        found = _Rewriting(text, moves, values, old).text()
        if parse_document(found, Path("new.yml")).data == values:
            return found, True
    except (yaml.YAMLError, ConfigError, LookupError, TypeError, ValueError):
        pass  # a layout that is not understood here: an alias before its anchor, for example
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=_WIDTH), False


class _Rewriting:
    def __init__(
        self, text: str, moves: Moves, values: Mapping[str, Any], old: Mapping[str, Any]
    ) -> None:
        self._lines = text.splitlines()
        self._root: Any = yaml.compose(text, Loader=_LOADER)
        self._moves, self._values, self._old = moves, values, old
        self._pending: list[str] = []
        self._top = _Block()

    def text(self) -> str:
        """Return the new text. Raises ValueError for a text that is no block of keys."""
        if (
            not isinstance(self._root, yaml.MappingNode)
            or self._root.flow_style
            or not self._root.value
        ):
            raise ValueError("no block of keys")
        first = self._root.value[0][0].start_mark.line
        self._pending = self._lines[:first]
        self._walk(self._root, (), len(self._lines))
        lines = [*_written(self._top), *self._pending]
        return "\n".join(lines) + "\n"

    def _walk(self, node: Any, path: JsonPath, stop: int) -> None:
        """Place what is in a mapping of the old text, whose lines end before `stop`."""
        for number, (key, value) in enumerate(node.value):
            here = (*path, key.value)
            if node.flow_style:
                self._place(here, key, value, [])
                continue
            end = (
                node.value[number + 1][0].start_mark.line if number + 1 < len(node.value) else stop
            )
            last = _last_line(key, value)
            tail = last + 1
            within = max(key.start_mark.column, 1)
            while tail < end and _indent(self._lines[tail]) >= within:
                tail += 1  # comments that are as far in belong to this key
            self._place(here, key, value, self._lines[last + 1 : tail])
            self._pending += self._lines[tail:end]

    def _place(self, path: JsonPath, key: Any, value: Any, tail: list[str]) -> None:
        below = [old for old in self._moves if old[: len(path)] == path]
        if path in self._moves:
            target = self._moves[path]
            if target is not None:
                self._add(
                    target,
                    self._body(path, target, key, value) + _dedented(tail, key.start_mark.column),
                )
        elif below and isinstance(value, yaml.SequenceNode):
            target = self._target_of_list(below)
            self._add(
                target,
                self._body(path, target, key, value) + _dedented(tail, key.start_mark.column),
            )
        elif below:
            self._open(path, key, value)
            self._walk(value, path, _last_line(key, value) + 1)
            if self._stays(path):
                self._block(path).tail += tail
            else:
                self._pending += tail

    def _target_of_list(self, below: list[JsonPath]) -> JsonPath:
        """Return where the list goes whose items' keys these are."""
        target = next(new for old in below if (new := self._moves[old]) is not None)
        return target[: next(place for place, part in enumerate(target) if isinstance(part, int))]

    def _open(self, path: JsonPath, key: Any, value: Any) -> None:
        """Go into a mapping: what stands before it and behind its key is kept."""
        header = self._lines[key.start_mark.line][key.end_mark.column :].partition(" #")[2]
        block = self._block(path[:-1]).keys.get(path[-1]) if self._stays(path) else None
        if self._stays(path) and block is None:
            behind = f" #{header}" if header and not value.flow_style else ""
            self._block(path[:-1]).keys[path[-1]] = _Block(
                was=True, lead=self._pending, header=behind
            )
            self._pending = []
        elif header and not value.flow_style:
            self._pending.append(f"#{header}")
        if not value.flow_style:
            self._pending += self._lines[
                key.start_mark.line + 1 : value.value[0][0].start_mark.line
            ]

    def _stays(self, path: JsonPath) -> bool:
        """Return whether something of a mapping stays in a mapping of that name."""
        kept = (
            new for old, new in self._moves.items() if old[: len(path)] == path and new is not None
        )
        return any(new[: len(path)] == path for new in kept)

    def _block(self, path: JsonPath) -> _Block:
        block = self._top
        for part in path:
            inner = block.keys.setdefault(part, _Block())
            if not isinstance(inner, _Block):
                raise TypeError(f"{part} is no mapping")
            block = inner
        return block

    def _add(self, target: JsonPath, lines: list[str]) -> None:
        block = self._block(target[:-1])
        if target[-1] in block.keys:
            return  # two old keys that say the same
        block.keys[target[-1]] = _Piece(target, self._pending, lines)
        self._pending = []

    def _body(self, path: JsonPath, target: JsonPath, key: Any, value: Any) -> list[str]:
        """Return the lines of a key and its value under the new name."""
        wanted = _at(self._values, target)
        renamed = list(self._renamed(value, path)) if isinstance(value, yaml.SequenceNode) else []
        if not renamed and _at(self._old, path) != wanted:
            found = yaml.safe_dump(
                {target[-1]: wanted}, sort_keys=False, allow_unicode=True, width=_WIDTH
            ).splitlines()
            return (
                [found[0] + self._comment_behind(value), *found[1:]] if len(found) == 1 else found
            )
        start, column = key.start_mark.line, key.start_mark.column
        lines = self._lines[start : _last_line(key, value) + 1]
        for mark, end, name in sorted(
            renamed, key=lambda edit: (edit[0].line, edit[0].column), reverse=True
        ):
            line = lines[mark.line - start]
            lines[mark.line - start] = line[: mark.column] + name + line[end.column :]
        if key.start_mark.line == value.end_mark.line:
            comment = "" if self._is_in_flow(path) else self._comment_behind(value)
            shown = lines[0][value.start_mark.column : value.end_mark.column]
            return [f"{target[-1]}: {shown}{comment}"]
        return [str(target[-1]) + lines[0][key.end_mark.column :], *_dedented(lines[1:], column)]

    def _is_in_flow(self, path: JsonPath) -> bool:
        node = self._root
        for part in path[:-1]:
            node = next(value for key, value in node.value if key.value == part)
        return bool(node.flow_style)

    def _renamed(self, value: Any, path: JsonPath) -> Iterator[tuple[Any, Any, str]]:
        """Yield where keys stand below a list, and their new names.

        Raises ValueError when one goes elsewhere.
        """
        for number, item in enumerate(value.value):
            for key, _ in item.value if isinstance(item, yaml.MappingNode) else ():
                old = (*path, number, key.value)
                new = self._moves.get(old)
                if new is None:
                    raise ValueError(f"{key.value} is left out or has parts")
                if _at(self._old, old) != _at(self._values, new):
                    raise ValueError(f"{key.value} has another value")
                yield key.start_mark, key.end_mark, str(new[-1])

    def _comment_behind(self, value: Any) -> str:
        if isinstance(value, yaml.ScalarNode) and value.style in ("|", ">"):
            return ""
        rest = self._lines[value.end_mark.line][value.end_mark.column :]
        return rest if rest.lstrip().startswith("#") else ""


def _written(block: _Block, depth: int = 0) -> Iterator[str]:
    indent = _STEP * depth
    for name, found in block.keys.items():
        if isinstance(found, _Piece):
            yield from (
                indent + line if line else "" for line in [*_flush(found.lead), *found.lines]
            )
            continue
        inner = copy.copy(found)
        first = next(iter(found.keys.values()), None)
        if isinstance(first, _Piece) and not found.was:
            inner.lead, first.lead = first.lead, []
        yield from (indent + line if line else "" for line in _flush(inner.lead))
        yield f"{indent}{name}:{found.header}"
        yield from _written(inner, depth + 1)
        yield from (indent + _STEP + line for line in _flush(found.tail))


def _flush(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines]


def _dedented(lines: list[str], column: int) -> list[str]:
    return [line[column:] if not line[:column].strip() else line.lstrip() for line in lines]


def _indent(line: str) -> int:
    """Return how far in a comment stands; of anything else -1."""
    return len(line) - len(line.lstrip()) if line.lstrip().startswith("#") else -1


def _last_line(key: Any, value: Any) -> int:
    """Return the number of the last line of a value, without the comments that follow it."""
    if isinstance(value, yaml.ScalarNode):
        if value.style in ("|", ">"):
            return max(int(value.end_mark.line) - 1, int(key.start_mark.line))
        return (
            max(int(value.end_mark.line), int(key.end_mark.line))
            if value.value
            else int(key.end_mark.line)
        )
    if value.flow_style or not value.value:
        return int(value.end_mark.line)
    last = value.value[-1]
    return _last_line(*last) if isinstance(value, yaml.MappingNode) else _last_line(value, last)


def _at(data: Any, path: JsonPath) -> Any:
    for part in path:
        data = data[part]
    return data
