"""NNI's v1 format is read as v2 keys, each of which keeps its place in the file."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from amlc.config.legacy import modern
from amlc.config.legacy.moves import moves, to_v2
from amlc.config.legacy.signs import is_legacy
from amlc.config.load import parse_document
from tests.config.legacy.table_test import COMMON, PLATFORMS

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
