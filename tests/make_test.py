"""`make compile` does what is needed and nothing else, through the depend.mk that the compiler writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WEIRD = ["a b.txt", "it's.txt", "lr=0.1.txt", "c:d.txt", "50%.txt", "#1.txt", "$x.txt", "a;b.txt", "p|q.txt", "s*.txt",
         "[x].txt", "back\\slash.txt", "new\nline.txt", "ünï🙂.txt", "~t.txt", "(p).txt", "t\ta.txt", "q?.txt"]  # fmt: skip


class Project:
    """A folder with amlc's Makefile, an experiment, and a virtual environment that is there already."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("pyproject.toml", "requirements/run.txt", "requirements/test.txt"):
            self.put(name, "")
        shutil.copy(ROOT / "Makefile", root)
        amlc = self.put(
            ".venv/bin/amlc", f'#!/bin/sh\necho "$@" >> "{root}/calls"\nexec "{sys.executable}" -m amlc "$@"\n'
        )
        amlc.chmod(0o755)
        for name in (".run", ".test"):
            self.put(f".venv/{name}", "")
        self.put("trials/code/trial.py", "print(1)\n")
        self.put("trials/space.json", '{"x": {"_type": "choice", "_value": [1, 2]}}')
        self.put("trials/templates/extra.j2", "")
        self.experiment("trials/experiment.yml")
        self.age()

    def experiment(self, name: str, **keys: object) -> None:
        config = {
            "experimentName": Path(name).stem,
            "searchSpaceFile": "space.json",
            "trialCommand": "python3 trial.py",
            "trialCodeDirectory": "code",
            "trialConcurrency": 1,
            "tuner": {"name": "GridSearch"},
            "trainingService": {"platform": "local"},
            "amlc": {"templates": "templates"},
            **keys,
        }
        self.put(name, json.dumps(config))

    def put(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def age(self) -> None:
        """Make everything ten seconds older than now, so that what changes next is newer than what was made."""
        then = time.time() - 10
        for path in self.root.rglob("*"):
            if "build" not in path.parts:
                os.utime(path, (then, then))

    def make(self, *arguments: str, code: int = 0) -> int:
        """Run make; return how often that called the compiler."""
        before = self.calls()
        done = subprocess.run(
            ["make", *(arguments or ("compile",))],
            cwd=self.root,
            env={
                **{
                    name: value
                    for name, value in os.environ.items()
                    if not name.startswith(("MAKE", "MFLAGS", "AMLC_"))
                },
                "PYTHONPATH": str(ROOT),
                "EXPERIMENT": "trials/experiment.yml",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        self.said = done.stdout + done.stderr
        return self.calls() - before

    def calls(self) -> int:
        path = self.root / "calls"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def project(tmp_path) -> Project:
    made = Project(tmp_path)
    assert made.make() == 1
    return made


def test_a_second_make_compile_does_nothing(project) -> None:
    assert project.make() == 0


INPUTS = [
    pytest.param("trials/experiment.yml", id="experiment"),
    pytest.param("trials/space.json", id="search space"),
    pytest.param("trials/code/trial.py", id="trial code"),
    pytest.param("trials/templates/extra.j2", id="template"),
]


@pytest.mark.parametrize("name", INPUTS)
def test_touching_an_input_compiles_once(project, name) -> None:
    (project.root / name).touch()
    assert project.make() == 1
    assert project.make() == 0


def test_a_new_file_of_the_trial_code_compiles(project) -> None:
    project.put("trials/code/new.py", "")
    assert project.make() == 1
    assert (project.root / "build/experiment/code/new.py").is_file()
    project.put("trials/code/sub/deep.py", "")
    assert project.make() == 1
    project.put("trials/code/sub/deeper.py", "")
    assert project.make() == 1
    assert project.make() == 0


@pytest.mark.parametrize("name", ["trials/code/old.py", "trials/code/sub/old.py"])
def test_a_file_that_is_gone_compiles_instead_of_stopping_make(project, name) -> None:
    path = project.put(name, "")
    assert project.make() == 1
    path.unlink()
    assert project.make() == 1
    assert not (project.root / "build/experiment/code" / Path(name).relative_to("trials/code")).exists()
    assert project.make() == 0


def test_another_value_of_a_variable_compiles_once(project, monkeypatch) -> None:
    monkeypatch.setenv("TOP", "0.1")
    project.put("trials/space.json", '{"x": {"_type": "choice", "_value": ["${TOP}", 1]}}')
    assert (project.make(), project.make()) == (1, 0)
    monkeypatch.setenv("TOP", "it's $(x), #1 $$ \\ \"q\"")
    assert (project.make(), project.make()) == (1, 0)
    again = ("compile", "TOP=3")
    assert (project.make(*again), project.make(*again)) == (1, 0)


def test_a_whole_folder_that_is_gone_compiles(project) -> None:
    project.put("trials/code/sub/a/b.py", "")
    assert project.make() == 1
    shutil.rmtree(project.root / "trials/code/sub")
    assert project.make() == 1
    assert project.make() == 0


def test_an_experiment_that_is_gone_is_amlcs_error_not_makes(project) -> None:
    (project.root / "trials/space.json").unlink()
    project.make(code=2)
    assert "space.json" in project.said
    assert "No rule to make target" not in project.said


def test_a_manifest_that_is_gone_compiles(project) -> None:
    (project.root / "build/experiment/manifest.json").unlink()
    assert project.make() == 1
    assert project.make() == 0


def test_a_compile_that_fails_is_tried_again(project) -> None:
    good = (project.root / "trials/experiment.yml").read_text()
    project.put("trials/experiment.yml", "nonsense: [")
    project.make(code=2)
    project.make(code=2)
    project.put("trials/experiment.yml", good)
    assert project.make() == 1
    assert project.make() == 0


def test_any_file_name_survives_make(project) -> None:
    files = [project.put(f"trials/code/{name}", "") for name in WEIRD]
    folders = [project.put(f"trials/code/dir {name}/inner.py", "").parent for name in WEIRD]
    assert project.make() == 1
    assert project.make() == 0, project.said
    for path in [*files, *folders]:
        then = path.stat()
        path.touch()
        project.make("-q", "compile", code=1)
        os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
        project.make("-q", "compile", code=0)
    for path, folder in zip(files, folders, strict=True):
        path.unlink()
        shutil.rmtree(folder)
    assert project.make() == 1
    assert project.make() == 0, project.said


def test_parallel_make_compiles_once(project) -> None:
    project.put("trials/code/new.py", "")
    assert project.make("-j4", "compile", "compile") == 1
    assert project.make("-j4") == 0


def test_a_second_experiment_has_rules_of_its_own(project) -> None:
    project.experiment("trials/other.yml", trialConcurrency=2)
    assert project.make("compile", "EXPERIMENT=trials/other.yml") == 1
    assert project.make("compile", "EXPERIMENT=trials/other.yml") == 0
    assert project.make() == 0
    (project.root / "trials/other.yml").touch()
    assert project.make() == 0
    assert project.make("compile", "EXPERIMENT=trials/other.yml") == 1


@pytest.mark.parametrize("name", ["my exp.yml", "a=b.yml", "a:b.yml", "a#b.yml", "50%.yml"])
def test_an_experiment_with_an_odd_name_does_not_break_make_for_the_others(project, name) -> None:
    project.experiment(f"trials/{name}", experimentName="odd")
    subprocess.run(
        [project.root / ".venv/bin/amlc", "compile", f"trials/{name}"],
        cwd=project.root, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert project.make() == 0, project.said


def test_clean_takes_the_builds_and_leaves_what_happened(project) -> None:
    project.put(".amlc/experiment/downloads/x/std_log.txt", "facts")
    project.put("build/.gitignore", "*\n")
    project.make("clean")
    assert os.listdir(project.root / "build") == [".gitignore"]
    assert (project.root / ".amlc/experiment/downloads/x/std_log.txt").read_text() == "facts"
    assert project.make() == 1
