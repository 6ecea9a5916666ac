"""Many trials that do nothing, with amlc killed now and then: memory and descriptors stay as they are."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import Project

_FEW_MB = 24  # what the ledger in memory may add for 10,000 trials


@dataclass(slots=True)
class Soak:
    """What a soak came to. samples: (trials started, MB, descriptors) of the amlc process, over time."""

    trials: int = 0
    kills: int = 0
    samples: list[tuple[int, float, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.samples:
            return "It was left out of this run."
        first, last = _ends(self.samples)
        most = max(descriptors for _, _, descriptors in self.samples)
        text = f"{self.trials} trials, amlc killed {self.kills} times: {len(self.wrong)} things wrong. "
        return text + f"Memory {first:.0f} MB in the first fifth and {last:.0f} MB in the last, at most {most} descriptors."


def soak(folder: Path, trials: int, rng: random.Random, *, kills: int = 10) -> Soak:
    """Run so many trials at concurrency 8, and kill amlc so often on the way."""
    found = Soak(trials)
    project = Project(folder)
    project.write(values=range(trials), trialConcurrency=8).compile()
    kill_at = sorted(rng.sample(range(1, trials), min(kills, trials - 1)))
    while True:
        before = _started(project)
        with project.start("submit", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as amlc:
            while amlc.poll() is None:
                started = _started(project)
                if kill_at and started >= kill_at[0]:
                    kill_at = [at for at in kill_at if at > started]
                    found.kills += 1
                    amlc.kill()
                # Not while it is about to begin, when it has next to nothing.
                elif started > before and (sample := _sample(amlc.pid)):
                    found.samples.append((started, *sample))
                time.sleep(0.1)
        if amlc.returncode != -9:
            break
    found.wrong += _wrong(project, found, amlc.returncode)
    project.kill_all()
    return found


def _wrong(project: Project, found: Soak, code: int) -> list[str]:
    wrong = []
    if code != 0:
        wrong.append(f"the last submit: exit {code}")
    if lost := Counter(project.statuses()) - Counter(succeeded=found.trials):
        wrong.append(f"lost: {dict(lost)}")
    ran = Counter(project.starts)
    if doubled := [trial for trial, count in ran.items() if count > 1]:
        wrong.append(f"doubled: {doubled}")
    if len(ran) != found.trials:
        wrong.append(f"{len(ran)} trials were started")
    if project.processes():
        wrong.append("processes are left")
    if copies := [path.parent.name for path in project.folders.runs("probe").glob("*/work")]:
        wrong.append(f"{len(copies)} working copies are left")
    first, last = _ends(found.samples)
    if last > first + _FEW_MB:
        wrong.append(f"memory grew from {first:.0f} to {last:.0f} MB")
    if (most := max(descriptors for _, _, descriptors in found.samples)) > 100:
        wrong.append(f"{most} descriptors were open")
    return wrong


def _ends(samples: list[tuple[int, float, int]]) -> tuple[float, float]:
    """Return the largest memory in the first fifth of the samples, and in the last."""
    part = max(1, len(samples) // 5)
    return max(mb for _, mb, _ in samples[:part]), max(mb for _, mb, _ in samples[-part:])


def _started(project: Project) -> int:
    path = project.root / "starts"
    return path.stat().st_size // 17 if path.exists() else 0  # 16 digits and an end of line


def _sample(pid: int) -> tuple[float, int] | None:
    """Return MB of memory and the number of descriptors of a process, None if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, IndexError, ValueError):
        return None
