"""What `make faults` does: strike calls of every process of every command, and write down what came of it.

    python -m tests.faults.table [--each N] [--seed S] [--only COMMAND] [--markdown]

Of each command, process and kind of fault, N calls are struck, drawn at random by the seed; 0: each one.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.injector import COMMANDS, KINDS, Finding, calls, inject


def cases(folder: Path, only: str | None, each: int, rng: random.Random) -> Iterator[tuple[str, str, str, int]]:
    """Yield what is to be struck: command, process, kind, number of the call."""
    for name, command in COMMANDS.items():
        if only not in (None, name):
            continue
        for role in command.roles:
            for kind in KINDS:
                count = calls(folder / f"{name}-{role}-{kind}", name, role, kind)
                every = range(1, count + 1)
                for at in sorted(rng.sample(every, each)) if 0 < each < count else every:
                    yield name, role, kind, at


def struck(folder: Path, chosen: Iterable[tuple[str, str, str, int]], workers: int) -> Iterator[Finding]:
    """Yield what came of each case, side by side."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda case: inject(folder / "-".join(map(str, case)), *case), chosen)


def table(found: Iterable[Finding]) -> str:
    """Return a table in markdown: a line for each command and process."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for one in found:
        row = counts.setdefault((one.command, one.role), Counter())
        row["injected"] += 1
        row["effective"] += bool(one.struck)
        row["wrong"] += bool(one.wrong)
    lines = ["| command | process | injected | effective | wrong afterwards |", "|---|---|---|---|---|"]
    for (command, role), row in counts.items():
        lines.append(f"| {command} | {role} | {row['injected']} | {row['effective']} | {row['wrong']} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Return 1 if an answer was wrong, 2 if nothing was struck at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", choices=COMMANDS)
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1))
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr)
    found = []
    with tempfile.TemporaryDirectory(prefix="amlc-faults-") as folder:
        chosen = cases(Path(folder), given.only, given.each, random.Random(given.seed))
        for one in struck(Path(folder), chosen, given.workers):
            found.append(one)
            if one.wrong:
                print(f"{one.command}, {one.role}, {one.kind} at {one.at} ({one.struck}):", file=sys.stderr)
                print(*(f"  {text}" for text in one.wrong), sep="\n", file=sys.stderr, flush=True)
    print(table(found), end="")
    if not any(one.struck for one in found):
        print("nothing was struck: that says nothing", file=sys.stderr)
        return 2
    return 1 if any(one.wrong for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
