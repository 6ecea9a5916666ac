"""Many trials in few jobs, and everything that can happen to some of them: each has its own end, and none runs twice."""

from __future__ import annotations

import csv
import io
from collections import Counter

import pytest

SMI = """#!/bin/sh
case "$1" in
    --query-gpu=index,uuid) for i in 0 1 2 3; do echo "$i, GPU-$i"; done;;
    --query-compute-apps*) ;;
    -L) for i in 0 1 2 3; do echo "GPU $i: fake (UUID: GPU-$i)"; done;;
esac
"""
TRIAL = """
note() { echo "$NNI_TRIAL_SEQ_ID $CUDA_VISIBLE_DEVICES $1" >> "$PROBE/uses"; }
note start
case "$NNI_TRIAL_SEQ_ID" in
    5) if [ ! -e "$PROBE/mended" ]; then
           echo "Traceback (most recent call last):" >&2; echo "KeyError: 'learning_rate'" >&2; note end; exit 1
       fi;;
    20) if [ -z "$SHORT" ]; then trap 'note end; exit 1' TERM; sleep 600 & wait; fi;;
    40) if [ ! -e "$PROBE/killed" ]; then
            : > "$PROBE/killed"
            pid=$PPID
            until tr '\\0' ' ' < "/proc/$pid/cmdline" | grep -q -e amlc_runner.py -e fork_server.py; do
                pid=$(sed 's/.*) . \\([0-9]*\\) .*/\\1/' "/proc/$pid/stat")
            done
            kill -9 "$pid"; sleep 600
        fi;;
esac
sleep 0.2
note end
"""
LATE, CRASHED, KILLER = 20, 5, 40


@pytest.fixture
def packs(project):
    """64 trials, 16 to a job, on four GPUs that take two trials each."""
    folder = project.root / "bin"
    folder.mkdir()
    (folder / "nvidia-smi").write_text(SMI)
    (folder / "nvidia-smi").chmod(0o755)
    project.environ["PATH"] = f"{folder}:{project.environ['PATH']}"
    service = {"platform": "local", "maxTrialNumberPerGpu": 2, "useActiveGpu": True}
    return project.write(
        TRIAL, values=range(64), trialConcurrency=6, trialGpuNumber=1, maxTrialDuration="4s", trainingService=service,
        amlc={"trialsPerJob": 16},
    )  # fmt: skip


def rows(project, *, code):
    out = project.amlc("collect", code=code).stdout.decode()
    return list(csv.DictReader(io.StringIO(out)))


def uses(project):
    """Return what the trials noted, in order: number, GPUs, start or end."""
    return [line.split() for line in (project.root / "uses").read_text().splitlines()]


def test_each_trial_of_a_pack_comes_to_its_own_end_and_exactly_the_unfinished_run_again(packs):
    packs.compile()
    assert "64 to submit in 4 jobs (new):" in packs.amlc("plan").stdout.decode()
    err = packs.amlc("submit", code=1).told
    assert "64 submitted" not in err  # some were submitted twice
    assert "63 of 64 trials done: 1 failed, 1 early_stopped, 1 without a final result\n" in err
    found = rows(packs, code=4)
    assert len(found) == 64
    assert {row["sequence"]: row["status"] for row in found if row["status"] != "succeeded"} == {
        str(CRASHED): "failed",
        str(LATE): "early_stopped",
    }
    assert found[CRASHED]["error"] == "KeyError: 'learning_rate'"
    assert found[LATE]["error"] == "stopped at its time limit (maxTrialDuration)"
    assert [row["metric.default"] for row in found].count("1.5") == 62
    # The third job was cut short. What had ended in it stays, the rest went into one job under the next name.
    first, second = [a for a in packs.attempts() if a.id == packs.attempts()[2].id]
    assert (second.number, second.losses) == (2, 1)
    ended = {trial for trial, outcome in first.outcomes.items() if outcome.exit_code == 0}
    assert {trial.id for trial in second.trials} == {trial.id for trial in first.trials} - ended
    assert ended
    assert len(packs.attempts()) == 5
    again = {trial.sequence for trial in second.trials}
    assert {int(row["sequence"]) for row in found if row["attempt"] == "2"} == again
    starts = Counter(int(number) for number, _, what in uses(packs) if what == "start")
    assert {number for number, count in starts.items() if count > 1} <= again
    assert max(starts.values()) <= 2
    ends = Counter(int(number) for number, _, what in uses(packs) if what == "end")
    assert set(ends) == set(range(64))
    # The killed runner could not record the end of a trial that had noted it in the very last moment.
    assert {number for number, count in ends.items() if count > 1} <= again


def test_no_more_trials_at_once_than_asked_for_nor_on_one_gpu_than_it_takes(packs):
    (packs.root / "killed").touch()
    (packs.root / "mended").touch()
    packs.compile()
    packs.amlc("submit")
    running: dict[str, str] = {}
    most = Counter()
    together = 0
    for number, gpus, what in uses(packs):
        if what == "end":
            running.pop(number)
            continue
        running[number] = gpus
        together = max(together, len(running))
        most |= Counter(running.values())
    assert together == 6
    assert max(most.values()) == 2
    assert set(most) <= {"0", "1", "2", "3"}


@pytest.mark.parametrize("platform", ["local", "aml"])
def test_trials_pack_themselves_so_that_starting_a_job_hardly_counts(packs, platform):
    """As wide as the GPUs that a node is said to have: no wider here, where there are more."""
    (packs.root / "killed").touch()
    (packs.root / "mended").touch()
    service = {"platform": platform, "maxTrialNumberPerGpu": 2}
    keys = {"amlc": {"trialsPerJob": "auto", "jobStart": "4s", "gpusPerNode": 1}}
    if platform == "aml":  # where they do so by themselves
        service |= {"computeTarget": "c", "dockerImage": "i"}
        del keys["amlc"]["trialsPerJob"]
    else:
        service["useActiveGpu"] = True
    packs.write(
        TRIAL, values=range(36), trialConcurrency=6, trialGpuNumber=1, maxTrialDuration="12s", trainingService=service, **keys
    )  # fmt: skip
    packs.amlc("compile", "experiment.yml", "--backend", "local")
    assert [len(entry.trials) for entry in packs.manifest.entries()] == [6] * 6
    told = packs.amlc("plan").stdout.decode()
    assert "36 to submit in 6 jobs (new):" in told
    side = "2 side by side where this machine has GPUs for it"
    assert f"packed by itself: up to 6 trials in a job, {side}; 30 fewer starts of 4 s save " in told
    packs.amlc("submit", env={"SHORT": "1"})
    running: dict[str, str] = {}
    most, together = Counter(), 0
    for number, gpus, what in uses(packs):
        running.pop(number, None)
        if what == "start":
            running[number] = gpus
        together = max(together, len(running))
        most |= Counter(running.values())
    assert together == 6
    assert max(most.values()) <= 2
    assert set(most) <= {"0", "1", "2", "3"}
    assert len(rows(packs, code=0)) == 36


def test_retry_failed_runs_the_failed_trial_of_a_pack_alone(packs):
    (packs.root / "killed").touch()
    packs.compile()
    packs.amlc("submit", code=1)
    before = len(uses(packs))
    assert packs.amlc("submit", code=1).told.startswith(
        "0 submitted, 63 of 64 trials done: 1 failed, 1 early_stopped"
    )
    assert "1 to submit (retry):" in packs.amlc("plan", "--retry", "failed").stdout.decode()
    assert "attempt 2, 1 of its trials" in packs.amlc("plan", "--retry", "failed").stdout.decode()
    (packs.root / "mended").touch()
    assert packs.amlc("submit", "--retry", "failed").told.startswith("1 submitted, 64 of 64 trials done")
    assert [(number, what) for number, _, what in uses(packs)[before:]] == [("5", "start"), ("5", "end")]
    assert len(rows(packs, code=0)) == 64


def test_the_trials_of_a_pack_wait_for_each_other_without_gpus(project, wait_until):
    hold = 'until [ -e "$PROBE/go-$NNI_TRIAL_SEQ_ID" ]; do sleep 0.02; done'
    project.write(hold, values=range(4), trialConcurrency=4, amlc={"trialsPerJob": 3}).compile()
    project.amlc("submit", "--no-wait")
    for number, statuses in enumerate(["rww r", "srw r", "ssr r"]):
        expected = [{"s": "succeeded", "r": "running", "w": "waiting"}[letter] for letter in statuses.replace(" ", "")]
        wait_until(lambda: len(project.starts) == number + 2)  # noqa: B023 - it is called at once
        project.amlc("status")
        assert project.statuses() == expected
        (project.root / f"go-{number}").touch()
    (project.root / "go-3").touch()
    project.amlc("submit")
    assert project.statuses() == ["succeeded"] * 4
    alone = [event for event in project.events() if "begun" in event.data and event.job != project.attempts()[0].job]
    assert alone == [], "of a job with one trial its own status says it"


PRINTS = 'echo "number $NNI_TRIAL_SEQ_ID"; echo "error $NNI_TRIAL_SEQ_ID" >&2'


def test_the_log_of_a_trial_of_a_pack_is_its_own(project):
    project.write(PRINTS, values=range(3), amlc={"trialsPerJob": 3}).compile()
    project.amlc("submit")
    for number in range(3):
        assert sorted(project.amlc("logs", str(number)).stdout.split(b"\n")) == [
            b"", b"error %d" % number, b"number %d" % number,
        ]  # fmt: skip
    whole = project.amlc("logs", "1", "--job").stdout
    assert [whole.count(b"number %d" % number) for number in range(3)] == [1, 1, 1]


def test_the_log_of_a_trial_of_a_running_pack_is_followed_to_its_end(project, wait_until):
    """It waits for one that has not begun, and ends with the trial, though the job goes on."""
    gate = project.root / "gate"
    hold = f'echo "number $NNI_TRIAL_SEQ_ID"; while [ ! -e "{gate}-$NNI_TRIAL_SEQ_ID" ]; do sleep 0.05; done; echo bye'
    project.write(hold, values=range(3), amlc={"trialsPerJob": 3}).compile()
    project.amlc("submit", "--no-wait")
    wait_until(lambda: len(project.starts) == 1)
    wait_until(lambda: project.amlc("logs", "0").stdout == b"number 0\n")
    assert project.amlc("logs", "1").stdout == b""
    with project.start("logs", "1", "-f") as follower:
        (project.root / "gate-0").touch()
        wait_until(lambda: len(project.starts) == 2)
        assert project.amlc("logs", "0", "-f").stdout == b"number 0\nbye\n"
        (project.root / "gate-1").touch()
        assert follower.communicate(timeout=60)[0] == b"number 1\nbye\n"
    wait_until(lambda: len(project.starts) == 3)
    (project.root / "gate-2").touch()
    project.amlc("submit")


def test_where_nobody_kept_it_apart_the_log_is_the_jobs(project):
    project.write(PRINTS, values=range(2), amlc={"trialsPerJob": 2}).compile()
    project.amlc("submit")
    (run,) = project.folders.runs("probe").iterdir()
    for path in run.glob("outputs/amlc/*/log.txt"):
        path.unlink()
    told = project.amlc("logs", "0").stdout
    assert b"number 0" in told
    assert b"number 1" in told


HOLD = 'if [ "$NNI_TRIAL_SEQ_ID" = 1 ]; then touch "$PROBE/holds"; until [ -e "$PROBE/go" ]; do sleep 0.05; done; fi'


@pytest.mark.parametrize("lost", [False, True], ids=["", "the ledger anew"])
def test_what_ended_in_a_running_pack_is_shown_so_with_its_own_time(project, wait_until, lost):
    project.write(HOLD, values=range(3), trialConcurrency=1, amlc={"trialsPerJob": 3}).compile()
    if lost:
        project.amlc("submit", "--no-wait")
    else:
        process = project.start("submit")
    wait_until((project.root / "holds").exists)
    if lost:
        project.folders.ledger("probe").unlink()
        project.amlc("refresh")

    def seen():
        found = rows(project, code=4)
        return found if found[0]["status"] == "succeeded" else None

    wait_until(seen)
    found = seen()
    assert [row["status"] for row in found] == ["succeeded", "running", "waiting"]
    assert found[0]["metric.default"] == "1.5"
    assert [bool(row["ended"]) for row in found] == [True, False, False]
    assert "trial 0 is not at work" in project.amlc("cancel", "0").stderr, "its job goes on for the others"
    (project.root / "go").touch()
    if lost:
        wait_until(lambda: project.amlc("-q", "status").stdout.startswith(b"probe: 3 of 3"))
    else:
        lines = process.communicate(timeout=60)[1].decode().splitlines()
        assert [line.split(";")[1] for line in lines[:3]] == [f" {number} of 3 ended" for number in (1, 2, 3)]
        assert lines[3].startswith("3 submitted, 3 of 3 trials done")
    assert [row["status"] for row in rows(project, code=0)] == ["succeeded"] * 3
    assert len(project.starts) == 3
