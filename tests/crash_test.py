"""Whatever is killed, and whenever: no trial is lost, none runs twice, and the next submit finishes the work."""

import contextlib
import csv
import io
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import TIMEOUT_S

OWN_COMMAND = {"amlc": {"job": {"command": "exec python3 amlc_runner.py"}}}  # which no fork runs
FAULTS = Path(__file__).with_name("crash") / "faults.py"


def rows(project, code=0):
    """Return what collect writes, as dictionaries."""
    return list(csv.DictReader(io.StringIO(project.amlc("collect", code=code).stdout.decode())))


def is_at_work(project, submit):
    """Tell whether this submit has got as far as holding the lock, or is over."""
    lock = project.folders.lock("probe")
    return submit.poll() is not None or (lock.exists() and f"process {submit.pid} " in lock.read_text())


def assert_complete(project):
    """Every trial ran exactly once, ended well, and has its result."""
    assert sorted(project.starts) == sorted(project.trials)
    assert project.statuses() == ["succeeded"] * len(project.trials)
    assert len(project.attempts()) == len(project.trials)
    assert [row["metric.default"] for row in rows(project)] == ["1.5"] * len(project.trials)
    assert not project.processes()


@pytest.mark.parametrize("seed", [1, 2])
def test_submit_killed_at_random_moments_loses_no_trial_and_runs_none_twice(project, seed, wait_until):
    project.write("sleep 0.05", values=range(40), trialConcurrency=3).compile()
    rng = random.Random(seed)
    for turn in range(10):
        with project.start("submit", stderr=subprocess.DEVNULL) as submit:
            wait_until(lambda: is_at_work(project, submit))
            if not turn:
                wait_until(lambda: project.starts)
            time.sleep(rng.uniform(0, 0.25))
            submit.kill()
    project.amlc("submit")
    assert_complete(project)


def test_submit_killed_while_jobs_end_records_their_ends_and_results(project, wait_until):
    project.write('while [ ! -e "$PROBE/go" ]; do sleep 0.02; done', values=range(3), trialConcurrency=3).compile()
    with project.start("submit", stderr=subprocess.DEVNULL) as submit:
        wait_until(lambda: len(project.starts) == 3)
        submit.kill()
    (project.root / "go").touch()
    wait_until(lambda: not project.processes())
    assert "0 submitted, 3 of 3 trials done" in project.amlc("submit").stderr
    assert_complete(project)


EXIT_CODES = {"trial": 137, "runner": 137, "supervisor": None, "fork server": 0}


@pytest.mark.parametrize(
    ("victim", "is_forked"), [*((victim, True) for victim in EXIT_CODES), ("runner", False), ("supervisor", False)]
)
def test_killing_a_part_of_a_job_is_seen_and_leaves_no_process(project, victim, is_forked, wait_until):
    script = f'[ "$(wc -l < "$STARTS")" -gt 1 ] || sleep {1 if victim == "fork server" else 60}'
    project.write(script, values=range(2), trialConcurrency=1, **({} if is_forked else OWN_COMMAND)).compile()
    with project.start("submit") as submit:
        wait_until(lambda: project.starts and list(project.root.rglob("runs/*/supervisor")))
        found = parts(project)
        assert bool(found["fork server"]) == is_forked
        for pid in found[victim]:
            os.kill(pid, signal.SIGKILL)
        submit.communicate(timeout=TIMEOUT_S)
    first = project.attempts()[0].latest
    assert first.exit_code == EXIT_CODES[victim]
    if victim == "trial":
        assert project.statuses() == ["failed", "succeeded"]
        assert submit.returncode == 1
    else:  # nobody wrote down how the trial ended: the job counts as lost and runs again
        assert first.infrastructure == (victim != "fork server")
        assert project.statuses() == ["succeeded", "succeeded"]
        assert submit.returncode == 0
    wait_until(lambda: not project.processes())


def parts(project):
    """The processes of the only job that runs."""
    (supervisor,) = [int(path.read_text()) for path in project.root.rglob("runs/*/supervisor")]
    found = {"trial": [], "runner": [], "supervisor": [supervisor], "fork server": []}
    for pid in project.processes():
        with contextlib.suppress(OSError):  # it is gone by now
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if parent == supervisor:
                found["runner"].append(pid)
            elif any(word.endswith(b"trial.sh") for word in command[:3]):
                found["trial"].append(pid)
            elif pid != supervisor and any(word.endswith(b"fork_server.py") for word in command):
                found["fork server"].append(pid)
    return found


def test_killing_everything_at_random_moments_ends_in_a_complete_table(project, wait_until):
    project.write("sleep 0.05", values=range(12), trialConcurrency=3).compile()
    rng = random.Random(7)
    for _ in range(8):
        with project.start("submit", stderr=subprocess.DEVNULL) as submit:
            wait_until(lambda: is_at_work(project, submit))
            time.sleep(rng.uniform(0, 0.3))
            for pid in rng.sample(pids := project.processes(), len(pids) // 2):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            submit.kill()
    with project.start("submit", "--retry", "failed,missing") as submit:
        submit.communicate(timeout=TIMEOUT_S)
    collected = rows(project, code=0 if submit.returncode == 0 else 4)
    if any(row["status"] == "unfinished" for row in collected):  # its kill was found only now, and was one too many
        assert submit.returncode == 1
        with project.start("submit", "--retry", "failed,unfinished") as submit:
            submit.communicate(timeout=TIMEOUT_S)
        collected = rows(project, code=0 if submit.returncode == 0 else 4)
    assert [row["trial"] for row in collected] == project.trials
    assert all(row["status"] in ("succeeded", "failed") for row in collected)
    assert {row["trial"] for row in collected if row["status"] == "succeeded"} <= set(project.starts)
    wait_until(lambda: not project.processes())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupt_says_so_leaves_the_jobs_alone_and_the_next_submit_takes_them_up(project, wait_until, sent):
    project.write('while [ ! -e "$PROBE/go" ]; do sleep 0.02; done', values=range(3)).compile()
    hook = 'echo "ended with $AMLC_EXIT_CODE"'
    with project.start("submit", "--on-end", hook, start_new_session=True) as submit:
        wait_until(lambda: len(project.starts) == 2)
        os.killpg(submit.pid, sent)
        _, err = submit.communicate(timeout=TIMEOUT_S)
    assert submit.returncode == 128 + sent
    assert err.decode().strip().startswith("error: interrupted. Jobs that were submitted go on")
    assert f"ended with {128 + sent}" in err.decode()
    assert "Traceback" not in err.decode()
    assert project.processes()
    (project.root / "go").touch()
    assert "1 submitted, 3 of 3 trials done" in project.amlc("submit").stderr
    assert_complete(project)


def test_a_reproduction_that_is_interrupted_ends_and_one_that_is_killed_can_be_ended(project, wait_until):
    project.write('[ -e "$PROBE/go" ] || exec sleep 600', values=range(1))
    (project.root / "go").touch()
    project.amlc("run", "experiment.yml")
    (project.root / "go").unlink()

    def stopped(sent):
        before = len(project.starts)
        with project.start("reproduce", "0", start_new_session=True) as again:
            wait_until(lambda: len(project.starts) > before)
            os.killpg(again.pid, sent)
            _, err = again.communicate(timeout=TIMEOUT_S)
        return again.returncode, err.decode()

    code, err = stopped(signal.SIGINT)
    assert (code, err.strip()) == (130, "error: interrupted.")
    wait_until(lambda: not project.processes())
    stopped(signal.SIGKILL)
    assert project.processes()
    said = project.amlc("gc").stderr
    assert ", 1 reproduction\n" in said
    command = re.search(r"0-2 has not ended, and stays: (amlc .*) ends its job", said)[1]
    project.amlc(*shlex.split(command)[1:])
    wait_until(lambda: not project.processes())
    assert ", 1 reproduction\n" in project.amlc("gc").stderr


@pytest.mark.parametrize("signals", [2, 5])
def test_interrupting_more_than_once_is_as_good_as_once(project, signals, wait_until):
    project.write("sleep 0.05", values=range(20)).compile()
    with project.start("submit", start_new_session=True) as submit:
        wait_until(lambda: len(project.starts) > 2)
        for _ in range(signals):
            os.killpg(submit.pid, signal.SIGINT)
            time.sleep(0.002)
        submit.communicate(timeout=TIMEOUT_S)
    assert submit.returncode in (130, -signal.SIGINT)
    project.amlc("submit")
    assert_complete(project)


def test_the_folder_that_is_moved_away_under_a_submit_costs_no_trial_its_result(project):
    """The trial that was at work may fail for it, through no fault of its own; no other one begins."""
    moving = 'if [ ! -e "$PROBE.moved" ]; then touch "$PROBE.moved"; mv "$PROBE" "$PROBE.away"; exit 3; fi'
    project.write(moving, values=range(3), trialConcurrency=1).compile()
    away = Path(f"{project.root}.away")
    done = project.amlc("submit", code=5)
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert f"{project.root}/.amlc/probe/ is no longer the folder that was there" in error
    assert not project.root.exists()
    away.rename(project.root)
    assert len(project.starts) == 1
    project.amlc("submit")
    assert project.statuses() == ["succeeded"] * 3
    assert sorted(project.starts) == sorted([*project.trials, project.starts[0]])
    assert [one.latest.infrastructure for one in project.attempts()] == [True, False, False, False]
    assert [row["metric.default"] for row in rows(project)] == ["1.5"] * 3


def test_two_submits_at_once_one_works_and_the_other_names_it(project):
    project.write("sleep 2", values=range(4)).compile()
    with project.start("submit") as one, project.start("submit") as other:
        ended = {process.pid: (process.communicate(timeout=TIMEOUT_S)[1].decode(), process.returncode)
                 for process in (one, other)}  # fmt: skip
    (winner,) = [pid for pid, (_, code) in ended.items() if code == 0]
    (loser,) = [pid for pid, (_, code) in ended.items() if code != 0]
    text, code = ended[loser]
    assert code == 5
    assert f"process {winner} on " in text
    assert "is working on this experiment" in text
    assert_complete(project)


@pytest.mark.parametrize(("fault", "trials"), [("full", 1), ("kill", 2)])
def test_a_fault_at_every_single_effect_of_submit_runs_no_trial_twice(project, fault, trials):
    """At the k-th file opened for writing, rename, statement of SQL, ... for every k: the disk is full, or kill -9."""
    project.write(values=range(trials)).compile()
    shares = 6  # they wait more than they work
    workers = [
        subprocess.Popen([sys.executable, FAULTS, fault, str(first), str(shares)], cwd=project.root,
                         env=project.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for first in range(1, shares + 1)
    ]  # fmt: skip
    done = [(worker.communicate(timeout=120), worker.returncode) for worker in workers]
    assert [(err, code) for (_, err), code in done if code] == []
    assert max(int(out) for (out, _), _ in done) > 50  # so many places there were to fail at
