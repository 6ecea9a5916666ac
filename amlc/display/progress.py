"""Show how far a run has come, to whoever watches a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from amlc.console import Console
from amlc.display.values import shown
from amlc.drive import Progress, Watch
from amlc.errors import printable, shorten
from amlc.leader import Ended, Lead
from amlc.model import Status

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_SILENT_S: Final = 300.0
"""How long nothing is said where no trial ends: some CI services end what is silent for longer."""

_WORTH_SAYING_S: Final = 60.0
"""How long has to be left to be said."""

_MOST_NAMED: Final = 4  # trials of one parameter set


@contextmanager
def watching(
    experiment: str,
    console: Console,
    *,
    most: int | None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Watch]:
    """Give what shows the progress.

    A bar on a terminal, elsewhere a line for each trial that ends, and quietly only that nothing is
    heard. most: how many trials the experiment is going to have, if that is known. clock: in
    seconds.
    """
    if console.quiet:
        yield _outages(console.insist)
    elif console.err.isatty():
        from amlc.display.bar import bar  # here: only a terminal needs rich

        with bar(console.err) as shown_bar:
            yield _on(shown_bar, experiment, most)
    else:
        yield _lines(console.note, most, clock)


def _on(bar: Bar, experiment: str, most: int | None) -> Watch:
    """Return what shows the progress on a bar."""
    task = bar.add_task(experiment, total=most, running=0, failed=0, pace=())
    warn = _outages(partial(bar.console.print, markup=False, highlight=False, soft_wrap=True))

    def show(progress: Progress) -> None:
        warn(progress)
        done = progress.before + progress.ended
        left = None if most is None else most - done
        pace = [*_pace(progress.ended, left, bar.tasks[0].elapsed or 0.0), _best(progress.best)]
        bar.update(
            task,
            total=most,
            completed=done,
            running=progress.running,
            failed=progress.failed,
            pace=[part for part in pace if part],
        )

    return show


def _lines(say: Callable[[str], None], most: int | None, clock: Callable[[], float]) -> Watch:
    """Return what says a line for each trial that ended, and now and then that all are at work."""
    warn = _outages(say)
    began = spoken = clock()

    def show(progress: Progress) -> None:
        nonlocal spoken
        warn(progress)
        done = progress.before + progress.ended
        if progress.news:
            left = None if most is None else most - done
            rest_s = (left or 0) * (clock() - began) / max(progress.ended, 1)
            rest = f", {_clock(rest_s)} left" if rest_s >= _WORTH_SAYING_S else ""
            # Of several that ended since the last look, the last one makes the count full.
            for count, one in enumerate(progress.news, start=done - len(progress.news) + 1):
                whole = "" if most is None else f" of {most}"
                say(f"{_ended(one)}; {count}{whole} ended{_best(one.best, before='; ')}{rest}")
            spoken = clock()
        elif clock() - spoken >= _SILENT_S:
            say(f"{progress.running} running, {done} ended, {progress.failed} failed")
            spoken = clock()

    return show


def _ended(one: Ended) -> str:
    """Return how a trial ended, and what it reported or why it did not."""
    if one.status is Status.SUCCEEDED:
        result = one.value[0] if one.value else "no final result"
        values = result.items() if isinstance(result, Mapping) else [(None, result)]
        what = " ".join(
            f"{name}={shown(value)}" if name else shown(value) for name, value in values
        )
    else:
        what = one.attempt.error(one.trial.id) or ""
    text = printable(shorten(what)) if what else ""
    return f"#{one.trial.sequence} {one.status.value}{': ' if text else ''}{text}"


def _best(best: Lead | None, *, before: str = "") -> str:
    if best is None:
        return ""
    scored = [f"#{one.trial.sequence}" for one in best.trials if one.score is not None]
    of = "mean of " if len(scored) > 1 else ""
    more = ", …" if len(scored) > _MOST_NAMED else ""
    which = f"{of}{', '.join(scored[:_MOST_NAMED])}{more}"
    return f"{before}best {shown(best.score)} ({which})"


def _pace(ended: int, left: int | None, elapsed_s: float) -> Sequence[str]:
    """Return the rate of this run and, if it is known, how long the rest takes at that rate."""
    if not ended or elapsed_s <= 0:
        return ()
    each_s = elapsed_s / ended
    if each_s < 1:
        rate = f"{1 / each_s:.1f}/s"
    elif each_s < 60:
        rate = f"{60 / each_s:.1f}/min"
    else:
        rate = f"{3600 / each_s:.1f}/h"
    return (rate,) if left is None else (rate, f"{_clock(left * each_s)} left")


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
