"""Ending trials, beside a submit that runs and without one."""

import subprocess
from types import SimpleNamespace

import pytest

from amlc.backends import Fetched, Submitted
from amlc.commands import cancel as cancel_module
from amlc.commands import observe
from amlc.commands.cancel import cancel
from amlc.errors import UsageError
from amlc.model import Observation, Status

WAIT = 'while [ ! -e "$PROBE/go" ]; do sleep 0.02; done'


def test_cancel_ends_everything_and_the_submit_that_runs_submits_no_more(project, wait_until):
    project.write("exec sleep 600", values=range(6)).compile()
    with project.start("submit") as submit:
        wait_until(lambda: len(project.starts) == 2)
        assert project.amlc("cancel", "--all").stderr == "probe: canceling 2 jobs with trials 0, 1\n"
        _, err = submit.communicate(timeout=20)
    assert submit.returncode == 1
    assert (
        "stopped: it was canceled\n2 submitted, 0 of 6 trials done: 4 pending, 2 canceled: amlc submit goes on\n"
        in err.decode()
    )
    assert project.statuses() == ["canceled"] * 2 + ["pending"] * 4
    wait_until(lambda: not project.processes())


def test_cancel_without_a_submit_records_the_end_itself(project, wait_until):
    project.write("exec sleep 600", values=range(3)).compile()
    project.amlc("submit", "--no-wait")
    wait_until(lambda: len(project.starts) == 2)
    project.amlc("cancel", "--all")
    assert project.statuses() == ["canceled", "canceled", "pending"]
    wait_until(lambda: not project.processes())


def test_cancel_of_one_trial_leaves_the_others_and_the_submit(project, wait_until):
    project.write(WAIT, values=range(3)).compile()
    with project.start("submit") as submit:
        wait_until(lambda: len(project.starts) == 2)
        assert project.amlc("cancel", "0", project.trials[2]).stderr == "probe: canceling 1 job with trial 0\n"
        wait_until(lambda: len(project.starts) == 3)  # its place is taken by the next
        (project.root / "go").touch()
        submit.communicate(timeout=20)
    assert project.statuses() == ["canceled", "succeeded", "succeeded"]


def test_canceled_trials_run_again_only_when_asked(project, wait_until):
    project.write(WAIT, values=range(2)).compile()
    project.amlc("submit", "--no-wait")
    wait_until(lambda: len(project.starts) == 2)
    project.amlc("cancel", "--all")
    (project.root / "go").touch()
    assert "0 submitted" in project.amlc("submit").stderr
    assert "2 submitted, 2 of 2 trials done" in project.amlc("submit", "--retry", "canceled").stderr


def test_cancel_is_no_error_when_all_is_over(project):
    project.write(values=range(1)).compile()
    project.amlc("submit")
    assert project.amlc("cancel", "--all").stderr == "probe: nothing is at work, so nothing is canceled\n"
    assert project.statuses() == ["succeeded"]


def test_cancel_at_any_moment_of_a_submit_leaves_no_process_and_no_open_job(project, wait_until):
    project.write("exec sleep 600", values=range(40), trialConcurrency=4).compile()
    for _ in range(3):
        with project.start("submit", stderr=subprocess.DEVNULL) as submit:
            started = len(project.starts)
            wait_until(lambda: len(project.starts) > started)  # noqa: B023
            project.amlc("cancel", "--all")
            submit.communicate(timeout=20)
        wait_until(lambda: not project.processes())
        assert not [attempt for attempt in project.attempts() if attempt.working]
    assert {attempt.latest.status.value for attempt in project.attempts()} == {"canceled"}


@pytest.mark.parametrize("arguments", [(), ("0", "--all")])
def test_what_to_cancel_has_to_be_said_in_one_way(story, arguments):
    assert "error: name the trials to cancel" in story.project.amlc("cancel", *arguments, code=2).stderr


@pytest.mark.parametrize(
    ("working", "trials", "said"),
    [
        ([], (), "nothing is at work, so nothing is canceled"),
        ([2], (), "canceling 1 job with trial 2"),
        ([3, 1], (), "canceling 2 jobs with trials 1, 3"),
        ([3, 1], ("1",), "canceling 1 job with trial 1"),
        ([3], ("0",), "trial 0 is not at work, so nothing is canceled"),
    ],
)
def test_what_is_canceled_is_said_before_it_is_done(story, monkeypatch, working, trials, said):
    asked = []
    backend = SimpleNamespace(
        fetch=lambda job: Fetched((), ()),
        cancel=asked.extend,
        adopt=lambda jobs: [Submitted(job) for job in jobs],
        poll=lambda jobs, timeout_s: [Observation(job=job, status=Status.RUNNING) for job in jobs],
    )
    monkeypatch.setattr(cancel_module, "backend_named", lambda *args: backend)
    monkeypatch.setattr(observe, "backend_named", lambda *args: backend)
    jobs = {number: story.intent(number) for number in [0, *working]}
    story.end(0, final=1.0)
    cancel(story.manifest, trials or None, folders=story.folders, listener=story.teller())
    assert story.lines()[1] == [f"probe: {said}"]
    assert asked == sorted(job for number, job in jobs.items() if number and (not trials or str(number) in trials))
    kinds = [event.kind for event in story.project.events()]
    assert ("stop" in kinds) is not bool(trials)
    assert kinds.count("cancel") == len(asked)


def test_before_the_first_submit_there_is_nothing_to_cancel(story):
    with pytest.raises(UsageError, match="probe: nothing was submitted yet"):
        cancel(story.manifest, None, folders=story.folders)
