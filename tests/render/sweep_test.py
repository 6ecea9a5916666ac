"""A job file's values as a sweep's, and back; whole files are in tests/cases/sweep and tests/azure/sweep_file_test.py."""

import pytest

from amlc.render.sweep import as_job, as_sweep, flat, is_sweep, name_of, nested, of_trials

JOB = {
    "name": "probe-1-2",
    "code": "code",
    "command": "export A=1 && python3 amlc_runner.py",
    "environment": "azureml:e:1",
    "compute": "azureml:c",
    "environment_variables": {"AMLC_EXPERIMENT": '"a \\u0024b"', "AMLC_TRIAL_0": "{}"},
    "resources": {"instance_count": 2},
    "tags": {"a": "b"},
    "limits": {"timeout": 500},
}


def sweep(job=JOB, **keys):
    given = {"trials": 3, "concurrency": 2, "max_s": None, "goal": "minimize", "start_step": None}
    return as_sweep(job, **{**given, **keys})


def test_what_runs_lies_in_the_trial_and_all_else_beside_it():
    found = sweep()
    assert is_sweep(found)
    assert not is_sweep(JOB)
    assert found["trial"].keys() == {"code", "command", "environment", "environment_variables", "resources"}
    assert found["trial"]["command"] == (
        "export A=1 && AMLC_SWEEP_INDEX='${{search_space.amlc_trial}}' python3 amlc_runner.py"
    )
    assert found["limits"] == {"max_total_trials": 3, "max_concurrent_trials": 2, "trial_timeout": 500}
    assert found["search_space"] == {"amlc_trial": {"type": "choice", "values": [0, 1, 2]}}
    assert "early_termination" not in found


def test_it_is_the_same_job_when_it_is_one_again():
    assert as_job(sweep(max_s=90, start_step=1)) == {**JOB, "type": "command"}
    assert as_job(sweep({**JOB, "limits": {}})) == {
        name: value for name, value in {**JOB, "type": "command"}.items() if name != "limits"
    }


@pytest.mark.parametrize("command", ["./mine.sh a b", "python3 amlc_runner.py; python3 amlc_runner.py"])
def test_any_command_is_told_the_number(command):
    found = sweep({**JOB, "command": command})["trial"]["command"]
    assert found.count("AMLC_SWEEP_INDEX=") == 1
    assert as_job(sweep({**JOB, "command": command}))["command"] == command


def test_some_trials_are_a_smaller_sweep():
    found = of_trials(sweep(concurrency=3), 1)
    assert found["limits"] == {"max_total_trials": 1, "max_concurrent_trials": 1, "trial_timeout": 500}
    assert found["search_space"]["amlc_trial"]["values"] == [0]


def test_flat_values_are_nested_again_with_what_changed():
    values = {**flat(sweep()), "code": "azureml:/x", "name": "other"}
    found = nested(values)
    assert found["trial"] == {**sweep()["trial"], "code": "azureml:/x"}
    assert found.keys() == sweep().keys()
    assert found["name"] == "other"


def test_a_trial_alone_is_shown_by_its_number():
    assert name_of(JOB, 7) == "a $b #7"
