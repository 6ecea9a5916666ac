"""How TPE's constants were chosen: candidates on the tuning family, with each problem left out in turn.

`python -m tests.quality.constants --keep FILE` runs what is not in FILE yet, and writes constants.md, which `make quality`
puts into docs/quality.md. It takes an hour on two cores; the outcome stands in `amlc/tuners/tpe.py`. With `--failing` it
writes failing.md, about what is expected to fail; that takes minutes.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from unittest import mock

from amlc.tuners import built_in
from amlc.tuners.shared import feasibility
from tests.quality.pool import measured
from tests.quality.problems import FAILING, TUNING, bare
from tests.quality.run import LIBRARY, Found, Task, run
from tests.tuners.simulation import arguments, simulate

CANDIDATES: Mapping[str, Mapping[str, float]] = {
    "200 copies": {"_COPIES": 200, "_MOVED": 0},
    "one copy each": {"_COPIES": 0, "_MOVED": 0.5},
    "40 copies, moved": {"_COPIES": 40, "_MOVED": 0.5},
}
BEFORE = "200 copies"
LENGTHS = (50, 200)
FILE = Path(__file__).with_suffix(".md")
EXPLAINED = """\
How often TPE finds a better value than Optuna's own loop does, in percent of all pairs of {seeds} seeds; equal ones
count half, so that 50 is level. Candidates: about how many copies of good results Optuna is told of together, and
whether those of whole numbers are moved. "{before}" is nearly what was chosen at 50 trials before. Left out: what the
candidate has there that is best on all other problems, over both lengths. These problems are not those of the bench.
"""

Shares = Mapping[tuple[str, str, int], float]
"""By candidate, problem and length: the share of pairs that it wins."""


def tasks(seeds: int) -> list[Task]:
    """Return Optuna's own loop and each candidate on each problem."""
    ways = [(LIBRARY, "{}"), *(("TPE", json.dumps(constants)) for constants in CANDIDATES.values())]
    return [
        Task(tuner, "tuning", problem.name, seed, max(LENGTHS), 1, constants)
        for seed in range(seeds)
        for tuner, constants in ways
        for problem in TUNING
    ]


def shares(found: Mapping[Task, Found]) -> Shares:
    """Return how often each candidate is ahead of Optuna's own loop."""
    values: dict[tuple[str, str, str, int], list[float]] = {}
    for task, result in found.items():
        for length in LENGTHS:
            values.setdefault((task.tuner, task.constants, task.problem, length), []).append(result.best[length])
    return {
        (name, problem.name, length): share_won(
            values["TPE", json.dumps(constants), problem.name, length], values[LIBRARY, "{}", problem.name, length]
        )
        for name, constants in CANDIDATES.items()
        for problem in TUNING
        for length in LENGTHS
    }


def share_won(mine: Sequence[float], others: Sequence[float]) -> float:
    return mean((a < b) + 0.5 * (a == b) for a in mine for b in others)


def best_without(won: Shares, left_out: str | None) -> str:
    """Return the candidate that wins most pairs on the problems but one; of equal ones, the first."""
    return max(
        CANDIDATES,
        key=lambda name: mean(x for (who, problem, _), x in won.items() if who == name and problem != left_out),
    )


def table(won: Shares) -> Iterator[str]:
    yield f"| problem | trials | {' | '.join(CANDIDATES)} | best on the others | left out |"
    yield f"|{'---|' * (len(CANDIDATES) + 4)}"
    left_out = []
    for problem in TUNING:
        chosen = best_without(won, problem.name)
        for length in LENGTHS:
            left_out.append(won[chosen, problem.name, length])
            cells = " | ".join(f"{won[name, problem.name, length]:.0%}" for name in CANDIDATES)
            yield f"| {problem.name} | {length} | {cells} | {chosen} | {left_out[-1]:.0%} |"
    means = " | ".join(f"{mean(x for (who, _, _), x in won.items() if who == name):.0%}" for name in CANDIDATES)
    yield f"| mean | | {means} | {best_without(won, None)} | {mean(left_out):.0%} |"


# --- what is expected to fail ---------------------------------------------------------------------------------------

EXPECTING: Mapping[str, Mapping[str, float]] = {
    "nothing": {"_MOST": 0},
    "0": {"_EXPECTED": 0.0},
    "0.5": {"_EXPECTED": 0.5},
}
"""What is expected of a place of which nothing is known, in `amlc/tuners/shared/feasibility.py`."""
TRIALS = 50
LEARNED = 20
FAILING_FILE = FILE.with_name("failing.md")
FAILING_EXPLAINED = """\
What the label of a trial is expected to be where nothing is known: it is -1 if the trial fails, and 1 if not. In the
first column no label is looked at: failed trials only count as bad ones. In each cell: how often the best of {trials}
trials is better than without labels, in percent of all pairs of {seeds} seeds, equal ones counting half; and what part
of the trials behind the first {learned} fails. Of 0 and 0.5, which are level, the one was taken that is slower to give
up places of which nothing is known.
"""


@dataclass(frozen=True)
class Failing:
    """One experiment on a problem of which trials fail."""

    tuner: str
    problem: str
    seed: int
    constants: str


@dataclass(frozen=True)
class Lost:
    best: float
    lost: float


def failing(task: Failing) -> Lost:
    """Return the best value of a tuner, and what part of the later trials failed."""
    problem = next(problem for problem in FAILING if problem.name == task.problem)
    args = arguments(task.tuner, optimize_mode="minimize")
    with mock.patch.multiple(feasibility, **json.loads(task.constants)):
        history = simulate(
            built_in(task.tuner),
            problem.parsed(),
            lambda parameters: problem.value(bare(parameters)),
            trials=TRIALS,
            seed=task.seed,
            args=args,
        )
    best = min((record.value for record in history if record.value is not None), default=math.inf)
    return Lost(best, mean(record.value is None for record in history[LEARNED:]))


def failing_table(seeds: int, *, keep: Path | None, processes: int | None) -> Iterator[str]:
    """Yield the lines of the table of all candidates."""
    pairs = [(name, problem) for name in ("TPE", "Anneal", "BOHB") for problem in FAILING if problem.suits(name)]
    ways = {name: json.dumps(constants) for name, constants in EXPECTING.items()}
    asked = [
        Failing(name, problem.name, seed, way)
        for seed in range(seeds)
        for name, problem in pairs
        for way in ways.values()
    ]
    found = measured(failing, asked, read=lambda values: Lost(**values), keep=keep, processes=processes)
    won: dict[str, list[float]] = {way: [] for way in ways}
    lost: dict[str, list[float]] = {way: [] for way in ways}
    yield f"| tuner | problem | {' | '.join(ways)} |"
    yield f"|{'---|' * (len(ways) + 2)}"
    for name, problem in pairs:
        cells = []
        plain = [found[Failing(name, problem.name, seed, ways["nothing"])].best for seed in range(seeds)]
        for way, constants in ways.items():
            results = [found[Failing(name, problem.name, seed, constants)] for seed in range(seeds)]
            won[way].append(share_won([result.best for result in results], plain))
            lost[way].append(mean(result.lost for result in results))
            cells.append(f"{won[way][-1]:.0%}; {lost[way][-1]:.0%}")
        yield f"| {name} | {problem.name} | {' | '.join(cells)} |"
    yield f"| mean | | {' | '.join(f'{mean(won[way]):.0%}; {mean(lost[way]):.1%}' for way in ways)} |"


def main() -> None:
    """Run the candidates, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="a file of results to go on from")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--failing", action="store_true", help="write failing.md instead")
    given = parser.parse_args()
    if given.failing:
        lines = list(failing_table(given.seeds, keep=given.keep, processes=given.processes))
        explained = FAILING_EXPLAINED.format(trials=TRIALS, seeds=given.seeds, learned=LEARNED)
        FAILING_FILE.write_text(
            f"## How it was chosen what is expected to fail\n\n{explained}\n" + "\n".join(lines) + "\n",
            encoding="utf-8",
        )
        return
    won = shares(run(tasks(given.seeds), keep=given.keep, processes=given.processes))
    explained = EXPLAINED.format(seeds=given.seeds, before=BEFORE)
    FILE.write_text(
        f"## How TPE's constants were chosen\n\n{explained}\n" + "\n".join(table(won)) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
