"""A stranger's experiment file: nothing outside its folder is read or shown, nothing hangs, nothing fills the memory."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from amlc.commands.validate import validate
from amlc.config import hostile, tree
from amlc.config.load import MOST_BYTES
from amlc.folders import Folders

SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def _little_memory():
    """Let what reads without end fail here, rather than fill the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2_000_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of an experiment; above it lies a secret, as a file and as a variable."""
    made = tmp_path / "experiment"
    made.mkdir()
    (tmp_path / "secret.json").write_text(json.dumps({SECRET: SECRET}))
    (tmp_path / "secret.j2").write_text(SECRET)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / SECRET).write_text(SECRET)
    monkeypatch.setenv("TOP_SECRET", SECRET)
    monkeypatch.chdir(made)
    return made


def messages(*, untrusted: bool = True, file: Path = Path("experiment.yml"), **keys: Any) -> list[str]:
    config = {
        "searchSpace": {"x": {"_type": "choice", "_value": [1, 2]}},
        "trialCommand": "true",
        "trialConcurrency": 1,
        "tuner": {"name": "GridSearch"},
        "trainingService": {"platform": "local"},
        **keys,
    }
    if not file.is_symlink():
        file.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    (checked,) = validate([file], backend=None, folders=Folders(), untrusted=untrusted)
    return [str(problem) for problem in checked.problems]


def one(found: list[str], code: str) -> str:
    (message,) = found
    assert f"[{code}]" in message
    assert "\n" not in message
    assert SECRET not in message
    return message


def test_an_honest_file_is_in_order(folder) -> None:
    assert messages() == []


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"searchSpace": None, "searchSpaceFile": "../secret.json"}, id="above"),
        pytest.param({"searchSpace": None, "searchSpaceFile": "/etc/passwd"}, id="absolute"),
        pytest.param({"searchSpace": None, "searchSpaceFile": "link.json"}, id="link"),
        pytest.param({"trialCodeDirectory": ".."}, id="code"),
        pytest.param({"amlc": {"templates": "../more"}}, id="templates"),
        pytest.param({"tuner": {"codeDirectory": "..", "className": "a.B"}}, id="class"),
        pytest.param({"amlc": {"job": {"inputs": {"a": {"type": "uri_file", "path": "../secret.json"}}}}}, id="input"),
        pytest.param({"amlc": {"job": {"environment": {"conda_file": "~/secret.json"}}}}, id="environment"),
    ],
)
def test_a_path_out_of_the_folder_is_refused_unread(folder, keys) -> None:
    (folder / "link.json").symlink_to("../secret.json")
    (folder / ".amlignore").write_text("link.json\n")
    one(messages(**keys), "E-outside")


def test_an_experiment_file_that_is_a_link_out_of_its_folder_is_refused(folder) -> None:
    Path("experiment.yml").symlink_to("../secret.json")
    one(messages(), "E-outside")


@pytest.mark.parametrize("link", ["link.py", "link", ".gitignore"])
def test_a_link_in_the_code_that_leads_out_is_refused(folder, link) -> None:
    (folder / link).symlink_to("/" if link == "link" else "../secret.json")
    assert "leads out" in one(messages(), "E-snapshot")


def test_a_template_that_is_a_link_out_is_not_rendered(folder) -> None:
    (folder / "templates").mkdir()
    (folder / "templates" / "command-job.yml.j2").symlink_to("../../secret.j2")
    assert "leads out" in one(messages(amlc={"templates": "templates"}), "E-template")


def test_nothing_of_the_environment_is_taken(folder) -> None:
    service = {"platform": "aml", "computeTarget": "${TOP_SECRET}[[", "dockerImage": "$[[${TOP_SECRET}"}
    assert messages(trainingService=service, maxTrialDuration="1h") == []
    assert "[E-expression]" in "".join(messages(trainingService=service, untrusted=False))


def test_a_workspace_file_above_is_not_read(folder) -> None:
    (folder.parent / ".azureml").mkdir()
    workspace = {"subscription_id": SECRET, "resource_group": SECRET, "workspace_name": SECRET}
    (folder.parent / ".azureml" / "config.json").write_text(json.dumps(workspace))
    found = messages(trainingService={"platform": "aml", "computeTarget": "a", "dockerImage": "b"})
    assert SECRET not in "".join(found)
    assert not any("E-required" in message for message in found)


@pytest.mark.parametrize("untrusted", [True, False])
def test_what_is_no_regular_file_is_not_read(folder, untrusted) -> None:
    os.mkfifo("fifo")
    assert "no regular file" in one(
        messages(searchSpace=None, searchSpaceFile="fifo", untrusted=untrusted), "E-file"
    )


def test_a_device_without_end_is_not_read(folder) -> None:
    found = messages(searchSpace=None, searchSpaceFile="/dev/zero", untrusted=False)
    assert "no regular file" in one(found, "E-file")


def test_a_file_over_the_limit_is_not_read(folder) -> None:
    with open("space.json", "wb") as file:
        file.truncate(MOST_BYTES + 1)
    found = messages(searchSpace=None, searchSpaceFile="space.json")
    assert f"more than {MOST_BYTES:,} bytes" in one(found, "E-file")


def test_a_file_of_too_many_values_is_read_up_to_there(folder, monkeypatch) -> None:
    monkeypatch.setattr(tree, "MAX_VALUES", 1_000)
    Path("space.yml").write_text("[" + "1," * 1_001 + "]")
    assert "more than 1,000 values" in one(messages(searchSpace=None, searchSpaceFile="space.yml"), "E-file")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "- " * 100_000])
@pytest.mark.parametrize("name", ["space.json", "space.yml"])
def test_a_file_that_is_nested_too_deep_is_one_sentence(folder, text, name) -> None:
    Path(name).write_text(text)
    one(messages(searchSpace=None, searchSpaceFile=name), "E-depth")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("keys", [{"budget": {"nodeHours": 1}}, {"prices": {"local": 1}}, {"retries": 1}])
def test_a_number_that_is_none_is_refused(folder, keys, value) -> None:
    ((name, inner),) = keys.items()
    amlc = {name: dict.fromkeys(inner, value) if isinstance(inner, dict) else value}
    one(messages(amlc=amlc), "E-number")


def test_the_values_of_the_space_may_be_anything() -> None:
    free = {"searchSpace": {"x": ["\0", float("nan")]}, "tuner": {"classArgs": {"x": "\0"}}}
    assert list(hostile._values(free, ())) == []


def test_validate_runs_no_class_and_writes_nothing(folder) -> None:
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Own:\n    pass\n")
    before = sorted(folder.rglob("*"))
    for untrusted in (True, False):
        assert messages(tuner={"codeDirectory": ".", "className": "own.Own"}, maxTrialNumber=2, untrusted=untrusted) == []
    assert sorted(path for path in folder.rglob("*") if path.name != "experiment.yml") == before
