"""Print how the trials stand."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from amlc.collect.rows import Row
from amlc.commands.status import Chosen, Standing, status_table
from amlc.console import Console
from amlc.display.advice import goes_on
from amlc.display.values import shown
from amlc.errors import printable
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.model import Status
from amlc.report.tables import WRITERS

if TYPE_CHECKING:
    from rich.console import Console as Terminal
    from rich.console import JustifyMethod
    from rich.table import Table as Grid

Show: TypeAlias = "Callable[[Standing, Manifest, Folders], None]"

_FIXED_WIDTH = 48
_STYLES = {
    Status.FAILED: "red",
    Status.UNFINISHED: "magenta",
    Status.SUCCEEDED: "green",
    Status.RUNNING: "cyan",
    Status.EARLY_STOPPED: "yellow",
}


def show_table(
    manifest: Manifest, console: Console, folders: Folders, format_: str, chosen: Chosen
) -> None:
    """Write it as data."""
    with status_table(manifest, folders=folders, chosen=chosen) as table:
        WRITERS[format_](table, console.binary)


@contextmanager
def screen(console: Console, *, again: bool) -> Iterator[Show]:
    """Give what prints it for people: the verdict, the trials, and why some failed.

    again: each time in the place of the last, on a terminal; elsewhere below it, if it changed.
    """
    from rich.console import Console as Terminal  # here: as data it needs none of this

    stream = io.TextIOWrapper(console.binary, encoding="utf-8", errors="replace")
    terminal = Terminal(file=stream, highlight=False)
    last: object = None

    def show(standing: Standing, manifest: Manifest, folders: Folders) -> None:
        nonlocal last
        # Not the durations, which change all the time.
        now = str(standing.verdict), [(row.status, row.final) for row in standing.rows]
        if again and terminal.is_terminal:
            terminal.clear()
        elif now == last:
            return
        last = now
        _print(standing, manifest, folders, terminal)
        stream.flush()

    try:
        yield show
    finally:
        stream.detach()  # or it would close what lies under it


def _print(standing: Standing, manifest: Manifest, folders: Folders, terminal: Terminal) -> None:
    def say(text: str, style: str | None = None) -> None:
        terminal.print(text, style=style, markup=False, soft_wrap=True)

    end, rows = standing.verdict, standing.rows
    say(f"{manifest.header.experiment}: {end}{goes_on(end, manifest, folders)}")
    # A long remark must not squeeze the columns before it.
    terminal.print(_grid(standing, room=max(terminal.width - _FIXED_WIDTH, 20)))
    if standing.chosen is Chosen.FIRST and end.trials > len(rows):
        terminal.print(f"… and {end.trials - len(rows)} more: amlc status --all", markup=False)
    if standing.cost is not None:
        say(f"cost: {standing.cost}")
    for line in standing.causes.lines():
        say(line, style="red")


def _grid(standing: Standing, *, room: int) -> Grid:
    """Return a line for each trial. room: for the remark at its end, in characters."""
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for name in ("#", "trial", "status", "try", "time"):
        justify: JustifyMethod = "right" if name in ("#", "try", "time") else "left"
        grid.add_column(name, justify=justify, no_wrap=True)
    grid.add_column("result, or why there is none", overflow="ellipsis", no_wrap=True)
    for row in standing.rows:
        grid.add_row(
            str(row.trial.sequence),
            row.trial.id,
            Text(row.status.value, style=_STYLES.get(row.status, "")),
            str(row.attempt.number) if row.attempt else "",
            _duration(row),
            Text(_cut(_remark(row, standing), room)),  # what a trial reported is no markup
        )
    return grid


def _duration(row: Row) -> str:
    started, ended = row.times
    if started is None:
        return ""
    # What is gone may have been seen before it began, by the clock of its files.
    seconds = max((ended or time.time()) - started, 0.0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _remark(row: Row, standing: Standing) -> str:
    """Return what a trial reported and why it did not end well, or why its job waits."""
    reported = " ".join(f"{printable(str(name))}={shown(v)}" for name, v in row.result.items())
    parts = [part for part in (reported, printable(row.error or "")) if part]
    if not parts and row.attempt is not None:
        return standing.reasons.get(row.attempt.job, "")
    return "; ".join(parts)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"
