"""What a job file says about its trials, before a template writes it down."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlc.errors import PlanError
from amlc.model import Algorithm, Choice, Experiment, Trial
from amlc.plan import Job
from amlc.render.context import as_json, inert, mapper, merged
from amlc.targets.aml import AmlTarget
from amlc.targets.local import LocalTarget

REVISION = "a1b2c3d4e5f6" + "0" * 52


def experiment(**changes: Any) -> Experiment:
    base = Experiment(
        name="exp", namespace="", source=Path("/exp.yml"), inputs=(Path("/exp.yml"),), space=(),
        tuner=Algorithm(name="Random"), assessor=None, command="python3 trial.py", code=Path("/code"), concurrency=1,
        gpus_per_trial=None, max_trials=None, max_seconds=None, trial_seconds=None, target=LocalTarget(),
        seed=0,
    )  # fmt: skip
    return replace(base, **changes)


def job(*parameters: dict, first: int = 7) -> Job:
    trials = tuple(Trial(f"{index:016x}", first + index, one) for index, one in enumerate(parameters))
    return Job(trials[0].id if len(trials) == 1 else "f" * 16, trials)


def mapping(*parameters: dict, **changes: Any) -> dict[str, Any]:
    return mapper(experiment(**changes), revision=REVISION)(job(*(parameters or ({"lr": 0.1},))))


def received(variables: dict[str, str], index: int = 0) -> Any:
    """What the runner puts together from the variables of one trial."""
    name = f"AMLC_TRIAL_{index}"
    parts = [variables[name]]
    while f"{name}_{len(parts)}" in variables:
        parts.append(variables[f"{name}_{len(parts)}"])
    return json.loads("".join(parts))


def test_of_batch_a_plain_value_is_marked_and_a_mapping_is_not() -> None:
    rows = Choice("rows", ("cat", 1, {"lr": 1}))
    found = mapping({"rows": 1}, {"lr": 1}, {"rows": "cat"}, tuner=Algorithm(name="Batch"), space=(rows,))
    variables = found["environment_variables"]
    assert [received(variables, index).get("bare") for index in range(3)] == ["rows", None, "rows"]
    assert "bare" not in received(mapping({"rows": 1}, space=(rows,))["environment_variables"])


def test_a_job_says_what_the_design_page_shows() -> None:
    found = mapping(
        {"lr": 0.01, "batch_size": 32},
        name="example_mnist",
        trial_seconds=3600,
        target=AmlTarget(compute="gpu-cluster", image="msranni/nni"),
    )
    assert found == {
        "name": "example_mnist-0000000000000000-a1b2c3",
        "display_name": "example_mnist #7",
        "experiment_name": "example_mnist",
        "code": "../code",
        "command": "python3 amlc_runner.py",
        "environment": {"image": "msranni/nni"},
        "compute": "azureml:gpu-cluster",
        "environment_variables": {
            "AMLC_EXPERIMENT": '"example_mnist"',
            "AMLC_COMMAND": '"python3 trial.py"',
            "AMLC_TRIAL_SECONDS": "3600",
            "AMLC_TRIAL_0": '{"id":"0000000000000000","sequence":7,"parameters":{"lr":0.01,"batch_size":32}}',
        },
        "limits": {"timeout": 3900},
        "tags": {
            "amlc.experiment": "example_mnist", "amlc.trial": "0000000000000000", "amlc.sequence": "7",
            "amlc.revision": "a1b2c3", "lr": "0.01", "batch_size": "32",
        },
    }  # fmt: skip


def test_a_packed_job_carries_all_its_trials_and_their_time() -> None:
    found = mapping({"a": 1}, {"a": 2}, {"a": 3}, trial_seconds=60)
    assert found["display_name"] == "exp #7-9"
    assert found["limits"] == {"timeout": 600}
    assert [received(found["environment_variables"], index)["parameters"] for index in range(3)] == [
        {"a": 1},
        {"a": 2},
        {"a": 3},
    ]
    assert found["tags"]["amlc.sequence"] == "7,8,9"
    assert "a" not in found["tags"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"target": LocalTarget()}, "local", id="local"),
        pytest.param({"target": AmlTarget(compute="c")}, "azureml:c", id="aml"),
        pytest.param({"target": AmlTarget()}, "local", id="aml keys left open for the local back end"),
    ],
)
def test_the_compute_is_named_as_aml_does(changes, expected) -> None:
    assert mapping(**changes)["compute"] == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, {"image": "msranni/nni:latest"}, id="NNI's default image"),
        pytest.param({"target": AmlTarget(image="x:1")}, {"image": "x:1"}, id="dockerImage"),
        pytest.param(
            {"environment": "azureml:e:3", "target": AmlTarget(image="x")}, "azureml:e:3", id="amlc.environment wins"
        ),
    ],
)
def test_the_environment(changes, expected) -> None:
    assert mapping(**changes)["environment"] == expected


def test_gpus_are_said_only_when_asked_for() -> None:
    assert not [name for name in mapping()["environment_variables"] if "GPU" in name]
    asked = mapping(gpus_per_trial=2, trials_per_gpu=3)["environment_variables"]
    assert (asked["AMLC_GPUS_PER_TRIAL"], asked["AMLC_TRIALS_PER_GPU"]) == ("2", "3")


@pytest.mark.parametrize("trials", [1, 2, 64])
@pytest.mark.parametrize("limit", [1, 60, 86_400])
def test_the_limit_of_a_job_stands_behind_those_of_its_trials(limit, trials) -> None:
    found = mapping(*[{"a": number} for number in range(trials)], trial_seconds=limit)
    assert found["environment_variables"]["AMLC_TRIAL_SECONDS"] == str(limit)
    assert found["limits"]["timeout"] >= (limit + 60) * trials


def test_without_a_limit_of_the_trials_there_is_none_at_all() -> None:
    assert "limits" not in mapping()
    assert "AMLC_TRIAL_SECONDS" not in mapping()["environment_variables"]


@pytest.mark.parametrize(
    ("trials", "gpus", "concurrency", "expected"),
    [
        pytest.param(3, 1, 8, "3", id="all of them"),
        pytest.param(3, 2, 2, "2", id="trialConcurrency"),
        pytest.param(3, 0, 8, None, id="no GPUs"),
        pytest.param(3, None, 8, None, id="GPUs left alone"),
        pytest.param(1, 1, 8, None, id="a trial alone"),
    ],
)
def test_a_pack_with_gpus_says_how_many_run_side_by_side(trials, gpus, concurrency, expected) -> None:
    found = mapping(*[{"a": n} for n in range(trials)], gpus_per_trial=gpus, concurrency=concurrency)
    assert found["environment_variables"].get("AMLC_CONCURRENCY") == expected


def test_a_trial_learns_which_replicate_it_is_where_there_are_any() -> None:
    alone = mapping({"a": 1}, {"a": 1})["environment_variables"]
    assert [received(alone, index).keys() for index in range(2)] == [{"id", "sequence", "parameters"}] * 2
    several = mapping({"a": 1}, {"a": 1}, {"a": 1}, replicates=3)["environment_variables"]
    assert [received(several, index)["replicate"] for index in range(3)] == [1, 2, 0]  # their numbers begin with 7


# --- expressions of AML are inert ----------------------------------------------------------------------------------------

EXPRESSIONS = [
    "${{inputs.x}}",
    "$${{x}}",
    "$[[x]]",
    "\\${{x}}",
    "a${{{{",
    "$$[[",
    "${{" * 500,
    "${\u200b{",
    "$ {{",
    "\u0024{{",
]


@pytest.mark.parametrize("text", EXPRESSIONS, ids=ascii)
def test_an_expression_arrives_in_the_trial_and_never_reaches_aml(text) -> None:
    found = mapping({text: text, "nested": {text: [text]}}, command=f"echo '{text}'", name=f"e {text}")
    everything = json.dumps(found, ensure_ascii=False)
    assert "${{" not in everything
    assert "$[[" not in everything
    variables = found["environment_variables"]
    assert received(variables)["parameters"] == {text: text, "nested": {text: [text]}}
    assert json.loads(variables["AMLC_COMMAND"]) == f"echo '{text}'"
    assert json.loads(variables["AMLC_EXPERIMENT"]) == f"e {text}"


@settings(max_examples=200, derandomize=True)
@given(text=st.text(st.sampled_from(list('${[}]\\"u0024 a'))))
def test_json_is_inert_and_means_the_same(text) -> None:
    assert "${{" not in as_json(text)
    assert "$[[" not in as_json(text)
    assert json.loads(as_json({text: [text]})) == {text: [text]}
    assert inert(inert(text)) == inert(text)


# --- sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("character", ["x", "é", "🙂", '"', "\n", "\\", "${{"], ids=ascii)
@pytest.mark.parametrize("length", [24_900, 25_000, 33_000, 99_900, 100_000, 200_001])
def test_a_long_value_is_split_into_variables_that_linux_takes(character, length) -> None:
    value = character * (length // len(character))
    variables = mapping({"text": value})["environment_variables"]
    assert all(len(f"{name}={text}".encode()) < 131_072 for name, text in variables.items())
    assert received(variables)["parameters"] == {"text": value}


def test_a_megabyte_goes_in_and_what_no_environment_holds_is_a_clear_error() -> None:
    assert (
        received(mapping({"text": "x" * 1_000_000})["environment_variables"])["parameters"]["text"] == "x" * 1_000_000
    )
    with pytest.raises(PlanError, match=r"trial #7: its parameters take 1,6.*1,500,000.*name the file\.$"):
        mapping({"text": "x" * 1_600_000})
    with pytest.raises(PlanError, match=r"name the file, or lower amlc\.trialsPerJob\.$"):
        mapping({"text": "x" * 800_000}, {"text": "y" * 800_000})


# --- tags ----------------------------------------------------------------------------------------------------------------


def test_tags_are_short_texts_and_never_hide_our_own() -> None:
    tags = mapping(
        {
            "amlc.trial": "mine",
            "n": {"_name": "conv", "k": 3},
            "t": True,
            "none": None,
            "l": [1, "é"],
            "e": {},
            "long": "x" * 999,
        }
    )["tags"]
    assert tags["amlc.trial"] == "0" * 16
    assert {name: tags[name] for name in ("n._name", "n.k", "t", "none", "l", "e")} == {
        "n._name": "conv", "n.k": "3", "t": "true", "none": "null", "l": '[1, "é"]', "e": "{}",
    }  # fmt: skip
    assert tags["long"] == "x" * 255 + "…"
    assert all(isinstance(value, str) for value in tags.values())


def test_tags_keep_to_azures_limits() -> None:
    wide = mapping({"n" * 150: 1, **{f"p{number}": number for number in range(60)}})["tags"]
    assert "n" * 99 + "…" in wide
    packed = mapping(*({"a": number} for number in range(100)))["tags"]
    for tags in (wide, packed):
        assert len(tags) <= 45
        assert max(map(len, tags)) <= 100
        assert max(map(len, tags.values())) <= 1000


# --- amlc.job ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        pytest.param({"b": {"d": 9}}, {"a": 1, "b": {"c": 2, "d": 9}}, id="mappings merge"),
        pytest.param({"a": {"x": 1}}, {"a": {"x": 1}, "b": {"c": 2, "d": 3}}, id="a mapping replaces a scalar"),
        pytest.param({"b": [1]}, {"a": 1, "b": [1]}, id="a list replaces"),
        pytest.param({"a": None}, {"b": {"c": 2, "d": 3}}, id="null removes"),
        pytest.param({"b": {"c": None}}, {"a": 1, "b": {"d": 3}}, id="null removes inside"),
        pytest.param({"zz": None}, {"a": 1, "b": {"c": 2, "d": 3}}, id="null for what is not there"),
        pytest.param({"new": {"x": {"y": 0}}}, {"a": 1, "b": {"c": 2, "d": 3}, "new": {"x": {"y": 0}}}, id="new keys"),
        pytest.param({}, {"a": 1, "b": {"c": 2, "d": 3}}, id="nothing"),
    ],
)
def test_amlc_job_is_laid_over_the_job(patch, expected) -> None:
    base = {"a": 1, "b": {"c": 2, "d": 3}}
    assert merged(base, patch) == expected
    assert base == {"a": 1, "b": {"c": 2, "d": 3}}


def test_amlc_job_reaches_the_job() -> None:
    found = mapping(trial_seconds=60, job={"limits": None, "tags": {"team": "a"}, "resources": {"instance_count": 2}})
    assert "limits" not in found
    assert found["tags"]["team"] == "a"
    assert found["resources"] == {"instance_count": 2}


BOUND = {
    "command": "train ${{inputs.data}} ${{inputs.n}} ${{ outputs.model }} ${{inputs.unknown}}",
    "source": Path("/here/exp.yml"),
    "job": {"inputs": {"data": {"path": "data"}, "n": 3}, "outputs": {"model": {}}, "command": "run"},
}
EXPORT = 'export AMLC_INPUT_data="${{inputs.data}}" AMLC_OUTPUT_model="${{outputs.model}}" && '


def test_the_runner_is_told_what_the_command_names() -> None:
    found = mapping(**BOUND)
    assert found["command"] == EXPORT + "run"
    assert found["environment_variables"]["AMLC_INPUT_n"] == "3"
    assert "${{" not in found["environment_variables"]["AMLC_COMMAND"]
    without = {name: value for name, value in BOUND["job"].items() if name != "command"}
    assert mapping(**{**BOUND, "job": without})["command"] == EXPORT + "python3 amlc_runner.py"


@pytest.mark.parametrize("number", [7, 10_007])
def test_paths_count_from_the_experiment_file_wherever_the_job_file_lies(tmp_path, number) -> None:
    inputs = {"a": {"path": "data"}, "b": {"path": "./x/../y"}, "c": {"path": "/abs"}, "d": {"path": "azureml:d:1"}}
    environment = {"image": "i", "conda_file": "env.yml"}
    one = experiment(source=tmp_path / "exp.yml", job={"inputs": inputs, "environment": environment})
    build = tmp_path / "deep" / "build"
    for folder in (build, None):
        made = mapper(one, revision=REVISION, folder=folder)
        planned = job({"lr": 0.1}, first=number)
        found = made(planned)
        seen_from = (build / planned.file).parent
        paths = [value["path"] for value in found["inputs"].values()]
        for path, expected in zip([*paths[:2], found["environment"]["conda_file"]], ["data", "y", "env.yml"], strict=True):
            assert os.path.normpath(seen_from / path) == str(tmp_path / expected)
            assert os.path.isabs(path) is (folder is None)
        assert paths[2:] == ["/abs", "azureml:d:1"]
