"""The bar of a run, on a terminal. It brings rich, which nothing else of a run needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console as Terminal
from rich.console import ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

from amlc.errors import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR = 20
_SHORTEST_BAR = 5
_SHORTEST_NAME = 8


def bar(err: TextIO) -> Progress:
    """Return what shows tasks with the fields `running`, `failed` and `pace`, a list of texts."""
    return Progress(_Column(), console=Terminal(file=err))


class _Column(ProgressColumn):
    """All of it in one column: of several, rich cuts the numbers along with the words."""

    def render(self, task: Task) -> RenderableType:
        total = "?" if task.total is None else f"{task.total:.0f}"
        seconds = int((task.finished_time if task.finished else task.elapsed) or 0)
        clock = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        work = f"{task.fields['running']} running, {task.fields['failed']} failed"
        return _Line(
            name=printable(task.description),
            counts=f"{task.completed:.0f}/{total} {work} {clock}",
            pace=tuple(task.fields["pace"]),
            done=min(task.completed / task.total, 1.0) if task.total else 0.0,
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """Name, bar, counts and pace in one line. done: the part of the bar that is full.

    Where there is no room for all, the bar is shorter, then gone; then the name is cut, and the
    pace lacks its first parts. The counts are always whole.
    """

    name: str
    counts: str
    pace: Sequence[str]
    done: float

    def __rich_measure__(self, _: Terminal, options: ConsoleOptions) -> Measurement:
        return Measurement(options.max_width, options.max_width)

    def __rich_console__(self, _: Terminal, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - cell_len(self.counts)  # for all else, with a space each
        pace = list(self.pace)
        while pace and _taken(", ".join(pace)) + min(_taken(self.name), _SHORTEST_NAME + 1) > room:
            del pace[0]
        behind = f" {', '.join(pace)}" if pace else ""
        room -= cell_len(behind)
        name = self.name
        if _taken(name) > room:
            name = f"{set_cell_size(name, room - 2)}…" if room > 2 else ""
        room -= _taken(name)
        line = Text(f"{name} " if name else "", no_wrap=True, overflow="crop", end="")
        if room > _SHORTEST_BAR:
            width = min(_BAR, room - 1)
            full = int(width * self.done)
            line.append("━" * full, "bar.complete").append("─" * (width - full), "bar.back")
            line.append(" ")
        yield line.append(f"{self.counts}{behind}")


def _taken(text: str) -> int:
    """Return how many cells a text and a space beside it take; none without a text."""
    return cell_len(text) + 1 if text else 0
