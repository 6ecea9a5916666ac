"""A sweep's file: Azure's own client takes it, and its runner gives each trial what a job of its own gives it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from amlc.config import load_experiment
from amlc.folders import Folders
from amlc.model import Trial
from amlc.render.part import alone, part
from amlc.render.scalars import from_yaml
from amlc.runner.amlc_runner_lib.job import read_trials
from amlc.runner.amlc_runner_lib.workdir import prepare_home
from amlc.write import write
from tests.azure import openapi

CASES = Path(__file__).parents[1] / "cases"
OF_TYPE = {
    "uniform": [0, 1],
    "quniform": [2, 10, 0.5],
    "loguniform": [1e-5, 0.1],
    "qloguniform": [3, 100, 10],
    "normal": [0, 1],
    "qnormal": [0, 1, 0.25],
    "lognormal": [0, 1],
    "qlognormal": [0, 1, 0.5],
    "randint": [5, 900],
    "choice": [True, False, None, "a b", [1, [2.0]], 1, 1.0, "1", {"k": "${{x}}"}, "é\u2028$[[y]]"],
}
NESTED = {
    "_type": "choice",
    "_value": [{"_name": "none"}, {"_name": "conv", "k": {"_type": "choice", "_value": [3, 5]}}],
}
BATCH = {
    "combine": {"_type": "choice", "_value": [{"a": 1, "b/é": "x"}, {"a": 2.0}, "plain", [1, 2]]}
}
MANY = {f"p{number}": {"_type": "choice", "_value": [number, str(number)]} for number in range(60)}


def random(**space):
    return {"searchSpace": space, "tuner": {"name": "Random"}, "maxTrialNumber": 6}


def grid(**space):
    return {"searchSpace": space, "tuner": {"name": "GridSearch"}, "maxTrialNumber": 40}


def drawn(way, **space):
    """An experiment whose trials the service draws."""
    if way == "bayesian":
        return {"searchSpace": space, "tuner": {"name": "TPE"}, "maxTrialNumber": 6}
    return {**random(**space), "amlc": {"sweep": {"sampling": "native"}, "seed": 7}}


EXPERIMENTS = {
    **{kind: random(x={"_type": kind, "_value": values}) for kind, values in OF_TYPE.items()},
    "nested": random(model=NESTED, **{"odd name/é": {"_type": "uniform", "_value": [0, 1]}}),
    "grid": grid(
        x={"_type": "quniform", "_value": [0, 1, 0.25]},
        c={"_type": "choice", "_value": [True, "True"]},
    ),
    "grid, nested": grid(model=NESTED, n={"_type": "randint", "_value": [0, 3]}),
    "batch": {"searchSpace": BATCH, "tuner": {"name": "Batch"}},
    "replicates": {**random(x={"_type": "choice", "_value": [1, 2]}), "amlc": {"replicates": 3}},
    "constraint": {
        **grid(n={"_type": "randint", "_value": [0, 9]}),
        "amlc": {"constraints": ["n % 2 == 0"]},
    },
    "initial": {
        **random(x={"_type": "uniform", "_value": [0, 1]}),
        "amlc": {"initial": [{"x": 0.125}]},
    },
    "seed": {
        **random(x={"_type": "uniform", "_value": [0, 1]}),
        "amlc": {"seed": 7, "namespace": "a"},
    },
    "many": {**random(**MANY), "maxTrialNumber": 300},
    "long": random(x={"_type": "choice", "_value": ["x" * 150_000, "é" * 70_000]}),
}


def compiled(folder, keys, *, form):
    (folder / "code").mkdir(parents=True, exist_ok=True)
    config = {
        "experimentName": "probe",
        "trialCommand": "true",
        "trialCodeDirectory": "code",
        "trialConcurrency": 4,
        "trainingService": {
            "platform": "aml", "dockerImage": "i", "subscriptionId": "s", "resourceGroup": "r", "workspaceName": "w",
            "computeTarget": "c",
        },
        **keys,
    }  # fmt: skip
    (folder / "experiment.yml").write_text(json.dumps(config), encoding="utf-8")
    experiment, _ = load_experiment(folder / "experiment.yml", given={"amlc.target": form}, environ={})
    build = write(experiment, Folders(folder / form), backend="aml").folder
    return build, [from_yaml(path.read_bytes()) for path in sorted(build.glob("jobs/*.yml"))]


def given(folder, monkeypatch, environ):
    """What the runner writes for the only trial of this environment, by file."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    (trial,) = read_trials({name.encode(): text.encode() for name, text in environ.items()})
    prepare_home(trial, None)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }, trial.replicate


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_runner_writes_for_index_i_what_it_does_for_job_i(tmp_path, monkeypatch, name):
    _, jobs = compiled(tmp_path, EXPERIMENTS[name], form="jobs")
    build, none = compiled(tmp_path, EXPERIMENTS[name], form="sweep")
    assert len(EXPERIMENTS) == 20
    assert none == []
    sweep = from_yaml((build / "sweep.yml").read_bytes())
    assert sweep["search_space"]["amlc_trial"]["values"] == list(range(len(jobs)))
    for index, job in enumerate(jobs):
        number = {"AZUREML_SWEEP_amlc_trial": str(index)}
        swept = given(
            tmp_path / f"swept-{index}",
            monkeypatch,
            {**sweep["trial"]["environment_variables"], **number},
        )
        alone_ = given(tmp_path / f"alone-{index}", monkeypatch, job["environment_variables"])
        assert swept == alone_
        assert any(path.endswith("parameter.cfg") for path in swept[0])


def test_a_trial_that_runs_again_by_itself_is_the_job_that_it_would_be(tmp_path):
    keys = {**EXPERIMENTS["nested"], "maxTrialDuration": "5m", "trialGpuNumber": 1}
    ours = {
        "amlc": {
            "job": {"inputs": {"n": 3}, "resources": {"instance_count": 2}, "tags": {"team": "a"}}
        }
    }
    _, jobs = compiled(tmp_path, {**keys, **ours}, form="jobs")
    build, _ = compiled(tmp_path, {**keys, **ours}, form="sweep")
    content = (build / "sweep.yml").read_bytes()
    for job in jobs:
        trial = Trial.of(json.loads(job["environment_variables"]["AMLC_TRIAL_0"]))
        found = from_yaml(alone(content, trial))
        assert found.pop("code") == "code"
        assert job.pop("code") == "../code"
        assert found.pop("name") != job.pop("name"), "it gets its own when it is submitted"
        del job["$schema"]
        tags = job.pop("tags")
        assert found.pop("tags").items() <= tags.items()
        assert found == job


@pytest.mark.parametrize("way", ["bayesian", "random"])
def test_a_trial_that_was_drawn_runs_again_as_the_job_that_it_would_be(tmp_path, way):
    _, (job, *_) = compiled(tmp_path, EXPERIMENTS["nested"], form="jobs")
    build, _ = compiled(tmp_path, drawn(way, **EXPERIMENTS["nested"]["searchSpace"]), form="sweep")
    trial = Trial.of(json.loads(job["environment_variables"]["AMLC_TRIAL_0"]))
    found = from_yaml(alone((build / "sweep.yml").read_bytes(), trial))
    assert found["environment_variables"] == job["environment_variables"]
    for name in ("command", "environment", "compute", "display_name", "experiment_name", "type"):
        assert found[name] == job[name], name
    assert {name: job["tags"][name] for name in found["tags"]} == found["tags"]
    assert found["tags"]["amlc.trial"] == trial.id


LOAD = """
import json, sys, warnings
warnings.simplefilter("ignore")
from azure.ai.ml import load_job
from azure.ai.ml.entities._job.to_rest_functions import to_rest_job_object
for path in sys.stdin.read().splitlines():
    job = load_job(path)
    for name in ("environment", "code"):
        setattr(job.trial, name, "azureml:" + name)
    body = to_rest_job_object(job)
    print(json.dumps([path, body.serialize() if hasattr(body, "serialize") else body.as_dict()]))
"""


def loaded(paths):
    """What the client sends for each file."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD], input="\n".join(map(str, paths)), capture_output=True, text=True,
        timeout=240, check=False, env={**os.environ, "AZURE_CORE_COLLECT_TELEMETRY": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith('["'))


def test_the_client_takes_every_sweep_and_sends_what_the_service_takes(tmp_path):
    pytest.importorskip("azure.ai.ml")
    keys = {
        **EXPERIMENTS["grid"],
        "maxTrialDuration": "30s",
        "maxExperimentDuration": "2h",
        "assessor": {
            "name": "Medianstop",
            "classArgs": {"optimize_mode": "maximize", "start_step": 3},
        },
        "trialCommand": "python3 x.py {inputs.n} ${{inputs.n}}",
        "amlc": {
            "job": {
                "inputs": {"n": 3, "data": {"type": "uri_folder", "path": "azureml:mnist:1"}},
                "outputs": {"model": {"type": "uri_folder"}},
                "identity": {"type": "managed"},
                "resources": {"instance_count": 2, "shm_size": "8g"},
                "distribution": {"type": "pytorch", "process_count_per_instance": 2},
                "queue_settings": {"job_tier": "standard"},
                "tags": {"team": "a"},
            }
        },
    }
    files = []
    for number, one in enumerate((keys, *EXPERIMENTS.values())):
        build, _ = compiled(tmp_path / str(number), one, form="sweep")
        files.append(build / "sweep.yml")
    every = {f"{kind}-é": {"_type": kind, "_value": values} for kind, values in OF_TYPE.items()}
    for way in ("bayesian", "random"):
        build, _ = compiled(tmp_path / way, drawn(way, model=NESTED, **every), form="sweep")
        files.append(build / "sweep.yml")
    some = files[0].with_name("some.yml")
    trials = from_yaml(files[0].read_bytes())["tags"]["amlc.trial"].split(",")
    some.write_bytes(part(files[0].read_bytes(), trials[2:5]))
    sent = loaded([*files, some, CASES / "sweep" / "expected" / "sweep.yml"])
    assert len(sent) == len(files) + 2
    for path, body in sent.items():
        assert openapi.check_job({"properties": body["properties"]}) == [], path
        expressions = set(re.findall(r"\$\{\{.*?\}\}|\$\[\[", json.dumps(body)))
        names = {f"${{{{search_space.{name}}}}}" for name in body["properties"]["searchSpace"]}
        assert expressions <= {*names, "${{inputs.data}}"}, path
        assert names <= expressions, path
    kinds = {
        path.parents[2].name: (
            sent[str(path)]["properties"]["samplingAlgorithm"],
            {kind for kind, _ in sent[str(path)]["properties"]["searchSpace"].values()},
        )
        for path in files[-2:]
    }
    assert kinds == {
        "bayesian": ({"samplingAlgorithmType": "Bayesian"}, {"choice", "uniform"}),
        "random": (
            {"samplingAlgorithmType": "Random", "rule": "random", "seed": 7},
            {"choice", "uniform", "loguniform", "normal", "lognormal", "randint"},
        ),
    }
    properties = sent[str(files[0])]["properties"]
    assert properties["objective"] == {"goal": "maximize", "primaryMetric": "default"}
    assert properties["earlyTermination"]["policyType"] == "MedianStopping"
    assert properties["limits"]["maxTotalTrials"] == len(trials)
    assert (properties["limits"]["timeout"], properties["limits"]["trialTimeout"]) == (
        "PT2H",
        "PT5M30S",
    )
    assert properties["trial"]["resources"]["instanceCount"] == 2
    assert sent[str(some)]["properties"]["searchSpace"] == {"amlc_trial": ["choice", [[0, 1, 2]]]}
    assert sent[str(some)]["properties"]["limits"]["maxTotalTrials"] == 3
