"""Builds a Document from YAML events.

Plain values and their positions, without recursion into hostile input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from amlc.config.scalars import resolve
from amlc.config.syntax import mark_index
from amlc.errors import ConfigError, Position, Problem, Sentence, Severity
from amlc.model import Document, JsonPath

MAX_DEPTH = 300
"""Levels of lists and mappings; enough for a nested choice 100 deep, and far below Python's
recursion limit."""

MAX_REPEATED = 100_000
"""Values that aliases may repeat in all."""

MAX_VALUES = 1_000_000
"""Values of a file in all, for memory's sake: half a kilobyte each."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_COLLECTIONS = {None, "!", _CORE + "map", _CORE + "seq"}
_TAGGED: dict[str, tuple[type, ...]] = {
    _CORE + "int": (int,),
    _CORE + "float": (int, float),
    _CORE + "bool": (bool,),
    _CORE + "null": (type(None),),
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SECRET = ("key", "password", "passwd", "token", "secret", "passphrase")


@dataclass(slots=True)
class _Node:
    """A value while the file is being read.

    `items`: key and value pairs of a mapping, values of a list.
    """

    kind: str
    line: int
    column: int
    value: Any = None
    plain: str | None = None
    remark: str = ""
    items: list[Any] = field(default_factory=list)
    size: int = 1
    height: int = 0
    pending: _Node | None = None
    closed: bool = True


class _Reader:
    """Turns events into nodes.

    Collects what is wrong on the way, and stops only where reading on makes no sense.
    """

    def __init__(self, file: Path, *, json_words: bool) -> None:
        self.file = file
        self.json_words = json_words
        self.problems: list[Problem] = []
        self.anchors: dict[str, _Node] = {}
        self.repeated = 0
        self.values = 0

    def read(self, events: Iterable[Any]) -> _Node | None:
        """Return the root of the only document, or None when there is none."""
        root: _Node | None = None
        stack: list[_Node] = []
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                message = Sentence(
                    "a second YAML document starts here; amlc reads one per file.",
                    hint="Split the file.",
                )
                self.stop(event, "E-syntax", message)
            if isinstance(event, yaml.CollectionEndEvent):
                node = stack.pop()
                node.closed = True
            elif isinstance(event, yaml.NodeEvent):
                node = self.open(event, stack)
                if not node.closed:
                    stack.append(node)
                    continue
            else:
                continue
            if stack:
                self.attach(stack[-1], node, event)
            else:
                root = node
        return root

    def open(self, event: Any, stack: list[_Node]) -> _Node:
        """Return the node that an event starts; a list or mapping is open until its end event."""
        if len(stack) > MAX_DEPTH:
            message = Sentence(
                f"the file is nested more than {MAX_DEPTH} levels deep.", hint="Flatten it."
            )
            self.stop(event, "E-depth", message)
        self.values += 1
        if self.values > MAX_VALUES:
            message = Sentence(
                f"the file has more than {MAX_VALUES:,} values.", hint="Split or shorten it."
            )
            self.stop(event, "E-file", message)
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, line, column)
        if isinstance(event, yaml.ScalarEvent):
            node = self.scalar(event, line, column)
        else:
            kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "list"
            node = _Node(kind, line, column, closed=False)
            if event.tag not in _COLLECTIONS:
                self.refuse_tag(event.tag, line, column)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any, line: int, column: int) -> _Node:
        """Return what an alias repeats, within the bound.

        An unknown or recursive one ends the reading.
        """
        target = self.anchors.get(event.anchor)
        if target is None:
            message = Sentence(
                f"'*{event.anchor}' has no anchor '&{event.anchor}' before it.",
                hint="Define it first.",
            )
            self.stop(event, "E-alias", message)
        if not target.closed:
            message = Sentence(
                f"'*{event.anchor}' stands inside its own anchor.", hint="Write the value out."
            )
            self.stop(event, "E-alias", message)
        # What an alias repeats may have aliases: ten lines can be a billion values.
        self.repeated += target.size
        if self.repeated > MAX_REPEATED:
            message = Sentence(
                f"aliases repeat more than {MAX_REPEATED} values.", hint="Write fewer aliases."
            )
            self.stop(event, "E-alias", message)
        return _Node(
            target.kind,
            line,
            column,
            value=target.value,
            plain=target.plain,
            items=target.items,
            size=target.size,
            height=target.height,
        )

    def scalar(self, event: Any, line: int, column: int) -> _Node:
        """Return the node of a scalar.

        Quoted or tagged text as it stands, plain text by its meaning.
        """
        node = _Node("scalar", line, column, value=event.value)
        tag = event.tag
        if _SURROGATE.search(event.value):  # libyaml refuses these itself
            message = Sentence(
                "a '\\u' escape that is half of a character.", hint="Write the character itself."
            )
            self.add(line, column, "E-text", message)
        is_typed = tag is not None and tag.startswith(_CORE) and tag != _CORE + "str"
        if event.implicit[0] or is_typed:
            node.plain = event.value
            try:
                node.value, node.remark = resolve(event.value, json_words=self.json_words)
                str(node.value)  # a hexadecimal number of any length is read, and cannot be printed
            except ValueError:
                message = Sentence(
                    f"a whole number of {len(event.value)} digits is too long.",
                    hint="Quote it or shorten it.",
                )
                self.add(line, column, "E-number", message)
        if tag is not None and tag not in ("!", _CORE + "str"):
            self.check_tag(tag, node)
        return node

    def check_tag(self, tag: str, node: _Node) -> None:
        """Accept the tags of JSON's own types where they fit the value, refuse all others."""
        wanted = _TAGGED.get(tag)
        if wanted is None:
            self.refuse_tag(tag, node.line, node.column)
        elif type(node.value) not in wanted:
            short = tag.replace(_CORE, "!!")
            self.add(
                node.line,
                node.column,
                "E-tag",
                Sentence(f"the value does not fit its tag '{short}'.", hint="Remove the tag."),
            )
        elif tag == _CORE + "float":
            node.value = float(node.value)

    def attach(self, parent: _Node, node: _Node, event: Any) -> None:
        """Put a finished node into its list or mapping, and add up size and height."""
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if parent.height > MAX_DEPTH:
            self.stop(
                event,
                "E-depth",
                Sentence(
                    f"the file is nested more than {MAX_DEPTH} levels deep.", hint="Flatten it."
                ),
            )
        if parent.kind == "list":
            parent.items.append(node)
        elif parent.pending is None:
            parent.pending = node
        else:
            parent.items.append((parent.pending, node))
            parent.pending = None

    def refuse_tag(self, tag: str, line: int, column: int) -> None:
        """Note a tag that has no JSON meaning."""
        short = tag.replace(_CORE, "!!")
        self.add(
            line,
            column,
            "E-tag",
            Sentence(
                f"the tag '{short}' is not supported: values are JSON values.",
                hint="Remove the tag.",
            ),
        )

    def add(self, line: int, column: int, code: str, message: str | Sentence) -> None:
        """Note a problem and go on."""
        self.problems.append(Problem.at(Position(self.file, line, column), code, message))

    def stop(self, event: Any, code: str, message: str | Sentence) -> NoReturn:
        """Raise all problems so far and this last one."""
        self.add(event.start_mark.line + 1, event.start_mark.column + 1, code, message)
        raise ConfigError(self.problems)


class _Builder:
    """Turns nodes into plain values and notes the position of each key and value by its path."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.keys: dict[JsonPath, Position] = {}
        self.values: dict[JsonPath, Position] = {}
        self.problems: list[Problem] = []
        self.remarks: list[Problem] = []

    def build(self, node: _Node, path: JsonPath) -> Any:
        """Return the plain value of a node."""
        self.values[path] = Position(self.file, node.line, node.column)
        if node.kind == "scalar":
            if node.remark:
                self.remark(node, path)
            return node.value
        if node.kind == "list":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.items)]
        mapping = {}
        for name, key, value in self.entries(node, path):
            here = (*path, name)
            self.keys[here] = Position(self.file, key.line, key.column)
            mapping[name] = self.build(value, here)
        return mapping

    def entries(self, node: _Node, path: JsonPath) -> Iterable[tuple[str, _Node, _Node]]:
        """Return name, key and value of a mapping.

        First what `<<` merges in, then its own, which win.
        """
        merged: dict[str, tuple[str, _Node, _Node]] = {}
        own: dict[str, tuple[str, _Node, _Node]] = {}
        for key, value in node.items:
            if key.plain == "<<":
                for entry in self.merge(value, path):  # of several mappings the first one wins
                    merged.setdefault(entry[0], entry)
            elif (name := self.name(key, path)) is not None:
                if name in own:
                    self.twice(name, own[name][1], key, path)
                else:
                    own[name] = (name, key, value)
        return {**merged, **own}.values()

    def merge(self, node: _Node, path: JsonPath) -> Iterator[tuple[str, _Node, _Node]]:
        """Yield the entries of the mapping, or of the list of them, that a `<<` key names."""
        for source in node.items if node.kind == "list" else [node]:
            if source.kind == "mapping":
                yield from self.entries(source, path)
            else:
                message = Sentence(
                    "'<<' merges mappings only.", hint="Name a mapping, such as '*defaults'."
                )
                self.add(source, path, "E-alias", message)

    def name(self, key: _Node, path: JsonPath) -> str | None:
        """Return the text of a key, with a remark if it is none; None, a problem, without one."""
        if isinstance(key.value, str):
            return key.value
        if key.plain is None:
            message = Sentence(
                "a list or mapping cannot be a key: keys are text.", hint="Write a word."
            )
            self.add(key, path, "E-key", message)
            return None
        message = Sentence(
            f"the key {key.plain or 'null'} is not text.",
            hint=f'Quote it: "{key.plain}".',
        )
        self.remarks.append(self.problem(key, path, "E-key", message))
        return key.plain

    def twice(self, name: str, first: _Node, second: _Node, path: JsonPath) -> None:
        """Note a key that stands twice in one mapping."""
        message = Sentence(
            f"'{name}' is given twice, first at line {first.line}, column {first.column}.",
            hint="Keep one of them.",
        )
        self.add(second, (*path, name), "E-duplicate-key", message)

    def remark(self, node: _Node, path: JsonPath) -> None:
        """Warn of a value that YAML readers disagree about; not showing it, it may be a secret."""
        message = Sentence(
            f"the value is {node.remark}; it is read as NNI does.", hint="Quote or rewrite it."
        )
        if not secret(path):
            read = str(node.value).lower()
            rewrite = f'Write {read}, or "{node.plain}" for the text.'
            if isinstance(node.value, str):
                read = "text"
                rewrite = f'Write "{node.plain}", or the number without leading zeros.'
            message = Sentence(
                f"'{node.plain}' is {node.remark}; read as {read}, as NNI does.", hint=rewrite
            )
        self.remarks.append(self.problem(node, path, "W-yaml", message, severity=Severity.WARNING))

    def add(self, node: _Node, path: JsonPath, code: str, message: str | Sentence) -> None:
        """Note a problem at a node, without which there is no Document."""
        self.problems.append(self.problem(node, path, code, message))

    def problem(
        self,
        node: _Node,
        path: JsonPath,
        code: str,
        message: str | Sentence,
        *,
        severity: Severity = Severity.ERROR,
    ) -> Problem:
        """Return a problem at a node."""
        here = Document(self.file, None, {}, {path: Position(self.file, node.line, node.column)})
        return here.problem(path, code, message, severity=severity)


def secret(path: JsonPath) -> bool:
    """Return whether the key's name says that its value must not be shown."""
    name = str(path[-1]).lower() if path else ""
    is_access_token = name == "pat" or name.endswith("_pat")  # a personal one
    return is_access_token or name.replace("_", "").endswith(_SECRET)


def _events(text: str) -> Iterator[Any]:
    """Yield what the YAML reader finds, in order. Raises yaml.YAMLError."""
    try:
        yield from yaml.parse(text, Loader=_Loader)
    # Without libyaml, PyYAML lets Python convert what may be no character, or too long.
    except ValueError as error:
        raise yaml.YAMLError from error


def _refuse_depth(text: str, file: Path) -> None:
    """Raise ConfigError if a text that ends before a mistake is nested too deep already.

    libyaml looks a line ahead, and from 0.2.6 on gives up by itself at 1,000 levels: then the
    events that would have shown the depth never came.
    """
    with suppress(yaml.YAMLError):
        try:
            _Reader(file, json_words=False).read(_events(text))
        except ConfigError as error:
            if any(problem.code == "E-depth" for problem in error.problems):
                raise


def build_document(text: str, file: Path, *, json_words: bool) -> Document | None:
    """Return the one document of a YAML text, None if it holds none.

    A key that is no text is an error among its remarks: what stands there can be judged. Raises
    ConfigError with every problem found, and yaml.YAMLError where the text is not YAML.
    """
    reader = _Reader(file, json_words=json_words)
    try:
        root = reader.read(_events(text))
    except yaml.YAMLError as error:
        _refuse_depth(text[: mark_index(error) or 0], file)
        raise
    if root is None:
        return None
    builder = _Builder(file)
    data = builder.build(root, ())
    if reader.problems or builder.problems:
        raise ConfigError([*reader.problems, *builder.problems, *builder.remarks])
    return Document(file, data, builder.keys, builder.values, tuple(builder.remarks))
