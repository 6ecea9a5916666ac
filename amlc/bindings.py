"""The inputs and outputs of a job: how a trial command names them, and which are local files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from amlc.model import JsonPath

EXPRESSION: Final = re.compile(r"\$\{\{\s*(inputs|outputs)\.([^\s{}]+)\s*\}\}")
"""How a command names an input or an output: the section, and the name."""

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What Azure ML takes for the name of one."""

# Azure ML knows a place elsewhere by its scheme: azureml:, https:, wasbs:, abfss:, file:.
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ENVIRONMENT: tuple[JsonPath, ...] = (
    ("environment", "conda_file"),
    ("environment", "build", "path"),
)


def bound(command: str) -> tuple[tuple[str, str], ...]:
    """Return the section and the name of each input and output in a command, each once."""
    return tuple(dict.fromkeys((match[1], match[2]) for match in EXPRESSION.finditer(command)))


def variable(section: str, name: str) -> str:
    """Return the variable in which the runner finds an input or an output."""
    return f"AMLC_{section.removesuffix('s').upper()}_{name}"


def literal(value: Any) -> str | None:
    """Return the text of an input that is a value, None when it is data with a path."""
    if isinstance(value, Mapping):
        value = None if "path" in value else value.get("value", value.get("default"))
    return None if value is None else str(value)


def data(job: Mapping[str, Any]) -> dict[str, str]:
    """Return what each input of `amlc.job` is, by name: its place, with its type, or its value.

    How it comes into the job (`mode`) is left out, since the trial sees the same.
    """
    inputs = job.get("inputs")
    found = {}
    for name, value in sorted(inputs.items()) if isinstance(inputs, Mapping) else ():
        if isinstance(value, Mapping) and literal(value) is None:
            found[name] = f"{value.get('path')} ({value.get('type', 'uri_folder')})"
        elif value is not None:
            found[name] = str(literal(value))
    return found


def is_local(path: str) -> bool:
    """Tell whether a path in a job file is one of this machine's."""
    return path != "" and not _ELSEWHERE.match(path) and "${{" not in path


def local_paths(job: Mapping[str, Any]) -> Iterator[tuple[JsonPath, str]]:
    """Yield the paths of this machine in `amlc.job`, each with its place there."""
    inputs = job.get("inputs")
    names = inputs if isinstance(inputs, Mapping) else ()
    for place in (*(("inputs", name, "path") for name in names), *_ENVIRONMENT):
        value = _at(job, place)
        if isinstance(value, str) and is_local(value):
            yield place, value


def with_paths(job: Mapping[str, Any], changed: Callable[[str], str]) -> Mapping[str, Any]:
    """Return `amlc.job` with each path of this machine changed."""
    for place, path in local_paths(job):
        job = _with(job, place, changed(path))
    return job


def _at(value: Any, place: JsonPath) -> Any:
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _with(value: Mapping[str, Any], place: JsonPath, new: str) -> dict[str, Any]:
    key, rest = str(place[0]), place[1:]
    return {**value, key: _with(value[key], rest, new) if rest else new}
