"""How TPE's constants were chosen: candidates on the tuning family, with each problem left out in turn.

`python -m tests.quality.constants --keep FILE` runs what is not in FILE yet, and writes constants.md, which `make bench`
puts into docs/benchmarks.md. It takes an hour on two cores; the outcome stands in `amlc/tuners/tpe.py`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean

from tests.quality.problems import TUNING
from tests.quality.run import LIBRARY, Found, Task, run

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
        (name, problem.name, length): _won(
            values["TPE", json.dumps(constants), problem.name, length], values[LIBRARY, "{}", problem.name, length]
        )
        for name, constants in CANDIDATES.items()
        for problem in TUNING
        for length in LENGTHS
    }


def _won(mine: Sequence[float], others: Sequence[float]) -> float:
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


def main() -> None:
    """Run the candidates, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="a file of results to go on from")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int)
    given = parser.parse_args()
    won = shares(run(tasks(given.seeds), keep=given.keep, processes=given.processes))
    explained = EXPLAINED.format(seeds=given.seeds, before=BEFORE)
    FILE.write_text(
        f"## How TPE's constants were chosen\n\n{explained}\n" + "\n".join(table(won)) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
