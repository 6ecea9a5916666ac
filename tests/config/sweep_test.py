"""What asks for a sweep, and what is said of it; the messages are in tests/invalid/sweep*."""

from __future__ import annotations

import json

import pytest

from amlc.catalogue import TUNERS
from amlc.config import load_experiment
from amlc.config.sweep import is_sweep
from amlc.errors import ConfigError
from amlc.model import Sweeps

SERVICE = {
    "platform": "aml", "dockerImage": "i", "computeTarget": "c", "subscriptionId": "s", "resourceGroup": "r",
    "workspaceName": "w",
}  # fmt: skip


DRAWN = {"TPE": "bayesian", "GP": "bayesian", "Random": None}


@pytest.fixture
def load(tmp_path):
    def run(form=None, backend=None, **keys):
        given = {} if form is None else {"amlc.target": form}
        config = {
            "searchSpace": {"x": {"_type": "choice", "_value": [1, 2, 3]}},
            "trialCommand": "true",
            "trialConcurrency": 2,
            "maxTrialNumber": 3,
            "tuner": {"name": "Random"},
            "trainingService": SERVICE,
            **keys,
        }
        file = tmp_path / "experiment.yml"
        file.write_text(json.dumps(config), encoding="utf-8")
        return load_experiment(file, given=given, backend=backend, environ={})[0]

    return run


def test_the_file_or_the_command_line_asks_for_a_sweep(load):
    assert not load().sweep
    assert load(amlc={"target": "sweep"}).sweep
    assert load("sweep").sweep
    assert load("sweep", amlc={"seed": 3}).seed == 3
    assert not load("jobs", amlc={"target": "sweep"}).sweep
    assert not load(amlc={"target": "jobs"}).sweep
    assert load().target.job.sweeps == Sweeps(
        trials=1000, concurrency=100, least_s=60, without=("services", "parent_job_name")
    )


def test_another_back_end_runs_the_same_trials_as_jobs_and_is_asked_nothing(load):
    own = {"amlc": {"target": "sweep"}}
    assert not load(backend="local", **own).sweep
    assert load(backend="aml", **own).sweep
    assert not load(backend="local", trialConcurrency=500, tuner={"name": "TPE"}, **own).sweep


@pytest.mark.parametrize("tuner", [one.name for one in TUNERS if not one.refused and one.adaptive and one.name not in DRAWN])
def test_no_tuner_that_learns_has_a_counterpart(load, tuner):
    with pytest.raises(ConfigError) as caught:
        load("sweep", tuner={"name": tuner})
    assert ("E-sweep", "/tuner/name") in [(one.code, one.path) for one in caught.value.problems]


@pytest.mark.parametrize("tuner", DRAWN)
def test_the_platform_draws_what_it_can_learn_and_what_it_is_asked_to(load, tuner):
    assert load("sweep", tuner={"name": tuner}).sampling == DRAWN[tuner]
    native = {"sweep": {"sampling": "native"}, "seed": 5} if tuner == "Random" else {}
    found = load("sweep", tuner={"name": tuner}, amlc=native)
    assert (found.sampling, found.sweep) == (DRAWN[tuner] or "random", True)
    for other in (load("jobs", tuner={"name": tuner}), load("sweep", backend="local", tuner={"name": tuner})):
        assert (other.sampling, other.sweep) == (None, False)


def test_a_file_without_the_key_is_not_looked_at():
    assert not is_sweep(type("Config", (), {"get": staticmethod(lambda *path: None)})())
