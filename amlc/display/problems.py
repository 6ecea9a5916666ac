"""Print the problems of the user's files, for people and for CI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from amlc.console import Console, in_colour
from amlc.errors import Problem, Severity, printable, shorten

if TYPE_CHECKING:  # which brings all that checks an experiment, and a plan lists sentences alone
    from amlc.commands.validate import Checked

_COLOURS: Final = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}


def show(checked: Iterable[Checked], console: Console, format_: str) -> list[Checked]:
    """Print what was found: as text to stderr, in the other formats, which are data, to stdout.

    Return it.
    """
    done = []
    for one in checked:
        if format_ == "text" and one.valid is not None:
            count = f": {one.count}" if one.count else ""
            values = f" with {listed(one.given)}" if one.given else ""
            console.note(f"{one.file}: {one.valid} is valid{values}{count}")
        done.append(one)
    if format_ != "text":
        from amlc.display.formats import FORMATS, about_files

        found: dict[Path, tuple[Problem, ...]] = {}
        for one in done:
            found[one.file] = found.get(one.file, ()) + one.problems
        console.out.writelines(FORMATS[format_](about_files("validate", found)))
        return done
    # Beside an error its warnings matter, also to those who asked for quiet.
    say = console.insist if any(one.failed for one in done) else console.note
    for one in done:
        for problem in one.problems:
            for line in lines(problem, console.err):
                say(line)
    return done


def listed(given: Mapping[str, str]) -> str:
    """Return in words what was given to a file that leaves it open."""
    return ", ".join(f"{key}={printable(shorten(text))}" for key, text in given.items())


def lines(problem: Problem, stream: TextIO) -> Iterator[str]:
    """Yield a problem as the stream is to show it: what is wrong, and the place in its file."""
    from amlc.display.excerpt import excerpt  # where nothing is wrong, nobody needs it

    coloured = in_colour(stream)
    yield _painted(problem) if coloured else str(problem)
    shown = excerpt(problem)
    if shown is not None:
        line, before = shown
        number = str(problem.position.line)
        caret = f"\x1b[{_COLOURS[problem.severity]}m^\x1b[0m" if coloured else "^"
        yield f"  {number} | {line}"
        yield f"  {' ' * len(number)} | {before}{caret}"


def _painted(problem: Problem) -> str:
    """Return the problem's text with its place in bold and its code in the severity's colour."""
    text, colour = str(problem), _COLOURS[problem.severity]
    end = text.index(": ", len(str(problem.position)))
    code = len(f"[{problem.code}]")
    place, message, last = text[:end], text[end:-code], text[-code:]
    return f"\x1b[1m{place}\x1b[0m{message}\x1b[{colour}m{last}\x1b[0m"
