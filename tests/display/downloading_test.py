"""What whoever waits for a download sees of it, and what a script gets."""

import io
from pathlib import Path

from amlc.commands.download import Downloaded
from amlc.console import Console
from amlc.display import downloading
from amlc.model import Trial
from tests.display.progress_test import Terminal


def watched(err, *, quiet=False):
    with downloading.watching(Console(io.StringIO(), err, quiet)) as watch:
        watch("model/[bold]weights", 500_000, 2_000_000)
    return err.getvalue()


def test_a_terminal_shows_how_much_is_there(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    said = watched(Terminal())
    assert "0.5/2.0 MB" in said
    assert "model/[bold]weights" in said


def test_elsewhere_and_quietly_nothing_is_said():
    assert watched(io.StringIO()) == ""
    assert watched(Terminal(), quiet=True) == ""


def test_the_folder_is_data_and_the_rest_is_said(monkeypatch):
    raw, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, write_through=True)
    trial = Trial("0123", 7, {})
    downloading.show(Downloaded(trial, "job", Path("a b"), 2, 1234), Console(out, err, False))
    assert raw.getvalue() == b"a b\n"
    assert err.getvalue() == "trial 0123 (#7): 2 files, 1,234 bytes\n"
    downloading.show(Downloaded(trial, "job", Path("a b"), 2, 1234, 1), Console(out, err, False))
    assert "1 of them from 'outputs/', which the trials of its job share" in err.getvalue()
