"""What is given to a file by `--set` or the environment, in whole runs: it stays what it was compiled with."""

from __future__ import annotations

import csv
import io
import json

import pytest

SPACE = {"x": {"_type": "choice", "_value": [1, "${TOP}"]}, "u": {"_type": "uniform", "_value": [0, "${HIGH}"]}}
ADAPTIVE = {
    "searchSpace": SPACE,
    "maxTrialNumber": 4,
    "trialConcurrency": 1,
    "tuner": {"name": "TPE", "classArgs": {"seed": "${START}"}},
}
GIVEN = ("--set", "TOP=7", "--set", "maxTrialNumber=3")
ENV = {"HIGH": "0.5", "START": "3", "TOP": "1000"}


def rows(done):
    return list(csv.DictReader(io.StringIO(done.stdout.decode())))


def test_a_submit_goes_on_with_what_was_compiled(project) -> None:
    """Whatever the environment says by then; so do plan, report and reproduce."""
    project.write(**ADAPTIVE)
    told = project.amlc("compile", "experiment.yml", *GIVEN, env=ENV)
    assert "0 trials" not in told.stderr
    header = project.manifest.header
    assert header.given == {"maxTrialNumber": "3", "TOP": "7", "HIGH": "0.5", "START": "3"}
    assert header.max_trials == 3
    plan = project.amlc("plan", env={"HIGH": "9"}).stdout.decode()
    assert "compiled with HIGH=0.5, START=3, TOP=7, maxTrialNumber=3" in plan
    project.amlc("submit", env={"HIGH": "1000", "START": "9"})
    assert project.manifest.header == header
    found = rows(project.amlc("collect"))
    assert len(found) == 3
    assert {row["param.x"] for row in found} <= {"1", "7"}
    assert all(float(row["param.u"]) <= 0.5 for row in found)
    assert b"0 to 0.5" in project.amlc("report").stdout


def test_the_same_values_give_the_same_bytes_wherever_they_come_from(project) -> None:
    project.write(**ADAPTIVE)
    manifest = project.root / "build/probe/manifest.json"
    project.amlc("compile", "experiment.yml", "--set", "TOP=7", "--set", "HIGH=0.5", "--set", "START=3")
    text = manifest.read_bytes()
    told = project.amlc("compile", "experiment.yml", env={**ENV, "TOP": "7"}).stderr
    assert "nothing changed" in told
    assert manifest.read_bytes() == text
    project.amlc("compile", "experiment.yml", env=ENV)
    assert manifest.read_bytes() != text


def test_a_run_takes_them_and_another_value_makes_other_trials(project) -> None:
    space = {"x": {"_type": "choice", "_value": [1, "${TOP}"]}}
    project.write(searchSpace=space)
    assert [row["param.x"] for row in rows(project.amlc("run", "experiment.yml", "--set", "TOP=2"))] == ["1", "2"]
    assert [row["param.x"] for row in rows(project.amlc("run", "experiment.yml", env={"TOP": "3"}))] == ["1", "3", "2"]
    assert len(project.starts) == 3
    err = project.amlc("run", "experiment.yml", code=1).stderr
    assert "/searchSpace/x/_value/1: the placeholder '${TOP}' is not set" in err


def test_validate_and_plan_say_what_was_given(project) -> None:
    project.write(searchSpace={"x": {"_type": "choice", "_value": [1, "${TOP}"]}}, amlc={"constraints": ["x < 5"]})
    err = project.amlc("validate", "experiment.yml", "--set", "TOP=9").stderr
    assert "probe is valid with TOP=9: 2 combinations, 1 excluded, 1 trial\n" in err
    project.amlc("compile", "experiment.yml", "--set", "TOP=9")
    out = project.amlc("plan", "--set", "TOP=9").stdout.decode()
    assert "compiled with TOP=9\n2 combinations, 1 excluded, 1 trial\n" in out
    assert json.loads(project.amlc("plan", "--format", "json").stdout)["plan"]["given"] == {"TOP": "9"}
    assert "--set TOP=8: it was not compiled with that" in project.amlc("plan", "--set", "TOP=8", code=2).stderr
    assert "write KEY=VALUE" in project.amlc("validate", "experiment.yml", "--set", "TOP", code=2).stderr


@pytest.mark.parametrize("how", ["set", "environment"])
def test_a_stranger_reads_no_environment(project, how) -> None:
    project.write(searchSpace={"x": {"_type": "choice", "_value": ["${HOME}"]}})
    words = ("--set", "HOME=a") if how == "set" else ()
    done = project.amlc("validate", "--untrusted", "experiment.yml", *words, code=0 if words else 1)
    assert ("With --untrusted nothing is read from the environment" in done.stderr) == (how == "environment")


def test_a_key_whose_value_is_no_secret_stays_out_of_what_is_given(project) -> None:
    project.write()
    err = project.amlc("compile", "experiment.yml", "--set", "sharedStorage.storageAccountKey=hush", code=1).stderr
    assert "a secret on a command line" in err
    assert "hush" not in err
    assert not (project.root / "build").exists()
