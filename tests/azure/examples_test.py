"""The examples for Azure ML: each compiled, loaded by the Azure ML client, and run; the pipelines' commands too."""

import csv
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "aml"
EXPERIMENTS = ("cluster", "data", "environment", "spot")
PIPELINES = ("azure-pipelines", "github-actions")


@pytest.fixture
def project(make_azure, make_project):
    """A folder with the examples, on a workspace that has what they name."""
    azure = make_azure()
    azure.assets.put("environments", "training", "2", {"image": "busybox"})
    found = make_project(azure)
    found.environ |= {
        "AZURE_SUBSCRIPTION_ID": azure.subscription,
        "AZURE_RESOURCE_GROUP": azure.resource_group,
        "AZURE_WORKSPACE": azure.workspace,
    }
    shutil.copytree(EXAMPLES, found.root, dirs_exist_ok=True)
    return found


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_every_example_is_tested():
    names = {path.stem for path in EXAMPLES.glob("*.yml")}
    assert names == {*EXPERIMENTS, *PIPELINES}
    readme = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}.yml`" in readme for name in names)
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {"code", "points", "distributed"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_example_runs(project, name):
    from azure.ai.ml import load_job

    assert project.amlc("validate", f"{name}.yml").stderr == f"{name}.yml: {name} is valid\n"
    project.amlc("compile", f"{name}.yml")
    for file in project.root.glob("build/*/jobs/*.yml"):
        assert load_job(file).command
    found = rows(project.amlc("run", f"{name}.yml").stdout)
    assert [row["status"] for row in found] == ["succeeded"] * 4
    jobs = [job.properties for job in project.azure.jobs]
    if name == "cluster":
        assert len(jobs) == 2
        assert "node-hours, 0.00 at amlc.prices" in project.amlc("status").stdout
    if name == "spot":
        assert {job["queueSettings"]["jobTier"] for job in jobs} == {"Spot"}
        assert not any(job.get("computeId") for job in jobs)
        assert {row["nodes"] for row in rows(project.amlc("collect", "--cost").stdout)} == {"1"}
    if name == "environment":
        assert {job["environmentId"].rpartition("/environments/")[2] for job in jobs} == {"training/versions/2"}
    if name == "data":
        project.amlc("download", "--best", "model")
        assert "slope" in (project.root / "model" / "model" / "line.json").read_text()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_example_runs_on_this_machine(project, name):
    found = rows(project.amlc("run", f"{name}.yml", "--backend", "local").stdout)
    assert [row["status"] for row in found] == ["succeeded"] * 4


def scripts(value):
    """Yield every script of a pipeline, in order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("run", "script", "inlineScript") and isinstance(inner, str):
                yield inner
            else:
                yield from scripts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from scripts(inner)


@pytest.mark.parametrize("name", PIPELINES)
def test_the_scripts_of_a_pipeline_run(project, tmp_path, name):
    """What is not there in a test stands in: pip, and where GitHub gives its assertions."""
    project.root.joinpath("experiment.yml").write_bytes((EXAMPLES / "cluster.yml").read_bytes())
    before, _, rest = project.environ["PATH"].partition(os.pathsep)  # the emulator's `az` comes first
    stand_ins = tmp_path / "bin"
    stand_ins.mkdir()
    for command, says in (("pip", ""), ("curl", '{"value": "assertion"}'), ("jq", "assertion")):
        (stand_ins / command).write_text(f"#!/bin/sh\necho '{says}'\n")
        (stand_ins / command).chmod(0o755)
    token = project.root / ".assertion"
    path = os.pathsep.join([before, str(stand_ins), str(Path(sys.executable).parent), rest])
    environ = {
        **project.environ,
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "AZURE_FEDERATED_TOKEN_FILE": str(token),
        "AMLC_CREDENTIAL": "az",
    }
    pipeline = yaml.safe_load((EXAMPLES / f"{name}.yml").read_text())
    found = list(scripts(pipeline))
    verbs = set()
    for script in (text.replace("sleep 120", "sleep 1") for text in found):
        verbs |= {line.split("amlc ")[1].split()[0] for line in script.splitlines() if "amlc " in line}
        # The loop that keeps the token fresh ends with its script.
        done = subprocess.run(
            ["bash", "-e", "-c", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + script],
            cwd=project.root, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, script + done.stdout + done.stderr
    assert verbs >= {"validate", "compile", "refresh", "submit", "collect"}
    assert len(rows((project.root / "results.csv").read_text())) == 4
    assert len(project.azure.jobs) == 2, "of all the runs of the pipeline together, each trial ran once"


def test_pipelines_ask_for_what_they_need():
    github = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())
    assert github[True].keys() >= {"pull_request", "push", "schedule"}  # YAML 1.1 reads `on` so
    assert github["permissions"]["id-token"] == "write"
    azure = yaml.safe_load((EXAMPLES / "azure-pipelines.yml").read_text())
    assert all(azure[key] for key in ("trigger", "pr", "schedules"))
    for step in azure["steps"]:
        assert len(step.keys() & {"script", "task", "publish"}) == 1
