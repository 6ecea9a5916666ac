"""NNI's v1 format is read as v2 keys, each of which keeps its place in the file."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from nni.experiment.config import convert

from amlc.config import load_experiment
from amlc.config.legacy import is_legacy, modern, moves, to_v2
from amlc.config.load import parse_document
from amlc.errors import AmlcError

V1 = {
    "authorName": "me",
    "experimentName": "mnist",
    "trialConcurrency": 1,
    "maxExecDuration": "1h",
    "maxTrialDuration": "10m",
    "maxTrialNum": 10,
    "trainingServicePlatform": "aml",
    "searchSpacePath": "space.json",
    "nniManagerIp": None,
    "multiThread": True,
    "tuner": {
        "builtinTunerName": "TPE",
        "classArgs": {"seed": 1},
        "gpuIndices": 0,
        "includeIntermediateResults": True,
    },
    "assessor": {"codeDir": "a", "classFileName": "mine.py", "className": "Mine"},
    "trial": {"command": "python3 x.py", "codeDir": ".", "gpuNum": 1, "image": "i"},
    "amlConfig": {"subscriptionId": "s", "maxTrialNumPerGpu": 2, "useActiveGpu": True},
    "sharedStorage": {"storageType": "NFS", "nfsServer": "n"},
}


def converted(v1):
    return to_v2(list(moves(v1)))


def gone(v1):
    return [".".join(map(str, move.old)) for move in moves(v1) if move.new is None]


def document(text, file="v1.yml"):
    return parse_document(text, Path(file))


def test_every_key_with_a_place_is_moved_and_the_rest_is_named() -> None:
    before = copy.deepcopy(V1)
    assert converted(V1) == {
        "experimentName": "mnist",
        "trialConcurrency": 1,
        "maxExperimentDuration": "1h",
        "maxTrialDuration": "10m",
        "maxTrialNumber": 10,
        "searchSpaceFile": "space.json",
        "trialCommand": "python3 x.py",
        "trialCodeDirectory": ".",
        "trialGpuNumber": 1,
        "tunerGpuIndices": 0,
        "tuner": {"name": "TPE", "classArgs": {"seed": 1}},
        "assessor": {"codeDirectory": "a", "className": "mine.Mine"},
        "trainingService": {
            "platform": "aml",
            "dockerImage": "i",
            "subscriptionId": "s",
            "maxTrialNumberPerGpu": 2,
            "useActiveGpu": True,
        },
        "sharedStorage": {"storageType": "NFS", "nfsServer": "n"},
        "amlc": {"includeIntermediateResults": True},
    }
    assert gone(V1) == ["authorName", "multiThread"]
    assert before == V1


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


def test_the_dialect_of_1_7_has_the_compute_target_in_the_trial() -> None:
    v1 = {"trainingServicePlatform": "aml", "trial": {"computeTarget": "old", "image": "i"}, "amlConfig": {}}
    assert converted(v1)["trainingService"] == {"platform": "aml", "computeTarget": "old", "dockerImage": "i"}
    v1["amlConfig"] = {"computeTarget": "new"}
    assert converted(v1)["trainingService"]["computeTarget"] == "new"


def test_amlc_s_own_keys_may_stand_in_a_v1_file() -> None:
    own = {"retries": 0}
    v1 = {"trainingServicePlatform": "local", "tuner": {"includeIntermediateResults": True}, "amlc": own}
    assert converted(v1)["amlc"] == {"retries": 0, "includeIntermediateResults": True}
    assert own == {"retries": 0}


def test_what_is_no_mapping_is_reported_not_crashed_on() -> None:
    found = modern(document("{trial: 3, tuner: TPE, trainingServicePlatform: aml, amlConfig: [], sharedStorage: 1}"))
    assert found.data == {"trainingService": {"platform": "aml"}}
    wrong = [problem.path for problem in found.remarks if problem.code == "E-type"]
    assert wrong == ["/trial", "/tuner", "/amlConfig", "/sharedStorage"]
    found = modern(document("{trainingServicePlatform: remote, machineList: [3, {ip: h}]}"))
    assert found.data["trainingService"]["machineList"] == [3, {"host": "h"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trainingServicePlatform: local", True),
        ("trial: {command: x}", True),
        ("authorName: me\ntraining_service: {platform: local}", False),
        ("trainingServicePlatform: local\ntrainingService: {platform: local}", True),
        ("trialCommand: x", False),
        ("[1]", False),
    ],
)
def test_a_file_is_in_the_v1_format_by_its_signs(text, expected) -> None:
    assert is_legacy(document(text)) is expected


def test_every_value_keeps_its_place() -> None:
    text = yaml.safe_dump({**COMMON, **PLATFORMS["remote"], "trainingServicePlatform": "remote"}, sort_keys=False)
    before, after = document(text), modern(document(text))

    def at(path):
        return str(after.at(path)), after.problem(path, "E-x", "x").path

    assert at(("trialCommand",)) == (str(before.at(("trial", "command"))), "/trial/command")
    assert at(("tuner", "classArgs", "optimize_mode"))[1] == "/tuner/classArgs/optimize_mode"
    assert at(("trainingService", "machineList", 1, "host")) == (
        str(before.at(("machineList", 1, "ip"))),
        "/machineList/1/ip",
    )
    assert at(("trainingService", "platform"))[1] == "/trainingServicePlatform"


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


def test_messages_speak_the_language_of_the_file(tmp_path) -> None:
    file = tmp_path / "v1.yml"
    file.write_text("trainingServicePlatform: aml\ntrial: {gpuNum: -1}\ntrialConcurrency: 1\n", encoding="utf-8")
    with pytest.raises(AmlcError) as found:
        load_experiment(file, environ={})
    text = str(found.value)
    assert "v1.yml:2:17 /trial/gpuNum: 'trial.gpuNum' must be at least 0, got -1. For example `gpuNum: 1`." in text
    assert "the experiment needs 'trial.command'. For example `command: python3 mnist.py`." in text
    assert "trainingService'" not in text
