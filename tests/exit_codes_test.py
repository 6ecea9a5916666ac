"""The exit code of a command follows from what it returned, and from nothing else."""

import errno
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from amlc.backends import Check
from amlc.collect.verdict import Verdict
from amlc.commands.steps import Run
from amlc.commands.validate import Checked
from amlc.drive import CANCELED, Progress
from amlc.errors import LockedError, Position, Problem, Severity, UsageError
from amlc.exit_codes import exit_code, of_os_error
from amlc.ledger import DamageError, LedgerError
from amlc.model import Status
from amlc.write import Build

DONE = Verdict(2, {Status.SUCCEEDED: 2}, 0)
OPEN = Verdict(2, {Status.SUCCEEDED: 1, Status.PENDING: 1}, 0)
ELSEWHERE = Verdict(2, {Status.SUCCEEDED: 1, Status.WAITING: 1}, 0)
BAD = Verdict(2, {Status.SUCCEEDED: 1, Status.FAILED: 1}, 0)
RUN = Run(manifest=SimpleNamespace(), progress=Progress(), stopped=None, verdict=DONE, partial=False)


def checked(severity):
    problem = Problem(position=Position(Path("a.yml"), 1, 1), code="E-x", message="it is wrong", severity=severity)
    return Checked(Path("a.yml"), None, (problem,))


def build(*, preview, changes):
    return Build(
        experiment="e", folder=Path("b"), revision="f" * 64, trials=1, jobs=1, changes=changes, preview=preview
    )


@pytest.mark.parametrize(
    ("command", "answer", "code"),
    [
        pytest.param("validate", [checked(Severity.WARNING), checked(Severity.NOTE)], 0, id="only-warnings"),
        pytest.param("validate", [checked(Severity.WARNING), checked(Severity.ERROR)], 1, id="an-error"),
        pytest.param("compile", build(preview=False, changes=3), 0, id="compiled"),
        pytest.param("compile", build(preview=True, changes=0), 0, id="nothing-would-change"),
        pytest.param("compile", build(preview=True, changes=1), 3, id="something-would-change"),
        pytest.param("submit", RUN, 0, id="all-done"),
        pytest.param("submit", None, 0, id="dry-run"),
        pytest.param("submit", replace(RUN, verdict=BAD, partial=True), 1, id="one-stands-failed"),
        pytest.param("submit", replace(RUN, progress=Progress(failed=1)), 1, id="one-failed-and-is-not-compiled-now"),
        pytest.param("submit", replace(RUN, verdict=OPEN), 4, id="some-not-submitted"),
        pytest.param("submit", replace(RUN, verdict=ELSEWHERE), 4, id="some-at-work-elsewhere"),
        pytest.param("submit", replace(RUN, verdict=ELSEWHERE, partial=True), 0, id="some-not-waited-for"),
        pytest.param("submit", replace(RUN, verdict=OPEN, partial=True), 0, id="some-left-out-on-purpose"),
        pytest.param("submit", replace(RUN, verdict=OPEN, stopped=CANCELED, partial=True), 1, id="canceled"),
        pytest.param("retry", replace(RUN, verdict=BAD), 1, id="retry"),
        pytest.param("retry", replace(RUN, stopped="no time", partial=True, progress=Progress()), 4, id="nothing-retried"),
        pytest.param("retry", replace(RUN, stopped="1 failed", partial=True, progress=Progress(submitted=1)), 0, id="some-retried"),
        pytest.param("run", replace(RUN, verdict=OPEN), 4, id="run"),
        pytest.param("doctor", [Check("a", is_well=True, text="")], 0, id="all-well"),
        pytest.param(
            "doctor", [Check("a", is_well=True, text=""), Check("b", is_well=False, text="")], 5, id="one-ill"
        ),
        pytest.param("status", None, 0, id="no-answer"),
    ],
)
def test_exit_code(command, answer, code):
    assert exit_code(command, answer) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, ""), 5),
        (OSError(errno.EIO, ""), 5),
        (FileNotFoundError(errno.ENOENT, ""), 2),
        (PermissionError(errno.EACCES, ""), 5),
        (OSError(errno.EROFS, ""), 5),
        (OSError("of no number"), 2),
        (LockedError(""), 5),
        (LedgerError(""), 5),
        (DamageError(""), 4),
        (UsageError(""), 2),
    ],
)
def test_what_to_try_again_is_told_from_what_to_mend(error, code):
    assert (of_os_error(error) if isinstance(error, OSError) else error.exit_code) == code


def test_the_codes_are_those_that_help_lists(capsys):
    from amlc.cli.everything import main

    help_ = " ".join((main.help or "").split())
    listed = re.findall(r"\b\d+\b", help_.partition("Exit codes:")[2])
    assert [int(code) for code in listed] == [0, 1, 2, 3, 4, 5, 129, 130, 141, 143]
