"""On Azure as on this machine: every way to run an experiment, as single trials, packed and replicated, the same end."""

from __future__ import annotations

import csv
import io
import os
import signal
import time

import pytest

COUNT = 7
SPACE = {"x": {"_type": "quniform", "_value": [0, 3, 1]}, "c": {"_type": "choice", "_value": ["a", "b", "c"]}}
TRIAL = """
x=$(sed 's/.*"x": *\\([-+.0-9e]*\\).*/\\1/' "$NNI_SYS_DIR/parameter.cfg")
final "$(awk "BEGIN { print ($x - 1) ^ 2 }")"
"""
TUNERS = {"Random": {"name": "Random"}, "TPE": {"name": "TPE", "classArgs": {"tpe_args": {"n_startup_jobs": 3}}}}
SHAPES = {"single": {}, "packed": {"trialsPerJob": 3}, "replicates": {"replicates": 2}}
ALL = f"{COUNT} of {COUNT} trials done"


def step_by_step(project):
    assert f"{ALL}\n" in project.amlc("submit").stderr


def run(project):
    assert f"{ALL}\n" in project.amlc("run", "experiment.yml").stderr


def killed(project):
    pid, wait = project.start("run", "experiment.yml")
    deadline = time.monotonic() + 60
    while len(project.azure.jobs) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    wait()
    assert f"{ALL}\n" in project.amlc("submit").stderr


def rounds(project):
    for _ in range(COUNT):
        done = project.amlc("submit", "--rounds", "1")
        if project.amlc("compile", "experiment.yml", "--check", code=None).returncode == 0:
            break
        assert "not proposed yet" in done.stderr
        project.amlc("compile", "experiment.yml")
    assert f"{ALL}\n" in done.stderr


WAYS = {"submit": step_by_step, "run": run, "run, killed, submit": killed, "rounds": rounds}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tuner", TUNERS)
def test_every_way_ends_with_every_trial(make_azure, make_project, tuner, way, shape):
    azure = make_azure()
    project = make_project(azure).write(
        script=TRIAL, searchSpace=SPACE, tuner=TUNERS[tuner], maxTrialNumber=COUNT, trialConcurrency=2,
        amlc=SHAPES[shape],
    )  # fmt: skip
    if tuner != "Random":
        assert "not proposed yet: amlc submit goes on" in project.amlc("collect", code=4).stderr
    WAYS[way](project)
    rows = list(csv.DictReader(io.StringIO(project.amlc("collect").stdout)))
    assert sorted(int(row["sequence"]) for row in rows) == list(range(COUNT))
    assert {row["status"] for row in rows} == {"succeeded"}
    assert len({row["trial"] for row in rows}) == COUNT
    assert all(float(row["metric.default"]) == (float(row["param.x"]) - 1) ** 2 for row in rows)
    assert len(azure.jobs) == azure.job_puts == len({row["job"] for row in rows}), "no job was made twice"
    assert project.amlc("plan").stdout == f"probe: {ALL}\nnothing to submit\n"
