"""How the runner comes by its parts: from nowhere else, whole, and without a trace; damage is a loss of the machine's."""

import json
import os
import shutil
import sys

import pytest

from tests.runner.harness import ID, TIMEOUT_S, JobFolder, interpreters, metric_line, trials

NEEDED = (
    *("__init__", "job", "last_words", "loop", "main", "metric_log", "process", "results", "signals", "slots"),
    *("streams", "sweep", "workdir"),
)
SERVER = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "MLFLOW_RUN_ID": "r"}
SOMETIMES = {
    "copies": {"trials": trials(2)},
    "gpus": {"env": {"AMLC_GPUS_PER_TRIAL": "1"}},
    "metrics": {},
    "mlflow": {"env": SERVER},
    "tracking": {"env": SERVER},
}
"""The parts that only some jobs need, with what such a job is given; each reports a metric."""
REPORT = f"cat << 'END'\n{metric_line(1)}\nEND\n"


@pytest.fixture
def job(tmp_path):
    return JobFolder(tmp_path / "job")


def part(job, name):
    return job.root / "amlc_runner_lib" / f"{name}.py"


def ends(job, given):
    return {(job.result(trial["id"])["end"], job.result(trial["id"])["exit_code"]) for trial in given}


# --- Damage ----------------------------------------------------------------------------------------------------------

DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2]),
    "zeros": lambda path: path.write_bytes(bytes(4096)),
    "unreadable": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", ["main", "streams"])
def test_part_that_is_damaged_is_a_loss_of_the_machines(job, name, damage):
    damage(part(job, name))
    done = job.run("echo ran", trials=trials(2))
    assert (done.code, done.out) == (1, b"")
    assert ends(job, trials(2)) == {("lost", None)}
    assert job.result(trials(2)[0]["id"])["error"].startswith("a part of the runner could not be read: ")
    assert "Traceback" in done.err


@pytest.mark.parametrize("name", NEEDED)
def test_no_trial_begins_without_a_part_that_all_need(job, name):
    part(job, name).unlink()
    assert job.run("echo ran").out == b""
    assert ends(job, [{"id": ID}]) == {("lost", None)}


@pytest.mark.parametrize("name", SOMETIMES)
def test_part_that_only_some_jobs_need_is_missed_by_them_alone(job, name):
    part(job, name).unlink()
    assert job.run("true").code == 0
    done = job.run(REPORT, **SOMETIMES[name])
    assert done.code == 1
    assert {end for end, _ in ends(job, SOMETIMES[name].get("trials", [{"id": ID}]))} == {"lost"}
    assert f"the runner failed: ModuleNotFoundError(\"No module named 'amlc_runner_lib.{name}'\")" in done.err


def test_runner_without_any_parts_loses_all_trials_also_one_that_is_long(job):
    shutil.rmtree(job.root / "amlc_runner_lib")
    pieces = {f"AMLC_TRIAL_1{end}": text for end, text in [("", '{"id": "a", "para'), ("_1", 'meters": {}}')]}
    assert job.run("echo ran", env=pieces).code == 1
    assert ends(job, [{"id": ID}, {"id": "a"}]) == {("lost", None)}


@pytest.mark.parametrize("tenth", range(1, 10))
def test_main_part_that_ends_before_its_last_function_never_fails_a_trial(job, tenth):
    path = part(job, "main")
    lines = path.read_text().partition("def main()")[0].splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) * tenth // 10]))
    job.run("true")
    assert ends(job, [{"id": ID}]) == {("lost", None)}


# --- The folder is the user's ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", [{}, SERVER], ids=["alone", "with a server"])
def test_trial_may_do_away_with_the_runner(job, env):
    done = job.run(f"rm -r amlc_runner*; {REPORT}echo words >&2; exit 3", env=env)
    assert done.code == 3
    assert (job.result()["end"], job.result()["error"]) == ("exited", "words")
    assert job.values() == [("intermediate", 0, 1)]


@pytest.mark.parametrize("python", interpreters().values(), ids=interpreters())
def test_nothing_is_written_but_outputs(job, python):
    before = set(job.root.rglob("*"))
    assert job.run(REPORT, python=python).code == 0
    assert set(job.root.rglob("*")) - before == {job.root / "outputs", *(job.root / "outputs").rglob("*")}


def test_nobody_elses_modules_pass_for_the_runners(job, tmp_path):
    for folder in (tmp_path / "own", job.root):
        folder.mkdir(exist_ok=True)
        for name in ("job", "main", "importlib", "signals"):
            (folder / f"{name}.py").write_text("raise SystemExit('not the runner')")
    (tmp_path / "own" / "amlc_runner_lib.py").write_text("raise SystemExit('not the runner')")
    done = job.run("echo fine", env={"PYTHONPATH": str(tmp_path / "own")})
    assert (done.code, done.out) == (0, b"fine\n"), done.err


def test_trial_sees_neither_the_parts_nor_the_standin_in_the_way_of_its_modules(job):
    job.script("value = 'own'", "streams.py")
    program = job.script("import json, streams, sys; print(json.dumps([streams.value, sys.path[0], sys.path[1]]))")
    assert json.loads(job.run(program).out) == ["own", str(job.root), str(job.root / "amlc_standin")]


def test_streams_that_are_closed_are_no_reason_to_fail(job):
    environment = job.environment("echo out; echo err >&2; exit 3", [{"id": ID, "sequence": 0, "parameters": {}}], {})
    pid = os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", 'cd "$1"; exec "$2" amlc_runner.py >&- 2>&- <&-', "sh", str(job.root), sys.executable],
        environment,
    )
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert (job.result()["end"], job.result()["error"]) == ("exited", "err")


def test_error_of_the_runner_shows_where_it_was(job):
    path = part(job, "loop")
    path.write_text(path.read_text().replace("    def _finish(self", "    def _finish(self, broken"))
    with job.start("true") as process:
        _, err = process.communicate(timeout=TIMEOUT_S)
    assert f'File "{path}", line ' in err.decode()
    assert "self._finish(process)" in err.decode()
