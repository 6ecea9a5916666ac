"""What whoever watches a run sees of it."""

import io
from dataclasses import fields

import pytest

from amlc.console import Console
from amlc.display import progress as module
from amlc.drive import Progress

DOWN = "Azure cannot be reached."


def now(**values):
    """Return a progress with these values, zero where none is given."""
    plain = {field.name: None if field.name == "outage" else 0 for field in fields(Progress)}
    return Progress(**{**plain, **values})


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def watched():
    def run(*told, err, most=10, quiet=False):
        with module.watching("tiny", Console(io.StringIO(), err, quiet), most=most) as watch:
            for one in told:
                watch(one)
        return err.getvalue()

    return run


@pytest.mark.parametrize("quiet", [False, True])
def test_elsewhere_than_on_a_terminal_only_an_outage_is_said_and_once(watched, quiet):
    said = watched(now(), now(outage=DOWN), now(outage=DOWN), now(), now(outage=DOWN), err=io.StringIO(), quiet=quiet)
    assert said == f"{DOWN} The jobs run on meanwhile; waiting until it answers.\n" * 2


def test_a_terminal_shows_how_far_it_has_come(watched, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    said = watched(now(outage=DOWN), now(before=2, ended=3, running=4, failed=1), err=Terminal())
    assert "tiny" in said
    assert "5/10" in said
    assert "4 running, 1 failed" in said
    assert DOWN in said
    assert " left" in said


def test_without_a_known_end_nothing_is_said_of_what_is_left(watched, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    assert " left" not in watched(now(ended=3), err=Terminal(), most=None)


def test_a_terminal_is_left_alone_when_it_is_to_be_quiet(watched):
    assert watched(now(ended=3), err=Terminal(), quiet=True) == ""
