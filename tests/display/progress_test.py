"""What whoever watches a run sees of it."""

import io
import time

import pytest
import rich.console
from rich.progress import Task

from amlc.attempts import Attempt
from amlc.console import Console
from amlc.display import progress as module
from amlc.display.bar import _Column
from amlc.drive import Progress
from amlc.leader import Ended, Lead
from amlc.model import Observation, Status, Trial

DOWN = "Azure cannot be reached."


def now(**values):
    return Progress(**values)


def ended(number, value=None, status=Status.SUCCEEDED, error=None, best=None):
    """Return a trial that ended; value: its final result, None: there is none."""
    trial = Trial(f"{number:016x}", number, {"x": number})
    latest = Observation(job=f"tiny-{trial.id}-abcdef", status=status, error=error)
    attempt = Attempt(id=trial.id, number=1, trials=(trial,), revision="abcdef", backend="local", losses=0, latest=latest)
    return Ended(trial, attempt, () if value is None else (value,), best)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def watched():
    def run(*told, err, most=10, quiet=False, clock=time.monotonic):
        with module.watching("tiny", Console(io.StringIO(), err, quiet), most=most, clock=clock) as watch:
            for one in told:
                watch(one)
        return err.getvalue()

    return run


@pytest.mark.parametrize("quiet", [False, True])
def test_elsewhere_than_on_a_terminal_only_an_outage_is_said_and_once(watched, quiet):
    said = watched(now(), now(outage=DOWN), now(outage=DOWN), now(), now(outage=DOWN), err=io.StringIO(), quiet=quiet)
    assert said == f"{DOWN} The jobs run on meanwhile; waiting until it answers.\n" * 2


LINES = {
    "a number": ([ended(3, 0.5)], "#3 succeeded: 0.5; 1 of 10 ended\n"),
    "a mapping": ([ended(3, {"default": 1 / 3, "n": 2})], "#3 succeeded: default=0.333333 n=2; 1 of 10 ended\n"),
    "nothing": ([ended(3)], "#3 succeeded: no final result; 1 of 10 ended\n"),
    "a failure": ([ended(3, status=Status.FAILED, error="KeyError: lr")], "#3 failed: KeyError: lr; 1 of 10 ended\n"),
    "stopped early": ([ended(3, status=Status.EARLY_STOPPED)], "#3 early_stopped; 1 of 10 ended\n"),
    "orders to a terminal": ([ended(3, {"\x1b[2J": "a\nb"})], "#3 succeeded: \\x1b[2J=a\\nb; 1 of 10 ended\n"),
    "two": ([ended(3, 1), ended(1, 2)], "#3 succeeded: 1; 1 of 10 ended\n#1 succeeded: 2; 2 of 10 ended\n"),
}


@pytest.mark.parametrize(("news", "expected"), LINES.values(), ids=LINES)
def test_elsewhere_each_trial_that_ends_is_a_line(watched, news, expected):
    assert watched(now(ended=len(news), news=news), now(ended=len(news)), err=io.StringIO()) == expected
    assert watched(now(ended=len(news), news=news), err=io.StringIO(), quiet=True) == ""


def test_the_best_so_far_is_named_there_and_on_a_terminal(watched, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    before, then = Lead([ended(1, 0.25)], 0.25), Lead([ended(4, 0.125)], 0.125)
    one = now(before=2, ended=2, news=[ended(3, 0.5, best=before), ended(4, 0.125, best=then)], best=then)
    assert watched(one, err=io.StringIO()).splitlines() == [
        "#3 succeeded: 0.5; 3 of 10 ended; best 0.25 (#1)",
        "#4 succeeded: 0.125; 4 of 10 ended; best 0.125 (#4)",
    ]
    assert "best 0.125 (#4)" in watched(one, err=Terminal())


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2], "mean of #0, #1"), ([1, None], "#0"), ([1] * 5, "mean of #0, #1, #2, #3, …")],
)
def test_of_replicates_those_that_count_are_named(watched, values, expected):
    best = Lead([ended(number, value) for number, value in enumerate(values)], 1.5)
    said = watched(now(ended=1, news=[ended(0, 1, best=best)]), err=io.StringIO())
    assert said == f"#0 succeeded: 1; 1 of 10 ended; best 1.5 ({expected})\n"


def test_what_is_left_is_said_once_it_is_a_minute(watched):
    clock = iter([0.0, 30.0, 31.0, 32.0, 33.0, 34.0]).__next__
    said = watched(now(ended=1, news=[ended(0, 1)]), err=io.StringIO(), clock=clock)
    assert said == "#0 succeeded: 1; 1 of 10 ended, 0:04:30 left\n"


def test_where_nothing_ends_for_long_that_is_said(watched):
    clock = iter([0.0, 100.0, 301.0, 301.0, 302.0]).__next__
    said = watched(now(running=2), now(running=2, before=3), now(running=2), err=io.StringIO(), clock=clock)
    assert said == "2 running, 3 ended, 0 failed\n"


def test_a_terminal_shows_how_far_it_has_come(watched, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    said = watched(now(outage=DOWN), now(before=2, ended=3, running=4, failed=1), err=Terminal())
    assert "tiny" in said
    assert "5/10" in said
    assert "4 running, 1 failed" in said
    assert DOWN in said
    assert " left" in said


PACE = ("7.3/s", "0:00:01 left", "best 0.123457 (#3)")
LONG = "an experiment with quite a long name"


@pytest.mark.parametrize(
    ("width", "name", "expected"),
    [
        (120, "tiny", "tiny ━━━━━─────────────── 4/14 2 running, 2 failed 0:00:00 7.3/s, 0:00:01 left, best 0.123457 (#3)"),
        (90, "tiny", "tiny ━━━───────── 4/14 2 running, 2 failed 0:00:00 7.3/s, 0:00:01 left, best 0.123457 (#3)"),
        (80, "tiny", "tiny 4/14 2 running, 2 failed 0:00:00 7.3/s, 0:00:01 left, best 0.123457 (#3)"),
        (80, LONG, "an experiment… 4/14 2 running, 2 failed 0:00:00 0:00:01 left, best 0.123457 (#3)"),
        (60, "tiny", "tiny 4/14 2 running, 2 failed 0:00:00 best 0.123457 (#3)"),
        (60, LONG, "an expe… 4/14 2 running, 2 failed 0:00:00 best 0.123457 (#3)"),
        (40, "tiny", "tiny 4/14 2 running, 2 failed 0:00:00"),
        (40, LONG, "an exp… 4/14 2 running, 2 failed 0:00:00"),
    ],
)
def test_numbers_are_whole_on_a_narrow_terminal(width, name, expected):
    task = Task(0, name, 14, 4, lambda: 10.0, fields={"running": 2, "failed": 2, "pace": PACE})
    task.start_time = 10.0
    terminal = rich.console.Console(file=io.StringIO(), width=width, color_system=None)
    terminal.print(_Column().render(task))
    assert terminal.file.getvalue().rstrip() == expected


def test_without_a_known_end_nothing_is_said_of_what_is_left(watched, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    assert " left" not in watched(now(ended=3), err=Terminal(), most=None)


def test_a_terminal_is_left_alone_when_it_is_to_be_quiet(watched):
    assert watched(now(ended=3), err=Terminal(), quiet=True) == ""
