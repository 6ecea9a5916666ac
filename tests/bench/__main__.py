"""Measure amlc beside the machine's own floor, and beside what a user would pick instead, in one run.

python -m tests.bench           print all of it as a Markdown page
python -m tests.bench NAME…     these groups of rows alone
python -m tests.bench --write   and write what is printed into docs/benchmarks.md, and a line for each group into
                                docs/benchmarks.jsonl: `make bench`

The exit code is 1 if a row is slower than in the last run on a machine like this one, or amlc failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench import (
    compiling,
    dispatch,
    experiment,
    following,
    history,
    learning,
    page,
    proposing,
    readers,
    start_up,
    submitting,
)
from tests.bench.measure import ROOT, Effort, FailedError, Measured, Unmeasured

PAGE = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are measured together, in a folder of their own."""

    title: str
    rows: Callable[[Effort], Iterable[Measured]]


GROUPS: Mapping[str, Group] = {
    "start-up": Group("Start-up", start_up.rows),
    "compile": Group("Compile", compiling.rows),
    "dispatch": Group("Dispatch of trials that do nothing", dispatch.rows),
    "adaptive": Group("The adaptive loop", dispatch.adaptive),
    "learning": Group("The next trial of an adaptive loop", learning.rows),
    "readers": Group("Readers", readers.rows),
    "million": Group("Readers of a million trials", readers.million),
    "report": Group("Report with curves", readers.curves),
    "azure": Group("Azure ML", submitting.rows),
    "following": Group("Following jobs on Azure ML", following.rows),
    "proposals": Group("The cost of a proposal", proposing.rows),
}


def main(arguments: Sequence[str]) -> int:
    given = parse(arguments)
    # An installed amlc is compiled once, not at every start; and it is found from the folders that are measured in.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPATH"] = str(ROOT)
    effort = Effort(rounds=1, share=100) if given.rehearse else Effort()
    machine = history.this_machine()
    last = {} if given.rehearse else history.before(history.read_file(history.FILE), machine)
    text = PAGE.read_text(encoding="utf-8") if given.write and PAGE.exists() else ""
    sections = page.sections(text, machine, [group.title for group in GROUPS.values()])
    is_worse = False
    print(page.head(machine, effort))
    for group in [GROUPS[name] for name in given.names or GROUPS]:
        sections[group.title], rows, has_failed = measured(group, effort, last)
        is_worse |= has_failed or any(history.regressions(row, last) for row in rows)
        if given.write:  # after each group, so that what was measured is there whatever comes of the others
            known = [sections[group.title] for group in GROUPS.values() if group.title in sections]
            PAGE.write_text(page.whole(machine, effort, known), encoding="utf-8")
            with history.FILE.open("a", encoding="utf-8") as file:
                file.write(history.as_line(history.this_run(rows)))
    print(page.profiles())
    return int(is_worse)


def measured(group: Group, effort: Effort, last: Mapping[str, history.Times]) -> tuple[str, list[Measured], bool]:
    """Return a group's section, which is printed line by line, its rows, and whether it failed."""
    lines: list[str] = []
    rows: list[Measured] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    say(page.table(group.title, history.this_run([])))
    has_failed = False
    try:
        with experiment.new_folder():
            for row in group.rows(effort):
                say(page.line(row, last))
                rows.append(row)
    # What was measured before is kept, and the other groups come.
    except (FailedError, subprocess.CalledProcessError) as error:
        say(page.line(Unmeasured(what=group.title, reason=str(error)), last))
        has_failed = True
    say("")
    return "\n".join(lines), rows, has_failed


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what is to be measured. Raises SystemExit with code 2 for what there is not."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(GROUPS)}")
    parser.add_argument("--write", action="store_true", help="write into the page and the history")
    parser.add_argument(
        "--rehearse", action="store_true", help="a hundredth of the trials, once: whether every row works"
    )
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in GROUPS]:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    if given.write and given.rehearse:
        parser.error("--write is of rows that are measured in full")
    return given


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
