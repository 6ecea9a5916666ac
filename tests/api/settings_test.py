"""The experiment file in attribute style."""

import copy
from pathlib import Path

import pytest

from amlc.api.settings import ExperimentConfig


def test_both_spellings_are_one_key():
    config = ExperimentConfig("aml", trialConcurrency=2, trial_command="c")
    config.maxTrialNumber = 3
    config.training_service.docker_image = "i"
    config.trainingService.computeTarget = "cpu"
    assert config.as_dict() == {
        "trialCommand": "c",
        "trialConcurrency": 2,
        "maxTrialNumber": 3,
        "trainingService": {"platform": "aml", "dockerImage": "i", "computeTarget": "cpu"},
    }
    assert (config.trial_concurrency, config.max_trial_number, config.training_service.platform) == (2, 3, "aml")


def test_objects_are_there_to_be_filled_in_and_gone_while_they_are_empty():
    config = ExperimentConfig()
    assert config.assessor.name is None
    assert config.search_space == {}
    assert config.as_dict() == {}
    config.tuner.class_args["optimize_mode"] = "maximize"
    config.search_space["x"] = {"_type": "choice", "_value": [1]}
    config.amlc.budget.node_hours = 2
    assert config.as_dict() == {
        "searchSpace": {"x": {"_type": "choice", "_value": [1]}},
        "tuner": {"classArgs": {"optimize_mode": "maximize"}},
        "amlc": {"budget": {"nodeHours": 2}},
    }


def test_a_mapping_fills_an_object_and_a_path_becomes_text():
    config = ExperimentConfig(training_service={"platform": "local", "use_active_gpu": True})
    config.trial_code_directory = Path("code")
    assert config.training_service.use_active_gpu is True
    assert config.trial_code_directory == "code"


@pytest.mark.parametrize("act", [lambda c: c.max_trials, lambda c: setattr(c, "max_trials", 3)], ids=["get", "set"])
def test_a_wrong_name_is_an_error_where_it_stands(act):
    with pytest.raises(AttributeError, match=r"no .max_trials. here\. Did you mean .max_trial_number."):
        act(ExperimentConfig())
    with pytest.raises(AttributeError, match="There are name, class_name, code_directory, class_args"):
        ExperimentConfig().tuner.zzz  # noqa: B018 - it is what raises


def test_what_a_file_holds_is_kept_though_it_is_wrong():
    config = ExperimentConfig.of({"trial_command": "c", "bogus": 1, "tuner": {"nam": "TPE"}})
    assert config.trial_command == "c"
    assert config.as_dict() == {"trialCommand": "c", "tuner": {"nam": "TPE"}, "bogus": 1}


def test_a_copy_is_one_and_equal_values_are_equal():
    config = ExperimentConfig("local", search_space={"x": 1})
    other = copy.deepcopy(config)
    assert other == config
    other.training_service.platform = "aml"
    assert other != config
    assert "trial_command" in dir(config)
    assert repr(config) == "ExperimentConfig({'searchSpace': {'x': 1}, 'trainingService': {'platform': 'local'}})"


def test_a_key_is_unset_by_deleting_it():
    config = ExperimentConfig(trial_command="c")
    del config.trial_command
    assert config.trial_command is None
