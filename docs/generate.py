"""Writes the reference: each key of an experiment file, each command, each tuner's arguments.

All of it is as the code has it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from amlc.catalogue import ASSESSORS, TUNERS, Argument
from amlc.cli.everything import main
from amlc.config.published import snake
from amlc.config.schema import load_schema

_WIDTH = 96
_PARTS = {
    "": "The top level",
    "tuner": "`tuner`, and `advisor`",
    "assessor": "`assessor`",
    "aml": "`trainingService` with platform aml",
    "local": "`trainingService` with platform local",
    "sharedStorage": "`sharedStorage`",
    "amlc": "`amlc`",
    "parameter": "A parameter of `searchSpace`",
}


def write(folder: Path) -> None:
    """Write the pages into `folder`; what did not change keeps its time."""
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def pages() -> Mapping[str, str]:
    """Return the text of each page, by its name."""
    found = {"keys": _keys(), "commands": _commands(), "arguments": _arguments()}
    return {name: "\n".join(lines) + "\n" for name, lines in found.items()}


def _keys() -> Iterator[str]:
    schema = load_schema()
    yield "# The keys of an experiment file"
    yield ""
    yield "Each key may also be written in snake_case (`trial_command`), or in any other mix"
    yield "of upper and lower case and `_`. Keys below `searchSpace` and `classArgs` are as they"
    yield "stand here."
    for part in [name for name in _PARTS if name in ("", *schema["$defs"])]:
        node = schema["$defs"][part] if part else schema
        yield from ("", f"## {_PARTS[part]}", "")
        if part:
            yield from (node["description"], "")
        yield from _table(node["properties"], set(node.get("required", ())))
        for name, child in node["properties"].items():
            if "properties" in child and name != "trainingService":
                yield from ("", f"### `{part}.{name}`", "", child["description"], "")
                yield from _table(child["properties"], set())


def _table(properties: Mapping[str, Any], required: set[str]) -> Iterator[str]:
    yield "| key | value | default | |"
    yield "|---|---|---|---|"
    for name, node in properties.items():
        default = (
            "required"
            if name in required
            else _code(node["default"])
            if node["default"] is not None
            else ""
        )
        example = f" For example {_code(node['examples'][0])}." if node["examples"] else ""
        spelled = (
            f"`{name}`"
            if name == snake(name) or name.startswith("_")
            else f"`{name}`, `{snake(name)}`"
        )
        yield f"| {spelled} | {_value(node)} | {default} | {_cell(node['description'])}{example} |"


def _value(node: Mapping[str, Any]) -> str:
    if "const" in node:
        return _code(node["const"])
    if "enum" in node:
        return " or ".join(_code(value) for value in node["enum"] if value is not None)
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    bounds = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above"}
    limits = [f"{word} {node[key]}" for key, word in bounds.items() if key in node]
    return ", ".join([" or ".join(kind for kind in kinds if kind != "null"), *limits])


def _code(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _commands() -> Iterator[str]:
    yield "# The commands"
    yield ""
    yield "This is what `amlc COMMAND --help` prints. Exit codes stand in the README,"
    yield "messages with their codes in [The codes of messages](../diagnostics.md)."
    yield from _help("amlc", main)
    for name, command in sorted(main.commands.items()):
        yield from _help(f"amlc {name}", command)


def _help(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(
        command,
        info_name=name,
        help_option_names=["-h", "--help"],
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
    )
    yield from ("", f"## `{name}`", "", "```text", command.get_help(context), "```")


def _arguments() -> Iterator[str]:
    yield "# The arguments of tuners and assessors"
    yield ""
    yield "What may stand in `classArgs`. What each of them does, and what it needs:"
    yield "[Tuners and assessors](../tuners.md)."
    for kind, table in (("tuner", TUNERS), ("assessor", ASSESSORS)):
        for one in table:
            if one.refused:
                continue
            yield from ("", f"## {one.name}, {'an' if kind == 'assessor' else 'a'} {kind}", "")
            if one.open:
                yield from ("Beside these it takes the arguments of what it is made of.", "")
            if not one.arguments:
                yield "It takes none."
                continue
            yield "| argument | value | default | |"
            yield "|---|---|---|---|"
            for name, argument in one.arguments.items():
                yield from _rows(name, argument)


def _rows(name: str, argument: Argument) -> Iterator[str]:
    if argument.nested:
        for inner, each in argument.nested.items():
            yield from _rows(f"{name}.{inner}", each)
        return
    kinds = {
        int: "integer",
        float: "number",
        str: "text",
        bool: "true or false",
        type(None): "null",
    }
    words = [
        kinds[kind] for kind in argument.kinds if not (kind is int and float in argument.kinds)
    ]
    value = " or ".join(map(_code, argument.one_of)) or " or ".join(words)
    bounds = (("at least", argument.low), ("at most", argument.high), ("above", argument.above))
    value += "".join(f", {word} {bound:g}" for word, bound in bounds if bound is not None)
    remark = (
        f"not given: {argument.refused}"
        if argument.refused
        else f"amlc: {argument.instead}"
        if argument.instead
        else ""
    )
    default = "" if argument.default is None else _code(argument.default)
    yield f"| `{name}` | {value} | {default} | {_cell(remark)} |"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
