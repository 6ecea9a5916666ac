"""How each trial stands after every way in which its job can end here."""

import pytest

from amlc.attempts import Attempt
from tests.backends.endings import ALONE, ERRORS, HANG, SCRIPTS, expected, experiment
from tests.targets.local.backend_test import Here


@pytest.mark.parametrize("packed", [False, True], ids=["alone", "packed"])
@pytest.mark.parametrize("ending", ALONE)
def test_each_trial_has_its_own_end(project, wait_until, ending, packed):
    script, keys = experiment(ending, packed=packed)
    gate = project.root / "gate"
    here = Here(project.write(script, **keys).compile(), GATE=str(gate))
    (job,) = here.submit()
    if SCRIPTS[ending] == HANG:
        wait_until(gate.exists)
    if ending == "is canceled":
        here.backend.cancel([job])
    if ending == "is preempted":
        project.kill_all()
    (seen,) = here.follow(job)
    trials = here.entries[0].trials
    outcomes = {outcome.trial: outcome for outcome in here.backend.fetch(job).outcomes}
    attempt = Attempt(id=here.entries[0].id, number=1, trials=trials, revision="", backend="local", losses=0,
                      latest=seen, outcomes=outcomes)  # fmt: skip
    found = [attempt.status(trial.id).value for trial in trials]
    assert found == expected(ending, packed=packed), (seen, outcomes)
    assert seen.infrastructure == ("unfinished" in found), seen
    trial = trials[1 if packed else 0].id
    assert ERRORS.get(ending, "") in (attempt.error(trial) or "")
    assert attempt.status(trial).value in ("succeeded", "canceled") or attempt.error(trial)
    assert here.again().poll([job], timeout_s=0) == [seen], "every process says the same"
    wait_until(lambda: not project.processes())
