"""The configuration and the search space on the page, as the experiment's file says them."""

import json

from amlc.config import load_experiment
from amlc.report.settings import SpaceLine, settings_of

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
