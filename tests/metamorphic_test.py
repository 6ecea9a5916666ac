"""The same experiment gives the same bytes, however its file is written and wherever amlc runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CAMEL = """\
experimentName: same é
searchSpace:
  lr: {_type: loguniform, _value: [0.0001, 0.1]}
  layer:
    _type: choice
    _value:
      - {_name: none}
      - {_name: conv, k: {_type: choice, _value: [3, 5]}}
  name: {_type: choice, _value: ["yes", "1e-5", "a: b", "é"]}
trialCommand: python3 trial.py "a b"
trialCodeDirectory: code
trialConcurrency: 2
maxTrialNumber: 12
maxTrialDuration: 1h
tuner:
  name: Random
  classArgs: {optimize_mode: maximize}
trainingService:
  platform: aml
  subscriptionId: 11111111-2222-3333-4444-555555555555
  resourceGroup: group
  workspaceName: workspace
  computeTarget: cpu
  dockerImage: msranni/nni
amlc: {replicates: 2, constraints: ["lr < 0.09"], job: {tags: {team: a, owner: b}}}
"""
SNAKE = {
    "experimentName": "experiment_name", "searchSpace": "search_space", "trialCommand": "trial_command",
    "trialCodeDirectory": "trial_code_directory", "trialConcurrency": "TRIAL_concurrency",
    "maxTrialNumber": "max_trial_number", "maxTrialDuration": "max_trial_duration", "classArgs": "class_args",
    "trainingService": "training_service", "subscriptionId": "subscription_id", "resourceGroup": "resource_group",
    "workspaceName": "workspace_name", "computeTarget": "compute_target", "dockerImage": "docker_image",
}  # fmt: skip


def blocks(text: str) -> list[str]:
    """The text's top-level keys with what belongs to them."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        if line[0] in " -":
            found[-1] += line
        else:
            found.append(line)
    return found


def reordered(text: str) -> str:
    return "".join(reversed(blocks(text)))


def snake(text: str) -> str:
    for camel, name in SNAKE.items():
        text = text.replace(f"{camel}:", f"{name}:")
    return text


def commented(text: str) -> str:
    lines = [f"{line}  # a comment: with {{everything}}\n" for line in text.splitlines() if '"a b"' not in line]
    return "# first\n\n" + "\n".join(lines) + '\ntrialCommand: python3 trial.py "a b"\n'


def quoted(text: str) -> str:
    return (
        text.replace("experimentName: same é", 'experimentName: "same \\u00e9"')
        .replace("platform: aml", "platform: 'aml'")
        .replace("computeTarget: cpu", 'computeTarget: "cpu"')
        .replace("_type: choice", "'_type': \"choice\"")
        .replace('trialCommand: python3 trial.py "a b"', 'trialCommand: >-\n  python3 trial.py\n  "a b"')
    )


def as_json(text: str) -> str:
    import yaml

    return json.dumps(yaml.safe_load(text), indent=2)


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def compiled(
    root: Path, text: str, *, cwd: Path | None = None, umask: int = 0o022, **environment: str
) -> dict[str, bytes]:
    """Compile an experiment below `root` in a new process; return the build's files but depend.mk, which names paths."""
    (root / "code" / "sub").mkdir(parents=True)
    (root / "code" / "trial.py").write_text("print(1)\n")
    (root / "code" / "sub" / "é.txt").write_text("x")
    (root / "experiment.yml").write_bytes(text.encode())
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "amlc",
            "--build",
            str(root / "build"),
            "--state",
            str(root / "state"),
            "compile",
            str(root / "experiment.yml"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd or root,
        umask=umask,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (path for path in (root / "build").iterdir() if path.is_dir())
    return {
        path.relative_to(root / "build").as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "depend.mk"
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, bytes]:
    found = compiled(tmp_path_factory.mktemp("first"), CAMEL)
    assert len([name for name in found if "/jobs/" in name]) == 12
    return found


@pytest.mark.parametrize(
    "change", [reordered, snake, commented, quoted, as_json, crlf], ids=lambda change: change.__name__
)
def test_how_the_file_is_written_changes_nothing(change, expected, tmp_path) -> None:
    text = change(CAMEL)
    assert text != CAMEL
    assert compiled(tmp_path / "x", text) == expected


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param(
            {"LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "1", "TZ": "Asia/Kolkata"}, id="C, hash seed 1, Kolkata"
        ),
        pytest.param(
            {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "TZ": "America/St_Johns"},
            id="C.UTF-8, hash seed 2, St. John's",
        ),
    ],
)
def test_where_amlc_runs_changes_nothing(environment, expected, tmp_path) -> None:
    assert compiled(tmp_path / "x", CAMEL, **environment) == expected


def test_the_folder_its_name_and_the_umask_change_nothing(expected, tmp_path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    root = tmp_path / 'it\'s a "weird" $(folder) é #1'
    root.mkdir()
    assert compiled(root, CAMEL, cwd=other, umask=0o077) == expected


def test_a_moved_project_has_nothing_to_compile(expected, tmp_path) -> None:
    assert compiled(tmp_path / "a", CAMEL) == expected
    shutil.move(tmp_path / "a", tmp_path / "b")
    done = subprocess.run(
        [sys.executable, "-m", "amlc", "compile", "--check", "experiment.yml"],
        cwd=tmp_path / "b",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
