"""What following thousands of Azure ML jobs costs, and how long their slots stay empty; a part of `make bench`."""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1].resolve()
AMLC = [sys.executable, "-m", "amlc", "-q"]
PAGE = 30  # jobs
EXPERIMENT = """\
experimentName: bench
searchSpace:
  lr: {{_type: loguniform, _value: [1e-4, 1e-1]}}
  layers: {{_type: randint, _value: [1, 9]}}
trialCommand: python3 train.py
trialCodeDirectory: code
trialConcurrency: {abreast}
maxTrialNumber: {jobs}
tuner: {{name: Random}}
trainingService: {{platform: aml, dockerImage: msranni/nni, subscriptionId: {azure.subscription},
  computeTarget: cpu-cluster, resourceGroup: {azure.resource_group}, workspaceName: {azure.workspace}}}
"""
EXPLAINED = """\
`amlc submit` beside the tests' control plane, which takes a share of the same cores; its list has {page} jobs a page.
So many jobs run side by side and so many end each second, the oldest first or at random. Calls are those of `amlc` in
all, the processor's time that of all its processes, the memory that of the largest. The last column is how many jobs
ran, of those that could, from when all slots were first taken until the last job was created. Goals, of 5,000 jobs: 1.1
calls and 5 ms a job, 150 MB.
"""


@dataclass(frozen=True)
class Load:
    """So many jobs, of which `abreast` run and `per_second` end, in order or not."""

    jobs: int
    abreast: int
    per_second: float
    in_order: bool

    def __str__(self) -> str:
        order = "in order" if self.in_order else "at random"
        return f"{self.jobs:,} jobs, {self.abreast} at once, {self.per_second:g} ending a second, {order}"


LOADS = (Load(5_000, 500, 25, True), Load(5_000, 500, 25, False), Load(800, 500, 2, False))


def following_cost(loads: tuple[Load, ...] = LOADS) -> None:
    """Print the section."""
    from tests.azure.conftest import missing

    print("## Following jobs on Azure ML\n")
    if reason := missing():
        print(f"Not measured: {reason}.")
        return
    print(EXPLAINED.format(page=PAGE))
    print("| jobs | calls a job | ms a job | MB | running | goals |")
    print("|---|---|---|---|---|---|", flush=True)
    for load in loads:
        with tempfile.TemporaryDirectory() as folder:
            calls, cpu_ms, megabytes, running = _followed(load, Path(folder).resolve())
        verdict = "met" if calls <= 1.1 and cpu_ms <= 5 and megabytes <= 150 else "**missed**"
        verdict = verdict if load.jobs >= 5_000 else ""  # of few, what is done once weighs too much
        print(f"| {load} | {calls:.3f} | {cpu_ms:.1f} | {megabytes:.0f} | {running:.0%} | {verdict} |", flush=True)


def _followed(load: Load, folder: Path) -> tuple[float, float, float, float]:
    """Return calls a job, the processor's milliseconds a job, megabytes, and the share of slots in use."""
    from tests.azure.emulator import Emulator

    with Emulator(folder, mode="manual", page_size=PAGE, metrics=lambda job: {"default": [0.5]}) as azure:
        (folder / "code").mkdir()
        (folder / "code" / "train.py").write_text("print('hello')\n")
        text = EXPERIMENT.format(azure=azure, jobs=load.jobs, abreast=load.abreast)
        (folder / "experiment.yml").write_text(text)
        env = {**azure.environ("proxy"), "PYTHONPATH": str(ROOT)}
        subprocess.run([*AMLC, "compile", "experiment.yml"], env=env, cwd=folder, check=True)
        before_s = _children_s()
        process = subprocess.Popen([*AMLC, "submit"], env=env, cwd=folder, stdout=subprocess.DEVNULL)
        ending = threading.Thread(target=_end, args=(azure, load, process), daemon=True)
        ending.start()
        peak, counts = 0.0, []
        while process.poll() is None:
            peak = max([peak, *map(_megabytes, _family(process.pid))])
            jobs = list(azure.jobs)
            if load.abreast < len(jobs) < load.jobs:
                counts.append(sum(not job.is_over for job in jobs))
            time.sleep(0.5)
        assert process.returncode == 0
        assert azure.job_puts == load.jobs
        ending.join()
        cpu_ms = 1000 * (_children_s() - before_s) / load.jobs
        return len(azure.calls) / load.jobs, cpu_ms, peak, sum(counts) / len(counts) / load.abreast


def _end(azure, load: Load, process: subprocess.Popen) -> None:
    """Let jobs end for as long as the process is at work."""
    rng = random.Random(1)
    due, last = 0.0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.2)
        running = [job.name for job in azure.jobs if job.status == "Running"]
        if not load.in_order:
            rng.shuffle(running)
        now = time.monotonic()
        due, last = min(due + load.per_second * (now - last), float(len(running))), now
        for name in running[: int(due)]:
            azure.release(name)
        due -= int(due)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _family(pid: int) -> list[int]:
    try:
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    except OSError:
        return []


def _megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--abreast", type=int, default=500)
    parser.add_argument("--per-second", type=float, default=25.0)
    parser.add_argument("--at-random", action="store_true")
    given = parser.parse_args()
    one = Load(given.jobs or 0, given.abreast, given.per_second, not given.at_random)
    following_cost((one,) if given.jobs else LOADS)
