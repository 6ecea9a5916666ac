"""The page of a run, in Markdown: a table for each group of rows, and where the time goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.bench.history import Machine, Run, Times, regressions
from tests.bench.measure import CPU, WALL, Cost, Effort, Measured, Unmeasured

PROFILES = Path(__file__).with_name("profiles.md")
HEAD = """\
# Benchmarks

{machine}.

Each row was measured in turns with its floor: {rounds} rounds, fewer where one takes minutes. Times are medians, by the
clock on the wall and of CPU, of whole commands with all the processes that they started, start-up included; where a row
runs trials, submits, collects or follows jobs, those of one of them. The verdict is by the ratio, the median of the
pairs: a machine that is slower, or busy with other work, is so for both. `before` is the ratio of the last run on a
machine like this one, from docs/benchmarks.jsonl; what is 20 % worse than that is marked. `make bench` repeats it all.
"""
COLUMNS = "| what | amlc or peer | floor | times the floor | before | goal | verdict |\n|---|---|---|---|---|---|---|"


def head(machine: Machine, effort: Effort) -> str:
    return HEAD.format(machine=machine, rounds=effort.rounds)


def table(title: str, run: Run) -> str:
    """Return the head of a section that is measured now."""
    return f"## {title}\n\nMeasured on {run.date}, revision {run.revision or 'unknown'}.\n\n{COLUMNS}"


def line(row: Measured, last: Mapping[str, Times]) -> str:
    tool = f"{row.tool}: " if row.tool else ""
    if isinstance(row, Unmeasured):
        return _cells(row.what, tool + row.reason, "", "", "", "", "not measured")
    others = "".join(f"; {value:.3g} {unit}" for unit, value in row.others.items())
    floor = f"{_cost(row.floor)}: {row.floor_name}"
    goal = ", ".join(f"{most:g} {unit}" for unit, most in row.goal.items())
    before = _times(last[row.what]) if row.what in last and not row.tool else ""
    verdict = _verdict(row.goal, row.missed) + "".join(f" **slower: {unit}**" for unit in regressions(row, last))
    return _cells(row.what, tool + _cost(row.cost) + others, floor, _times(row.times), before, goal, verdict.strip())


def whole(machine: Machine, effort: Effort, sections: Iterable[str]) -> str:
    return "\n".join([head(machine, effort), *sections, profiles()]) + "\n"


def sections(text: str, machine: Machine, titles: Iterable[str]) -> dict[str, str]:
    """Return the sections of these titles that a page of this machine has; of another machine's page none."""
    if f"\n{machine}.\n" not in text:
        return {}
    found = {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in text.split("\n## ")[1:]}
    return {title: found[title] for title in titles if title in found}


def profiles() -> str:
    return PROFILES.read_text(encoding="utf-8").rstrip("\n")


def _cells(*texts: str) -> str:
    inner = " | ".join(text.replace("|", "\\|") for text in texts)
    return f"| {inner} |"


def _verdict(goal: Mapping[str, float], missed: list[str]) -> str:
    if not goal:
        return ""
    return f"**missed**: {', '.join(missed)}" if missed else "met"


def _cost(cost: Cost) -> str:
    memory = f", {cost.megabytes:.0f} MB" if cost.megabytes else ""
    return f"{_time(cost.wall_s)}, CPU {_time(cost.cpu_s)}{memory}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def _times(times: Times) -> str:
    return f"{times[WALL]:.3g} wall, {times[CPU]:.3g} CPU"
