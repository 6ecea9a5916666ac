"""How many random trials TPE begins with: candidates on the tuning family.

`python -m tests.quality.startup --keep FILE` runs what is not in FILE yet, and writes startup.md, which `make quality` puts
into docs/quality.md. It takes half an hour on two cores; the outcome is a default in `amlc/catalogue.py`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean

from tests.quality.constants import share_won
from tests.quality.problems import TUNING
from tests.quality.run import LIBRARY, Found, Task, run

JOBS = (5, 10, 15, 20)
LENGTHS: Mapping[int, tuple[int, ...]] = {1: (25, 50, 200), 8: (25, 50)}
"""By the number of trials at a time."""
FILE = Path(__file__).with_suffix(".md")
EXPLAINED = """\
How often TPE finds a better value than Optuna's own loop does, in percent of all pairs of {seeds} seeds, the mean over
{problems} problems, which are not those of the bench; equal ones count half, so that 50 is level. NNI's default for
`n_startup_jobs` is 20; 10 was taken.
"""


def task(problem: str, seed: int, abreast: int, jobs: int | None) -> Task:
    """Return an experiment. jobs: TPE's random trials; None: it is Optuna's own loop."""
    args = "{}" if jobs is None else json.dumps({"tpe_args": {"n_startup_jobs": jobs}})
    tuner = LIBRARY if jobs is None else "TPE"
    return Task(tuner, "tuning", problem, seed, max(LENGTHS[abreast]), abreast, args=args)


def tasks(seeds: int) -> list[Task]:
    """Return Optuna's own loop and each candidate on each problem."""
    return [
        task(problem.name, seed, abreast, jobs)
        for abreast in LENGTHS
        for problem in TUNING
        for jobs in (None, *JOBS)
        for seed in range(seeds)
    ]


def table(found: Mapping[Task, Found], seeds: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"| trials | at a time | {' | '.join(f'{jobs} at random' for jobs in JOBS)} |"
    yield f"|{'---|' * (len(JOBS) + 2)}"
    for abreast, lengths in LENGTHS.items():
        for length in lengths:
            cells = [mean(_shares(found, seeds, abreast, length, jobs)) for jobs in JOBS]
            yield f"| {length} | {abreast} | {' | '.join(f'{cell:.0%}' for cell in cells)} |"


def _shares(found: Mapping[Task, Found], seeds: int, abreast: int, length: int, jobs: int) -> Iterator[float]:
    for problem in TUNING:
        mine, others = (
            [found[task(problem.name, seed, abreast, way)].best[length] for seed in range(seeds)]
            for way in (jobs, None)
        )
        yield share_won(mine, others)


def main() -> None:
    """Run the candidates, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="a file of results to go on from")
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--processes", type=int)
    given = parser.parse_args()
    found = run(tasks(given.seeds), keep=given.keep, processes=given.processes)
    explained = EXPLAINED.format(seeds=given.seeds, problems=len(TUNING))
    text = "\n".join(table(found, given.seeds))
    FILE.write_text(f"## How many random trials TPE begins with\n\n{explained}\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
