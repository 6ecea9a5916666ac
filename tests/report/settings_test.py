"""The configuration and the search space on the page, as the experiment's file says them."""

import json

import pytest

from amlc.config import load_experiment
from amlc.report.settings import SpaceLine, settings_of
from amlc.resources import schema_file

SPACE = {
    "lr": {"_type": "loguniform", "_value": [1e-4, 0.1]},
    "units": {"_type": "randint", "_value": [4, 10]},
    "drop": {"_type": "quniform", "_value": [0, 1, 0.25]},
    "noise": {"_type": "normal", "_value": [0, 2]},
    "net": {
        "_type": "choice",
        "_value": [{"_name": "cnn", "depth": {"_type": "choice", "_value": [2, "deep"]}}, {"_name": "mlp"}],
    },
}


def settings(tmp_path, **keys):
    config = {
        "experimentName": "e", "searchSpace": SPACE, "trialCommand": "python3 t.py", "trialConcurrency": 3,
        "tuner": {"name": "Random", "classArgs": {"seed": 7}}, "trainingService": {"platform": "local"}, **keys,
    }  # fmt: skip
    (tmp_path / "t.py").touch()
    file = tmp_path / "experiment.yml"
    file.write_text(json.dumps(config), encoding="utf-8")
    return settings_of(load_experiment(file, environ={})[0])


def test_each_parameter_has_a_line_with_its_type_its_values_and_when_it_counts(tmp_path):
    assert settings(tmp_path).space == (
        SpaceLine("lr", "loguniform", "0.0001 to 0.1", ""),
        SpaceLine("units", "randint", "4 to 9", ""),
        SpaceLine("drop", "quniform", "0 to 1, in steps of 0.25", ""),
        SpaceLine("noise", "normal", "mu 0, sigma 2", ""),
        SpaceLine("net._name", "choice", '"cnn", "mlp"', ""),
        SpaceLine("net.depth", "choice", '2, "deep"', 'net is "cnn"'),
    )


def test_facts_are_what_the_file_says_and_no_place_of_this_machine(tmp_path):
    found = settings(tmp_path, maxTrialNumber=20, maxTrialDuration="2m", amlc={"replicates": 2, "constraints": ["lr < 1"]})
    facts = dict(found.facts)
    assert facts["tuner"] == 'Random {"seed": 7}'
    assert (facts["trialCommand"], facts["trialCodeDirectory"], facts["trialConcurrency"]) == ("python3 t.py", ".", "3")
    assert (facts["maxTrialNumber"], facts["maxTrialDuration"], facts["replicates"]) == ("20", "120 s", "2")
    assert facts["constraint"] == "lr < 1"
    assert str(tmp_path) not in repr(found)


ON_AML = {
    "platform": "aml", "subscriptionId": "s", "resourceGroup": "g", "workspaceName": "w", "computeTarget": "c", "dockerImage": "i",
}  # fmt: skip
AUTO = {"trialGpuNumber": 1, "maxTrialDuration": "1m"}
OURS = {
    "seed": (12, ("seed", "12")),
    "namespace": ("me", ("namespace", "me")),
    "target": ("sweep", ("target", "sweep")),
    "sweep": ({"sampling": "native"}, ("sampling", "random")),
    "trialsPerJob": (3, ("trialsPerJob", "3")),
    "jobStart": ("4m", ("jobStart", "240 s")),
    "gpusPerNode": (4, ("trialsPerJob", "81, 3 side by side")),
    "replicates": (2, ("replicates", "2")),
    "constraints": (["lr < 1"], ("constraint", "lr < 1")),
    "zip": ([["a", "b"]], None),
    "initial": ([{"lr": 0.01}], ("initial", '{"lr": 0.01}')),
    "failedValue": ("ignore", ("failedValue", "ignore")),
    "includeIntermediateResults": (True, ("includeIntermediateResults", "true")),
    "environment": ("azureml:e:1", ("environment", "azureml:e:1")),
    "job": ({"environment_variables": {"TOKEN": "hush"}}, ("job", "environment_variables")),
    "workingDirectory": ("trialCodeDirectory", ("workingDirectory", "trialCodeDirectory")),
    "retries": (5, ("retries", "5")),
    "budget": ({"nodeHours": 3}, ("budget.nodeHours", "3")),
    "prices": ({"c": 1.5}, ("prices", '{"c": 1.5}')),
    "templates": ("mine", ("templates", "mine")),
}


@pytest.mark.parametrize("key", json.loads(schema_file().read_text(encoding="utf-8"))["$defs"]["amlc"]["properties"])
def test_every_key_of_ours_shows(tmp_path, key):
    (tmp_path / "mine").mkdir()
    value, shown = OURS[key]
    ours, keys = {key: value}, {"trainingService": ON_AML}
    if key in ("jobStart", "gpusPerNode"):
        ours, keys = ours | {"trialsPerJob": "auto"}, keys | AUTO
    if key == "sweep":
        ours = ours | {"target": "sweep"}
        keys = keys | {"searchSpace": {"lr": SPACE["lr"]}}
    if key == "workingDirectory":
        keys = {}
    if key == "zip":
        space = {name: {"_type": "choice", "_value": [1, 2]} for name in "ab"}
        assert [line.kind for line in settings(tmp_path, searchSpace=space, amlc=ours).space] == ["zip"]
        return
    found = settings(tmp_path, maxTrialNumber=500, amlc=ours, **keys)
    assert shown in found.facts
    assert "hush" not in repr(found)
