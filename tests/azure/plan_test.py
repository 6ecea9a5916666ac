"""A plan asks nobody for anything, and a canary is submitted before the rest."""

import json


def metrics(job):
    return {"default": [1.5]}


def test_a_plan_needs_no_sign_in_and_no_network(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_project(azure).write(values=range(30), maxTrialDuration="1h", amlc={"prices": {"cpu-cluster": 2}})
    azure.forget_calls()
    done = project.amlc("plan", "--format", "json", "--price", "3", "-o", "plan.json")
    assert (azure.calls, azure.identity.az_calls) == ([], [])
    cost = json.loads(done.stdout)["plan"]["cost"]
    assert (cost["worst_node_hours"], cost["price"], cost["worst_money"]) == (90, 3, 270)
    project.amlc("submit", "--plan", "plan.json")
    assert azure.job_puts == 30


def test_a_canary_is_submitted_and_ends_before_the_rest(make_azure, make_project):
    azure = make_azure(mode="instant", metrics=metrics)
    project = make_project(azure).write(values=range(30))
    done = project.amlc("submit", "--canary")
    assert "trials 0, 29 of 30 first: they cover the others" in done.stderr
    assert "2 submitted, 2 of 30 trials done" in done.stderr
    assert "28 submitted, 30 of 30 trials done" in done.stderr
    assert azure.job_puts == 30
