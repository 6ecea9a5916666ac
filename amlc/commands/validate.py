"""`amlc validate`: say what is wrong with an experiment file, all of it at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from amlc import refusals
from amlc.config import load_experiment
from amlc.errors import ConfigError, Problem, Severity
from amlc.folders import Folders


def validate(
    *,
    files: Sequence[Path],
    backend: str | None,
    format_: str,
    out: TextIO,
    err: TextIO,
    quiet: bool,
    folders: Folders,
) -> int:
    """Check every file; text goes to `err`, the others, which are data, to `out`. Returns 1 if one has errors.

    folders: whose folders are no trial code.
    """
    problems: list[Problem] = []
    for file in files:
        try:
            experiment, found = load_experiment(file, backend=backend, environ=os.environ)
            refused = refusals.problems(experiment, leave_out=[folders.state, folders.build])
            problems += [*found, *refused]
            if format_ == "text" and not refused and not quiet:
                print(f"{file}: {experiment.name} is valid", file=err)
        except ConfigError as error:
            problems += error.problems
    write, stream = (_text, err) if format_ == "text" else (FORMATS[format_], out)
    failed = any(problem.severity is Severity.ERROR for problem in problems)
    if failed or not (quiet and format_ == "text"):
        write(problems, stream)
    return int(failed)


def _text(problems: Sequence[Problem], out: TextIO) -> None:
    for problem in problems:
        print(problem, file=out)


def _json(problems: Sequence[Problem], out: TextIO) -> None:
    json.dump({"schema_version": 1, "problems": [_object(problem) for problem in problems]}, out, indent=1)
    out.write("\n")


def _object(problem: Problem) -> dict[str, Any]:
    place = problem.position
    return {
        "file": str(place.file),
        "line": place.line,
        "column": place.column,
        "path": problem.path,
        "severity": problem.severity.value,
        "code": problem.code,
        "message": problem.message,
    }


def _github(problems: Sequence[Problem], out: TextIO) -> None:
    """Write GitHub's workflow commands, which put the problems beside the lines of a pull request."""
    for problem in problems:
        level = "notice" if problem.severity is Severity.NOTE else problem.severity.value
        place = problem.position
        file = _escaped(str(place.file), ",:")
        where = f"file={file},line={place.line},col={place.column},title={_escaped(problem.code, ',:')}"
        print(f"::{level} {where}::{_escaped(problem.message)}", file=out)


def _azure(problems: Sequence[Problem], out: TextIO) -> None:
    """Write Azure Pipelines' logging commands."""
    for problem in problems:
        level = "error" if problem.severity is Severity.ERROR else "warning"
        place = problem.position
        where = f"sourcepath={_escaped(str(place.file), ';]')};linenumber={place.line};columnnumber={place.column}"
        print(f"##vso[task.logissue type={level};{where};code={problem.code}]{_escaped(problem.message)}", file=out)


def _escaped(text: str, more: str = "") -> str:
    """Return `text` with the characters that end a command's field percent-encoded, as both services ask."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


FORMATS: Final[dict[str, Callable[[Sequence[Problem], TextIO], None]]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "azure": _azure,
}
