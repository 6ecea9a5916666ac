"""The build folder holds exactly what the experiment says, whatever was there and whenever a compile was cut short."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from amlc.commands.compile import compile_
from amlc.config import load_experiment
from amlc.console import Console
from amlc.display.building import changes
from amlc.display.building import differences as diffs
from amlc.errors import PlanError, TemplateError
from amlc.exit_codes import exit_code
from amlc.experience import Past
from amlc.folders import Folders
from amlc.manifest import CutShortError, job_text, read_manifest
from amlc.plan import plan
from amlc.revision import differences, read_contents
from amlc.write import Build, write

SPACE = {"x": {"_type": "choice", "_value": [1, 2, 3]}}


class Project:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.build = root / "build"
        self.keys: dict[str, Any] = {
            "experimentName": "exp",
            "searchSpace": SPACE,
            "trialCommand": "python3 trial.py",
            "trialCodeDirectory": "code",
            "trialConcurrency": 1,
            "tuner": {"name": "GridSearch"},
            "trainingService": {"platform": "local"},
        }
        self.put("code/trial.py", "print(1)\n")
        self.put("code/lib/a b.py", "")

    def put(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def write(self, *, submitted: Any = (), **keys: Any) -> Build:
        self.keys |= keys
        self.put("experiment.yml", json.dumps(self.keys))
        experiment, _ = load_experiment(self.root / "experiment.yml", environ={})
        self.experiment = experiment
        return write(experiment, Folders(self.build), Past(tuple(submitted)), backend="local")

    def compile(self, *, check: bool = False, diff: bool = False) -> tuple[int, str]:
        """Run the command; return its exit code and what it wrote to stdout."""
        out = io.StringIO()
        console = Console(out, io.StringIO(), quiet=True)
        preview = diffs(console) if diff else changes(console) if check else None
        experiment, _ = load_experiment(self.root / "experiment.yml", environ=os.environ)
        places = Folders(self.build, self.root / ".amlc")
        build = compile_(experiment, backend=None, folders=places, preview=preview)
        return exit_code("compile", build), out.getvalue()

    @property
    def folder(self) -> Path:
        return self.build / "exp"

    def tree(self) -> dict[str, tuple[bytes, int]]:
        """Every file of the build folder with its content and mode."""
        return {
            path.relative_to(self.build).as_posix(): (path.read_bytes(), path.stat().st_mode & 0o777)
            for path in sorted(self.build.rglob("*"))
            if path.is_file()
        }

    def stamps(self) -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino)
            for path in [*self.build.rglob("*")]
            if path.is_file()
        }


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def test_a_build_has_code_jobs_manifest_and_dependencies(project) -> None:
    summary = project.write()
    names = project.tree().keys()
    assert {
        "exp/manifest.json",
        "exp/depend.mk",
        "exp/code/trial.py",
        "exp/code/lib/a b.py",
        "exp/code/amlc_runner.py",
    } <= names
    jobs = sorted(name for name in names if name.startswith("exp/jobs/"))
    assert jobs == [f"exp/{job.file}" for job in plan(project.experiment)]
    assert (summary.trials, summary.jobs, summary.folder) == (3, 3, project.folder)


def test_the_manifest_names_every_job_file_by_its_digest(project) -> None:
    project.write()
    for entry in read_manifest(project.folder).entries():
        content = (project.folder / entry.file).read_bytes()
        assert entry.sha256 == hashlib.sha256(content).hexdigest()
        assert job_text(project.folder, entry) == content


def test_a_second_write_changes_nothing(project) -> None:
    project.write()
    before = project.stamps()
    assert project.write().changes == 0
    after = project.stamps()
    manifest = str(project.folder / "manifest.json")
    assert before.pop(manifest)[0] <= after.pop(manifest)[0]  # its time is new, so that make knows
    assert after == before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("jobs/{job}", lambda path: path.write_text("name: mine\n"), id="a job file edited"),
        pytest.param("jobs/{job}", lambda path: path.unlink(), id="a job file removed"),
        pytest.param("jobs/mine.yml", lambda path: path.touch(), id="a job file added"),
        pytest.param("code/trial.py", lambda path: path.write_text("print(2)\n"), id="code edited"),
        pytest.param("code/trial.py", lambda path: path.chmod(0o755), id="code made executable"),
        pytest.param("code/trial.py", lambda path: path.unlink(), id="code removed"),
        pytest.param("code/new/mine.py", lambda path: (path.parent.mkdir(), path.touch()), id="code added"),
        pytest.param("code/mine", lambda path: path.symlink_to("/usr"), id="a link to a folder added"),
        pytest.param("code/amlc_runner.py", lambda path: path.write_text(""), id="the runner edited"),
        pytest.param("manifest.json", lambda path: path.write_text("{}"), id="the manifest edited"),
        pytest.param("manifest.json", lambda path: path.unlink(), id="the manifest removed"),
        pytest.param("code", shutil.rmtree, id="all code removed"),
        pytest.param("jobs", shutil.rmtree, id="all jobs removed"),
        pytest.param(".manifest.json.99.tmp", lambda path: path.touch(), id="left by a killed compile"),
        pytest.param("jobs/.x.yml.99.tmp", lambda path: path.touch(), id="a job left by a killed compile"),
    ],
)
def test_edits_by_hand_are_found_and_reverted(project, name, change) -> None:
    project.write()
    clean = project.tree()
    job = sorted((project.folder / "jobs").iterdir())[1].name
    change(project.folder / name.format(job=job))
    dirty = project.stamps()
    assert project.compile(check=True)[0] == 3
    assert project.compile(diff=True)[0] == 3
    assert project.stamps() == dirty
    assert project.write().changes > 0
    assert project.tree() == clean
    assert project.compile(check=True)[0] == 0


def test_files_that_fell_out_are_removed_and_empty_folders_too(project) -> None:
    project.write()
    shutil.rmtree(project.root / "code" / "lib")
    project.write(searchSpace={"x": {"_type": "choice", "_value": [1]}})
    assert not (project.folder / "code" / "lib").exists()
    assert len(list((project.folder / "jobs").iterdir())) == 1
    project.write(tuner={"name": "TPE"}, maxTrialNumber=1)
    write(project.experiment, Folders(project.build), backend="local", room=0)
    assert not (project.folder / "jobs").exists()
    assert list(read_manifest(project.folder).entries()) == []


@pytest.mark.parametrize("top", ["jobs", "code"])
def test_a_folder_that_cannot_be_listed_is_no_folder_without_stale_files(project, monkeypatch, top) -> None:
    """A stale job file that stays is one that somebody submits by hand."""
    project.write()
    unlistable = project.folder / top
    scandir = os.scandir

    def strict(path: str | Path) -> Iterator[os.DirEntry[str]]:
        if Path(path) == unlistable:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", strict)
    with pytest.raises(PermissionError, match=top):
        project.write(searchSpace={"x": {"_type": "choice", "_value": [1]}})


def test_a_file_may_become_a_folder_and_back(project) -> None:
    project.write()
    (project.root / "code" / "trial.py").unlink()
    project.put("code/trial.py/inner.py", "")
    assert project.compile(check=True)[0] == 3
    project.write()
    assert (project.folder / "code" / "trial.py" / "inner.py").is_file()
    shutil.rmtree(project.root / "code" / "trial.py")
    project.put("code/trial.py", "")
    assert project.compile(check=True)[0] == 3
    project.write()
    assert (project.folder / "code" / "trial.py").is_file()


@pytest.mark.parametrize("form", ["own", "template"])
def test_data_is_found_from_every_job_file_and_is_not_in_the_snapshot_too(project, form) -> None:
    project.put("code/data/big.csv", "1,2")
    project.put("code/env.yml", "name: x")
    if form == "template":
        project.put("mine/command-job.yml.j2", '{% extends "amlc/command-job.yml.j2" %}')
    project.write(
        tuner={"name": "Random", "classArgs": {"seed": 1}},
        searchSpace={"lr": {"_type": "uniform", "_value": [0, 1]}},
        maxTrialNumber=10_001,
        amlc={
            "templates": "mine" if form == "template" else None,
            "job": {
                "inputs": {"data": {"type": "uri_folder", "path": "code/data"}},
                "environment": {"image": "i", "conda_file": "code/env.yml"},
                "code": "./taken",
            },
        },
    )
    for file in (next(project.folder.glob("jobs/09999-*")), next(project.folder.glob("jobs/001/*"))):
        job = yaml.safe_load(file.read_text())
        for path, place in ((job["inputs"]["data"]["path"], "code/data"), (job["environment"]["conda_file"], "code/env.yml")):
            assert (file.parent / path).resolve() == project.root / place
    assert not (project.folder / "code" / "data").exists()
    assert (project.folder / "code" / "env.yml").exists()


def test_the_build_folder_is_never_part_of_the_code(project) -> None:
    project.keys["trialCodeDirectory"] = "."
    project.write()
    first = project.tree()
    project.write()
    assert project.tree() == first
    assert not [name for name in first if "/build/" in name]


@pytest.mark.parametrize(
    ("changes", "edit", "revised"),
    [
        pytest.param({"trialConcurrency": 9}, None, False, id="concurrency"),
        pytest.param({"searchSpace": {"x": {"_type": "choice", "_value": [7]}}}, None, False, id="space"),
        pytest.param({"trialCommand": "python3 trial.py -v"}, None, True, id="command"),
        pytest.param({"amlc": {"environment": "azureml:e:1"}}, None, True, id="environment"),
        pytest.param({"amlc": {"job": {"inputs": {"d": {"path": "azureml:d:1"}}}}}, None, True, id="input"),
        pytest.param({"amlc": {"job": {"outputs": {"m": {"type": "uri_folder"}}}}}, None, False, id="output"),
        pytest.param({}, "code/trial.py", True, id="code"),
        pytest.param({}, "code/new.py", True, id="a new file"),
        pytest.param({}, "outside.py", False, id="a file outside of the code"),
    ],
)
def test_the_revision_is_that_of_code_command_environment_and_inputs(project, changes, edit, revised) -> None:
    before = project.write().revision
    if edit:
        project.put(edit, "changed")
    assert (project.write(**changes).revision != before) is revised


def test_the_experiment_file_beside_the_code_is_not_in_the_revision(project) -> None:
    project.put("space.json", json.dumps(SPACE))
    del project.keys["searchSpace"]
    before = project.write(trialCodeDirectory=".", searchSpaceFile="space.json").revision
    project.put("space.json", json.dumps({"x": {"_type": "choice", "_value": [9]}}))
    assert project.write(trialConcurrency=5).revision == before
    assert (project.folder / "code" / "experiment.yml").is_file()


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        pytest.param(lambda p: p.put("code/trial.py", "print(2)\n"), "changed: trial.py", id="content"),
        pytest.param(lambda p: (p.root / "code" / "trial.py").chmod(0o755), "changed: trial.py", id="mode"),
        pytest.param(lambda p: p.put("code/lib/new.py", ""), "new: lib/new.py", id="new"),
        pytest.param(lambda p: (p.root / "code" / "lib" / "a b.py").unlink(), "gone: lib/a b.py", id="gone"),
        pytest.param(lambda p: p.keys.update(trialCommand="x"), "trialCommand changed", id="command"),
        pytest.param(lambda p: p.keys.update(amlc={"environment": "azureml:e:1"}), "environment changed", id="env"),
    ],
)
def test_the_build_says_what_made_its_revision_change(project, edit, line) -> None:
    before, old = project.write().revision, read_contents(project.folder)
    edit(project)
    assert project.write().revision != before
    assert differences(old, read_contents(project.folder)) == [line]


def test_what_does_not_count_into_the_revision_is_not_among_its_contents(project) -> None:
    project.write(trialCodeDirectory=".", tuner={"name": "Random"}, maxTrialNumber=1)
    contents = read_contents(project.folder)
    assert contents.files.keys() == {"code/trial.py", "code/lib/a b.py"}
    project.write(trialConcurrency=4)
    assert read_contents(project.folder) == contents


# --- check and diff -------------------------------------------------------------------------------------------------------


def test_check_of_what_was_never_compiled_writes_nothing_at_all(project) -> None:
    project.put("experiment.yml", json.dumps(project.keys))
    before = sorted(project.root.rglob("*"))
    code, out = project.compile(check=True)
    assert code == 3
    assert sorted(project.root.rglob("*")) == before
    assert all(line.startswith("+ ") for line in out.splitlines())
    assert f"+ {project.folder / 'code' / 'trial.py'}" in out.splitlines()


def test_check_names_what_is_new_changed_and_gone(project) -> None:
    project.write()
    project.put("code/trial.py", "print(3)\n")
    project.put("code/new.py", "")
    (project.root / "code" / "lib" / "a b.py").unlink()
    _, out = project.compile(check=True)
    marks = {line[2:].rpartition("/")[2]: line[0] for line in out.splitlines()}
    assert marks["trial.py"] == "~"
    assert marks["new.py"] == "+"
    assert marks["a b.py"] == "-"


def test_diff_shows_the_lines(project) -> None:
    project.write()
    project.put("code/trial.py", "print(1)\nprint(2)")
    _, out = project.compile(diff=True)
    assert f"--- a/{project.folder / 'code' / 'trial.py'}" in out
    assert "\n+print(2)\n" in out


@pytest.mark.parametrize("option", ["check", "diff"])
def test_a_change_that_only_the_manifest_shows_is_named(project, option) -> None:
    project.write()
    project.keys["trialConcurrency"] = 7
    project.put("experiment.yml", json.dumps(project.keys))
    code, out = project.compile(**{option: True})
    assert code == 3
    assert "manifest.json" in out
    if option == "diff":
        assert '+ "concurrency": 7,' in out


# --- failures -------------------------------------------------------------------------------------------------------------


def test_a_template_that_fails_half_way_leaves_no_manifest_that_lies(project) -> None:
    project.write()
    clean = project.tree()
    project.put(
        "templates/command-job.yml.j2",
        '{% extends "amlc/command-job.yml.j2" %}{% block more %}{{ 1 // (2 - trials[0].sequence) }}: 1\n{% endblock %}',
    )
    with pytest.raises(TemplateError):
        project.write(amlc={"templates": "templates"})
    for entry in read_manifest(project.folder).entries():
        with suppress(CutShortError):
            assert entry.name.encode() in job_text(project.folder, entry)
    del project.keys["amlc"]
    project.write()
    assert {k: v for k, v in project.tree().items() if "depend" not in k} == {
        k: v for k, v in clean.items() if "depend" not in k
    }


def test_a_budget_that_is_exceeded_stops_the_compile(project) -> None:
    with pytest.raises(PlanError, match=r"amlc\.budget\.trials"):
        project.write(amlc={"budget": {"trials": 2}})
    assert not (project.folder / "manifest.json").exists()


def test_a_job_file_that_was_edited_is_not_run(project) -> None:
    project.write()
    entry = next(read_manifest(project.folder).entries())
    (project.folder / entry.file).write_text("x")
    with pytest.raises(CutShortError, match=r"not the file that was compiled\. Compile again"):
        job_text(project.folder, entry)


class KilledError(BaseException):
    """The process is gone: nothing more happens, no clean-up either."""


CALLS = [
    (os, "open"),
    (os, "write"),
    (os, "replace"),
    (os, "unlink"),
    (os, "mkdir"),
    (os, "rmdir"),
    (os, "chmod"),
    (shutil, "copyfile"),
]


def break_at(monkeypatch: pytest.MonkeyPatch, number: int, *, killed: bool) -> Callable[[], int]:
    """Let the call `number` of all that change files fail once with a full disk, or, `killed`, all from there on.

    Returns the function that tells how many there were.
    """
    count = 0

    def wrapped(original: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if killed and count >= number:
                raise KilledError
            if count == number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*arguments, **options)

        return call

    for module, name in CALLS:
        monkeypatch.setattr(module, name, wrapped(getattr(module, name)))
    return lambda: count


@pytest.mark.parametrize("killed", [False, True], ids=["full disk", "killed"])
def test_after_a_crash_anywhere_the_next_write_gives_the_clean_build(project, killed) -> None:
    project.write(searchSpace={"x": {"_type": "choice", "_value": [2, 3, 4]}})
    shutil.copytree(project.build, project.root / "old")
    project.put("code/trial.py", "print('new')\n")
    (project.root / "code" / "lib" / "a b.py").unlink()
    project.put("code/new/deep.py", "")
    project.write(searchSpace=SPACE)
    clean = project.tree()
    number, finished = 0, False
    while not finished:
        number += 1
        shutil.rmtree(project.build)
        shutil.copytree(project.root / "old", project.build)
        with pytest.MonkeyPatch.context() as patch:
            calls = break_at(patch, number, killed=killed)
            with suppress(OSError, KilledError):
                write(project.experiment, Folders(project.build), backend="local")
            finished = calls() < number
        if not finished and (project.folder / "manifest.json").is_file():
            jobs_are_whole_or_refused(project)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 999_999)  # another process than the one that left files behind
            write(project.experiment, Folders(project.build), backend="local")
        assert project.tree() == clean, f"call {number}"
    assert number > 20


def jobs_are_whole_or_refused(project: Project) -> None:
    """Whatever the manifest names is what was compiled for it, or is refused."""
    for entry in read_manifest(project.folder).entries():
        try:
            assert entry.name.encode() in job_text(project.folder, entry)
        except CutShortError:
            continue


def test_a_secret_among_the_code_is_told_and_not_taken_along(project) -> None:
    before = project.write(amlc={"workingDirectory": "copy"}).revision
    for name in (".env", "a.pem", "b.pem", "c.pem", "d.pem"):
        project.put(f"code/{name}", "secret")
    with pytest.warns(RuntimeWarning, match=r"look like secrets: \.env, a\.pem, b\.pem and 2 more\. .*!NAME") as told:
        build = project.write()
    assert build.revision == before
    assert len(told) == 1
    assert "\n" not in str(told[0].message)
    assert not list((build.folder / "code").glob("*.pem"))


def test_a_secret_is_no_matter_where_trials_run_in_the_folder_of_the_code(project, recwarn) -> None:
    project.put("code/.env", "secret")
    project.write()
    assert not recwarn
