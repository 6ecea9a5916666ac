"""What following thousands of Azure ML jobs costs, and how long their slots stay empty.

`amlc submit` beside the tests' control plane, which takes a share of the same cores; its list has 30 jobs a page. So
many jobs run side by side and so many end each second, the oldest first or at random.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import experiment
from tests.bench.submitting import emulator, service
from tests.bench.measure import BARE_NAME, ROOT, Cost, Effort, Measured, Unmeasured, amlc, bare, compared

if TYPE_CHECKING:
    from tests.azure.emulator import Emulator

PAGE = 30  # jobs


@dataclass(frozen=True, slots=True)
class Load:
    """So many jobs, of which `abreast` run and `per_second` end, in order or not."""

    jobs: int
    abreast: int
    per_second: float
    in_order: bool

    def __str__(self) -> str:
        order = "in order" if self.in_order else "at random"
        return f"{self.jobs:,} jobs on Azure ML, {self.abreast} at once, {self.per_second:g} ending a second, {order}"


LOADS = (Load(5_000, 500, 25, True), Load(5_000, 500, 25, False), Load(800, 500, 2, False))
GOAL = {"calls": 1.1, "ms of CPU": 5, "MB": 150}


def rows(effort: Effort) -> Iterator[Measured]:
    """Yield costs a job; slots count when all could be in use, from the first time until the last job is made."""
    from tests.azure.conftest import missing

    for full in LOADS:
        load = replace(full, jobs=effort.of(full.jobs), abreast=effort.of(full.abreast))
        if reason := missing():
            yield Unmeasured(what=f"follow {load}", reason=reason)
            continue
        with experiment.new_folder() as folder:
            cost, calls, in_use = _followed(load, folder)
        others = {"calls": calls, "% of the slots in use": 100 * in_use}
        goal = GOAL if load.jobs >= 5_000 else {}  # of few, what is done once weighs too much
        yield compared(f"follow {load}", [(cost, bare())], BARE_NAME, goal=goal, others=others)


def _followed(load: Load, folder: Path) -> tuple[Cost, float, float]:
    """Return the cost and the calls of a job, and the share of slots in use."""
    with emulator(folder, mode="manual", page_size=PAGE) as azure:
        experiment.write(load.jobs, concurrency=load.abreast, service=service(azure))
        environ = {**azure.environ("proxy"), "PYTHONPATH": str(ROOT)}
        experiment.compile_()
        counts = []
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(amlc, "submit", environ=environ)
            ending = threading.Thread(target=_end, args=(azure, load, running), daemon=True)
            ending.start()
            while not running.done():
                jobs = list(azure.jobs)
                if load.abreast < len(jobs) < load.jobs:
                    counts.append(sum(not job.is_over for job in jobs))
                time.sleep(0.5)
            ending.join()
        assert azure.job_puts == load.jobs
        in_use = sum(counts) / max(1, len(counts)) / load.abreast
        return running.result() / load.jobs, len(azure.calls) / load.jobs, in_use


def _end(azure: Emulator, load: Load, running: Future[Cost]) -> None:
    """Let jobs end for as long as the command is at work."""
    rng = random.Random(1)
    due, last = 0.0, time.monotonic()
    while not running.done():
        time.sleep(0.2)
        names = [job.name for job in azure.jobs if job.status == "Running"]
        if not load.in_order:
            rng.shuffle(names)
        now = time.monotonic()
        due, last = min(due + load.per_second * (now - last), float(len(names))), now
        for name in names[: int(due)]:
            azure.release(name)
        due -= int(due)
