"""What every target promises, whichever it is: see amlc/targets/__init__.py and amlc/backends/__init__.py."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from amlc.backends import Backend
from amlc.config import load_experiment
from amlc.config.schema import load_schema
from amlc.errors import BackendError, ConfigError
from amlc.folders import Folders
from amlc.manifest import job_text, read_manifest
from amlc.model import JobPart, Settings
from amlc.render.scalars import from_yaml
from amlc.targets import Rebuild, Target, names, open_backend, target
from amlc.write import write
from tests.azure.client_process import AzureProject

SLOW = ("azure", "numpy", "jinja2", "jsonschema", "sqlite3")
STORAGE = {
    "storageType": "AzureBlob",
    "localMountPoint": "data",
    "remoteMountPoint": "/mnt/data",
    "localMounted": "usermount",
    "storageAccountName": "account",
    "containerName": "container",
    "storageAccountKey": "${STORAGE_KEY}",
}
WORKSPACE = '{"subscription_id": "s", "resource_group": "r", "workspace_name": "w"}'
"""What a user of Azure ML has beside the experiment file, for what it leaves out."""
SECRET = "hunter2"
each = pytest.mark.parametrize("name", names())
others = pytest.mark.parametrize(
    ("name", "backend"),
    [(name, other) for name in names() for other in names() if other != name and target(other).RUNS_ANY],
)


class Filled(dict[str, str]):
    """An environment in which every variable is set."""

    def __missing__(self, name: str) -> str:
        return SECRET if name == "STORAGE_KEY" else f"value-of-{name}"

    def get(self, name: str, default: Any = None) -> str:
        return self[name]


MOSTLY = {"aml": ["computeTarget"]}
"""What a target requires where nothing else says it, so that no schema can."""


def part(name: str) -> dict[str, Any]:
    return load_schema(name)["$defs"][name]


def service(name: str, *, everything: bool = False) -> dict[str, Any]:
    """The `trainingService` of a target: what it requires, or everything, each with its first example."""
    schema = part(name)
    keys = schema["properties"] if everything else [*schema["required"], *MOSTLY.get(name, ())]
    return {key: schema["properties"][key]["examples"][0] for key in keys}


def load(folder: Path, given: dict[str, Any], *, backend: str | None = None, environ: Any = None, **keys: Any):
    config = {
        "experimentName": "probe",
        "searchSpace": {"x": {"_type": "choice", "_value": [0, 1]}},
        "trialCommand": "python3 trial.py",
        "trialConcurrency": 2,
        "trialGpuNumber": 1,
        "tuner": {"name": "GridSearch"},
        "trainingService": given,
        **keys,
    }
    (folder / "src").mkdir(exist_ok=True)
    (folder / "config.json").write_text(WORKSPACE, encoding="utf-8")
    file = folder / "experiment.yml"
    file.write_text(json.dumps(config), encoding="utf-8")
    return load_experiment(file, backend=backend, environ=Filled() if environ is None else environ)


# --- its front -----------------------------------------------------------------------------------------------------


@each
def test_it_has_the_shape_of_a_target(name) -> None:
    found = target(name)
    assert isinstance(found.RUNS_ANY, bool)
    for method in ("read", "check", "settings", "open_backend"):
        wanted = [one.name for one in inspect.signature(getattr(Target, method)).parameters.values()][1:]
        given = inspect.signature(getattr(found, method)).parameters
        assert list(given) == wanted, method


@each
def test_its_front_imports_nothing_slow(name) -> None:
    code = (
        "import sys\nfrom amlc.targets import target\n"
        f"target({name!r})\nprint([name for name in {SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@each
def test_its_keys_are_in_the_schema(name) -> None:
    schema, own = load_schema(name), part(name)
    assert name in schema["properties"]["trainingService"]["properties"]["platform"]["enum"]
    assert own["properties"]["platform"]["const"] == name
    assert own["additionalProperties"] is False
    assert {"platform"} <= set(own["required"]) <= own["properties"].keys()
    for key, node in own["properties"].items():
        assert node["description"], key
        assert "default" in node, key
        assert node["examples"], key


@each
@pytest.mark.parametrize("everything", [False, True], ids=["required keys", "all keys"])
@pytest.mark.parametrize("stored", [False, True], ids=["", "with storage"])
def test_its_settings_are_a_frozen_value(name, everything, stored, tmp_path) -> None:
    keys = {"sharedStorage": STORAGE} if stored else {}
    experiment, _ = load(tmp_path, service(name, everything=everything), **keys)
    settings: Settings = experiment.target
    assert is_dataclass(settings)
    with pytest.raises(FrozenInstanceError):
        setattr(settings, fields(settings)[0].name, None)
    assert settings.platform == name
    assert settings == load(tmp_path, service(name, everything=everything), **keys)[0].target
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert isinstance(settings.job, JobPart)
    assert isinstance(settings.common("/here"), str | None)
    assert json.loads(json.dumps(settings.head)) == settings.head
    assert SECRET not in repr(settings) + json.dumps(settings.head) + repr(settings.job)


@each
def test_what_it_says_reaches_job_files_and_manifest(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment, _ = load(tmp_path, service(name, everything=True), sharedStorage=STORAGE)
    summary = write(experiment, Folders(tmp_path / "build"), backend=name)
    manifest = read_manifest(summary.folder)
    assert manifest.header.target == {name: experiment.target.head}
    for entry in manifest.entries():
        content = job_text(summary.folder, entry)
        assert SECRET.encode() not in content
        job = from_yaml(content)
        assert (job["type"], job["compute"]) == ("command", experiment.target.job.compute)
        assert job["command"].endswith("python3 amlc_runner.py")


@each
def test_a_key_that_it_does_not_have_is_refused(name, tmp_path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'nonsense' in 'trainingService'") as caught:
        load(tmp_path, {**service(name), "nonsense": 1})
    assert [problem.code for problem in caught.value.problems if problem.code.startswith("E-")] == ["E-unknown-key"]


@each
def test_what_it_requires_is_missed(name, tmp_path) -> None:
    required = [key for key in service(name) if key != "platform"]
    for key in required:
        given = {one: value for one, value in service(name).items() if one != key}
        with pytest.raises(ConfigError, match=f"'{key}'"):
            load(tmp_path, given)


@each
def test_a_placeholder_that_nothing_fills_is_an_error(name, tmp_path) -> None:
    given = {key: "${NOPE}" for key in service(name) if key != "platform"}
    if given:
        with pytest.raises(ConfigError, match=r"'\$\{NOPE\}' is not set"):
            load(tmp_path, {"platform": name, **given}, environ={})


@others
def test_a_target_that_runs_any_needs_nothing_of_the_others_keys(name, backend, tmp_path) -> None:
    given = {key: "${NOPE}" for key in service(name) if key != "platform"}
    experiment, problems = load(tmp_path, {"platform": name, **given}, backend=backend, environ={})
    assert experiment.target.platform == name
    assert not [problem for problem in problems if problem.code.startswith("E-")]


# --- its back end --------------------------------------------------------------------------------------------------


@each
def test_its_back_end_has_what_the_contract_says(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment, _ = load(tmp_path, service(name, everything=True), trialGpuNumber=None)
    header = read_manifest(write(experiment, Folders(tmp_path / "build"), backend=name).folder).header
    try:
        opened = open_backend(header, tmp_path / "runs")
    except BackendError as err:
        if "is not installed" not in str(err):
            raise
        pytest.skip(str(err))
    assert not [one for one in vars(Backend) if not one.startswith("_") and not hasattr(opened, one)]
    assert isinstance(opened.has_gpus, bool)
    assert opened.slots is None or opened.slots > 0


@pytest.fixture(params=names())
def make(request, make_project, tmp_path):
    """Compile an experiment of two trials on a target; those that need a service have it."""
    name = request.param

    def compiled(script: str):
        if name == "aml":
            project = AzureProject(tmp_path / "azure", request.getfixturevalue("make_azure")())
            return project.write(values=range(2), script=script + "\nfinal 1.5"), name
        project = make_project()
        project.environ["PYTHONPATH"] += f":{os.environ.get('PYTHONPATH', '')}"  # where another package may lie
        project.write(script, values=range(2), trainingService=service(name))
        project.amlc("compile", "experiment.yml")
        return project, name

    return compiled


def text(stream: str | bytes) -> str:
    return stream if isinstance(stream, str) else stream.decode()


def rows(project, *, code=0) -> list[tuple[str, str | None]]:
    table = text(project.amlc("collect", code=code).stdout)
    return [(row["status"], row.get("metric.default")) for row in csv.DictReader(io.StringIO(table))]


def test_an_experiment_runs_once_and_is_told_of(make) -> None:
    project, name = make("echo hello there")
    assert "2 submitted" in text(project.amlc("submit").stderr)
    assert rows(project) == [("succeeded", "1.5")] * 2
    assert "0 submitted" in text(project.amlc("submit").stderr), "a second submit has nothing to do"
    assert "hello there" in text(project.amlc("logs", "0").stdout)
    assert "2 of 2 trials done" in text(project.amlc("status").stdout)
    remembered = isinstance(target(name), Rebuild)
    if not remembered:
        said = text(project.amlc("refresh", "--backend", name, code=5).stderr)
        assert said.startswith(f"error: the back end {name!r} remembers no jobs")
        assert said.count("\n") == 1
        return
    for path in project.folders.ledger("probe").parent.iterdir():  # run folders are what a machine remembers
        if path.is_file():
            path.unlink()
    project.amlc("refresh")
    assert rows(project) == [("succeeded", "1.5")] * 2


def test_what_runs_can_be_canceled(make, wait_until) -> None:
    project, _ = make("sleep 60")
    project.amlc("submit", "--no-wait")
    project.amlc("cancel", "--all", "-q")
    wait_until(lambda: {status for status, _ in rows(project, code=4)} == {"canceled"}, 60)


def test_doctor_says_what_it_checked_or_that_there_is_nothing_to_check(make) -> None:
    project, _ = make("")
    done = project.amlc("doctor")
    assert all(line.startswith(("ok      ", "failed  ")) for line in text(done.stdout).splitlines())
    assert text(done.stdout)
