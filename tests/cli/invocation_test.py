"""What a call of the command line knows, before any command runs."""

import io
import os
import sys
import time

import pytest

from amlc.folders import Folders
from amlc.cli.invocation import Invocation, say


@pytest.mark.parametrize(("quiet", "at_once"), [(False, "warning: odd\n"), (True, "")])
def test_quietly_a_warning_waits_for_the_case_that_all_does_not_go_well(capsys, quiet, at_once):
    call = Invocation()
    call.quiet = quiet
    call.warn("warning: odd")
    assert capsys.readouterr().err == at_once
    call.say_held()
    assert capsys.readouterr().err == ("warning: odd\n" if quiet else "")


def test_a_file_is_read_and_what_is_odd_in_it_is_said(project, capsys):
    call = Invocation()
    experiment = call.load(project.write(debug=True).root / "experiment.yml", None)
    assert experiment.name == "probe"
    assert "W-no-effect" in capsys.readouterr().err


def test_it_knows_where_everything_is(project):
    call = Invocation()
    call.place(project.folders.build, project.folders.state)
    assert call.folders == Folders(project.folders.build, project.folders.state)
    project.write().compile()
    assert call.manifest(None) == call.manifest("probe") == project.manifest
    assert call.teller.folders is call.folders


@pytest.mark.parametrize(("command", "tuner", "said"), [
    ("plan", "GridSearch", True),
    ("plan", "TPE", True),
    ("submit", "GridSearch", True),
    ("submit", "TPE", False),  # it compiles what the file says now
])  # fmt: skip
def test_a_file_that_was_changed_since_it_was_compiled_is_named(project, capsys, command, tuner, said):
    keys = {"tuner": {"name": tuner}, "maxTrialNumber": 3}
    call = Invocation()
    call.command = command
    call.place(project.folders.build, project.folders.state)
    project.write(**keys).compile()
    call.manifest(None)
    assert capsys.readouterr().err == ""
    os.utime(project.root / "experiment.yml", (time.time() + 60,) * 2)
    call.manifest(None)
    words = "is newer than what was compiled of it, which is what this is about. Compile it again: amlc compile "
    assert (words in capsys.readouterr().err) is said


def test_a_line_that_nobody_can_take_stops_nothing(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    say("a line")
