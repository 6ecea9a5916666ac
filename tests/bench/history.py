"""The runs before: a line of JSON for each group of rows, and which rows are slower than they were on a machine like this one."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeGuard

from tests.bench.measure import CPU, ROOT, WALL, Measured, Row

FILE = ROOT / "docs" / "benchmarks.jsonl"
WORSE = 1.2
"""So many times the ratio of the last run is a regression."""
LEAST_S = 1e-4
"""What takes less is not compared: the clock is most of it."""
Times = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Runs are compared where all of this is equal."""

    architecture: str
    cores: int
    processor: str
    python: str
    system: str

    def __str__(self) -> str:
        return f"{self.architecture}, {self.cores} cores, {self.processor}, Python {self.python}, {self.system}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """When, of which revision of git, and where; rows: of each of amlc's, how many times its floor."""

    date: str
    revision: str
    machine: Machine
    rows: Mapping[str, Times]


def this_machine() -> Machine:
    return Machine(
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        processor=_processor(),
        python=".".join(platform.python_version_tuple()[:2]),
        system=platform.system(),
    )


def this_run(rows: Iterable[Measured]) -> Run:
    """Return what the history keeps of these rows; what was not measured has no ratio."""
    return Run(
        date=dt.datetime.now(dt.timezone.utc).date().isoformat(),
        revision=_revision(),
        machine=this_machine(),
        rows={row.what: rounded(row.times) for row in rows if _counts(row)},
    )


def rounded(times: Times) -> Times:
    return {unit: float(f"{ratio:.3g}") for unit, ratio in times.items()}


def as_line(run: Run) -> str:
    return json.dumps(asdict(run), ensure_ascii=False) + "\n"


def read(text: str) -> tuple[Run, ...]:
    """Return the runs of a history, the oldest first."""
    values = map(json.loads, text.splitlines())
    return tuple(Run(**{**value, "machine": Machine(**value["machine"])}) for value in values)


def read_file(file: Path) -> tuple[Run, ...]:
    return read(file.read_text(encoding="utf-8")) if file.exists() else ()


def before(runs: Iterable[Run], machine: Machine) -> Mapping[str, Times]:
    """Return each row's ratios as last measured on a machine like this one."""
    found: dict[str, Times] = {}
    for run in runs:
        if run.machine == machine:
            found.update(run.rows)
    return found


def regressions(row: Measured, last: Mapping[str, Times]) -> list[str]:
    """Return in which respects a row is so much slower than the last time; none where it was not measured then."""
    if not _counts(row) or row.what not in last:
        return []
    took = {WALL: row.cost.wall_s, CPU: row.cost.cpu_s}
    was = last[row.what]
    return [unit for unit, ratio in row.times.items() if took[unit] >= LEAST_S and ratio > WORSE * was[unit]]


def _counts(row: Measured) -> TypeGuard[Row]:
    """Whether it is amlc's own, and has figures."""
    return isinstance(row, Row) and not row.tool


def _revision() -> str:
    """Return what git calls what was measured, or nothing outside of a repository."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
