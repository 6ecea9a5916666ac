"""What reads everything, of so many trials that have all ended, beside a loop over the same records."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench import experiment
from tests.bench.measure import CPU, Cost, Effort, Row, amlc, command, compared, in_turns

VERBS = ("plan", "status", "collect", "best", "report")
FLOOR = Path(__file__).with_name("plain_reader.py")
FLOOR_NAME = "reading these records"
MOST_MB = 100


def rows(effort: Effort) -> Iterator[Row]:
    yield from _of(effort.of(10_000), effort.long, plan={"s of CPU": 0.5})
    yield from _of(
        effort.of(100_000), effort.long, plan={"s of CPU": 2, "MB": MOST_MB}, others={"s of CPU": 2, "MB": MOST_MB}
    )


def million(effort: Effort) -> Iterator[Row]:
    """Ten times the trials take ten times as long, and a fifth more at the most, and no more memory."""
    count = effort.of(1_000_000)
    _ready(count // 10)
    tenth = {verb: amlc(verb) for verb in VERBS}
    Path(experiment.LEDGER).unlink()
    _ready(count)
    for verb in VERBS:
        goal = {CPU: 12, **({} if verb == "report" else {"MB": MOST_MB})}
        yield compared(
            f"{_title(verb)} of {count:,} trials", [(amlc(verb), tenth[verb])], f"of {count // 10:,}", goal=goal
        )


def curves(effort: Effort, steps: int = 60) -> Iterator[Row]:
    count = effort.of(10_000)
    _ready(count, steps=steps)
    pairs = in_turns(lambda: amlc("report"), _floor, effort.long)
    what = f"`amlc report` of {count:,} trials with curves of {steps} steps"
    yield compared(what, pairs, FLOOR_NAME, goal={"s of CPU": 3})


def _of(
    count: int, rounds: int, *, plan: Mapping[str, float], others: Mapping[str, float] | None = None
) -> Iterator[Row]:
    """Measure each verb. plan, others: the goal of `plan`, and of `status`, `collect` and `best`."""
    with experiment.new_folder():
        _ready(count)
        for verb in VERBS:
            goal = plan if verb == "plan" else {"MB": MOST_MB} if verb == "report" else others
            pairs = in_turns(lambda verb=verb: amlc(verb), _floor, rounds)
            yield compared(f"{_title(verb)} of {count:,} trials", pairs, FLOOR_NAME, goal=goal)


def _title(verb: str) -> str:
    return f"`amlc {verb}`"


def _ready(count: int, *, steps: int = 0) -> None:
    experiment.write(count)
    experiment.compile_()
    experiment.pretend_all_ran(steps=steps)


def _floor() -> Cost:
    return command(sys.executable, str(FLOOR), "build/bench/manifest.json", str(experiment.LEDGER))
