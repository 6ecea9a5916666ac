"""`amlc run` on the emulator: tuners that learn from its metrics, and assessors that end its jobs."""

import csv
import io
import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest

from amlc.attempts import fold
from amlc.ledger import open_ledger
from tests.azure.client_process import ROOT, AzureProject
from tests.azure.faults import KillAt

DIGITS = ROOT / "examples" / "digits"
SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}, "c": {"_type": "choice", "_value": ["a", "b"]}}
TPE = {"name": "TPE", "classArgs": {"seed": 7, "tpe_args": {"n_startup_jobs": 4}}}


def parabola(job):
    """Return the metrics of a job whose trial would report (x - 0.3)²."""
    parameters = json.loads(job.properties["environmentVariables"]["AMLC_TRIAL_0"])["parameters"]
    return {"default": [(parameters["x"] - 0.3) ** 2]}


def rows(project, *options, code=0):
    return list(csv.DictReader(io.StringIO(project.amlc("collect", *options, code=code).stdout)))


def found(done):
    """Return what the parameters and results were, from the output of `amlc run`."""
    return [
        {name: text for name, text in row.items() if name.startswith(("sequence", "status", "param.", "metric."))}
        for row in csv.DictReader(io.StringIO(done.stdout))
    ]


def attempts(project):
    (ledger,) = project.folders.state.glob("*/ledger.db")
    with open_ledger(ledger) as opened:
        return list(fold(opened.events()).values())


def test_the_seeds_experiment_on_the_digits_runs_on_azure_as_on_this_machine(make_azure, tmp_path):
    azure = make_azure()
    project = AzureProject(
        tmp_path / "digits",
        azure,
        AZURE_SUBSCRIPTION_ID=azure.subscription,
        AZURE_RESOURCE_GROUP=azure.resource_group,
        AZURE_WORKSPACE=azure.workspace,
        AZURE_COMPUTE="cpu-cluster",
    )
    shutil.copytree(DIGITS, project.root, dirs_exist_ok=True)
    config = project.root / "experiment.aml.yml"
    # One at a time: with more, what a proposal knows of the others depends on which of them ends first.
    text = config.read_text(encoding="utf-8").replace("trialConcurrency: 2", "trialConcurrency: 1")
    config.write_text(
        text.replace("train.py", "train.py --epochs 4").replace("Number: 12", "Number: 5"), encoding="utf-8"
    )
    there = project.amlc("run", "experiment.aml.yml")
    assert "5 submitted, 5 of 5 trials done" in there.stderr
    assert len(azure.jobs) == azure.job_puts == 5
    for folder in (".amlc", "build"):
        shutil.rmtree(project.root / folder)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where python3 has what the trials need
    here = project.amlc("run", "experiment.aml.yml", "--backend", "local", env={"PATH": path})
    assert len({row["param.lr"] for row in found(here)}) == 5
    for one, other in zip(found(there), found(here), strict=True):
        assert one.keys() == other.keys()
        for name, text in one.items():
            if name.startswith("metric."):  # a training of its own: the last digits are the processor's and its load's
                assert float(text) == pytest.approx(float(other[name]), rel=1e-9)
            else:
                assert text == other[name]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_free_slots_are_filled_with_proposals_from_the_results(make_azure, make_project, concurrency):
    azure = make_azure(mode="instant", metrics=parabola)
    project = make_project(azure).write(searchSpace=SPACE, tuner=TPE, maxTrialNumber=10, trialConcurrency=concurrency)
    done = project.amlc("run", "experiment.yml")
    assert len(azure.jobs) == azure.job_puts == 10
    assert [row["sequence"] for row in found(done)] == [str(number) for number in range(10)]
    assert all(float(row["metric.default"]) == pytest.approx((float(row["param.x"]) - 0.3) ** 2) for row in found(done))


def test_killed_at_any_call_it_proposes_what_the_calm_run_does(make_azure, make_project):
    keys = {"searchSpace": SPACE, "tuner": TPE, "maxTrialNumber": 10, "trialConcurrency": 1}
    calm = make_project(make_azure(mode="instant", metrics=parabola), "calm").write(**keys)
    expected = found(calm.amlc("run", "experiment.yml"))
    azure = make_azure(mode="instant", metrics=parabola)
    project = make_project(azure).write(**keys)
    rng = random.Random(1)
    kills = 0
    for _ in range(60):
        fault = KillAt(rng.randint(9, 14), after=rng.random() < 0.5)
        fault.pid, wait = project.start("run", "experiment.yml")
        azure.spoil(fault)
        done = wait()
        azure.faults.clear()
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
    assert kills >= 4
    assert found(done) == expected
    assert len(azure.jobs) == 10
    assert set(azure.statuses()) == {attempt.job for attempt in attempts(project)}


def test_a_run_goes_on_from_the_workspace_alone(make_azure, make_project):
    keys = {"searchSpace": SPACE, "tuner": TPE, "trialConcurrency": 1}
    calm = make_project(make_azure(mode="instant", metrics=parabola), "calm").write(maxTrialNumber=8, **keys)
    expected = found(calm.amlc("run", "experiment.yml"))
    azure = make_azure(mode="instant", metrics=parabola)
    project = make_project(azure).write(maxTrialNumber=6, **keys)
    project.amlc("run", "experiment.yml")
    shutil.rmtree(project.root / ".amlc")
    project.write(maxTrialNumber=8, **keys)
    project.amlc("refresh")
    assert found(project.amlc("run", "experiment.yml")) == expected
    assert len(azure.jobs) == azure.job_puts == 8


# --- assessors ------------------------------------------------------------------------------------------------------

CURVE = """
intermediate() { printf "NNISDK_MEb'%s'\\n" "{\\"type\\":\\"PERIODICAL\\",\\"sequence\\":$1,\\"value\\":\\"$2\\"}"; }
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
for step in 0 1 2 3 4; do intermediate $step "$x"; done
[ "$x" != 0.1 ] || sleep 80
final "$x"
"""
MEDIANSTOP = {
    "values": [0.8, 0.9, 0.1, 0.95],
    "script": CURVE,
    "trialConcurrency": 1,
    "assessor": {"name": "Medianstop", "classArgs": {"optimize_mode": "maximize", "start_step": 2}},
}


def assert_stopped_early(project):
    """The third trial, and no other, was stopped, and what it reported until then is kept once."""
    statuses = [row["status"] for row in rows(project)]
    assert statuses == ["succeeded", "succeeded", "early_stopped", "succeeded"]
    assert rows(project)[2]["metric.default"] == ""
    history = [(row["sequence"], row["step"], row["metric.default"]) for row in rows(project, "--history")]
    values = MEDIANSTOP["values"]
    assert history == [(str(n), str(step), str(x)) for n, x in enumerate(values) for step in range(5)]
    assert [attempt.stopping for attempt in attempts(project)] == [False, False, True, False]


@pytest.mark.parametrize("kept", [True, False], ids=["outputs kept", "outputs lost"])
def test_medianstop_cancels_a_hopeless_job_and_keeps_its_history(make_azure, make_project, kept):
    azure = make_azure()
    azure.cluster.keeps_outputs = kept
    project = make_project(azure).write(**MEDIANSTOP)
    project.amlc("run", "experiment.yml")
    assert list(azure.statuses().values()) == ["Completed", "Completed", "Canceled", "Completed"]
    assert azure.count("POST", "/cancel$") == 1
    assert_stopped_early(project)


def test_killed_before_it_could_cancel_it_cancels_when_started_again(make_azure, make_project):
    azure = make_azure()
    project = make_project(azure).write(**MEDIANSTOP)
    fault = azure.spoil(KillAt(1, after=False, method="POST", path="/cancel"))
    fault.pid, wait = project.start("run", "experiment.yml")
    assert wait().returncode == -signal.SIGKILL
    azure.faults.clear()
    project.amlc("run", "experiment.yml")
    assert_stopped_early(project)


ADVISOR = """
import nni
from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
from nni.runtime.tuner_command_channel import CommandType

class Mine(MsgDispatcherBase):
    count = 0
    def handle_initialize(self, data):
        self.steps = {}
    def handle_request_trial_jobs(self, data):
        message = {"parameter_id": self.count, "parameters": {"x": [0.8, 0.9, 0.1, 0.95][self.count]}}
        self.count += 1
        self.send(CommandType.NewTrialJob, nni.dump(message))
    def handle_report_metric_data(self, data):
        if data["type"] == "PERIODICAL":
            assert data["sequence"] == self.steps.get(data["parameter_id"], 0)
            self.steps[data["parameter_id"]] = data["sequence"] + 1
            if nni.load(data["value"]) < 0.5:
                self.send(CommandType.KillTrialJob, nni.dump(data["trial_job_id"]))
    def handle_trial_end(self, data):
        number = nni.load(data["hyper_params"])["parameter_id"]
        assert self.steps[number] == 5
        assert data["event"] == ("EARLY_STOPPED" if number == 2 else "SUCCEEDED")
"""


def test_an_advisor_follows_the_jobs_and_ends_one_though_killed_before_the_call(make_azure, make_project):
    azure = make_azure()
    project = make_project(azure)
    (project.root / "classes").mkdir()
    (project.root / "classes" / "mine.py").write_text(ADVISOR)
    project.write(
        tuner={"className": "mine.Mine", "codeDirectory": "classes"},
        searchSpace={"x": {"_type": "uniform", "_value": [0, 1]}},
        script=CURVE,
        trialConcurrency=1,
        maxTrialNumber=4,
    )
    fault = azure.spoil(KillAt(1, after=False, method="POST", path="/cancel"))
    fault.pid, wait = project.start("run", "experiment.yml")
    assert wait().returncode == -signal.SIGKILL
    azure.faults.clear()
    assert "does not propose the same" not in project.amlc("run", "experiment.yml").stderr
    assert_stopped_early(project)
