"""The tuner is asked while an experiment runs: for how many, and which of the running ones it gives up."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from amlc import proposals
from amlc.attempts import Attempt
from amlc.experience import Past
from amlc.ledger import open_ledger
from amlc.model import Algorithm, Observation, Real, Status, Trial
from tests.plan_test import experiment
from tests.tuners.simulation import arguments

SPACE = (Real("x", 0.0, 1.0),)
EVOLUTION = Algorithm(name="Evolution", class_args=arguments("Evolution"))
TRIALS = [Trial(f"{n:016x}", n, {"x": n / 10}) for n in range(4)]


def manifest(*, max_trials=None, trials=4, search="s"):
    return SimpleNamespace(header=SimpleNamespace(max_trials=max_trials, search=search), trials=trials)


class History:
    """A past of so many submitted trials."""

    def __init__(self, *trials):
        self.trials = trials

    def past(self, attempts):
        return Past(tuple((trial,) for trial in self.trials), ())


@pytest.fixture
def extended(monkeypatch):
    """The numbers of trials in each job that was added to the build folder."""
    jobs = []
    monkeypatch.setattr(
        proposals, "extender", lambda experiment, manifest: lambda new: [jobs.append(len(job.trials)) for job in new]
    )
    return jobs


@pytest.mark.parametrize(
    ("per_job", "abreast", "room", "jobs"),
    [
        pytest.param(1, 1, 3, [1, 1, 1], id="one a job"),
        pytest.param(1, 4, 3, [1, 1, 1], id="one a job, whatever fits"),
        pytest.param(2, 1, 3, [2, 2, 2], id="a pack whose trials run one after the other"),
        pytest.param(2, 2, 5, [2, 2], id="a pack whose trials run side by side"),
        pytest.param(4, 2, 3, [4], id="as many as run at once"),
        pytest.param(1, 1, 0, [], id="no room"),
        pytest.param(2, 2, 1, [], id="too little room"),
    ],
)
def test_as_many_jobs_are_added_as_there_is_room_for(extended, per_job, abreast, room, jobs):
    one = replace(experiment(SPACE, trials_per_job=per_job, max_trials=20, concurrency=20), tuner=EVOLUTION)
    proposals.following(one, manifest(), History(), abreast=abreast)({}, room)
    assert extended == jobs


def test_no_more_is_asked_for_than_the_experiment_has(extended):
    one = replace(experiment(SPACE, max_trials=5, concurrency=9), tuner=EVOLUTION)
    proposals.following(one, manifest(), History(*TRIALS), abreast=1)({}, 9)
    assert extended == [1]


def attempt(number, *trials):
    latest = Observation(job=f"job-{number}", status=Status.RUNNING)
    return Attempt(id="i", number=number, trials=trials, revision="r", backend="local", losses=0, latest=latest)


@pytest.mark.parametrize(
    ("places", "per_job", "jobs"),
    [
        (None, 1, []),
        ((), 1, []),
        ((0,), 1, ["job-3"]),
        ((1, 0), 1, ["job-2", "job-3"]),
        ((9,), 1, []),
        ((0,), 2, []),
    ],
)
def test_a_trial_that_the_tuner_gives_up_ends_with_its_last_job(monkeypatch, places, per_job, jobs):
    monkeypatch.setattr(proposals, "given_up", lambda experiment, records: places)
    one = experiment(SPACE, trials_per_job=per_job)
    attempts = {f"job-{n}": attempt(n, trial) for n, trial in ((1, TRIALS[0]), (2, TRIALS[1]), (3, TRIALS[0]))}
    assert list(proposals.advised(one, History(TRIALS[1], TRIALS[0]))(attempts)) == jobs


@pytest.mark.parametrize(("max_trials", "noted"), [(None, 1), (5, 1), (4, 0), (3, 0)])
def test_that_a_tuner_has_no_more_is_noted_once(tmp_path, max_trials, noted):
    with open_ledger(tmp_path / "ledger.db") as ledger:
        for at in (1.0, 2.0):
            proposals.note_exhausted(manifest(max_trials=max_trials), ledger, at=at)
        assert [event.data for event in ledger.events(kind="exhausted")] == [{"search": "s", "trials": 4}] * noted
        proposals.note_exhausted(manifest(max_trials=max_trials, trials=max_trials or 5), ledger, at=3.0)
        proposals.note_exhausted(manifest(max_trials=None, search="other"), ledger, at=4.0)
        assert len(list(ledger.events(kind="exhausted"))) == noted + 1 + (max_trials is None)
