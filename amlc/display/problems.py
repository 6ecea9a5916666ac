"""Print the problems of experiment files, for people and for CI."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from amlc.commands.validate import Checked
from amlc.console import Console
from amlc.errors import Problem, Severity


def show(checked: Iterable[Checked], console: Console, format_: str) -> list[Checked]:
    """Print what was found: as text to stderr, in the other formats, which are data, to stdout.

    Return it.
    """
    done = []
    for one in checked:
        if format_ == "text" and one.valid is not None:
            console.note(f"{one.file}: {one.valid} is valid")
        done.append(one)
    problems = [problem for one in done for problem in one.problems]
    if format_ != "text":
        console.out.writelines(FORMATS[format_](problems))
        return done
    # Beside an error its warnings matter, also to those who asked for quiet.
    say = console.insist if any(one.failed for one in done) else console.note
    for problem in problems:
        say(problem)
    return done


def _json(problems: Sequence[Problem]) -> Iterator[str]:
    yield json.dumps(
        {"schema_version": 1, "problems": [_object(problem) for problem in problems]}, indent=1
    )
    yield "\n"


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


def _github(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield GitHub's workflow commands: the problems show beside the lines of a pull request."""
    for problem in problems:
        level = "notice" if problem.severity is Severity.NOTE else problem.severity.value
        place = problem.position
        file = _escaped(str(place.file), ",:")
        title = _escaped(problem.code, ",:")
        where = f"file={file},line={place.line},col={place.column},title={title}"
        yield f"::{level} {where}::{_escaped(problem.message)}\n"


def _azure(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield Azure Pipelines' logging commands."""
    for problem in problems:
        level = "error" if problem.severity is Severity.ERROR else "warning"
        place = problem.position
        file = _escaped(str(place.file), ";]")
        where = f"sourcepath={file};linenumber={place.line};columnnumber={place.column}"
        about = f"type={level};{where};code={problem.code}"
        yield f"##vso[task.logissue {about}]{_escaped(problem.message)}\n"


def _escaped(text: str, more: str = "") -> str:
    """Return `text` with what ends a command's field percent-encoded, as both services ask."""
    for character in "%\r\n" + more:  # the percent sign first, or it would escape the escapes
        text = text.replace(character, f"%{ord(character):02X}")
    return text


FORMATS: Final[dict[str, Callable[[Sequence[Problem]], Iterator[str]]]] = {
    "json": _json,
    "github": _github,
    "azure": _azure,
}
