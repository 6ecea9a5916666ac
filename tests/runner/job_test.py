"""What the runner reads from the environment. Wrong input is in runner_test.py, with what is said of it."""

import json

import pytest

from amlc.runner.amlc_runner_lib.job import InputError, is_count, read_job, read_run, read_trials

ONE = {"id": "a-1_B", "sequence": 3, "parameters": {"lr": 0.1, "name": "\u00e9"}}
NEEDED = {b"AMLC_EXPERIMENT": '"\u00e9"'.encode(), b"AMLC_COMMAND": b'"echo $x"'}


def text(**more):
    return json.dumps({**ONE, **more}, ensure_ascii=False).encode()


def test_trial_says_what_to_run_and_nothing_has_become_of_it():
    (trial,) = read_trials({b"AMLC_TRIAL_0": text(replicate=2)})
    assert (trial.id, trial.sequence, trial.parameters, trial.replicate) == ("a-1_B", 3, ONE["parameters"], 2)
    assert (trial.started, trial.end, trial.is_saved) == (None, None, False)
    assert trial.home == "outputs/amlc/a-1_B"


@pytest.mark.parametrize("size", [1, 7, 50])
def test_trial_is_joined_from_pieces_that_end_anywhere(size):
    whole = text()
    pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
    environ = {b"AMLC_TRIAL_0" + (b"_%d" % i if i else b""): piece for i, piece in enumerate(pieces)}
    (trial,) = read_trials({**environ, b"AMLC_TRIAL_SECONDS": b"1"})
    assert trial.parameters == ONE["parameters"]


@pytest.mark.parametrize("identifier", ["", "-a", "_a", "a/b", "a.b", "\u00e9", "\u0661", "a\n", "a" * 129, 1])
def test_id_is_a_name_that_any_file_system_takes(identifier):
    with pytest.raises(InputError, match="needs an id of letters and digits"):
        read_trials({b"AMLC_TRIAL_0": text(id=identifier)})


@pytest.mark.parametrize("identifier", ["a", "0", "a" * 128, "A-_z"])
def test_id_may_have_dashes_after_the_first_character(identifier):
    assert [trial.id for trial in read_trials({b"AMLC_TRIAL_0": text(id=identifier)})] == [identifier]


@pytest.mark.parametrize("bare", ["y", 1, ["x"]])
def test_what_is_bare_is_one_of_the_parameters(bare):
    assert read_trials({b"AMLC_TRIAL_0": text(parameters={"x": "cat"}, bare="x")})[0].received == "cat"
    with pytest.raises(InputError, match="needs a bare that is one of its parameters"):
        read_trials({b"AMLC_TRIAL_0": text(parameters={"x": "cat"}, bare=bare)})


def test_what_is_not_there_is_not_asked_for():
    job = read_job(NEEDED, [])
    assert (job.experiment, job.command) == ("\u00e9".encode(), b"echo $x")
    assert (job.trial_seconds, job.concurrency, job.gpus_per_trial, job.trials_per_gpu) == (None, None, None, 1)
    assert (job.gpu_shares, job.output_root) == (None, None)


def test_what_is_there_is_read():
    given = {"TRIAL_SECONDS": 9, "CONCURRENCY": 2, "GPUS_PER_TRIAL": 0, "TRIALS_PER_GPU": 3}
    more = {**given, "GPU_SHARES": {"0": 1, "GPU-a:b/c.d": 2}, "OUTPUT_ROOT": "/a/../b", "WORKDIR": "/c/é"}
    job = read_job(
        {**NEEDED, **{f"AMLC_{name}".encode(): json.dumps(value).encode() for name, value in more.items()}}, []
    )
    assert (job.trial_seconds, job.concurrency, job.gpus_per_trial, job.trials_per_gpu) == (9, 2, 0, 3)
    assert (job.gpu_shares, job.output_root, job.workdir) == (more["GPU_SHARES"], "/b", "/c/é")


RUNS = {
    "none": ({}, None),
    "no run": ({"MLFLOW_TRACKING_URI": "https://h"}, None),
    "no server": ({"MLFLOW_RUN_ID": "r"}, None),
    "a file": ({"MLFLOW_TRACKING_URI": "file:///x", "MLFLOW_RUN_ID": "r"}, None),
    "MLflow's own": (
        {"MLFLOW_TRACKING_URI": "http://h/a/?b=c", "MLFLOW_RUN_ID": "r", "MLFLOW_TRACKING_TOKEN": "t"},
        ("http://h/a/api/2.0/mlflow/runs/log-batch", "t", "r"),
    ),
    "Azure ML's": (
        {"MLFLOW_TRACKING_URI": "azureml://h/x", "AZUREML_RUN_ID": "q", "AZUREML_RUN_TOKEN": "u"},
        ("https://h/x/api/2.0/mlflow/runs/log-batch", "u", "q"),
    ),
    "MLflow's before Azure ML's": (
        {"MLFLOW_TRACKING_URI": "http://h", "MLFLOW_RUN_ID": "r", "AZUREML_RUN_ID": "q"},
        ("http://h/api/2.0/mlflow/runs/log-batch", None, "r"),
    ),
}


@pytest.mark.parametrize(("environ", "expected"), RUNS.values(), ids=RUNS)
def test_mlflow_run(environ, expected):
    run = read_run(environ)
    assert (run and (run.url, run.token, run.id)) == expected


@pytest.mark.parametrize(("value", "expected"), [(0, False), (1, True), (True, False), (1.0, False), ("1", False)])
def test_count_is_an_integer_and_no_boolean(value, expected):
    assert is_count(value, 1) is expected
