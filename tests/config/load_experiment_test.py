"""What an experiment file becomes: defaults, spellings, platforms, and what is said on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amlc.config import load_experiment
from amlc.config.durations import parse_time
from amlc.errors import ConfigError, Problem, UsageError
from amlc.model import Algorithm, Budget, Experiment, Real
from amlc.targets.aml import AmlTarget
from amlc.targets.local import LocalTarget

BASE = """\
searchSpace:
  lr: {_type: uniform, _value: [0.1, 1]}
trialCommand: python3 trial.py
trialConcurrency: 1
maxTrialNumber: 4
tuner: {name: Random}
trainingService: {platform: local}
"""

Load = Callable[..., tuple[Experiment, tuple[Problem, ...]]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads an experiment from text: BASE, with lines of the same key replaced."""

    def run(
        *lines: str, text: str | None = None, backend: str | None = None, environ: Mapping[str, str] | None = None
    ) -> tuple[Experiment, tuple[Problem, ...]]:
        file = tmp_path / "experiment.yml"
        file.write_bytes((merged(lines) if text is None else text).encode())
        return load_experiment(file, backend=backend, environ=environ or {})

    return run


def merged(lines: tuple[str, ...]) -> str:
    """Return BASE with the top-level keys of `lines` in place of its own."""
    blocks = {block.split(":")[0]: block for block in BASE.replace("\n  ", "\0  ").splitlines()}
    for line in lines:
        blocks[line.split(":")[0]] = line
    return "\n".join(blocks.values()).replace("\0", "\n") + "\n"


AML = "trainingService: {platform: aml, dockerImage: i, computeTarget: c"
WORKSPACE = "subscriptionId: s, resourceGroup: r, workspaceName: w"


def test_defaults_are_filled_in(load: Load, tmp_path: Path) -> None:
    experiment, problems = load()
    assert problems == ()
    assert experiment.name == "experiment"
    assert experiment.source == tmp_path / "experiment.yml"
    assert experiment.inputs == (experiment.source,)
    assert experiment.code == tmp_path
    assert experiment.space == (Real("lr", 0.1, 1.0),)
    assert experiment.tuner == Algorithm(name="Random", class_args={"optimize_mode": None, "seed": None})
    assert experiment.target == LocalTarget()
    assert (experiment.gpus_per_trial, experiment.max_seconds, experiment.trial_seconds) == (None, None, None)
    assert (experiment.trials_per_job, experiment.replicates, experiment.retries) == (1, 1, 2)
    assert (experiment.assessor, experiment.templates) == (None, None)


def test_every_key_of_the_amlc_block_arrives(load: Load, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    block = """amlc:
  seed: 7
  namespace: team
  target: jobs
  trials_per_job: 3
  replicates: 2
  constraints: [lr < 0.5]
  environment: azureml:torch@latest
  job: {tags: {Some_Key: 1}, resources: {shm_size: 8g}}
  retries: 0
  budget: {trials: 10, node_hours: 1.5}
  templates: mine"""
    experiment, _ = load(block)
    assert (experiment.seed, experiment.namespace, experiment.trials_per_job) == (7, "team", 3)
    assert (experiment.replicates, experiment.retries, experiment.constraints) == (2, 0, ("lr < 0.5",))
    assert experiment.environment == "azureml:torch@latest"
    assert experiment.job == {"tags": {"Some_Key": 1}, "resources": {"shm_size": "8g"}}
    assert experiment.budget == Budget(trials=10, node_hours=1.5)
    assert experiment.templates == tmp_path / "mine"


@pytest.mark.parametrize(
    "key", ["trialConcurrency", "trial_concurrency", "TRIAL_concurrency", "_TrialConcurrency_", "trialconcurrency"]
)
def test_keys_match_as_in_nni(load: Load, key: str) -> None:
    experiment, problems = load(text=(BASE.replace("trialConcurrency: 1", f"{key}: 3")))
    assert (experiment.concurrency, problems) == (3, ())


def test_keys_inside_the_space_and_arguments_are_left_alone(load: Load) -> None:
    experiment, _ = load("searchSpace: {Lr_X: {_type: choice, _value: [{Some_Key: 1}]}}")
    assert experiment.space[0].name == "Lr_X"
    with pytest.raises(ConfigError, match=r"Random has no argument 'Seed'"):
        load("tuner: {name: Random, classArgs: {Seed: 1}}")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("0.5h", 1800), ("1.5H", 5400), ("10 m", 600), ("1e2s", 100), ("1.2s", 2), ("1d", 86400)],
)
def test_durations(load: Load, text: str, seconds: int) -> None:
    experiment, _ = load(f"maxExperimentDuration: {text}", f"maxTrialDuration: {text}")
    assert (experiment.max_seconds, experiment.trial_seconds) == (seconds, seconds)


@pytest.mark.parametrize("text", ["", "s", "1", "1x", "-1s", "0s", "nans", "infd", "1e400d"])
def test_durations_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it carries no text
        parse_time(text)


@pytest.mark.parametrize(
    ("tuner", "name"), [("random", "Random"), ("GRIDSEARCH", "GridSearch"), ("tpe", "TPE"), ("Random", "Random")]
)
def test_tuner_names_in_any_case(load: Load, tuner: str, name: str) -> None:
    experiment, _ = load(f"tuner: {{name: {tuner}}}")
    assert experiment.tuner.name == name


@pytest.mark.parametrize("name", ["Batch", "batchtuner"])
def test_batch_and_its_alias(load: Load, name: str) -> None:
    space = "searchSpace: {c: {_type: choice, _value: [{lr: 1}]}}"
    experiment, problems = load(space, f"tuner: {{name: {name}}}", "amlc: {constraints: [lr > 0]}")
    assert (experiment.tuner.name, problems) == ("Batch", ())


def test_arguments_have_the_defaults_of_nni(load: Load) -> None:
    args = {"optimize_mode": "maximize", "tpe_args": {"n_startup_jobs": 5, "constant_liar_type": None}}
    experiment, problems = load("maxTrialNumber: 99", f"tuner: {{name: tpe, classArgs: {json.dumps(args)}}}")
    assert problems == ()
    assert experiment.tuner.class_args == {
        "optimize_mode": "maximize",
        "seed": None,
        "tpe_args": {
            "constant_liar_type": None,
            "n_startup_jobs": 5,
            "n_ei_candidates": 24,
            "linear_forgetting": 25,
            "prior_weight": 1.0,
            "gamma": 0.25,
        },
    }


def test_an_argument_without_its_meaning_in_nni_is_a_warning(load: Load) -> None:
    _, [problem] = load("tuner: {name: TPE, classArgs: {tpe_args: {constant_liar_type: best}}}", "maxTrialNumber: 9")
    assert (problem.code, problem.severity.value) == ("W-meaning", "warning")


def test_the_users_own_class(load: Load, tmp_path: Path) -> None:
    experiment, problems = load("tuner: {className: mine.Tuner, codeDirectory: ., classArgs: {x: [1]}}")
    assert problems == ()
    space = {"lr": {"_type": "uniform", "_value": [0.1, 1]}}
    expected = Algorithm(class_name="mine.Tuner", code_directory=tmp_path, class_args={"x": [1]}, search_space=space)
    assert experiment.tuner == expected


@pytest.mark.parametrize(
    ("tuner", "value"),
    [
        ("GP", "{_type: choice, _value: [a, b]}"),
        ("GP", "{_type: normal, _value: [0, 1]}"),
        ("Metis", "{_type: loguniform, _value: [1, 2]}"),
        ("SMAC", "{_type: qloguniform, _value: [1, 9, 2]}"),
        ("Hyperband", "{_type: choice, _value: [{_name: a}, {_name: b, c: {_type: uniform, _value: [0, 1]}}]}"),
    ],
)
def test_spaces_that_a_tuner_cannot_search(load: Load, tuner: str, value: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot search 'odd'.*E-space-tuner"):
        load(f"searchSpace: {{odd: {value}}}", f"tuner: {{name: {tuner}}}", "maxTrialNumber: 9")


def test_pbt_needs_a_place_for_checkpoints(load: Load, tmp_path: Path) -> None:
    experiment, _ = load("tuner: {name: PBT}", "maxTrialNumber: 9")
    assert experiment.tuner.class_args["all_checkpoint_dir"] == str(tmp_path / ".amlc/experiment/checkpoints")
    with pytest.raises(ConfigError, match="PBT needs every trial"):
        load("tuner: {name: PBT}", "maxTrialNumber: 9", "assessor: {name: Medianstop}")


def test_advisor_is_the_tuner(load: Load) -> None:
    experiment, [problem] = load("tuner: ~", "advisor: {Name: gridSearch}")
    assert (experiment.tuner.name, problem.code) == ("GridSearch", "W-deprecated")


def test_none_means_no_assessor(load: Load) -> None:
    experiment, problems = load("assessor: {name: _none_}")
    assert (experiment.assessor, problems) == (None, ())


def test_seed_comes_from_the_file_or_from_the_name(load: Load) -> None:
    assert load("tuner: {name: Random, classArgs: {seed: 5}}")[0].seed == 5
    assert load("amlc: {seed: 0}")[0].seed == 0
    derived = load()[0].seed
    assert derived == load("trialConcurrency: 9")[0].seed
    assert derived == 2273714374
    assert derived != load("experimentName: other")[0].seed
    assert derived != load("amlc: {namespace: other}")[0].seed


@pytest.mark.parametrize(
    ("written", "indices"), [("[1, 0]", (1, 0)), ("2", (2,)), ('"0, 3"', (0, 3)), ("~", None), ("[]", ())]
)
def test_gpu_indices_in_all_forms(load: Load, written: str, indices: tuple[int, ...] | None) -> None:
    service = f"trainingService: {{platform: local, useActiveGpu: true, gpuIndices: {written}}}"
    experiment, _ = load("trialGpuNumber: 1", service)
    assert experiment.target == LocalTarget(gpu_indices=indices, use_active_gpu=True)


def test_keys_inside_the_service_win(load: Load, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    service = "trainingService: {platform: local, trial_command: inner, trialCodeDirectory: src, trialGpuNumber: 0}"
    experiment, problems = load(service, "trialCodeDirectory: src")
    assert (experiment.command, experiment.code, experiment.gpus_per_trial) == ("inner", tmp_path / "src", 0)
    assert [problem.code for problem in problems] == ["W-twice"]


def test_mere_defaults_are_not_remarked_upon(load: Load) -> None:
    defaults = ("useAnnotation: false", "debug: false", "logLevel: info", "experimentType: hpo", "amlc: {target: jobs}")
    assert load(*defaults, "trainingService: {platform: local, reuseMode: false, useActiveGpu: false}")[1] == ()


# --- aml ----------------------------------------------------------------------------------------------------------


def test_placeholders_are_filled_where_they_count_only(load: Load) -> None:
    service = "trainingService: {platform: aml, docker_image: 'r/${A}:${B}', computeTarget: '${C}', " + WORKSPACE + "}"
    experiment, problems = load(
        service,
        "trialCommand: echo ${A}",
        "searchSpace: {x: {_type: choice, _value: ['${A}', '$${A}', 'a-${A}']}}",
        "amlc: {environment: 'azureml:${A}:1', job: {description: '${A}'}}",
        environ={"A": "a", "B": "b", "C": "c"},
    )
    assert problems == ()
    assert experiment.target == AmlTarget(
        subscription_id="s", resource_group="r", workspace_name="w", compute="c", image="r/a:b"
    )
    assert (experiment.command, experiment.environment) == ("echo ${A}", "azureml:a:1")
    assert experiment.space[0] == replace(experiment.space[0], options=("a", "${A}", "a-${A}"))
    assert experiment.job == {"description": "${A}"}


def test_a_variable_set_to_nothing_is_not_set(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"'\$\{NOTHING\}' is not set"):
        load(AML + ", " + WORKSPACE.replace("s,", "'${NOTHING}',", 1) + "}", environ={"NOTHING": ""})


@pytest.mark.parametrize("folder", ["", ".azureml", "../.azureml", "../../.azureml"])
def test_the_workspace_may_come_from_a_file(tmp_path: Path, folder: str) -> None:
    home = tmp_path / "a" / "b"
    (home / folder).mkdir(parents=True)
    keys = {"subscription_id": "s", "resource_group": "r", "workspace_name": "w"}
    (home / folder / "config.json").write_text(json.dumps(keys), encoding="utf-8")
    file = home / "experiment.yml"
    file.write_text(BASE.replace("trainingService: {platform: local", AML), encoding="utf-8")
    experiment, problems = load_experiment(file, environ={})
    assert problems == ()
    assert experiment.target == AmlTarget(
        subscription_id="s", resource_group="r", workspace_name="w", compute="c", image="i"
    )
    assert experiment.inputs == (file, (home / folder / "config.json").resolve())


@pytest.mark.parametrize(
    "text",
    ['{"epochs": 3}', "[]", "{", '{"subscription_id": "", "resource_group": "r", "workspace_name": "w"}'],
)
def test_a_config_json_of_something_else_is_passed_by(load: Load, tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"platform aml needs 'subscriptionId'"):
        load(AML + "}")


def test_what_the_file_says_wins_over_config_json(load: Load, tmp_path: Path) -> None:
    keys = {"subscription_id": "S", "resource_group": "R", "workspace_name": "W"}
    (tmp_path / "config.json").write_text(json.dumps(keys), encoding="utf-8")
    experiment, _ = load(AML + ", resource_group: mine}")
    assert experiment.target == AmlTarget(
        subscription_id="S", resource_group="mine", workspace_name="W", compute="c", image="i"
    )


def test_the_local_back_end_needs_no_aml_keys(load: Load) -> None:
    experiment, problems = load("trainingService: {platform: aml}", backend="local")
    assert (experiment.target, problems) == (AmlTarget(), ())


@pytest.mark.parametrize(
    "service",
    ["{platform: remote, machineList: [], gpuIndices: x}", "[{platform: local}, {platform: aml}]", "{platform: dlc}"],
)
def test_other_platforms_run_on_the_local_back_end(load: Load, service: str) -> None:
    experiment, [problem] = load(f"trainingService: {service}", backend="local")
    assert (experiment.target, problem.code) == (LocalTarget(stands_in=True), "W-platform")
    assert experiment.working_directory == "copy"


# --- secrets ------------------------------------------------------------------------------------------------------

STORAGE = """sharedStorage:
  storageType: AzureBlob
  localMountPoint: data
  remoteMountPoint: /data
  localMounted: usermount
  storageAccountName: ${ACCOUNT}
  containerName: c
  storageAccountKey: """


@pytest.mark.parametrize(
    "key",
    ["hunter2=", "[hunter2]", "{hunter2: hunter2}", "hunter2 ${KEY}", "!!int hunter2", "'hunter2", "010hunter2: 1"],
)
def test_no_message_shows_a_secret(load: Load, key: str) -> None:
    said: object
    try:
        said = load(AML + ", " + WORKSPACE + "}", STORAGE + key, environ={"ACCOUNT": "a"})
    except ConfigError as error:
        said = error.problems
    assert "hunter2" not in repr(said)


def test_a_secret_that_looks_like_an_old_number_is_not_shown(load: Load) -> None:
    _, problems = load(AML + ", " + WORKSPACE + "}", STORAGE + "1234_5678", environ={"ACCOUNT": "a"})
    assert "5678" not in repr(problems)


def test_the_account_key_is_never_taken_from_the_environment(load: Load, tmp_path: Path) -> None:
    environ = {"ACCOUNT": "a", "AZURE_KEY": "hunter2"}
    experiment, problems = load(AML + ", " + WORKSPACE + "}", STORAGE + "${AZURE_KEY}", environ=environ)
    assert experiment.target.storage is not None
    assert experiment.target.storage.key_variable == "AZURE_KEY"
    assert "hunter2" not in repr(experiment) + repr(problems)


def test_the_local_back_end_needs_no_account_key(load: Load) -> None:
    experiment, problems = load(
        AML + ", " + WORKSPACE + "}", STORAGE + "'${your key}'", backend="local", environ={"ACCOUNT": "a"}
    )
    assert experiment.target.storage is not None
    assert (experiment.target.storage.key_variable, problems) == (None, ())


def test_a_value_from_the_environment_is_not_shown(load: Load) -> None:
    service = "trainingService: {platform: aml, dockerImage: i, computeTarget: c, " + WORKSPACE + "}"
    with pytest.raises(ConfigError) as caught:
        load(service, "amlc: {environment: '${TOKEN}'}", environ={"TOKEN": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "${TOKEN}" in str(caught.value)


# --- the same meaning ---------------------------------------------------------------------------------------------


def _reordered(text: str) -> str:
    blocks = text.replace("\n  ", "\0  ").splitlines()
    return "\n".join(reversed(blocks)).replace("\0", "\n") + "\n"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: "# a comment\n" + text.replace("\n", "  # x\n"), id="comments"),
        pytest.param(lambda text: text.replace("python3 trial.py", "'python3 trial.py'"), id="single-quotes"),
        pytest.param(lambda text: text.replace("name: Random", '"name": "Random"'), id="double-quotes"),
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="crlf"),
        pytest.param(lambda text: "\ufeff" + text, id="byte-order-mark"),
        pytest.param(_reordered, id="key-order"),
        pytest.param(lambda text: text.replace("searchSpace:", "search_space:"), id="snake-case"),
        pytest.param(lambda text: text.replace("0.1", "1e-1"), id="number-format"),
        pytest.param(lambda text: "---\n" + text + "...\n", id="document-marks"),
        pytest.param(lambda text: text + "assessor: ~\n", id="null"),
    ],
)
def test_spelling_does_not_change_the_experiment(load: Load, change: Any) -> None:
    plain, _ = load()
    changed, problems = load(text=change(BASE))
    assert (changed, problems) == (plain, ())


def test_json_says_the_same_as_yaml(load: Load) -> None:
    import yaml

    plain, _ = load()
    assert load(text=json.dumps(yaml.safe_load(BASE), indent="\t"))[0] == plain


@pytest.mark.parametrize(
    "name",
    ["searchSpace", "trialCommand", "trialConcurrency", "maxTrialNumber", "tuner", "trainingService", "name"],
)
def test_a_name_that_is_misspelled_is_one_problem(load: Load, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text=BASE.replace(f"{name}:", f"{name[:2]}x{name[2:]}:"))
    (problem,) = caught.value.problems
    assert problem.code == "E-unknown-key"
    assert f"Did you mean '{name}'?" in problem.message


def test_a_name_that_is_there_and_misspelled_beside_is_not_taken_away(load: Load) -> None:
    with pytest.raises(ConfigError, match="unknown key 'tunerx'") as caught:
        load("tunerx: {}", "tuner: {name: Randm}")
    assert [problem.code for problem in caught.value.problems] == ["E-tuner-unknown", "E-unknown-key"]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("trialConcurrency: 9223372036854775808", "/trialConcurrency"),
        ("amlc: {trialsPerJob: 9223372036854775808}", "/amlc/trialsPerJob"),
        ("amlc: {replicates: 50000000}", "/amlc/replicates"),
        ("tuner: {name: Hyperband, classArgs: {R: 99999999999999999999}}", "/tuner/classArgs/R"),
        ("tuner: {name: BOHB, classArgs: {max_budget: 99999999999999999999}}", "/tuner/classArgs/max_budget"),
    ],
)
def test_a_number_that_no_experiment_has_is_out_of_range(load: Load, line: str, path: str) -> None:
    with pytest.raises(ConfigError, match="at most") as caught:
        load(line)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_relative_and_absolute_paths_give_the_same_experiment(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, _ = load()
    monkeypatch.chdir(tmp_path.parent)
    relative = Path(tmp_path.name) / "experiment.yml"
    assert load_experiment(relative, environ={})[0] == plain


def test_home_is_expanded(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load("trialCodeDirectory: '~'")[0].code == tmp_path / "home"


def test_a_missing_experiment_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_experiment(tmp_path / "nothing.yml", environ={})
