"""NNI's v1 format becomes v2 keys."""

from __future__ import annotations

import copy

from amlc.config.legacy import to_v2

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


def test_every_key_with_a_place_is_moved_and_the_rest_is_named() -> None:
    before = copy.deepcopy(V1)
    converted, dropped = to_v2(V1)
    assert before == V1
    assert converted == {
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
    assert dropped == ["authorName", "multiThread"]


def test_machines_and_pai_use_their_new_names() -> None:
    machine = {"ip": "1.2.3.4", "username": "u", "passwd": "p", "sshKeyPath": None, "passphrase": "x", "gpuIndices": 0}
    remote, _ = to_v2({"trainingServicePlatform": "remote", "machineList": [machine], "remoteConfig": {"reuse": True}})
    assert remote["trainingService"] == {
        "platform": "remote",
        "machineList": [{"host": "1.2.3.4", "user": "u", "password": "p", "sshPassphrase": "x", "gpuIndices": 0}],
        "reuseMode": True,
    }
    pai, _ = to_v2({"trainingServicePlatform": "pai", "paiConfig": {"userName": "u", "token": "t", "host": "h"}})
    assert pai["trainingService"] == {"platform": "openpai", "username": "u", "token": "t", "host": "h"}


def test_what_is_no_mapping_is_dropped_not_crashed_on() -> None:
    assert to_v2({"trial": 3, "tuner": "TPE", "amlConfig": [], "machineList": None, "sharedStorage": 1}) == (
        {},
        ["trial", "tuner", "amlConfig", "sharedStorage"],
    )
