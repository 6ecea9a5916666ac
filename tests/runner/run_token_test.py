"""A run's token is renewed before it ends, by the run history of the host that is told of the run."""

import base64
import json

import pytest

from amlc.runner.amlc_runner_lib import run_token
from amlc.runner.amlc_runner_lib.job import read_run
from amlc.runner.amlc_runner_lib.run_token import RunToken

SCOPE = "subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
URI = f"azureml://eastus.api.azureml.ms/mlflow/v2.0/{SCOPE}?x=y"


def token(end):
    payload = base64.urlsafe_b64encode(json.dumps({"exp": end}).encode()).decode().rstrip("=")
    return f"head.{payload}.signature"


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(run_token, "time", clock)
    return clock


@pytest.fixture
def answers(monkeypatch):
    found = []

    def get(url, token):
        found.append((url, token))
        return get.answer

    get.answer = None
    get.asked = found
    monkeypatch.setattr(run_token, "_get", get)
    return get


@pytest.mark.parametrize(("end", "left_s"), [(1200, 105.0), (1095, 0.0), (900, 0.0)])
def test_it_is_due_a_moment_before_its_end(clock, end, left_s):
    assert RunToken(token(end), "url").left_s() == left_s


@pytest.mark.parametrize("text", [None, "", "opaque", "a.b.c", token("soon"), "a..b"])
def test_one_that_does_not_say_when_it_ends_has_to_do(clock, text):
    assert RunToken(text, "url").left_s() is None


def test_without_a_place_for_the_next_one_it_has_to_do(clock, answers):
    one = RunToken(token(900), None)
    assert one.left_s() is None
    one.keep()
    assert not one.renew()
    assert answers.asked == []


def test_it_is_renewed_when_it_is_due(clock, answers):
    first, second = token(1200), token(9000)
    one = RunToken(first, "url")
    answers.answer = {"token": second}
    one.keep()
    assert (one.text, answers.asked) == (first, [])
    clock.now = 1105.0
    one.keep()
    assert (one.text, answers.asked) == (second, [("url", first)])
    assert one.left_s() == 9000 - 95 - 1105


@pytest.mark.parametrize("answer", [None, [], {}, {"token": None}, {"token": ""}, {"token": 1}])
def test_a_renewal_that_fails_is_tried_again_in_a_while(clock, answers, answer):
    one = RunToken(token(1000), "url")
    answers.answer = answer
    one.keep()
    assert one.text == token(1000)
    assert one.left_s() == 30.0
    assert not one.renew()


@pytest.mark.parametrize(
    ("uri", "more", "url"),
    [
        (URI, {"MLFLOW_EXPERIMENT_NAME": "my exp"}, f"/history/v1.0/{SCOPE}/experiments/my%20exp/runs/r/token"),
        (URI, {"AZUREML_ARM_PROJECT_NAME": "e"}, f"/history/v1.0/{SCOPE}/experiments/e/runs/r/token"),
        (URI, {"MLFLOW_EXPERIMENT_ID": "7", "MLFLOW_EXPERIMENT_NAME": "e"}, f"/history/v1.0/{SCOPE}/experimentids/7/runs/r/token"),
        (URI, {}, None),
        ("http://127.0.0.1:5000", {"MLFLOW_EXPERIMENT_NAME": "e"}, None),
        ("http://127.0.0.1/mlflow/v1.0/else", {"MLFLOW_EXPERIMENT_NAME": "e"}, None),
    ],
)  # fmt: skip
def test_the_next_one_comes_from_the_run_history(uri, more, url):
    run = read_run({"MLFLOW_TRACKING_URI": uri, "MLFLOW_RUN_ID": "r", **more})
    assert run.token_url == (url and f"https://eastus.api.azureml.ms{url}")
