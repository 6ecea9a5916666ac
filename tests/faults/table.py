"""What `make faults` does: strike calls of every process of every command, and write down what came of it.

    python -m tests.faults.table [--each N] [--short N] [--seed S] [--only COMMAND] [--kinds KIND ...] [--minutes N] [--soak N]

Of each command, process and kind of fault, N calls are struck, drawn at random by the seed; 0: each one.
The page goes to standard output, what was wrong to standard error.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.faults import service, soak
from tests.faults.injector import COLUMNS, COMMANDS, KINDS, SHORT, WORKERS_KINDS, Finding, calls, inject

_PAGE = Path(__file__).with_name("reliability.md")
ROLES = ("amlc", "worker", "fork server", "supervisor", "runner")
_COUNTED = ("injected", "effective", *COLUMNS)
Case = tuple[str, str, str, int]


def cases(
    folder: Path, names: Sequence[str], given: argparse.Namespace, rng: random.Random
) -> Iterator[Case]:
    """Yield what is to be struck: command, process, kind, number of the call."""
    for name in names:
        each = given.short if name in SHORT else given.each
        for role in filter(given.roles.__contains__, COMMANDS[name].roles):
            place = folder / f"{name}-{role}"
            counts = calls(place, name, role)
            shutil.rmtree(place)
            for kind in (one for one in given.kinds if role != "worker" or one in WORKERS_KINDS):
                count = counts[kind]
                every = range(1, count + 1)
                # All calls from that one on: the first is the interesting one.
                first = [1] if kind == "NOLOCK" and count else []
                some = rng.sample(every, each) if 0 < each < count else every
                for at in sorted({*first, *some}):
                    yield name, role, kind, at


def struck(folder: Path, chosen: Iterable[Case], workers: int, until: float) -> Iterator[Finding]:
    """Yield what came of each case that began before the clock says `until`, side by side."""
    with ThreadPoolExecutor(workers) as pool:
        yield from filter(None, pool.map(partial(_one, folder, until), chosen))


def _one(folder: Path, until: float, case: Case) -> Finding | None:
    """Strike once; what is all right leaves nothing on the disk."""
    if time.monotonic() > until:
        return None
    place = folder / "-".join(map(str, case))
    found = inject(place, *case)
    shutil.rmtree(place, ignore_errors=True)
    return found


def table(found: Iterable[Finding], first: Callable[[Finding], tuple[str, str]], heads: tuple[str, str]) -> str:
    """Return a table in markdown, a line for each of what `first` says of the findings."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for one in found:
        row = rows.setdefault(first(one), Counter())
        row.update({"injected": 1, "effective": int(bool(one.struck))})
        row.update({column for column, _ in one.wrong})
    lines = [f"| {' | '.join((*heads, *_COUNTED))} |", "|---" * (2 + len(_COUNTED)) + "|"]
    for names, row in sorted(rows.items(), key=lambda row: _place(*row[0])):
        lines.append(f"| {' | '.join((*names, *(str(row[column]) for column in _COUNTED)))} |")
    return "\n".join(lines) + "\n"


def _place(name: str, role: str) -> tuple[int, ...]:
    """Return where a row belongs."""
    return tuple((*COMMANDS, *KINDS, *ROLES, service.ROLE).index(word) for word in (name, role))


def machine() -> str:
    """Return in a line where this was measured."""
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return f"{system}, {os.cpu_count()} cores, Python {platform.python_version()}"


def page(found: Sequence[Finding], how_much: str, soaked: str) -> str:
    """Return docs/reliability.md. how_much: was struck, and by which seed."""
    here = [one for one in found if one.role != service.ROLE]
    by_kind = table(here, lambda one: (one.kind, one.role), ("fault", "process"))
    return _PAGE.read_text(encoding="utf-8").format(
        machine=machine(),
        how_much=how_much,
        strikes=sum(bool(one.struck) for one in found),
        by_command=table(found, lambda one: (one.command, one.role), ("command", "process")),
        by_kind=by_kind,
        soak=soaked,
    )


def main() -> int:
    """Return 1 if an answer was wrong, 2 if nothing was struck at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=20, help="strikes of each kind on each process of a long command")
    parser.add_argument("--short", type=int, default=0, help="the same, of a short command")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", choices=[*COMMANDS, service.ROLE, "soak"], nargs="+", default=())
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS)
    parser.add_argument("--roles", choices=ROLES, nargs="+", default=ROLES)
    parser.add_argument("--soak", type=int, default=10_000, help="trials of the soak; 0: none")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="strike no more after that")
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1))
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr)
    rng, found = random.Random(given.seed), []
    names = [name for name in COMMANDS if name in given.only or not given.only]
    with tempfile.TemporaryDirectory(prefix="amlc-faults-") as root:
        folder = Path(root)
        until = time.monotonic() + 60 * given.minutes
        chosen = list(cases(folder, names, given, rng))
        rng.shuffle(chosen)  # so that something of each is struck, however early it stops
        for one in struck(folder, chosen, given.workers, until):
            found.append(one)
            tell(one)
        if not given.only or service.ROLE in given.only:
            for one in service.struck(folder / "service", given.each, rng):
                found.append(one)
                tell(one)
        soaked = soak.Soak()
        if given.soak and (not given.only or "soak" in given.only):
            soaked = soak.soak(folder / "soak", given.soak, rng)
            print(*soaked.wrong, sep="\n", file=sys.stderr)
    how_much = f"each {given.each}, short {given.short}, seed {given.seed}"
    if given.minutes != float("inf"):
        how_much += f", ended after {given.minutes:g} minutes"
    print(page(found, how_much, str(soaked)), end="")
    if not any(one.struck for one in found) and not soaked.trials:
        print("nothing was struck: that says nothing", file=sys.stderr)
        return 2
    return 1 if soaked.wrong or any(one.wrong for one in found) else 0


def tell(one: Finding) -> None:
    """Say what was wrong."""
    if one.wrong:
        print(f"{one.command}, {one.role}, {one.kind} at {one.at} ({one.struck}):", file=sys.stderr)
        print(*(f"  {column}: {text}" for column, text in one.wrong), sep="\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
