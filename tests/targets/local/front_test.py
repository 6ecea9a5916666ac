"""What an experiment file says to this machine: which GPUs, and what has no effect here."""

import pytest

from amlc.model import JobPart
from amlc.targets import local
from amlc.targets.local import LocalTarget

LOCAL = "trainingService: {platform: local%s}\n"


@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LOCAL % "", []),
        ("trialGpuNumber: 0\n" + LOCAL % "", []),
        ("trialGpuNumber: 1\n" + LOCAL % "", ["N-default /trainingService"]),
        ("trialGpuNumber: 1\n" + LOCAL % ", useActiveGpu: false", []),
        (LOCAL % ", gpuIndices: 0", ["W-no-effect /trainingService/gpuIndices"]),
        ("trialGpuNumber: 0\n" + LOCAL % ", gpuIndices: 0", ["W-no-effect /trainingService/gpuIndices"]),
        ("trialGpuNumber: 1\n" + LOCAL % ", gpuIndices: 0, useActiveGpu: true", []),
        (LOCAL % ", reuseMode: true", ["W-no-effect /trainingService/reuseMode"]),
        (LOCAL % ", reuseMode: false", []),
    ],
)
def test_keys_without_effect_are_said(read, say, text, said, needed):
    assert say(local.check(read(text), needed=needed)) == said


def test_a_default_of_a_foreign_platform_is_not_worth_a_note(read, say):
    config = read("trialGpuNumber: 1\ntrainingService: {platform: remote}", backend="local")
    assert say(local.check(config, needed=True)) == []


def test_gpus_that_are_named_twice_are_an_error_in_text(read, say):
    text = "trialGpuNumber: 1\n" + LOCAL % ", useActiveGpu: true, gpuIndices: '%s'"
    assert say(local.check(read(text % "0,1,0"), needed=True)) == ["E-duplicate-item /trainingService/gpuIndices"]
    assert say(local.check(read(text % "0,1"), needed=True)) == []


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("{storageType: AzureBlob, storageAccountName: a, containerName: c}", ["W-no-effect /sharedStorage"]),
        ("{storageType: NFS, nfsServer: s, exportedDirectory: /e}", ["W-no-effect /sharedStorage"]),
        ("{storageType: NFS, nfsServer: s}", ["W-no-effect /sharedStorage"]),
        ("text", []),
        ("null", []),
    ],
)
def test_shared_storage_has_no_effect_here(read, say, storage, said):
    assert say(local.check(read(LOCAL % "" + f"sharedStorage: {storage}\n"), needed=True)) == said


@pytest.mark.parametrize(
    ("storage", "left"),
    [
        ("{containerName: '${NOPE}', localMountPoint: '${A}', storageType: NFS}", {"localMountPoint": "${A}", "storageType": "NFS"}),
        ("{storageAccountKey: '${my key}'}", {}),
        ("text", "text"),
        ("null", None),
    ],
)  # fmt: skip
def test_what_this_machine_does_not_need_may_be_open(read, storage, left):
    config, files = local.read(read(LOCAL % "" + f"sharedStorage: {storage}\n"), {"A": "one"}, needed=True)
    assert (config.get("sharedStorage"), config.problems, files) == (left, (), ())


def test_a_workspace_file_beside_the_experiment_is_not_read(read, tmp_path):
    (tmp_path / "config.json").write_text('{"subscription_id": "s", "resource_group": "r", "workspace_name": "w"}')
    config = read(LOCAL % "")
    assert local.read(config, {}, needed=True) == (config, ())


def test_its_settings_are_what_the_file_says(read):
    assert local.settings(read(LOCAL % "")) == LocalTarget()
    config = read(LOCAL % ", gpuIndices: '0,2', useActiveGpu: true")
    assert local.settings(config) == LocalTarget(gpu_indices=(0, 2), use_active_gpu=True)


def test_a_job_file_has_nothing_of_it_and_the_manifest_has_its_gpus():
    assert LocalTarget().job == JobPart(uploads=False)
    assert LocalTarget().head == {"gpu_indices": None, "use_active_gpu": False}
    assert LocalTarget(gpu_indices=(0, 2), use_active_gpu=True).head == {"gpu_indices": [0, 2], "use_active_gpu": True}
    assert LocalTarget().common("/here") == "/here"
