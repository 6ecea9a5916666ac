"""The best trial, and the page with all of them."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from amlc.commands.collect import best
from amlc.console import Console
from amlc.display.results import _folder_of, show_best, show_report
from amlc.errors import UsageError
from amlc.model import Status


def test_the_best_trial_is_named_with_what_is_wrong_beside_it(story):
    story.end(0, final=1.0)
    story.end(1, final=3.0)
    story.end(2, Status.FAILED, final=9.0, error="it broke")
    show_best(best(story.manifest, folders=story.folders, mode="minimize"), "probe", story.console())
    assert "default = 1, the best by minimize" in story.err.getvalue()
    assert f"; but #{story.entries[2].trials[0].sequence} is" not in story.err.getvalue()


def test_what_is_wrong_with_the_best_is_said(story):
    story.end(1, final=3.0)
    story.end(2, Status.FAILED, final=9.0, error="it broke")
    show_best(best(story.manifest, folders=story.folders, mode="maximize"), "probe", story.console())
    assert "the best by maximize; but #2 is failed: it broke" in story.err.getvalue()
    assert json.loads(story.raw.getvalue()) == {"x": 2}


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
