"""What trials cost: hours of nodes, of every attempt, and the money for them."""

from dataclasses import replace
from pathlib import Path

import pytest

from amlc.attempts import Attempt
from amlc.config import load_experiment
from amlc.cost import Cost, cost, machines, price
from amlc.manifest import Header
from amlc.model import Observation, Status, Trial

HEADER = Header(
    experiment="e", backend="aml", revision="0" * 64, concurrency=1, retries=2, max_seconds=None, optimize_mode="minimize",
    gpus_per_trial=None, trials_per_gpu=1, target={},
)  # fmt: skip
ONE, TWO = Trial("1" * 16, 0, {}), Trial("2" * 16, 1, {})


def attempt(started, ended=None, *, status=Status.SUCCEEDED, trials=(ONE,), backend="aml"):
    latest = Observation(job="j", status=status, started=started, ended=ended)
    return Attempt(
        id="j", number=1, trials=trials, revision="0" * 64, backend=backend, losses=0, latest=latest
    )


@pytest.mark.parametrize(
    ("attempts", "hours"),
    [
        pytest.param([], 0, id="never submitted"),
        pytest.param([attempt(None)], 0, id="never began"),
        pytest.param([attempt(0, 3600)], 1, id="an hour"),
        pytest.param([attempt(0, 1800, status=Status.FAILED), attempt(3600, 7200)], 1.5, id="what was lost is paid"),
        pytest.param([attempt(0, 3600, trials=(ONE, TWO))], 0.5, id="half of a packed job"),
        pytest.param([attempt(7200, status=Status.RUNNING)], 1, id="until now"),
        pytest.param([attempt(7200, status=Status.UNKNOWN)], 1, id="it may go on"),
        pytest.param([attempt(7200, status=Status.FAILED)], 0, id="an end that nobody knows"),
        pytest.param([attempt(3600, 0)], 0, id="clocks that differ"),
        pytest.param([attempt(0, 3600, backend="local")], 0, id="on this machine"),
    ],
)
def test_node_hours_are_those_of_all_attempts(attempts, hours):
    assert cost(attempts, HEADER, nodes=1, now=10_800) == Cost(hours)
    assert cost(attempts, replace(HEADER, price=0.5), nodes=4, now=10_800) == Cost(4 * hours, 2 * hours)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Cost(0.0), "0 node-hours"),
        (Cost(0.01234), "0.012 node-hours"),
        (Cost(1.5, 4.59), "1.50 node-hours, 4.59 at amlc.prices"),
        (Cost(12345.678, 37777.77), "12,345.68 node-hours, 37,777.77 at amlc.prices"),
    ],
)
def test_a_cost_is_read(found, text):
    assert str(found) == text


AML = """
searchSpace: {x: {_type: choice, _value: [1]}}
trialCommand: a
trialConcurrency: 1
tuner: {name: GridSearch}
trainingService: {platform: aml, subscriptionId: s, resourceGroup: g, workspaceName: w, computeTarget: Cluster, dockerImage: i}
"""


@pytest.mark.parametrize(
    ("ours", "found", "warned"),
    [
        ("{}", None, False),
        ("{prices: {cluster: 2}}", 2, False),
        ("{prices: {STANDARD_NC6: 3.06}, job: {resources: {instance_type: Standard_nc6}}}", 3.06, False),
        ("{prices: {CLUSTER: 2, big: 3}, job: {compute: 'azureml:Big'}}", 3, False),
        ("{prices: {cluster: 2}, job: {compute: null}}", None, True),
        ("{prices: {other: 2}}", None, True),
        ("{prices: {cluster: 0}}", 0, False),
    ],
)
def test_a_price_is_that_of_the_instance_type_or_of_the_compute_target(tmp_path: Path, ours, found, warned):
    file = tmp_path / "e.yml"
    file.write_text(f"{AML}amlc: {ours}\n")
    experiment, problems = load_experiment(file, environ={})
    assert price(experiment) == found
    assert [problem.code for problem in problems] == ["W-no-effect"] * warned
    assert len(list(machines(experiment))) <= 2
