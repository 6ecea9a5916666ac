"""How each trial stands after every way in which its job can end on Azure: as it does here."""

import pytest

from tests.backends.endings import ALONE, ERRORS, HANG, SCRIPTS, expected, experiment

# What a lost node had not uploaded is lost with it.
ELSEWHERE = {("is preempted", True): ["unfinished"] * 3}


@pytest.mark.parametrize("packed", [False, True], ids=["alone", "packed"])
@pytest.mark.parametrize("ending", ALONE)
def test_each_trial_has_its_own_end(make_azure, make_project, tmp_path, wait_until, ending, packed):
    azure = make_azure()
    gate = tmp_path / "gate"
    azure.cluster.environment["GATE"] = str(gate)
    script, keys = experiment(ending, packed=packed)
    project = make_project(azure).write(script=script, **keys)
    project.amlc("submit", "--no-wait")
    (job,) = azure.jobs
    if SCRIPTS[ending] == HANG:
        wait_until(lambda: job.is_over or gate.exists())
    if ending == "is canceled":
        azure.jobs.cancel(job)
    if ending == "is preempted":
        azure.preempt(job.name)
    project.amlc("submit", code=None)
    (attempt,) = project.attempts()
    found = [attempt.status(trial.id).value for trial in attempt.trials]
    assert found == ELSEWHERE.get((ending, packed), expected(ending, packed=packed)), attempt
    assert attempt.latest.infrastructure == ("unfinished" in found), attempt
    trial = attempt.trials[1 if packed else 0].id
    assert ERRORS.get(ending, "") in (attempt.error(trial) or "")
    assert attempt.status(trial).value in ("succeeded", "canceled") or attempt.error(trial)
