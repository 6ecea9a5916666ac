"""What compile says of what it wrote, and what `--check` and `--diff` show without writing."""

import io
from dataclasses import fields, replace
from pathlib import Path

import pytest

from amlc.commands.compile import compile_, tell
from amlc.write import Summary
from tests.plan_test import experiment


def compiled(project, *, check=False, diff=False, quiet=False):
    out, err = io.StringIO(), io.StringIO()
    code = compile_(
        file=project.root / "experiment.yml",
        backend=None,
        folders=project.folders,
        check=check,
        diff=diff,
        quiet=quiet,
        out=out,
        err=err,
    )
    return code, out.getvalue(), err.getvalue()


def test_check_shows_what_would_change_and_writes_nothing(project):
    project.write(values=range(2))
    code, out, err = compiled(project, check=True)
    assert code == 3
    assert all(line.startswith("+ ") for line in out.splitlines())
    assert "would change" in err
    assert not project.folders.build.exists()
    assert compiled(project)[0] == 0
    assert compiled(project, check=True)[:2] == (0, "")
    project.write(values=range(1, 3))
    code, out, _ = compiled(project, check=True)
    assert (code, {line[0] for line in out.splitlines()}) == (3, {"+", "-"})


def test_a_file_that_was_changed_by_hand_is_shown(project):
    project.write().compile()
    path = next((project.folders.build / "probe" / "jobs").glob("*.yml"))
    path.write_text("by hand")
    code, out, _ = compiled(project, check=True)
    assert (code, out.startswith("~ "), path.name in out) == (3, True, True)


def test_diff_shows_how(project):
    project.write(values=[1]).compile()
    project.write(values=[2])
    code, out, _ = compiled(project, diff=True)
    assert code == 3
    assert "--- /dev/null\n+++ b/" in out
    assert "\n+++ /dev/null\n" in out
    assert out.endswith("\n")


@pytest.mark.parametrize(("quiet", "said"), [(False, True), (True, False)])
def test_warnings_and_counts_are_left_out_quietly(project, quiet, said):
    _, out, err = compiled(project.write(debug=True), quiet=quiet)
    assert (out, "W-no-effect" in err, "4 trials in 4 jobs" in err) == ("", said, said)


@pytest.mark.parametrize(
    ("trials", "jobs", "changes", "line"),
    [
        (1, 1, 0, "e: 1 trial in 1 job, revision ffffff, nothing changed: b/"),
        (12_000, 3, 1, "e: 12,000 trials in 3 jobs, revision ffffff, 1 files changed: b/"),
        (0, 0, 2, "e: 0 trials in 0 jobs, revision ffffff, 2 files changed: b/"),
    ],
)
def test_what_was_compiled_is_one_line(trials, jobs, changes, line):
    err = io.StringIO()
    values = {"folder": Path("b"), "revision": "f" * 64, "jobs": jobs, "trials": trials, "changes": changes}
    summary = Summary(**{field.name: values.get(field.name) for field in fields(Summary)})
    tell(replace(experiment(), name="e"), summary, "files changed", err)
    assert err.getvalue() == f"{line}\n"
