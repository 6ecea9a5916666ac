"""The best trial, and the page with all of them."""

import io
import os
import sys
from pathlib import Path

import pytest

from amlc.collect.rows import Row
from amlc.commands.collect import Best, best
from amlc.console import Console
from amlc.display.results import _folder_of, show_best, show_best_job, show_report
from amlc.errors import UsageError
from amlc.model import Status, Trial


@pytest.mark.parametrize("show", [show_best, lambda found, _, console: show_best_job(found, console)])
@pytest.mark.parametrize(("mode", "is_said"), [("minimize", False), ("maximize", True)])
def test_a_better_number_that_does_not_count_is_said(story, show, mode, is_said):
    story.end(0, final=1.0)
    story.end(1, final=3.0)
    story.end(2, Status.FAILED, final=9.0, error="it broke")
    story.end(3, Status.EARLY_STOPPED, final=4.0)
    show(best(story.manifest, folders=story.folders, mode=mode), "probe", story.console())
    line = (
        "#2 reported 9, which is better, and is failed (it broke): only the result of a trial that succeeded counts\n"
    )
    assert story.err.getvalue().endswith(line) is is_said
    assert "(#1)" in story.err.getvalue() or not is_said


def test_a_mean_is_said_with_the_trials_that_count(story):
    rows = [Row(Trial(f"{n}" * 16, n, {"x": 1}), None, (n + 1,), status) for n, status in enumerate(
        [Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED])]  # fmt: skip
    show_best(Best(rows, 2.0, "maximize", True, None), "probe", story.console())
    assert story.err.getvalue() == "trials #0, #1, #2: mean default of #0, #2 = 2, the best by maximize\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_cannot_show_it(story):
    with pytest.raises(UsageError, match="write it to a file: amlc report > report"):
        show_report(story.manifest, Console(Terminal(), story.err), story.folders)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it takes the working folder")
def test_the_report_knows_in_which_folder_it_is_going_to_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    with (tmp_path / "sub" / "a b.html").open("wb") as file:
        assert _folder_of(file) == tmp_path / "sub"
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        assert _folder_of(pipe) == Path()
    assert _folder_of(io.BytesIO()) == Path()
