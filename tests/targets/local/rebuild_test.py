"""A lost or damaged ledger is made again from the run folders, and nothing runs twice."""

from __future__ import annotations

import csv
import errno
import io
import shutil
import signal
import subprocess
import sys

import pytest

from amlc.targets.local import rebuild

KILLED_REFRESH = """
import itertools, os, runpy, signal, sys
from amlc.targets.local.backend import LocalBackend
count, fetch = itertools.count(1), LocalBackend.fetch
def fetch_two(self, job):
    if next(count) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return fetch(self, job)
LocalBackend.fetch = fetch_two
sys.argv = ["amlc", "refresh"]
runpy.run_module("amlc", run_name="__main__")
"""
GO = 'while [ ! -e "$PROBE/go" ]; do sleep 0.02; done\n'
ODD_FAILS = '[ -e "$PROBE/again" ] || [ $((NNI_TRIAL_SEQ_ID % 2)) = 0 ] || exit 3\n'


def rows(project, *options, code=0) -> list[dict[str, str]]:
    table = project.amlc("collect", *options, code=code).stdout.decode()
    return list(csv.DictReader(io.StringIO(table)))


def lose(project) -> None:
    for path in project.folders.ledger("probe").parent.glob("ledger.db*"):
        path.unlink()


def single(project, wait_until) -> None:
    project.write("intermediate 1\n").compile().amlc("submit")


def packed(project, wait_until) -> None:
    project.write(ODD_FAILS, values=range(5), amlc={"trialsPerJob": 3}).compile().amlc("submit", code=1)
    (project.root / "again").touch()
    project.amlc("submit", "--retry", "failed")  # as parts of their packs


def replicated(project, wait_until) -> None:
    project.write(values=range(2), amlc={"replicates": 2}).compile().amlc("submit")


def retried(project, wait_until) -> None:
    project.write(ODD_FAILS).compile().amlc("submit", code=1)
    (project.root / "again").touch()
    project.amlc("submit", "--retry", "failed")


def failed(project, wait_until) -> None:
    project.write(ODD_FAILS).compile().amlc("submit", code=1)


def canceled(project, wait_until) -> None:
    project.write("[ $NNI_TRIAL_SEQ_ID = 0 ] || exec sleep 600", values=range(3), trialConcurrency=3).compile()
    project.amlc("submit", "--no-wait")
    wait_until(lambda: len(project.starts) == 3)
    wait_until(lambda: rows(project, code=4)[0]["status"] == "succeeded")
    project.amlc("cancel", "--all")


def running(project, wait_until) -> None:
    project.write(f"[ $NNI_TRIAL_SEQ_ID = 0 ] || {GO}", values=range(3), trialConcurrency=3).compile()
    project.amlc("submit", "--no-wait")
    wait_until(lambda: len(project.starts) == 3)
    wait_until(lambda: rows(project, code=4)[0]["status"] == "succeeded")


CASES = {one.__name__: one for one in (single, packed, replicated, retried, failed, canceled, running)}
CODES = {"failed": (4, 1), "canceled": (4, 4), "running": (4, 0)}
"""What `collect` exits with and, when the running trials may end, `run`."""


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_refresh_gives_the_rows_as_they_were_and_nothing_runs_twice(project, wait_until, name, how) -> None:
    CASES[name](project, wait_until)
    code, at_last = CODES.get(name, (0, 0))
    before, history = rows(project, code=code), rows(project, "--history", code=code)
    starts, ledger = sorted(project.starts), project.folders.ledger("probe")
    if how == "lost":
        lose(project)
    else:
        content = ledger.read_bytes()
        ledger.write_bytes(content[: len(content) // 2])
    said = project.amlc("refresh").stderr
    assert said.startswith(f"probe: {len(list(project.folders.runs('probe').iterdir()))} run folders, ")
    assert ("damaged and is mended" in said) == (how == "damaged")
    assert rows(project, code=code) == before
    assert rows(project, "--history", code=code) == history
    assert "0 of them new here" in project.amlc("refresh").stderr
    (project.root / "go").touch()
    done = project.amlc("run", "experiment.yml", code=at_last)
    assert "0 submitted" in done.stderr
    assert sorted(project.starts) == starts
    if name == "running":
        assert [row["status"] for row in rows(project)] == ["succeeded"] * 3


TUNERS = {
    "TPE": {"tpe_args": {"n_startup_jobs": 2}},
    "Hyperband": {"R": 4, "eta": 2},
    "BOHB": {"max_budget": 4, "eta": 2},
    "PBT": {"population_size": 2},
    "Evolution": {"population_size": 2},
    "Random": {},
}


def searched(project, tuner, *, width=1, trials=9):
    """Write an experiment with that tuner, in a space of that width."""
    mode = {} if tuner == "Random" else {"optimize_mode": "maximize"}
    what = {"name": tuner, "classArgs": {**mode, **TUNERS[tuner]}}
    space = {"x": {"_type": "uniform", "_value": [0, width]}}
    report = 'final "$NNI_TRIAL_SEQ_ID"; exit 0'
    return project.write(report, searchSpace=space, tuner=what, maxTrialNumber=trials, trialConcurrency=1)


@pytest.mark.parametrize("tuner", TUNERS)
@pytest.mark.filterwarnings("ignore:.*checkpoints")
def test_where_the_build_folder_is_gone_too_it_says_to_compile_once_more(project, tuner) -> None:
    """A compile alone knows no trial of a tuner that learns but the first ones, and gives those other numbers."""
    searched(project, tuner).amlc("run", "experiment.yml")
    before = rows(project)
    lose(project)
    shutil.rmtree(project.folders.build)
    project.amlc("compile", "experiment.yml", code=4)
    compiled = set(project.trials)
    lacking = sum(row["trial"] not in compiled for row in before)
    assert bool(lacking) == (tuner != "Random")
    said = project.amlc("refresh").stderr
    assert ("; the build folder lacks" in said) == bool(lacking)
    if lacking:
        assert f"lacks {lacking} of them: compile once more, amlc compile FILE\n" in said
        hint = f"{lacking} on record that are not compiled: compile once more, amlc compile experiment.yml"
        assert hint in project.amlc("status").stdout.decode()
        assert hint in project.amlc("collect", code=4).stderr
        project.amlc("compile", "experiment.yml")
    assert rows(project) == before
    assert [row["sequence"] for row in before] == [str(number) for number in range(9)]
    assert "not compiled" not in project.amlc("status").stdout.decode()
    assert "lacks" not in project.amlc("refresh").stderr


def test_what_is_on_record_alone_is_said_where_the_space_was_edited_meanwhile(project) -> None:
    searched(project, "TPE", trials=2).amlc("run", "experiment.yml")
    lose(project)
    searched(project, "TPE", width=2, trials=2).amlc("compile", "experiment.yml", code=4)
    project.amlc("refresh")
    said = project.amlc("status").stdout.decode()
    assert "0 of 2 trials done: 2 pending, 2 on record that are not compiled: compile once more" in said
    assert "0 submitted, 2 of 2 trials done" in project.amlc("submit").stderr
    assert len(project.starts) == 2


def test_each_trial_has_a_number_of_its_own_whatever_their_jobs_files_say(project, wait_until) -> None:
    single(project, wait_until)
    before = project.trials
    for number, said in enumerate(["1", "1", "0", '"x"']):
        job = project.run_folder(before[number]) / "job.yml"
        text = job.read_text()
        job.write_text(text.replace(f'"sequence":{number}', f'"sequence":{said}'))
        assert job.read_text() != text or number == 1
    lose(project)
    project.amlc("refresh")
    assert sorted(trial.sequence for attempt in project.attempts() for trial in attempt.trials) == [0, 1, 3, 4]


def test_without_its_own_jobs_file_an_attempt_is_known_by_another_one(project) -> None:
    """Else what failed first would stand as failed, and run again, though it succeeded."""
    tuner = {"name": "TPE", "classArgs": {"tpe_args": {"n_startup_jobs": 1}}}
    fails = '[ -e "$PROBE/again" ] || exit 3\n'
    project.write(fails, searchSpace={"x": {"_type": "uniform", "_value": [0, 1]}}, tuner=tuner, maxTrialNumber=2, trialConcurrency=1)
    project.amlc("run", "experiment.yml", code=1)
    (project.root / "again").touch()
    project.amlc("submit", "--retry", "failed")
    before = rows(project)
    (second,) = project.folders.runs("probe").glob(f"*{before[1]['trial']}*-2")
    (second / "job.yml").write_bytes(b"\xff")
    lose(project)
    shutil.rmtree(project.folders.build)
    project.amlc("compile", "experiment.yml", code=4)
    project.amlc("refresh")
    project.amlc("compile", "experiment.yml")
    assert rows(project) == before


def test_what_is_at_work_is_canceled_after_refresh(project, wait_until) -> None:
    running(project, wait_until)
    lose(project)
    project.amlc("refresh")
    assert "canceling 2 jobs with trials 1, 2" in project.amlc("cancel", "--all").stderr
    wait_until(lambda: not project.processes(), 5)
    assert project.statuses() == ["succeeded", "canceled", "canceled"]


def test_a_retry_after_refresh_is_the_next_attempt(project, wait_until) -> None:
    failed(project, wait_until)
    lose(project)
    project.amlc("refresh")
    (project.root / "again").touch()
    assert "2 submitted" in project.amlc("submit", "--retry", "failed").stderr
    assert sorted(attempt.number for attempt in project.attempts()) == [1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("harm", ["cut", "garbled", "gone"])
@pytest.mark.parametrize("case", [failed, packed, replicated])
def test_what_is_compiled_is_known_without_the_jobs_file(project, wait_until, case, harm) -> None:
    case(project, wait_until)
    code = 4 if case is failed else 0
    before, starts = rows(project, code=code), sorted(project.starts)
    for path in project.folders.runs("probe").glob("*/job.yml"):
        content = path.read_bytes()
        path.unlink()
        if harm != "gone":
            path.write_bytes(content[:100] if harm == "cut" else b"\xff" * 100)
    lose(project)
    project.amlc("refresh")
    assert rows(project, code=code) == before
    assert "0 submitted" in project.amlc("submit", code=1 if case is failed else 0).stderr
    assert sorted(project.starts) == starts


@pytest.mark.parametrize("how", ["lost", "empty"])
def test_a_refresh_that_fails_half_way_leaves_what_was_lost(project, how) -> None:
    """Else what it had not come to would be pending, and run again."""
    project.write(values=range(4)).compile().amlc("submit")
    before = rows(project)
    lose(project)
    if how == "empty":
        project.folders.ledger("probe").touch()
    killed = subprocess.run([sys.executable, "-c", KILLED_REFRESH], check=False, cwd=project.root, env=project.environ)
    assert killed.returncode == -signal.SIGKILL
    for command in ("status", "plan", "submit", "cancel", "collect"):
        options = ("--all",) if command == "cancel" else ()
        assert "t: amlc refresh" in project.amlc(command, *options, code=4).stderr
    project.amlc("refresh")
    assert rows(project) == before
    assert "0 submitted" in project.amlc("submit").stderr


def test_a_jobs_file_that_a_trial_wrote_speaks_for_no_other(project, wait_until) -> None:
    """Nor is what is no run folder of ours read as one."""
    project.write(values=range(2)).compile().amlc("submit")
    first, second = project.trials
    run = project.run_folder(first)
    text = (run / "job.yml").read_text()
    (run / "job.yml").write_text(text.replace(first, second))
    shutil.copytree(run, run.with_name("a copy of mine"))
    lose(project)
    said = project.amlc("refresh", code=4).stderr
    assert said == (
        f"warning: run folder {run.name}: its job.yml does not say what ran; it is left out\n"
        "probe: 1 run folder, 1 of them new here\n"
    )
    assert [row["status"] for row in rows(project, code=4)] == ["pending", "succeeded"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_jobs_file_that_cannot_be_read_now_is_not_passed_over(monkeypatch, tmp_path, number) -> None:
    """Its trial ran, and would run again."""

    def fails(path, most):
        raise OSError(number, "no", str(path))

    monkeypatch.setattr(rebuild, "read_bounded", fails)
    with pytest.raises(OSError, match=r"job\.yml"):
        rebuild._content(tmp_path / "job.yml")


def test_what_is_no_jobs_file_says_nothing(tmp_path) -> None:
    assert rebuild._content(tmp_path / "job.yml") is None
    (tmp_path / "job.yml").mkdir()
    assert rebuild._content(tmp_path / "job.yml") is None


def test_without_a_build_folder_it_says_what_to_do(project) -> None:
    project.write(values=range(1)).compile().amlc("submit")
    shutil.rmtree(project.folders.build)
    said = project.amlc("refresh", "probe", "--backend", "local", code=2).stderr
    assert said == (
        "error: 'probe' is not compiled, and run folders say nothing without that. "
        "Compile it first: amlc compile FILE, if need be with a damaged ledger.db moved away.\n"
    )


def test_attempts_are_in_order_where_the_clock_was_set_back() -> None:
    def one(identity: str, number: int, at: float) -> rebuild._Found:
        return rebuild._Found(f"{identity}-{number}", identity, number, "", (), "", at)

    found = [one("a", 1, 50.0), one("a", 2, 10.0), one("b", 1, 20.0)]
    assert [each.job for each in rebuild._in_order(found)] == ["b-1", "a-1", "a-2"]
