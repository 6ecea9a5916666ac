"""The files beside an experiment do what they say."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from amlc.commands.init import Wishes, init
from amlc.config.schema import schema_text
from amlc.starting.project import MODELINE, SCHEMA, companions

FOR_TPE = ", tpe_args: {n_startup_jobs: 4}"
TRIAL = "import nni\nnni.report_final_result(nni.get_next_parameter()['lr'])\n"


@pytest.fixture
def begun(project):
    """A folder in which `amlc init` was run, with an `amlc` on the PATH."""
    file = init(project.root, wishes=Wishes(trials=3)).file
    file.write_text(file.read_text(encoding="utf-8").replace("name: TPE", "name: Random").replace(FOR_TPE, ""), encoding="utf-8")
    (project.root / "trial.py").write_text(TRIAL, encoding="utf-8")
    bin_ = project.root.parent / "bin"
    bin_.mkdir()
    amlc = bin_ / "amlc"
    amlc.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m amlc "$@"\n', encoding="utf-8")
    amlc.chmod(0o755)
    project.environ["PATH"] = f"{bin_}:{project.environ['PATH']}"
    return project


def shell(project, script):
    done = subprocess.run(
        ["sh", "-e", "-c", script], cwd=project.root, env=project.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_make_runs_the_experiment_and_goes_on_where_it_was(begun):
    if not shutil.which("make"):
        pytest.skip("make is missing")
    assert "3 of 3 trials done" in shell(begun, "make validate plan run status").stderr
    rows = (begun.root / "results.csv").read_text().splitlines()
    assert len(rows) == 4
    shell(begun, "make run")
    assert (begun.root / "results.csv").read_text().splitlines() == rows
    shell(begun, "make clean")
    assert not (begun.root / "build").exists()
    assert (begun.root / ".amlc").exists()


def test_the_workflow_says_what_would_be_run(begun):
    workflow = yaml.safe_load((begun.root / ".github/workflows/experiment.yml").read_text(encoding="utf-8"))
    steps = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    mine = [step for step in steps if step.startswith("amlc ")]
    assert [step for step in steps if step not in mine] == ['pip install "$AMLC"']
    assert "0 of 3 trials done" in shell(begun, "\n".join(mine)).stdout


def test_the_editor_is_told_the_schema_that_lies_there():
    assert f"# yaml-language-server: $schema={SCHEMA}\n" == MODELINE
    assert companions("e.yml", schema_text())[SCHEMA] == schema_text()


def test_what_stands_beside_an_experiment_is_no_trial_code(begun):
    begun.compile()
    code = next(begun.folders.build.glob("*/code"))
    names = {path.name for path in Path(code).iterdir() if not path.name.startswith("amlc_")}
    assert names == {"experiment.yml", "trial.py"}


def test_git_sees_what_is_worth_it(begun):
    if not shutil.which("git"):
        pytest.skip("git is missing")
    begun.compile()
    begun.folders.state.mkdir()
    for name in ("results.csv", "report.html", ".amlc/ledger.db"):
        (begun.root / name).write_text("x", encoding="utf-8")
    shell(begun, "git init -q .")
    seen = shell(begun, "git ls-files --others --exclude-standard").stdout.split()
    assert seen == [
        ".amlignore", ".github/workflows/experiment.yml", ".gitignore", "Makefile", SCHEMA, "experiment.yml", "trial.py",
    ]  # fmt: skip
