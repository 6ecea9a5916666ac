"""Show how far a run has come, to whoever watches a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from amlc.console import Console
from amlc.drive import Progress, Watch

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


@contextmanager
def watching(experiment: str, console: Console, *, most: int | None) -> Iterator[Watch]:
    """Give what shows the progress: a bar on a terminal.

    Elsewhere, and quietly, only that nothing is heard. most: how many trials the experiment is
    going to have, if that is known.
    """
    if console.quiet or not console.err.isatty():
        yield _outages(console.insist)
        return
    with _bar(console) as bar:
        task = bar.add_task(experiment, total=most, running=0, failed=0, pace="")
        say = partial(bar.console.print, markup=False, highlight=False, soft_wrap=True)
        warn = _outages(say)

        def show(progress: Progress) -> None:
            warn(progress)
            done = progress.before + progress.ended
            left = None if most is None else most - done
            bar.update(
                task,
                total=most,
                completed=done,
                running=progress.running,
                failed=progress.failed,
                pace=_pace(progress.ended, left, bar.tasks[0].elapsed or 0.0),
            )

        yield show


def _bar(console: Console) -> Bar:
    from rich.console import Console as Terminal  # here: only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[running]} running, {task.fields[failed]} failed"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[pace]}"),
        console=Terminal(file=console.err),
    )


def _pace(ended: int, left: int | None, elapsed_s: float) -> str:
    """Return the rate of this run and, if it is known, how long the rest takes at that rate."""
    if not ended or elapsed_s <= 0:
        return ""
    each_s = elapsed_s / ended
    if each_s < 1:
        rate = f"{1 / each_s:.1f}/s"
    elif each_s < 60:
        rate = f"{60 / each_s:.1f}/min"
    else:
        rate = f"{3600 / each_s:.1f}/h"
    return rate if left is None else f"{rate}, {_clock(left * each_s)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _outages(say: Callable[[str], None]) -> Watch:
    """Return what says once for each outage that the back end does not answer."""
    told = False

    def watch(progress: Progress) -> None:
        nonlocal told
        if progress.outage is not None and not told:
            say(f"{progress.outage} The jobs run on meanwhile; waiting until it answers.")
        told = progress.outage is not None

    return watch
