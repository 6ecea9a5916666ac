"""The rules for NNI's v1 format are those of NNI's own converter."""

import pytest
import yaml
from nni.experiment.config import convert

from amlc.config import load_experiment
from amlc.config.legacy.moves import moves, to_v2
from amlc.config.legacy.table import PLATFORMS as KNOWN

COMMON = {
    "authorName": "me",
    "experimentName": "e",
    "trialConcurrency": 2,
    "maxExecDuration": "1h",
    "maxTrialNum": 3,
    "searchSpacePath": "s.json",
    "multiPhase": False,
    "logDir": "/tmp",
    "debug": True,
    "logLevel": "debug",
    "useAnnotation": False,
    "tuner": {"builtinTunerName": "TPE", "classArgs": {"optimize_mode": "maximize"}},
}
ROLE = {"replicas": 1, "command": "c", "gpuNum": 0, "cpuNum": 1, "memoryMB": 64, "image": "i"}
PLATFORMS = {
    "local": {
        "trial": {"command": "c", "codeDir": ".", "gpuNum": 1},
        "localConfig": {"gpuIndices": "0,1", "maxTrialNumPerGpu": 2, "useActiveGpu": True},
        "advisor": {"codeDir": ".", "classFileName": "m.py", "className": "M", "classArgs": {"a": 1}},
    },
    "remote": {
        "trial": {"command": "c", "codeDir": ".", "gpuNum": 0},
        "remoteConfig": {"reuse": True},
        "machineList": [
            {"ip": "1.2.3.4", "port": 22, "username": "u", "passwd": "p", "pythonPath": "/x"},
            {"ip": "1.2.3.5", "username": "u", "sshKeyPath": "k", "gpuIndices": "0", "maxTrialNumPerGpu": 2},
        ],
    },
    "pai": {
        "trial": {
            "command": "c",
            "codeDir": ".",
            "gpuNum": 0,
            "cpuNum": 1,
            "memoryMB": 64,
            "image": "i",
            "virtualCluster": "v",
            "nniManagerNFSMountPath": "/a",
            "containerNFSMountPath": "/b",
            "paiStorageConfigName": "p",
        },
        "paiConfig": {"userName": "u", "token": "t", "host": "h", "reuse": True},
    },
    "aml": {
        "trial": {"command": "c", "codeDir": ".", "image": "i"},
        "amlConfig": {
            "subscriptionId": "s",
            "resourceGroup": "r",
            "workspaceName": "w",
            "computeTarget": "c",
            "maxTrialNumPerGpu": 1,
        },
        "sharedStorage": {
            "storageType": "AzureBlob",
            "localMountPoint": "/m",
            "remoteMountPoint": "n",
            "localMounted": "usermount",
            "storageAccountName": "a",
            "storageAccountKey": "k",
            "containerName": "b",
        },
    },
    "frameworkcontroller": {
        "trial": {
            "codeDir": ".",
            "command": "c",
            "taskRoles": [
                {
                    "name": "w",
                    "taskNum": 1,
                    "command": "c",
                    "gpuNum": 0,
                    "cpuNum": 1,
                    "memoryMB": 64,
                    "image": "i",
                    "frameworkAttemptCompletionPolicy": {"minFailedTaskCount": 1, "minSucceededTaskCount": 1},
                }
            ],
        },
        "frameworkcontrollerConfig": {"serviceAccountName": "f", "nfs": {"server": "s", "path": "/p"}},
    },
    "kubeflow": {
        "trial": {"codeDir": ".", "worker": {**ROLE}, "ps": {**ROLE}},
        "kubeflowConfig": {
            "operator": "tf-operator",
            "apiVersion": "v1",
            "storage": "azureStorage",
            "keyVault": {"vaultName": "v", "name": "n"},
            "azureStorage": {"accountName": "a", "azureShare": "s"},
        },
    },
}


def converted(v1):
    return to_v2(list(moves(v1)))


def test_every_platform_that_nni_converts_has_rules() -> None:
    assert KNOWN.keys() == PLATFORMS.keys()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_file_is_converted_as_nni_does(platform) -> None:
    v1 = {**COMMON, **PLATFORMS[platform], "trainingServicePlatform": platform}
    theirs = convert.to_v2(v1)
    for role in ("worker", "ps"):  # which NNI gives the folder that all trials have anyway
        theirs["trainingService"].get(role, {}).pop("codeDirectory", None)
    assert converted(v1) == theirs


def test_what_nni_s_converter_loses_is_kept() -> None:
    v1 = {
        "trainingServicePlatform": "remote",
        "maxTrialDuration": "1h",
        "tuner": {"builtinTunerName": "TPE", "includeIntermediateResults": True},
        "machineList": [{"ip": "h", "username": "u", "passphrase": "p"}],
    }
    ours, theirs = converted(v1), convert.to_v2(v1)
    assert "maxTrialDuration" not in theirs
    assert ours["maxTrialDuration"] == "1h"
    assert ours["amlc"] == {"includeIntermediateResults": True}
    assert theirs["trainingService"]["machineList"] == [{"host": "h", "user": "u", "passphrase": "p"}]
    assert ours["trainingService"]["machineList"] == [{"host": "h", "user": "u", "sshPassphrase": "p"}]


def experiments(tmp_path, v1, v2):
    (tmp_path / "s.json").write_text('{"x": {"_type": "choice", "_value": [1, 2]}}')
    found = []
    for name, config in (("v1", v1), ("v2", v2)):
        file = tmp_path / name / "experiment.yml"
        file.parent.mkdir()
        file.write_text(yaml.safe_dump({**config}), encoding="utf-8")
        found.append(load_experiment(file, environ={})[0])
    return found


def test_a_v1_file_is_the_experiment_that_nni_makes_of_it(tmp_path) -> None:
    v1 = {
        **COMMON,
        **PLATFORMS["aml"],
        "trainingServicePlatform": "aml",
        "searchSpacePath": str(tmp_path / "s.json"),
        "sharedStorage": None,
    }
    v1["trial"] = {**v1["trial"], "codeDir": str(tmp_path)}
    v1["amlConfig"] = {**v1["amlConfig"], "useActiveGpu": True}
    one, other = experiments(tmp_path, v1, convert.to_v2({key: value for key, value in v1.items() if value}))
    for name in ("space", "tuner", "command", "code", "concurrency", "max_trials", "max_seconds", "target", "seed"):
        assert getattr(one, name) == getattr(other, name), name
