"""A run folder is made as AML has it, and says how its job ended, whoever ran it."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from amlc.backends import Submission
from amlc.backends.run_folder import (
    abandon,
    exit_code,
    fetched,
    how_it_ended,
    number,
    numbers,
    output,
    outputs,
    prepare,
    resolved,
    started,
    tidy,
)
from amlc.errors import BackendError

TRIAL = "ab" * 8
GONE = "its processes are gone without a word: killed, or the machine went down"
OWN_END = json.dumps({"exit_code": 0, "end": "exited", "started": 1.0, "ended": 2.0, "error": None})


@pytest.fixture
def run(tmp_path):
    """A run folder that is prepared for a job of one trial, whose snapshot has a file and an `outputs` of its own."""
    code = tmp_path / "build" / "code"
    (code / "outputs" / "amlc" / TRIAL).mkdir(parents=True)
    (code / "outputs" / "amlc" / TRIAL / "result.json").write_text(OWN_END)
    (code / "outputs" / "kept").write_text("")
    (code / "trial.py").write_text("print()")
    trial = json.dumps({"id": TRIAL, "sequence": 0, "parameters": {}})
    job = {"code": "../code", "command": "x", "environment_variables": {"AMLC_TRIAL_0": trial}}
    (tmp_path / "build" / "jobs").mkdir()
    folder = tmp_path / "runs" / "job-1"
    folder.mkdir(parents=True)
    prepare(folder, Submission("job-1", json.dumps(job).encode(), tmp_path / "build" / "jobs"), job)
    return folder


def leave(run, **names):
    for name, content in names.items():
        (run / name).write_text(content)


def test_it_is_prepared_as_a_job_on_aml_finds_it(run) -> None:
    assert (run / "work" / "trial.py").read_text() == "print()"
    assert (run / "work" / "outputs" / "kept").exists()
    assert (run / "outputs" / "kept").exists(), "it outlives the working copy"
    assert not (run / "outputs" / "amlc").exists(), "a result in the snapshot is none of this run's"
    assert (run / "user_logs").is_dir()
    assert (started(run), how_it_ended(run, canceled=False)) == (None, None)


def again(run, build, **given) -> None:
    content = (run / "job.yml").read_bytes()
    prepare(run, Submission("job-1", content, build / "jobs"), json.loads(content), **given)


def test_leftovers_of_a_start_that_was_cut_short_are_replaced(run, tmp_path) -> None:
    leave(run / "work", old="")
    again(run, tmp_path / "build")
    assert not (run / "work" / "old").exists()


def test_a_snapshot_that_cannot_be_copied_is_one_sentence(run, tmp_path) -> None:
    (tmp_path / "build" / "code" / "gone").symlink_to("nowhere")
    with pytest.raises(OSError, match=r"^\[Errno 2\] No such file or directory: '\S*code/gone'$"):
        again(run, tmp_path / "build")


def test_where_the_trials_run_elsewhere_it_has_links_to_the_runner(run, tmp_path) -> None:
    runner = tmp_path / "runner"
    (runner / "amlc_standin" / "nni").mkdir(parents=True)
    (runner / "amlc_standin" / "nni" / "trial.py").touch()
    (runner / "amlc_runner.py").touch()
    again(run, tmp_path / "build", runner=runner)
    work = run / "work"
    assert {path.name for path in work.iterdir()} == {"amlc_runner.py", "amlc_standin", "outputs", "user_logs"}
    assert (work / "amlc_standin" / "nni" / "trial.py").exists()
    tidy(run)
    assert not work.exists()
    assert (runner / "amlc_standin" / "nni" / "trial.py").exists(), "it is for all jobs"


def test_in_a_copy_the_runners_bytecode_is_not_kept_and_nothing_of_that_is_left(run, tmp_path) -> None:
    standin = tmp_path / "build" / "code" / "amlc_standin" / "nni"
    standin.mkdir(parents=True)
    (standin / "trial.py").touch()
    again(run, tmp_path / "build")
    assert (run / "work" / "amlc_standin" / "nni" / "__pycache__").is_file()
    tidy(run)
    assert not (run / "work").exists()


def test_of_a_copy_what_the_trials_wrote_is_left(run) -> None:
    work = run / "work"
    (work / "__pycache__").mkdir()
    (work / "__pycache__" / "trial.pyc").touch()
    (work / "empty").mkdir()
    (work / "deep").mkdir()
    leave(work / "deep", new="1")
    (work / "link").symlink_to("deep")
    tidy(run)
    assert {path.name for path in work.iterdir()} == {"deep", "link"}
    assert (run / "outputs" / "kept").exists()
    tidy(run)
    assert (work / "link").exists()


def test_of_a_copy_what_the_trials_changed_is_left_and_of_one_that_is_not_known_all(run) -> None:
    (run / "work" / "trial.py").write_text("print(1)")
    tidy(run)
    assert (run / "work" / "trial.py").exists()
    (run / "copied").write_text("{")
    (run / "work" / "trial.py").write_text("print()")
    tidy(run)
    assert (run / "work" / "trial.py").exists()


def test_a_copy_that_nobody_changed_is_gone_even_if_it_was_removed_in_part_before(run) -> None:
    (run / "work" / "outputs").unlink()
    tidy(run)
    assert not (run / "work").exists()
    assert not (run / "copied").exists()


def test_links_among_the_outputs_are_followed_within_the_run_folder_alone(run, tmp_path) -> None:
    left = run / "outputs"
    (left / "epochs" / "3").mkdir(parents=True)
    (left / "epochs" / "3" / "model.pt").write_bytes(b"weights")
    (left / "epochs" / "again").symlink_to(left)
    (left / "best.pt").symlink_to("epochs/3/model.pt")
    (left / "latest").symlink_to("epochs")
    (left / "gone").symlink_to("nowhere")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_bytes(b"mine")
    (left / "key").symlink_to(tmp_path / "secret" / "key")
    (left / "secret").symlink_to(tmp_path / "secret")
    (left / "beside").symlink_to(f"../../{run.name}-2")
    (tmp_path / f"{run.name}-2").mkdir()
    (tmp_path / f"{run.name}-2" / "key").write_bytes(b"another's")
    found = outputs(run)
    real = {name for name in found if not name.startswith(("epochs/again/", "latest/"))}
    assert real == {"kept", "best.pt", "epochs/3/model.pt"}
    assert found["latest/3/model.pt"] == found["epochs/again/epochs/3/model.pt"] == found["best.pt"] == len(b"weights")
    assert not any(name.endswith("key") for name in found)
    assert b"".join(output(run, "best.pt", start=2)) == b"ights"
    for name in ("key", "secret/key", "beside/key"):
        with pytest.raises(BackendError, match="this link leads out of the run folder"):
            list(output(run, name, start=0))


@pytest.mark.parametrize("name", ["unlink", "rmdir", "rmtree"])
def test_a_copy_that_cannot_be_removed_for_a_moment_is_removed_a_moment_later(run, monkeypatch, name) -> None:
    """Once its end is recorded nobody looks at a job again."""
    (run / "work" / "__pycache__").mkdir()
    place = shutil if name == "rmtree" else os
    really, failed = getattr(place, name), []

    def strict(path, *arguments, **options):
        if not failed:
            failed.append(path)
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really(path, *arguments, **options)

    monkeypatch.setattr(place, name, strict)
    tidy(run)
    assert failed
    assert not (run / "work").exists()


def test_of_a_job_that_never_began_the_copy_goes(run) -> None:
    (run / "started").touch()
    abandon(run)
    assert (run / "work" / "trial.py").exists()
    (run / "started").unlink()
    abandon(run)
    assert not (run / "work").exists()


@pytest.fixture
def failing(monkeypatch):
    """Let the next opens of files fail: `failing(number, times)`; nobody waits."""
    left = []
    really = os.open

    def strict(path, *arguments, **options):
        if left and Path(path).suffix in (".json", ".jsonl", ".yml"):
            number = left.pop()
            raise OSError(number, os.strerror(number), str(path))
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, "open", strict)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return lambda number, times: left.extend([number] * times)


@pytest.fixture
def ended(run):
    """A run folder whose trial reported 1.5 and ended well."""
    records = run / "outputs" / "amlc" / TRIAL
    records.mkdir(parents=True)
    report = json.dumps({"type": "final", "sequence": 0, "value": 1.5, "at": 1.0})
    (records / "result.json").write_text(OWN_END)
    (records / "metrics.jsonl").write_text(report + "\n")
    return run


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("times", [1, 2])
def test_what_cannot_be_read_for_a_moment_is_no_loss(ended, failing, number, times) -> None:
    """Of an unread end a trial would run again, and of unread reports it would have no result."""
    whole = fetched(ended)
    assert (len(whole.metrics), len(whole.outcomes)) == (1, 1)
    failing(number, times)
    assert fetched(ended) == whole


def test_what_this_process_has_no_room_to_read_is_not_taken_for_missing(ended, failing) -> None:
    failing(errno.EMFILE, 99)
    with pytest.raises(BackendError, match=r"Too many open files\. Do it again later\."):
        fetched(ended)


def test_what_can_never_be_read_is_taken_for_missing(ended, failing) -> None:
    failing(errno.EIO, 99)
    with pytest.warns(RuntimeWarning, match="its reports are left out"):
        found = fetched(ended)
    assert (list(found.metrics), list(found.outcomes)) == ([], [])


@pytest.mark.parametrize(
    ("files", "canceled", "expected"),
    [
        pytest.param({"exit_code": "0\n"}, False, ("succeeded", 0, None, False), id="its exit code"),
        pytest.param({"exit_code": "3\n"}, False, ("failed", 3, "exit code 3: last words", False), id="it failed"),
        pytest.param({"exit_code": "137\n"}, False, ("failed", 137, "its runner was killed by signal 9", True), id="killed"),
        pytest.param({"exit_code": "143\n", "canceled": ""}, False, ("canceled", 143, None, False), id="canceled"),
        pytest.param({"exit_code": "143\n"}, True, ("canceled", 143, None, False), id="canceled by us"),
        pytest.param(
            {"exit_code": "143\n", "timed_out": ""}, False,
            ("early_stopped", 143, "stopped at its time limit (maxTrialDuration)", False), id="too late",
        ),
        pytest.param(
            {}, False,
            ("failed", None, GONE, True), id="gone",
        ),
        pytest.param({"exit_code": "what\n"}, False, ("failed", None, GONE, True), id="no exit code"),
    ],
)  # fmt: skip
def test_its_files_say_how_it_ended(run, files, canceled, expected) -> None:
    leave(run, started="", **files)
    (run / "user_logs" / "std_log.txt").write_text("first\nlast words\n\n")
    seen = how_it_ended(run, canceled=canceled)
    assert (seen.status.value, seen.exit_code, seen.error, seen.infrastructure) == expected
    assert seen.job == "job-1"


def test_what_a_trial_said_of_its_own_end_counts_before_all_else(run) -> None:
    (run / "outputs" / "amlc" / TRIAL).mkdir(parents=True)
    (run / "outputs" / "amlc" / TRIAL / "result.json").write_text(OWN_END)
    leave(run, canceled="")
    assert how_it_ended(run, canceled=True).status.value == "succeeded"
    assert [outcome.exit_code for outcome in fetched(run).outcomes] == [0]


@pytest.mark.parametrize(
    ("content", "code", "one", "some"),
    [
        pytest.param("0\n", 0, 0, (), id="a number"),
        pytest.param("255", 255, 255, (255,), id="the largest code"),
        pytest.param("1000", None, 1000, (1000,), id="too large a code"),
        pytest.param("0,1,1", None, None, (0, 1, 1), id="several"),
        pytest.param("x", None, None, (), id="text"),
        pytest.param("", None, None, (), id="nothing"),
        pytest.param("-1", None, None, (), id="a sign"),
    ],
)
def test_numbers_are_read_with_care(tmp_path, content, code, one, some) -> None:
    (tmp_path / "exit_code").write_text(content)
    assert (exit_code(tmp_path), number(tmp_path / "exit_code")) == (code, one)
    assert numbers(tmp_path / "exit_code") == some
    assert (exit_code(tmp_path / "none"), number(tmp_path / "none"), numbers(tmp_path / "none")) == (None, None, ())


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param("a ${{inputs.n}} b", "a 3 b", id="a literal input"),
        pytest.param("${{ inputs.data }}", "ROOT/it's data", id="a path counts from the job file's folder"),
        pytest.param('A="${{inputs.data}}" b', """A='ROOT/it'"'"'s data' b""", id="quoted for good"),
        pytest.param("${{inputs.whole}}", "ROOT", id="an absolute path"),
        pytest.param("${{outputs.out}}/x", "outputs/out/x", id="an output"),
        pytest.param("$HOME ${x}", "$HOME ${x}", id="the shell's own"),
    ],
)
def test_expressions_are_filled_in_as_aml_does(tmp_path, command, expected) -> None:
    (tmp_path / "it's data").mkdir()
    (tmp_path / "jobs").mkdir()
    inputs = {"n": 3, "data": {"path": "../it's data"}, "whole": {"path": str(tmp_path)}}
    found = resolved(command, {"inputs": inputs, "outputs": {"out": {}}}, tmp_path / "jobs")
    assert found == expected.replace("ROOT", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope", r"names \$\{\{inputs.nope\}\}, and the job has no such input"),
        ("far", r"data on Azure \(azureml:data:1\).* Set the variable AMLC_INPUT_far to the place of a copy"),
        ("gone", r"the input 'gone': /.*/nowhere does not exist"),
    ],
)
def test_what_cannot_be_filled_in_is_said(tmp_path, name, said) -> None:
    job = {"inputs": {"far": {"path": "azureml:data:1"}, "gone": {"path": "nowhere"}}}
    with pytest.raises(BackendError, match=said):
        resolved(f"${{{{inputs.{name}}}}}", job, tmp_path)


def test_a_variable_says_where_a_copy_is(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copy").mkdir()
    job = {"inputs": {"far": {"path": "azureml:data:1"}}}
    found = resolved("${{inputs.far}}", job, tmp_path / "jobs", {"AMLC_INPUT_far": "copy"})
    assert found == str(tmp_path / "copy"), "from where the user is"
