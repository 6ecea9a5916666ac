"""Write what a command found as each service reads it: JSON, and the annotations of two of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from amlc.errors import Position, Problem, Sentence, Severity

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that a command looked at. problems: what it found wrong with it, or odd."""

    group: str
    name: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a command found.

    cases: what it looked at, and found. answer: what else it has to say, which only JSON has room
    for, by its name there.
    """

    command: str
    cases: tuple[Case, ...]
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them, in the order of the cases."""
        return tuple(problem for case in self.cases for problem in case.problems)


Format = Callable[[Findings], Iterator[str]]


def about_files(command: str, found: Mapping[Path, tuple[Problem, ...]]) -> Findings:
    """Return the findings about experiment files, a case for each."""
    cases = (Case(group=command, name=str(file), problems=found[file]) for file in found)
    return Findings(command=command, cases=tuple(cases))


def nowhere(
    about: Path, code: str, said: str | Sentence, *, severity: Severity = Severity.ERROR
) -> Problem:
    """Return a problem that stands in no line of a file."""
    return Problem.at(Position(about, 0, 0), code, said, severity=severity)


def _json(findings: Findings) -> Iterator[str]:
    document = {
        "schema_version": SCHEMA_VERSION,
        "command": findings.command,
        "problems": [_object(problem) for problem in findings.problems],
        **findings.answer,
    }
    yield json.dumps(document, indent=1)
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
        "found": problem.found,
        "expected": problem.expected,
        "hint": problem.hint,
    }


def _github(findings: Findings) -> Iterator[str]:
    """Yield GitHub's workflow commands: the problems show beside the lines of a pull request."""
    for problem in findings.problems:
        level = "notice" if problem.severity is Severity.NOTE else problem.severity.value
        place = problem.position
        title = _escaped(problem.code, ",:")
        where = f"file={_escaped(str(place.file), ',:')},line={place.line},col={place.column},"
        where = where if place.line else ""  # it stands in no file
        yield f"::{level} {where}title={title}::{_escaped(problem.message)}\n"


def _azure(findings: Findings) -> Iterator[str]:
    """Yield Azure Pipelines' logging commands."""
    for problem in findings.problems:
        level = "error" if problem.severity is Severity.ERROR else "warning"
        place = problem.position
        file = _escaped(str(place.file), ";]")
        where = f"sourcepath={file};linenumber={place.line};columnnumber={place.column};"
        about = f"type={level};{where if place.line else ''}code={problem.code}"
        yield f"##vso[task.logissue {about}]{_escaped(problem.message)}\n"


def _escaped(text: str, more: str = "") -> str:
    """Return `text` with what ends a command's field percent-encoded, as both services ask."""
    for character in "%\r\n" + more:  # the percent sign first, or it would escape the escapes
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _by(module: str) -> Format:
    """Return a format that has a module of its own, which is loaded when it is asked for."""

    def written(findings: Findings) -> Iterator[str]:
        write: Format = import_module(module).written
        return write(findings)

    return written


FORMATS: Final[dict[str, Format]] = {
    "json": _json,
    "github": _github,
    "azure": _azure,
    "sarif": _by("amlc.display.sarif"),
    "junit": _by("amlc.display.junit"),
}
