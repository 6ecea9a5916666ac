"""The best trial, and the page with all of them."""

import io
import json

import pytest

from amlc.commands.collect import best
from amlc.console import Console
from amlc.display.results import show_best, show_report
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
