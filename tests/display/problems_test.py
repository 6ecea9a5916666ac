"""A problem shows with its line, in colour where a person on a terminal wants it."""

import io
from pathlib import Path

import pytest

from amlc.display.problems import lines
from amlc.errors import Position, Problem, Severity


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def problem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    Path("a.yml").write_text("x: 1\nlr: 3\n")
    return Problem(position=Position(Path("a.yml"), 2, 5), code="W-x", message="odd", path="/lr", severity=Severity.WARNING)


def test_the_line_stands_below_its_problem(problem):
    assert list(lines(problem, io.StringIO())) == ["a.yml:2:5 /lr: warning: odd [W-x]", "  2 | lr: 3", "    |     ^"]


def test_a_terminal_has_colours_unless_the_reader_minds(problem, monkeypatch):
    plain = list(lines(problem, io.StringIO()))
    coloured = "\n".join(lines(problem, Terminal()))
    assert "\x1b[1ma.yml:2:5 /lr\x1b[0m" in coloured
    assert "\x1b[33m^\x1b[0m" in coloured
    for escape in ("\x1b[1m", "\x1b[33m", "\x1b[0m"):
        coloured = coloured.replace(escape, "")
    assert coloured.splitlines() == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert list(lines(problem, Terminal())) == plain
