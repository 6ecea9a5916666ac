"""What a row of the benchmarks is, and how it is measured: in turns with its floor, by the wall's clock and by CPU."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2].resolve()
PROGRAM = [sys.executable, "-m", "amlc"]
BARE = [sys.executable, "-c", "pass"]
BARE_NAME = "`python3 -c pass`"
METER = Path(__file__).with_name("meter.py")
WALL, CPU = "times the wall", "times the CPU"
HOUR_S = 3600.0


class FailedError(Exception):
    """A command that was to be measured failed; says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How often each pair is measured, and which part of the trials: 1 / `share`."""

    rounds: int = 5
    share: int = 1

    def of(self, count: int) -> int:
        return max(2, count // self.share)

    @property
    def long(self) -> int:
        """The rounds of what takes a minute."""
        return min(self.rounds, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a command took with all that it started; megabytes: of the largest of these processes."""

    wall_s: float
    cpu_s: float
    megabytes: float = 0.0

    def __truediv__(self, count: float) -> Cost:
        return Cost(wall_s=self.wall_s / count, cpu_s=self.cpu_s / count, megabytes=self.megabytes)


Pair = tuple[Cost, Cost]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table. cost, floor: medians, of one trial where `what` counts trials. tool: a peer's name.

    times: how many times the floor's, by `WALL` and `CPU`, the medians of the pairs. others: what else was measured, by
    its unit. goal: the most that each of `measured` may be.
    """

    what: str
    cost: Cost
    floor_name: str
    floor: Cost
    times: Mapping[str, float]
    goal: Mapping[str, float] = field(default_factory=dict)
    others: Mapping[str, float] = field(default_factory=dict)
    tool: str = ""

    @property
    def measured(self) -> Mapping[str, float]:
        cost = self.cost
        found = {"s": cost.wall_s, "ms": cost.wall_s * 1e3, "s of CPU": cost.cpu_s, "ms of CPU": cost.cpu_s * 1e3}
        return {**found, "MB": cost.megabytes, **self.times, **self.others}

    @property
    def missed(self) -> Sequence[str]:
        """What is more than the goal; empty too where there is none."""
        return [unit for unit, most in self.goal.items() if self.measured[unit] > most]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """A row without figures, and why."""

    what: str
    reason: str
    tool: str = ""


Measured = Row | Unmeasured


def compared(
    what: str,
    pairs: Sequence[Pair],
    floor_name: str,
    *,
    goal: Mapping[str, float] | None = None,
    others: Mapping[str, float] | None = None,
    tool: str = "",
) -> Row:
    """Return the row of costs beside those of their floor in the same turn."""
    ours, floors = zip(*pairs, strict=True)
    times = {
        WALL: statistics.median(one.wall_s / floor.wall_s for one, floor in pairs),
        CPU: statistics.median(one.cpu_s / floor.cpu_s for one, floor in pairs),
    }
    return Row(
        what=what, cost=median(ours), floor_name=floor_name, floor=median(floors), times=times,
        goal=goal or {}, others=others or {}, tool=tool,
    )  # fmt: skip


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure; of the memory, the most."""
    return Cost(
        wall_s=statistics.median(cost.wall_s for cost in costs),
        cpu_s=statistics.median(cost.cpu_s for cost in costs),
        megabytes=max(cost.megabytes for cost in costs),
    )


def in_turns(one: Callable[[], Cost], floor: Callable[[], Cost], rounds: int) -> list[Pair]:
    """Measure both so often; who was last comes first in the next round, since a machine is not equally fast always."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            second = floor()
            pairs.append((one(), second))
        else:
            pairs.append((one(), floor()))
    return pairs


def command(
    *words: str, text: str | None = None, environ: Mapping[str, str] | None = None, most_s: float = HOUR_S
) -> Cost:
    """Return what a command took. text: its standard input. Raises FailedError."""
    done = subprocess.run(
        [sys.executable, str(METER), str(most_s), *words],
        capture_output=True, input=text, text=True, env=environ, check=False,
    )  # fmt: skip
    code, *figures = done.stdout.split() or ["no answer"]
    if code != "0":
        lines = done.stderr.strip().splitlines() or [f"exit code {code}"]
        raise FailedError(f"{' '.join(words[:6])}: {lines[-1]}")
    wall_s, cpu_s, megabytes = map(float, figures)
    return Cost(wall_s=wall_s, cpu_s=cpu_s, megabytes=megabytes)


def amlc(*words: str, environ: Mapping[str, str] | None = None) -> Cost:
    return command(*PROGRAM, "-q", *words, environ=environ)


def bare() -> Cost:
    """Return what the interpreter takes that does nothing."""
    return command(*BARE)


def here(action: Callable[[], object]) -> Cost:
    """Return what something takes in this process."""
    start, cpu = time.perf_counter(), time.process_time()
    action()
    return Cost(wall_s=time.perf_counter() - start, cpu_s=time.process_time() - cpu)
