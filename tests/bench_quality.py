"""How good the tuners are, beside Random, Optuna's own loop and NNI's tuners: `make quality` writes docs/quality.md.

`python tests/bench_quality.py --full` takes hours: 1,000 trials, and 30 seeds of the slow tuners, too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.bench_budget import budgeted
from tests.quality.failures import failures
from tests.quality.run import FULL, FULL_EFFORT, LENGTHS, QUICK, Effort, learners, run, samples, table, tasks_of

CHOSEN = [Path(__file__).parent / "quality" / name for name in ("again.md", "looking.md", "anew.md", "nets.md", "startup.md", "constants.md", "ties.md", "failing.md")]
EXPLAINED = """\
Medians of the best value over the seeds; smaller is better. Tuners have amlc's default arguments. With noise, what
counts is the true value of the trial that looked best. Three problems are tables of real trainings, of which a trial
gets the nearest entry. Optuna's own loop is `study.ask` and `tell` with its default sampler. Hyperband and BOHB repeat
trials with other budgets, and these functions ignore TRIAL_BUDGET: what the two gain by cheap trials does not show, and
Hyperband, which draws at random, has no goal. Left out: GridSearch and Batch, which do not draw; TPE_legacy, which is
TPE; PBT, whose individuals go on from checkpoints; ASHA, which proposes what Random does; Optuna, whose samplers are
not amlc's. No constant was chosen on these problems.
The tests are those of Mann and Whitney, one-sided, at 5 % over all problems of a row (Holm). Ahead of Random: on how
many problems the test shows it, each of them with a *. Not behind Optuna: met unless the test shows it; of tuners that
have no such goal, how often it does. Of few seeds the test shows little. The milliseconds are of the clock, with all
that ran beside.
"""


def quality(
    *,
    seeds: int | None = None,
    failing: int | None = None,
    names: Sequence[str] = (),
    full: bool = False,
    family: str = "bench",
    keep: Path | None = None,
) -> None:
    """Print the tables. seeds: at most so many; failing: of the table of failures, if not as many. names: of these tuners alone, Random and Optuna's own loop."""
    efforts, effort = (FULL, FULL_EFFORT) if full else (QUICK, Effort())
    tasks = tasks_of(learners(names), efforts, effort, family=family)
    found = run([task for task in tasks if seeds is None or task.seed < seeds], keep=keep)
    print("# What the tuners find\n\n`make quality` repeats it.\n")
    print("## The best of 25, 50, 200 and 1,000 trials\n")
    print(EXPLAINED)
    for abreast, how in ((1, "one at a time"), (8, "8 at a time")):
        for length in LENGTHS:
            if samples(found, length, abreast):
                print(f"### {length:,} trials, {how}\n")
                print("\n".join(table(found, length, abreast)) + "\n", flush=True)
    slow = () if full else [name for name, own in QUICK.items() if own.seeds < effort.seeds]
    failures(seeds=failing or seeds or effort.seeds, names=names, slow=() if failing else slow, keep=keep)
    if not names:
        print()
        budgeted(seeds=seeds or effort.seeds, keep=keep)
    for file in CHOSEN:
        print("\n" + file.read_text(encoding="utf-8"), end="", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="1,000 trials, and as many seeds of the slow tuners")
    parser.add_argument("--seeds", type=int, help="at most so many")
    parser.add_argument("--failing", type=int, help="the seeds of the table of failures, if not as many")
    parser.add_argument("--family", default="bench", choices=["bench", "tuning"])
    parser.add_argument("--keep", type=Path, help="a file of results to go on from; delete it when a tuner changes")
    parser.add_argument("names", nargs="*", help="of these tuners alone")
    given = parser.parse_args()
    quality(
        seeds=given.seeds,
        failing=given.failing,
        names=given.names,
        full=given.full,
        family=given.family,
        keep=given.keep,
    )
