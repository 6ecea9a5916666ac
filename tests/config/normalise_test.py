"""What a config without errors becomes."""

import pytest

from amlc.config.normalise import normalise
from amlc.model import Algorithm, Budget
from amlc.targets.aml import AmlTarget, Storage
from amlc.targets.local import LocalTarget

BASE = "trialCommand: c\ntrialConcurrency: 1\ntuner: {name: Random}\n"
LOCAL = BASE + "trainingService: {platform: local}\n"
AML = BASE + "trainingService: {platform: aml, computeTarget: cpu, dockerImage: i}\n"


def made(read, text):
    return normalise(read(text), (), ())


def test_every_default_is_filled_in(read, tmp_path):
    one = made(read, LOCAL)
    assert (one.name, one.namespace, one.source, one.inputs) == (
        "experiment",
        "",
        tmp_path / "experiment.yml",
        (tmp_path / "experiment.yml",),
    )
    assert (one.code, one.gpus_per_trial, one.max_trials, one.max_seconds, one.trial_seconds) == (
        tmp_path,
        None,
        None,
        None,
        None,
    )
    assert (one.trials_per_job, one.replicates, one.retries, one.failed_value, one.include_intermediate_results) == (
        1,
        1,
        2,
        "worst",
        False,
    )
    assert (one.constraints, one.initial, one.environment, dict(one.job), one.templates) == ((), (), None, {}, None)
    assert (one.target, one.assessor, one.budget, one.trials_per_gpu) == (LocalTarget(), None, Budget(), 1)


def test_every_key_has_its_place(read, tmp_path):
    text = LOCAL + (
        "experimentName: n\ntrialCodeDirectory: code\ntrialGpuNumber: 2\nmaxTrialNumber: 3\nmaxExperimentDuration: 2h\n"
        "maxTrialDuration: 30\nsearchSpaceFile: x.json\namlc: {namespace: ns, seed: 7, trialsPerJob: 2, replicates: 3, constraints: [a],"
        " initial: [{x: 1}], failedValue: 1.5, includeIntermediateResults: true, environment: e, job: {a: 1}, retries: 0,"
        " templates: t, budget: {trials: 9, nodeHours: 1.5}}\n"
    )
    one = made(read, text)
    assert (one.name, one.code, one.gpus_per_trial, one.max_trials, one.max_seconds, one.trial_seconds) == (
        "n",
        tmp_path / "code",
        2,
        3,
        7200,
        30,
    )
    assert (one.namespace, one.seed, one.trials_per_job, one.replicates, one.constraints) == ("ns", 7, 2, 3, ("a",))
    assert (one.initial, one.failed_value, one.include_intermediate_results, one.environment) == (
        ({"x": 1},),
        1.5,
        True,
        "e",
    )
    assert (dict(one.job), one.retries, one.templates, one.budget) == (
        {"a": 1},
        0,
        tmp_path / "t",
        Budget(trials=9, node_hours=1.5),
    )


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        ("amlc: {seed: 7}\n", 7),
        ("amlc: {seed: 0}\n", 0),
        ("tuner: {name: Random, classArgs: {seed: 8}}\n", 8),
        ("amlc: {seed: 7}\ntuner: {name: Random, classArgs: {seed: 8}}\n", 7),
    ],
)
def test_the_seed_is_the_users(read, text, seed):
    base = LOCAL.replace("tuner: {name: Random}\n", "") if "tuner" in text else LOCAL
    assert made(read, base + text).seed == seed


def test_without_one_only_namespace_and_name_decide(read):
    seeds = [
        made(read, LOCAL + text).seed
        for text in (
            "",
            "maxTrialNumber: 3\n",
            "experimentName: experiment\n",
            "experimentName: other\n",
            "amlc: {namespace: ns}\n",
        )
    ]
    assert seeds[0] == seeds[1] == seeds[2] == 2273714374
    assert len({*seeds}) == 3
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_target_is_that_of_its_platform(read):
    gpus = LOCAL.replace("local", "local, gpuIndices: '0,2', maxTrialNumberPerGpu: 3, useActiveGpu: true")
    one = made(read, gpus)
    assert (one.target, one.trials_per_gpu) == (LocalTarget(gpu_indices=(0, 2), use_active_gpu=True), 3)
    one = made(read, AML)
    assert (one.target, one.trials_per_gpu) == (AmlTarget(compute="cpu", image="i"), 1)
    service = "aml, subscriptionId: s, resourceGroup: r, workspaceName: w, maxTrialNumberPerGpu: 2"
    one = made(read, AML.replace("aml", service))
    assert one.target == AmlTarget(
        subscription_id="s", resource_group="r", workspace_name="w", compute="cpu", image="i"
    )
    assert one.trials_per_gpu == 2


STORAGE = (
    "sharedStorage: {storageType: AzureBlob, localMountPoint: mnt, remoteMountPoint: /r, localMounted: usermount, %s}\n"
)


def test_shared_storage_is_for_jobs_elsewhere(read):
    blob = STORAGE % "storageAccountName: a, containerName: c, storageAccountKey: '${KEY}'"
    storage = Storage(datastore="amlc_a_c", account_name="a", container_name="c", key_variable="KEY")
    assert made(read, AML + blob).target == AmlTarget(compute="cpu", image="i", mount_point="/r", storage=storage)
    assert made(read, LOCAL + blob).target == LocalTarget()
    assert made(read, AML + "sharedStorage: {storageType: AzureBlob}\n").target.storage is None


def algorithms(read, text, service=LOCAL):
    one = made(read, service.replace("tuner: {name: Random}\n", "") + text)
    return one.tuner, one.assessor


def test_an_algorithm_has_nnis_spelling_and_every_argument(read):
    tuner, assessor = algorithms(read, "tuner: {name: random, classArgs: {seed: 3}}\nassessor: {name: MEDIANSTOP}\n")
    assert tuner == Algorithm(name="Random", class_args={"optimize_mode": None, "seed": 3})
    assert assessor == Algorithm(name="Medianstop", class_args={"optimize_mode": "maximize", "start_step": 0})


def test_a_class_of_the_users_has_its_folder(read, tmp_path):
    tuner, _ = algorithms(read, "tuner: {className: a.B, codeDirectory: own, classArgs: {x: 1}}\n")
    assert tuner == Algorithm(class_name="a.B", code_directory=tmp_path / "own", class_args={"x": 1})


def test_asha_is_tuner_and_assessor_and_a_scheduler_needs_none(read):
    tuner, assessor = algorithms(read, "tuner: {name: ASHA}\n")
    assert (tuner.name, assessor) == ("ASHA", tuner)
    assert algorithms(read, "tuner: {name: Hyperband}\nassessor: {name: Medianstop}\n")[1] is None


@pytest.mark.parametrize(
    ("tuner", "platform", "folder"),
    [
        ("{name: PBT}", LOCAL, "{here}/.amlc/experiment/checkpoints"),
        ("{name: PBT}", AML, "/r/amlc/experiment/checkpoints"),
        ("{name: PBT, classArgs: {all_checkpoint_dir: /own}}", AML, "/own"),
        ("{name: Hyperband}", LOCAL, None),
        ("{name: Hyperband, classArgs: {all_checkpoint_dir: false}}", LOCAL, None),
        ("{name: Hyperband, classArgs: {all_checkpoint_dir: true}}", AML, "/r/amlc/experiment/checkpoints"),
    ],
)
def test_checkpoints_lie_where_all_trials_see_them(read, tmp_path, tuner, platform, folder):
    found, _ = algorithms(read, f"tuner: {tuner}\n" + STORAGE % "containerName: c", platform)
    assert found.class_args.get("all_checkpoint_dir") == (folder.format(here=tmp_path) if folder else None)
    assert ("all_checkpoint_dir" in found.class_args) == (folder is not None)
