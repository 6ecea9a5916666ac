"""What was compiled, in a line, and what would change."""

import io
from pathlib import Path

import pytest

from amlc.console import Console
from amlc.display.building import changes, differences, show
from amlc.write import Build


@pytest.mark.parametrize(
    ("trials", "jobs", "changed", "is_open", "line"),
    [
        (1, 1, 0, False, "e: 1 trial in 1 job, revision ffffff, nothing changed: b/"),
        (12_000, 3, 1, False, "e: 12,000 trials in 3 jobs, revision ffffff, 1 file changed: b/"),
        (2, 2, 4, True, "e: 2 trials in 2 jobs, revision ffffff, 4 files changed: b/; the tuner is asked for more as it runs"),
        (0, 1, 2, False, "e: 1 sweep, whose trials are drawn as it runs, revision ffffff, 2 files changed: b/"),
        (0, 0, 2, True, "e: the tuner is asked for trials as it runs, revision ffffff, 2 files changed: b/"),
    ],
)  # fmt: skip
def test_what_was_compiled_is_one_line(trials, jobs, changed, is_open, line):
    err = io.StringIO()
    build = Build(
        experiment="e", folder=Path("b"), revision="f" * 64, jobs=jobs, trials=trials, changes=changed, is_open=is_open
    )
    show(build, Console(io.StringIO(), err))
    assert err.getvalue() == f"{line}\n"


@pytest.mark.parametrize(("made", "is_said"), [(4, True), (8, False), (None, False)])
def test_trials_on_record_beside_those_that_the_file_makes_are_said(made, is_said):
    err = io.StringIO()
    build = Build(experiment="e", folder=Path("b"), revision="f" * 64, jobs=8, trials=8, changes=0, made=made)
    show(build, Console(io.StringIO(), err))
    line = (
        "e: maxTrialNumber, 4, counts the trials that the file makes now; "
        "those on record that are none of these stay beside them"
    )
    assert err.getvalue().splitlines()[1:] == ([line] if is_said else [])


def told(preview, old, new):
    out = io.StringIO()
    preview(Console(out, io.StringIO(), quiet=True))(Path("b/x"), old, new)
    return out.getvalue()


@pytest.mark.parametrize(("old", "new", "mark"), [(None, b"1", "+"), (b"1", None, "-"), (b"1", b"2", "~")])
def test_a_file_that_would_change_has_a_mark(old, new, mark):
    assert told(changes, old, new) == f"{mark} b/x\n"


def test_how_it_would_change_is_a_patch():
    assert told(differences, b"1\n2", b"1\n3") == "--- a/b/x\n+++ b/b/x\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"
    assert told(differences, None, b"1\n").startswith("--- /dev/null\n+++ b/b/x\n")
    assert told(differences, b"1\n", None).startswith("--- a/b/x\n+++ /dev/null\n")
