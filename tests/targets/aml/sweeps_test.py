"""How a sweep stands by its children, whatever of them MLflow tells."""

from __future__ import annotations

import json

import pytest

from amlc.backends import Fetched
from amlc.model import End, Observation, Outcome, Status
from amlc.targets.aml.runs import Run
from amlc.targets.aml.sweeps import PATIENCE, Child, Sweeps, standing
from amlc.targets.aml.views import View, trials_of

TRIALS = [{"id": f"t{number}", "sequence": number, "parameters": {}} for number in range(3)]
VARIABLES = {f"AMLC_TRIAL_{number}": json.dumps(trial) for number, trial in enumerate(TRIALS)}


def sweep(status="Running", **more):
    trial = {"environmentVariables": VARIABLES, "command": "c"}
    return View("s", {"jobType": "Sweep", "status": status, "experimentName": "e", "trial": trial, **more})


def child(number, status="Completed", **keys):
    run = Run(f"s_{number}", keys.pop("started", 1.0), keys.pop("ended", 2.0), {}, **keys)
    return Child(trials_of(sweep())[number], run, View(f"s_{number}", {"status": status}))


def told(*children, **ends):
    seen = {}
    for one in children:
        status = one.view.status
        end = ends.get(one.trial.id)
        outcomes = [Outcome(trial=one.trial.id, exit_code=0, started=None, ended=None, end=end)] if end else []
        seen[one.view.name] = (
            Observation(job=one.view.name, status=status, started=1.0, ended=2.0, error="why"),
            Fetched([], outcomes),
        )
    return seen


def stands(view, children, seen, **keys):
    return standing(view, children, seen, None, **{"is_patient": True, **keys})


def test_a_running_sweep_says_which_of_its_trials_run_and_how_many_ended():
    children = [child(0), child(1, "Running"), child(2, "Queued", started=None)]
    found = stands(sweep(), children, told(children[0]))
    assert (found.is_over, found.seen.status, found.seen.begun, found.seen.over) == (False, Status.RUNNING, ("t1",), 1)
    assert [(one.trial, one.end, one.exit_code) for one in found.fetched.outcomes] == [("t0", End.EXITED, 0)]
    assert stands(sweep(), [], {}).seen.status is Status.WAITING
    assert stands(sweep("Queued"), [], {}).seen.status is Status.WAITING


def test_a_sweep_is_over_when_its_children_are():
    children = [child(number) for number in range(3)]
    seen = told(*children)
    assert stands(sweep("Completed"), children, seen).seen.status is Status.SUCCEEDED
    assert stands(sweep("Completed"), [*children[:2], child(2, "Running")], told(*children[:2])).is_over is False
    few = told(*children[:2])
    assert not stands(sweep("Completed"), children[:2], few).is_over
    late = stands(sweep("Completed"), children[:2], few, is_patient=False)
    assert (late.is_over, late.seen.status, late.seen.infrastructure) == (True, Status.FAILED, True)
    canceled = stands(sweep("Canceled"), children[:2], few)
    assert (canceled.is_over, canceled.seen.status) == (True, Status.CANCELED)


@pytest.mark.parametrize(
    ("status", "policy", "parent", "end"),
    [
        ("Canceled", {"policyType": "MedianStopping"}, "Running", End.STOPPED),
        ("Canceled", {"policyType": "MedianStopping"}, "CancelRequested", End.CANCELED),
        ("Canceled", None, "Running", End.CANCELED),
        ("Failed", None, "Running", End.EXITED),
        ("Completed", None, "Running", End.EXITED),
    ],
)
def test_how_a_child_ended_is_how_its_trial_did(status, policy, parent, end):
    one = child(1, status)
    found = stands(sweep(parent, earlyTermination=policy), [one], told(one))
    (outcome,) = found.fetched.outcomes
    assert outcome.end is end
    assert (outcome.exit_code == 0) is (status == "Completed")


def test_the_runners_own_word_counts_first():
    one = child(1, "Canceled")
    (outcome,) = stands(sweep(), [one], told(one, t1=End.TIME_LIMIT)).fetched.outcomes
    assert (outcome.end, outcome.started, outcome.ended) == (End.TIME_LIMIT, 1.0, 2.0)
    (outcome,) = stands(sweep(), [one], told(one, t1=End.TERMINATED)).fetched.outcomes
    assert outcome.end is End.CANCELED


class Api:
    """MLflow with these runs of an experiment."""

    def __init__(self, *runs):
        self.runs, self.asked = runs, []

    def call(self, method, url, *, body=None, **_):
        if url.endswith("get-by-name"):
            return {"experiment": {"experiment_id": "1"}}
        if url.endswith("runs/get"):
            return None
        self.asked.append(body)
        return {"runs": list(self.runs)}


class Workspace:
    scope, tenant = "/w", None

    def __init__(self, *runs):
        self.api = Api(*runs)


def run(name, status="FINISHED", **tags):
    times = {"start_time": 1000, **({"end_time": 2000} if status in ("FINISHED", "FAILED", "KILLED") else {})}
    pairs = [{"key": key.replace("_", ".", 1), "value": value} for key, value in tags.items()]
    return {"info": {"run_id": name, "status": status, **times}, "data": {"tags": pairs}}


RESULT = json.dumps({"t2": {"final": [1], "step": 0, "names": ["default"], "integers": [], "whole": True}})


@pytest.mark.parametrize(
    "tags",
    [
        {"amlc_trial": "t2"},
        {"amlc_results": RESULT},
        {"hyperparameters": '{"amlc_trial": 2}'},
        {"hyperparameters": '{"--AMLC_TRIAL": "2.0"}'},
        {"amlc_trial": "t0,t1,t2", "hyperparameters": '{"amlc_trial": 2E0}'},
    ],
    ids=["said", "reported", "noted", "noted otherwise", "inherited"],
)
def test_a_child_is_known_by_what_anybody_says(tags):
    client = Workspace(run("any-name", "RUNNING", **tags), run("nobody-says", "RUNNING"))
    (found,) = Sweeps(client, lambda job: None).of(sweep())
    assert (found.trial.id, found.view.name, found.view.status) == ("t2", "any-name", Status.RUNNING)
    assert trials_of(found.view) == (found.trial,)
    assert client.api.asked[0]["filter"] == "tags.mlflow.parentRunId = 's'"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"amlc_trial": 3}', '{"amlc_trial": -1}', '{"lr": 1}', "x", "[" * 9999])
def test_a_child_of_which_nobody_says_anything_is_none(text):
    assert Sweeps(Workspace(run("s_0", hyperparameters=text)), lambda job: None).of(sweep()) == []


def test_of_two_children_of_a_trial_the_later_counts():
    first, second = run("s_0", "FAILED", amlc_trial="t0"), run("s_9", "RUNNING", amlc_trial="t0")
    second["info"]["start_time"] = 5000
    (found,) = Sweeps(Workspace(second, first), lambda job: None).of(sweep())
    assert found.view.name == "s_9"


def test_what_mlflow_calls_ended_is_looked_up_where_the_service_has_it():
    client = Workspace(run("s_0", "FINISHED", amlc_trial="t0"))
    (found,) = Sweeps(client, lambda job: View(job, {"status": "Running"})).of(sweep())
    assert found.view.status is Status.RUNNING, "a trial can end its run by itself"
    (found,) = Sweeps(client, lambda job: None).of(sweep())
    assert found.view.status is Status.SUCCEEDED


def test_patience_with_an_ended_sweep_has_an_end():
    sweeps = Sweeps(Workspace(), lambda job: None)
    found = [sweeps.take_in(sweep("Completed"), [], {}, None).is_over for _ in range(PATIENCE + 1)]
    assert found == [False] * PATIENCE + [True]
    assert sweeps.standing == {}


