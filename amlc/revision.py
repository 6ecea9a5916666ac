"""What a revision is made of.

The command, the environment, the inputs and every file of the trial code, to say what changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amlc import files
from amlc.errors import UsageError, printable

FILE_NAME = "revision.json"
_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What counts into a revision.

    environment: an environment's name, an image, or None. files: by name, `/` between folders, the
    first 16 hex digits of the content's SHA-256, and `+x` behind them if the file is executable.
    inputs: the data inputs of the jobs by name (`bindings.data`); what lies there is not looked at.
    """

    command: str
    environment: str | None
    files: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)


def file_mark(digest: str, *, executable: bool) -> str:
    """Return what `Contents.files` holds for a file with this SHA-256 (hex)."""
    return digest[:_DIGITS] + ("+x" if executable else "")


def contents_text(contents: Contents) -> str:
    """Return the contents as the text of `revision.json`.

    One key a line, sorted, so that a diff of two can be read.
    """
    value: dict[str, Any] = {
        "command": contents.command,
        "environment": contents.environment,
        "files": dict(contents.files),
    }
    if contents.inputs:
        value["inputs"] = dict(contents.inputs)
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def parse_contents(text: str | bytes) -> Contents:
    """Return the contents that `contents_text` wrote. Raises ValueError for any other text."""
    try:
        value = json.loads(text)
        return Contents(
            command=value["command"],
            environment=value["environment"],
            files=dict(value["files"]),
            inputs=dict(value.get("inputs") or {}),
        )
    except (KeyError, TypeError, RecursionError) as err:
        raise ValueError(f"it lacks something: {err}") from err


def read_contents(folder: Path) -> Contents:
    """Return what the revision of a build folder is made of.

    Raises UsageError when its `revision.json` is missing (an older amlc wrote the build, or refresh
    did) or broken.
    """
    path = folder / FILE_NAME
    found = files.read_or_none(path)
    if found is None:
        raise UsageError(
            f"{path}: there is no such file. Compile the experiment first: amlc compile FILE."
        )
    try:
        return parse_contents(found)
    except ValueError as err:
        raise UsageError(f"{path}: not what amlc wrote ({err}). Compile again.") from err


def differences(old: Contents, new: Contents) -> list[str]:
    """Return a line for each thing in which two revisions differ, files first.

    `changed: train.py`, `new: util.py`.
    """
    return list(_differences(old, new))


def _differences(old: Contents, new: Contents) -> Iterator[str]:
    for name in sorted(old.files.keys() & new.files.keys()):
        if old.files[name] != new.files[name]:
            yield f"changed: {printable(name)}"
    for name in sorted(new.files.keys() - old.files.keys()):
        yield f"new: {printable(name)}"
    for name in sorted(old.files.keys() - new.files.keys()):
        yield f"gone: {printable(name)}"
    if old.command != new.command:
        yield "trialCommand changed"
    if old.environment != new.environment:
        yield "environment changed"
    for name in sorted(old.inputs.keys() | new.inputs.keys()):
        before, after = old.inputs.get(name, "none"), new.inputs.get(name, "none")
        if before != after:
            yield f"input {printable(f'{name}: {before} -> {after}')}"
