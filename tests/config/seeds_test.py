"""The two example files of NNI's documentation for AML go through as they are printed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from amlc.config import load_experiment
from amlc.errors import ConfigError
from amlc.targets.aml import AmlTarget, Storage

FILES = Path(__file__).parent / "seeds"
CHINESE = {
    "replace_to_your_subscriptionId": "sub",
    "replace_to_your_resourceGroup": "group",
    "replace_to_your_workspaceName": "workspace",
    "replace_to_your_computeTarget": "cluster",
    "replace_to_your_storage_account_name": "account",
    "replace_to_your_container_name": "container",
    "replace_to_your_storage_account_key": "hunter2",
}
ENGLISH = {
    "your subscription ID": "sub",
    "your resource group": "group",
    "your workspace name": "workspace",
    "your compute target": "cluster",
}
TARGET = AmlTarget(
    subscription_id="sub",
    resource_group="group",
    workspace_name="workspace",
    compute="cluster",
    image="msranni/nni",
)


def test_chinese_seed_becomes_an_experiment() -> None:
    experiment, problems = load_experiment(FILES / "chinese.yml", environ=CHINESE)
    assert experiment.name == "example_mnist"
    storage = Storage(
        datastore="amlc_account_container",
        account_name="account",
        container_name="container",
        key_variable="replace_to_your_storage_account_key",
    )
    assert experiment.target == replace(TARGET, mount_point="/tmp/data", storage=storage)
    assert (experiment.tuner.name, experiment.tuner.class_args["optimize_mode"]) == ("TPE", "maximize")
    assert (experiment.max_trials, experiment.max_seconds, experiment.gpus_per_trial) == (10, 3600, 1)
    assert experiment.code == FILES
    assert experiment.inputs == (FILES / "chinese.yml", FILES / "search_space.json")
    assert [problem.code for problem in problems] == ["W-no-effect"]


def test_chinese_seed_without_its_placeholders_names_each_place() -> None:
    with pytest.raises(ConfigError) as caught:
        load_experiment(FILES / "chinese.yml", environ={})
    errors = [problem for problem in caught.value.problems if problem.code == "E-placeholder"]
    assert [(problem.position.line, problem.position.column) for problem in errors] == [
        (16, 20),
        (17, 19),
        (18, 19),
        (19, 19),
        (25, 25),
        (26, 19),
    ]


def test_chinese_seed_runs_locally_without_any_placeholder() -> None:
    experiment, problems = load_experiment(FILES / "chinese.yml", backend="local", environ={})
    assert experiment.target == AmlTarget(image="msranni/nni", mount_point="/tmp/data")
    assert [problem.code for problem in problems] == ["W-no-effect"]


def test_english_seed_as_printed_says_what_the_dots_stand_for() -> None:
    with pytest.raises(ConfigError, match=r"english\.yml:3:1: a line '\.\.\.' ends a YAML document"):
        load_experiment(FILES / "english.yml", environ=ENGLISH)


def test_english_seed_with_its_dots_filled_in_becomes_an_experiment(tmp_path: Path) -> None:
    shutil.copy(FILES / "search_space.json", tmp_path)
    keys = "searchSpaceFile: search_space.json\ntrialCommand: python3 mnist.py\ntuner: {name: Random}"
    printed = (FILES / "english.yml").read_text(encoding="utf-8")
    (tmp_path / "english.yml").write_text(printed.replace("...", keys), encoding="utf-8")
    experiment, problems = load_experiment(tmp_path / "english.yml", environ=ENGLISH)
    assert (experiment.target, experiment.max_trials, experiment.name) == (TARGET, 10, "english")
    assert problems == ()


def test_english_seed_takes_the_workspace_from_its_config_json(tmp_path: Path) -> None:
    space = "searchSpace: {a: {_type: choice, _value: [1]}}\ntrialCommand: x\ntuner: {name: Random}"
    printed = (FILES / "english.yml").read_text(encoding="utf-8")
    (tmp_path / "english.yml").write_text(printed.replace("...", space), encoding="utf-8")
    workspace = '{"subscription_id": "sub", "resource_group": "group", "workspace_name": "workspace"}'
    (tmp_path / "config.json").write_text(workspace, encoding="utf-8")
    experiment, problems = load_experiment(tmp_path / "english.yml", environ={"your compute target": "cluster"})
    assert experiment.target == TARGET
    assert experiment.inputs == (tmp_path / "english.yml", tmp_path / "config.json")
    assert [problem.code for problem in problems] == ["N-workspace"] * 3
