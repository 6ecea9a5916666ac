"""What a trial finds: its environment, and its copy of the job's directory."""

import json
import os

import pytest

from amlc.runner.amlc_runner_lib import workdir
from amlc.runner.amlc_runner_lib.copies import NOT_COPIED, make_work_folder, remove_folder
from amlc.runner.amlc_runner_lib.job import Trial, read_job
from amlc.runner.amlc_runner_lib.workdir import prepare_home, trial_environment
from tests.runner.harness import RUNNER

JOB = read_job({b"AMLC_EXPERIMENT": b'"e"', b"AMLC_COMMAND": b'"c"'}, [])


@pytest.fixture
def trial(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Trial("a", 7, {"x": "# // \u00e9"}, 2)


def environment(trial, given=None, *, visible=None):
    return trial_environment(given or {}, JOB, trial, output="/out", folder="/work", visible=visible)


def test_environment_is_nnis_and_the_users_own(trial):
    given = {b"HOME": b"/h", b"A\xff": b"\xfe", b"AMLC_COMMAND": b'"c"', b"AMLC_X": b"1", b"MULTI_PHASE": b"true"}
    env = environment(trial, given)
    assert {name: value for name, value in env.items() if not name.startswith((b"NNI_", b"PYTHONPATH"))} == {
        b"HOME": b"/h",
        b"A\xff": b"\xfe",
        b"REUSE_MODE": b"true",
        b"AMLC_REPLICATE": b"2",
    }
    assert (env[b"NNI_OUTPUT_DIR"], env[b"NNI_CODE_DIR"], env[b"NNI_TRIAL_SEQ_ID"]) == (b"/out", b"/work", b"7")


@pytest.mark.parametrize(("visible", "expected"), [(None, b"3"), ("", b""), ("0,1", b"0,1")])
def test_gpus_of_the_job_are_left_alone_unless_the_trial_has_its_own(trial, visible, expected):
    assert environment(trial, {b"CUDA_VISIBLE_DEVICES": b"3"}, visible=visible)[b"CUDA_VISIBLE_DEVICES"] == expected


@pytest.mark.parametrize(("given", "rest"), [({}, b""), ({b"PYTHONPATH": b""}, b""), ({b"PYTHONPATH": b"/x"}, b":/x")])
def test_standin_is_first_on_the_path_and_nothing_else_of_the_runners(trial, given, rest):
    assert environment(trial, given)[b"PYTHONPATH"] == os.fsencode(RUNNER / "amlc_standin") + rest


def test_without_the_standin_the_path_is_the_users(trial, monkeypatch, tmp_path):
    monkeypatch.setattr(workdir, "_RUNNER", str(tmp_path))
    assert b"PYTHONPATH" not in environment(trial)


def test_parameters_have_nothing_that_nni_takes_for_a_comment(trial, tmp_path):
    output = prepare_home(trial, str(tmp_path / "root"))
    assert output == str(tmp_path / "root" / "a" / "nnioutput")
    text = (tmp_path / "outputs" / "amlc" / "a" / "parameter.cfg").read_text()
    assert not set("#/") & set(text)
    assert json.loads(text)["parameters"] == trial.parameters


def test_a_bare_parameter_is_received_without_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare_home(Trial("a", 0, {"rows": None}, 0, bare="rows"), None)
    assert json.loads((tmp_path / "outputs" / "amlc" / "a" / "parameter.cfg").read_text())["parameters"] is None


def test_copy_has_the_users_files_and_nothing_of_amlcs(trial, tmp_path):
    (tmp_path / "trial.py").touch()
    (tmp_path / "amlc_runner.py").touch()
    for folder in ("amlc_runner_lib", "amlc_standin", "outputs", "user_logs", "data/amlc_runner_lib"):
        (tmp_path / folder).mkdir(parents=True)
    copy = make_work_folder()
    assert sorted(os.listdir(copy)) == ["data", "outputs", "trial.py"]
    assert os.listdir(os.path.join(copy, "data")) == ["amlc_runner_lib"]
    assert os.path.realpath(os.path.join(copy, "outputs")) == str(tmp_path / "outputs")
    remove_folder(copy)
    assert not os.path.exists(copy)
    assert (tmp_path / "outputs").is_dir()


def test_everything_that_a_job_has_of_amlcs_is_left_out_of_copies():
    assert {path.name for path in RUNNER.iterdir() if path.name != "__pycache__"} <= NOT_COPIED
