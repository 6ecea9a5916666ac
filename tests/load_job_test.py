"""Azure's own SDK loads every compiled job, and finds in it what the file says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

CASES = Path(__file__).parent / "cases"
JOBS = sorted(CASES.glob("*/expected/jobs/*.yml"))

# One process for all files: importing the SDK takes seconds.
LOAD = """
import json, sys, warnings
warnings.simplefilter("ignore")
from azure.ai.ml import load_job
for path in sys.stdin.read().splitlines():
    job = load_job(path)
    environment = job.environment
    image = None if isinstance(environment, str) else environment.image
    limits = job.limits and job.limits.timeout
    print(json.dumps([path, job.name, job.command, job.environment_variables, job.tags, job.display_name,
        job.experiment_name, job.compute, image or environment, limits, type(job).__name__]))
"""


def said(path: Path) -> list:
    """What a job file says, in the order of LOAD."""
    file = yaml.safe_load(path.read_text(encoding="utf-8"))
    environment = file["environment"] if isinstance(file["environment"], str) else file["environment"]["image"]
    return [
        *[file[key] for key in ("name", "command", "environment_variables", "tags", "display_name", "experiment_name")],
        file["compute"].removeprefix("azureml:"),
        environment.removeprefix("azureml:"),
        file.get("limits", {}).get("timeout"),
        "Command",
    ]


def test_every_compiled_job_loads_and_says_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD],
        input="\n".join(map(str, JOBS)),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "AZURE_CORE_COLLECT_TELEMETRY": "0"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    assert len(rows) == len(JOBS) > 20
    for path, *found in rows:
        assert found == said(Path(path)), path
