"""Which of a sweep's trials a job runs, however the service tells it."""

import json

import pytest

from amlc.runner.amlc_runner_lib.job import InputError, read_job, read_trials
from amlc.runner.amlc_runner_lib.sweep import swept
from tests.runner.harness import JobFolder, trials

TRIALS = {
    f"AMLC_TRIAL_{number}".encode(): json.dumps({"id": f"t{number}", "sequence": number, "parameters": {}}).encode()
    for number in range(12)
}
NEEDED = {b"AMLC_EXPERIMENT": b'"e"', b"AMLC_COMMAND": b'"true"'}


@pytest.mark.parametrize("text", [b"10", b"10.0", b"1E+01", b"1.0e1", b" 10 ", b"010", b"10.000000000"])
@pytest.mark.parametrize("name", [b"AZUREML_SWEEP_amlc_trial", b"AZUREML_SWEEP_AMLC_TRIAL", b"AMLC_SWEEP_INDEX"])
def test_a_number_is_read_however_it_is_written(name, text):
    environ = {**TRIALS, **NEEDED, name: text}
    assert swept(environ) == 10
    (trial,) = read_trials(environ)
    assert trial.id == "t10"
    assert read_job(environ, [trial]).is_swept


def test_outside_of_a_sweep_all_trials_are_run():
    assert swept(TRIALS) is None
    assert len(read_trials(TRIALS)) == 12
    assert not read_job({**TRIALS, **NEEDED}, []).is_swept


def test_the_variable_counts_before_the_command_and_the_command_where_that_is_no_number():
    unfilled = b"${{search_space.amlc_trial}}"
    assert swept({b"AZUREML_SWEEP_amlc_trial": b"3", b"AMLC_SWEEP_INDEX": unfilled}) == 3
    assert swept({b"AZUREML_SWEEP_amlc_trial": b"", b"AMLC_SWEEP_INDEX": b"4"}) == 4


@pytest.mark.parametrize("text", [b"", b"${{search_space.amlc_trial}}", b"nan", b"inf", b"1.5", b"x"])
def test_a_sweep_that_does_not_say_is_wrong_input(text):
    with pytest.raises(InputError, match="does not say which trial"):
        read_trials({**TRIALS, b"AMLC_SWEEP_INDEX": text})


@pytest.mark.parametrize("text", [b"12", b"-1", b"1e9"])
def test_a_trial_that_there_is_not_is_wrong_input(text):
    with pytest.raises(InputError, match="of 12"):
        read_trials({**TRIALS, b"AMLC_SWEEP_INDEX": text})


SHOW = "env | grep -c ^AMLC_SWEEP; cat $NNI_SYS_DIR/parameter.cfg"


def test_the_trial_runs_in_the_jobs_own_folder_as_the_only_one(tmp_path):
    job = JobFolder(tmp_path / "job")
    given = trials(3)
    done = job.run(f"pwd; {SHOW}", trials=given, env={"AZUREML_SWEEP_amlc_trial": "1"})
    assert done.code == 0
    assert done.out.decode().splitlines()[:2] == [str(job.root), "0"]
    assert [path.name for path in (job.root / "outputs" / "amlc").iterdir()] == [given[1]["id"]]
    assert job.result(given[1]["id"])["end"] == "exited"


@pytest.mark.parametrize(("number", "lost"), [("2", [2]), ("2.0", [2]), ("", [])])
def test_a_runner_that_is_damaged_loses_its_own_trial_alone(tmp_path, number, lost):
    job = JobFolder(tmp_path / "job")
    (job.root / "amlc_runner_lib" / "main.py").unlink()
    assert job.run("true", trials=trials(3), env={"AMLC_SWEEP_INDEX": number}).code == 1
    found = sorted(path.parent.name for path in job.root.glob("outputs/amlc/*/result.json"))
    assert found == sorted(trials(3)[place]["id"] for place in lost)


def test_who_does_not_know_which_trial_it_runs_writes_for_none(tmp_path):
    job = JobFolder(tmp_path / "job")
    done = job.run("echo ran", trials=trials(3), env={"AMLC_SWEEP_INDEX": "${{search_space.amlc_trial}}"})
    assert (done.code, done.out) == (2, b"")
    assert "the sweep does not say which trial this is" in done.err
    assert not list(job.root.glob("outputs/amlc/*"))


AXES = [
    {"name": "lr", "key": ["a/lr"], "how": "draw", "a": 0.001, "b": 0.1, "normal": False, "log": True, "q": None},
    {"name": "opt", "key": ["opt"], "options": [True, None]},
]
SPACE = json.dumps({"namespace": "ns", "first": 20, "axes": AXES})


@pytest.mark.parametrize("split", [10, 10_000])
def test_what_a_sweep_drew_becomes_the_parameters_of_the_only_trial(tmp_path, split):
    job = JobFolder(tmp_path / "job")
    space = {"AMLC_SPACE": SPACE[:split]} | ({"AMLC_SPACE_1": SPACE[split:]} if SPACE[split:] else {})
    given = {"AZUREML_SWEEP_LR": "-4.0E+00", "AMLC_LATENT_opt": "1.0", "AZUREML_RUN_ID": "probe-1_7"}
    done = job.run("cat $NNI_SYS_DIR/parameter.cfg; echo; env | grep -c ^AMLC_LATENT", trials=[], env={**space, **given})
    assert done.code == 1, "grep found none"
    record, count = done.out.decode().splitlines()
    assert json.loads(record)["parameters"] == {"a/lr": pytest.approx(0.018315638888734), "opt": None}
    assert (json.loads(record)["parameter_id"], count) == (27, "0")
    (folder,) = (job.root / "outputs" / "amlc").iterdir()
    assert job.result(folder.name)["end"] == "exited"


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"AZUREML_SWEEP_lr": "-4"}, "the sweep does not say what it drew as opt, but 'nothing'"),
        ({"AZUREML_SWEEP_lr": "x", "AZUREML_SWEEP_opt": "0"}, "what it drew as lr, but 'x'"),
        ({"AMLC_SPACE": "{"}, "AMLC_SPACE is not JSON"),
        ({"AMLC_SPACE": "{}"}, "AMLC_SPACE does not say what a sweep draws"),
    ],
)
def test_who_does_not_know_what_was_drawn_runs_nothing(tmp_path, env, said):
    job = JobFolder(tmp_path / "job")
    done = job.run("echo ran", trials=[], env={"AMLC_SPACE": SPACE, **env})
    assert (done.code, done.out) == (2, b"")
    assert said in done.err
    assert not list(job.root.glob("outputs/amlc/*"))
