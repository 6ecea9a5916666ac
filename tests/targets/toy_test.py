"""A target of another package: one module and one entry point, and amlc has it everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOY = '''
"""Runs jobs in a lane of this machine."""

from dataclasses import dataclass
from typing import ClassVar

from amlc.backends import Check
from amlc.model import JobPart

RUNS_ANY = True
SCHEMA = {
    "type": "object",
    "description": "Run the trials in a lane.",
    "properties": {
        "platform": {"const": "toy", "type": "string", "description": "A lane.", "default": "toy", "examples": ["toy"]},
        "lane": {
            "type": "string", "description": "Which lane.", "default": None, "examples": ["fast"], "enum": ["fast", "slow"]
        },
    },
    "additionalProperties": False,
    "required": ["platform", "lane"],
}


@dataclass(frozen=True, slots=True)
class Toy:
    platform: ClassVar[str] = "toy"
    lane: str | None = None

    @property
    def job(self):
        return JobPart(setup=f"echo lane {self.lane}")

    @property
    def head(self):
        return {"lane": self.lane}

    def common(self, here, /):
        return here


def read(config, environ, *, needed):
    return config, ()


def check(config, *, needed):
    path = ("trainingService", "lane")
    if needed and config.get(*path) is None and path not in config.broken:
        yield config.problem(path[:1], "E-required", "platform toy needs 'lane'. Write 'lane: fast'.", key=True)


def settings(config):
    return Toy(config.get("trainingService", "lane"))


def open_backend(header, runs, *, parallel):
    import os

    from amlc.targets.local.backend import LocalBackend

    class Lane(LocalBackend):
        def examine(self, build, /):
            lane = header.target.get("toy", {}).get("lane")
            yield Check("lane", is_well=lane == "fast", text=f"{lane}")

    return Lane(runs, header, os.environ)
'''


@pytest.fixture
def toy(tmp_path):
    """A folder with the package, as `pip` would install it."""
    folder = tmp_path / "site"
    (folder / "toy-1.dist-info").mkdir(parents=True)
    (folder / "toy.py").write_text(TOY, encoding="utf-8")
    (folder / "toy-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (folder / "toy-1.dist-info" / "entry_points.txt").write_text("[amlc.targets]\ntoy = toy\n")
    return folder


@pytest.fixture
def project(make_project, toy):
    project = make_project()
    project.environ["PYTHONPATH"] = f"{ROOT}:{toy}"
    return project.write("echo ran", values=range(2), trainingService={"platform": "toy", "lane": "fast"})


def test_it_passes_what_every_target_has_to(toy) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "toy", "-p", "no:cacheprovider", "tests/targets/contract_test.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{toy}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_it_runs_its_own_experiments(project) -> None:
    project.amlc("run", "experiment.yml")
    assert project.statuses() == ["succeeded"] * 2
    assert {attempt.backend for attempt in project.attempts()} == {"toy"}
    assert project.manifest.header.target == {"toy": {"lane": "fast"}}
    assert b"lane fast" in project.amlc("logs", "0").stdout
    assert project.amlc("doctor").stdout == b"ok      lane: fast\n"


@pytest.mark.parametrize(
    "service",
    [{"platform": "local"}, {"platform": "aml", "dockerImage": "${NOPE}"}, {"platform": "remote"}],
    ids=lambda service: service["platform"],
)
def test_it_runs_those_of_other_platforms(project, service) -> None:
    project.write(values=[1], trainingService=service)
    project.amlc("run", "experiment.yml", "--backend", "toy")
    assert {attempt.backend for attempt in project.attempts()} == {"toy"}


def test_what_is_wrong_with_its_keys_is_said(project) -> None:
    project.write(trainingService={"platform": "toy", "lane": "middle", "lain": 1})
    said = project.amlc("validate", "experiment.yml", code=1).stderr
    assert "unknown key 'lain' in 'trainingService'. Did you mean 'lane'?" in said
    assert "'lane' must be one of fast, slow" in said
    project.write(trainingService={"platform": "toi"})
    assert (
        "amlc knows aml, local and toy. Did you mean 'toy'?"
        in project.amlc("validate", "experiment.yml", code=1).stderr
    )


def test_it_is_listed(project) -> None:
    assert b"[aml|local|toy]" in project.amlc("compile", "--help").stdout
    schema = json.loads(project.amlc("schema").stdout)
    service = schema["properties"]["trainingService"]
    assert service["properties"]["platform"]["enum"] == ["aml", "local", "toy"]
    assert schema["definitions"]["toy"]["properties"]["lane"]["enum"] == ["fast", "slow"]
    said = project.amlc("compile", "experiment.yml", "--backend", "toi", code=2).stderr
    assert "'toi' is not one of 'aml', 'local', 'toy'" in said


def test_without_its_package_it_is_said_what_is_missing(project) -> None:
    project.amlc("compile", "experiment.yml")
    project.environ["PYTHONPATH"] = str(ROOT)
    assert "there is no back end 'toy'; there are aml and local." in project.amlc("submit", code=5).stderr
    assert "unknown platform 'toy'" in project.amlc("validate", "experiment.yml", code=1).stderr


def test_a_package_that_cannot_be_imported_is_said(project, toy) -> None:
    (toy / "toy.py").write_text("import nothing_such\n", encoding="utf-8")
    said = project.amlc("compile", "experiment.yml", code=5).stderr
    assert said == "error: the back end 'toy' cannot be imported: No module named 'nothing_such'.\n"
