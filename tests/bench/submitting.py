"""What submitting thousands of jobs to Azure ML takes, and collecting them, beside the loop that its client offers.

Against the tests' control plane, in this process; the clients are processes of their own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import experiment
from tests.bench.measure import BARE_NAME, ROOT, WALL, Cost, Effort, Measured, Unmeasured, amlc, bare, compared

if TYPE_CHECKING:
    from tests.azure.emulator import Emulator

LOOP = 20
LATENCY_S = 0.15
FLOOR_NAME = f"`load_job` and `create_or_update` of {LOOP}, one after the other"
PLAIN_LOOP = """\
import pathlib, sys, time
from azure.ai.ml import MLClient, load_job
from azure.identity import AzureCliCredential
count, *where = sys.argv[1:]
client = MLClient(AzureCliCredential(), *where)
files = sorted(pathlib.Path("build/bench/jobs").rglob("*.yml"))[: int(count)]
start, cpu = time.perf_counter(), time.process_time()
for file in files:
    job = load_job(file)
    job.name += "-loop"
    client.jobs.create_or_update(job)
print(time.perf_counter() - start, time.process_time() - cpu)
"""


def rows(effort: Effort) -> Iterator[Measured]:
    from tests.azure.conftest import missing

    count = effort.of(5_000)
    submit = f"submit {count:,} jobs to Azure ML at {LATENCY_S * 1e3:.0f} ms a call"
    if reason := missing():
        yield Unmeasured(what=submit, reason=reason)
        return
    submitted, first, again = [], [], []
    created_ms = 0.0
    for _ in range(effort.long):
        knobs = {"mode": "instant", "page_size": 1_000, "latency_s": LATENCY_S}
        with experiment.new_folder() as folder, emulator(folder, **knobs) as azure:
            environ = {**azure.environ("proxy"), "PYTHONPATH": str(ROOT)}
            experiment.write(count, concurrency=count, service=service(azure))
            experiment.compile_()
            cost = amlc("submit", "--no-wait", "--parallel", "64", environ=environ) / count
            times = [call.at for call in azure.find_calls("PUT", "/jobs/")]
            assert len(times) == count
            created_ms = max(created_ms, (times[-1] - times[0]) / count * 1e3)
            submitted.append((cost, _looped(azure, environ)))
            azure.latency_s = 0
            for pairs in (first, again):
                pairs.append((amlc("collect", environ=environ) / count, bare()))
    goal = {"ms of CPU": 2.5, "ms from the first creation to the last": 10, WALL: 1 / 20}
    others = {"ms from the first creation to the last": created_ms}
    yield compared(submit, submitted, FLOOR_NAME, goal=goal, others=others)
    what = f"collect {count:,} jobs from Azure ML"
    yield compared(f"{what}, which are asked for", first, BARE_NAME, goal={"ms of CPU": 0.1})
    yield compared(f"{what}, all known", again, BARE_NAME, goal={"ms of CPU": 0.1})


def emulator(folder: Path, *, mode: str, page_size: int, latency_s: float = 0.0) -> Emulator:
    from tests.azure.emulator import Emulator

    return Emulator(folder, mode=mode, page_size=page_size, latency_s=latency_s, metrics=lambda job: {"default": [0.5]})


def service(azure: Emulator) -> str:
    return (
        f"{{platform: aml, dockerImage: msranni/nni, subscriptionId: {azure.subscription}, computeTarget: cpu-cluster, "
        f"resourceGroup: {azure.resource_group}, workspaceName: {azure.workspace}}}"
    )


def _looped(azure: Emulator, environ: Mapping[str, str]) -> Cost:
    where = [azure.subscription, azure.resource_group, azure.workspace]
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_LOOP, str(LOOP), *where],
        check=True, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wall_s, cpu_s = map(float, done.stdout.split()[-2:])
    return Cost(wall_s=wall_s, cpu_s=cpu_s) / LOOP
