"""Show the progress of a run in a notebook, while it runs."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from amlc.drive import Progress, Watch
from amlc.plural import plural


@contextmanager
def progress(
    experiment: str, *, most: int | None, watch: Watch | None
) -> Iterator[Callable[[Progress], None]]:
    """Give what is told of the progress: `watch` and, in a notebook, a line that changes in place.

    most: how many trials there are going to be, if that is known.
    """
    show = _line(experiment, most) if in_notebook() else None

    def told(now: Progress) -> None:
        if watch is not None:
            watch(now)
        if show is not None:
            show(now)

    yield told


def in_notebook() -> bool:
    """Return whether a notebook's kernel runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _line(experiment: str, most: int | None) -> Callable[[Progress], None]:
    from IPython import display  # there is one, for it runs this

    shown = ""
    handle = display.display(display.HTML(""), display_id=True)

    def show(now: Progress) -> None:
        nonlocal shown
        text = line(experiment, most, now)
        if text != shown:
            shown = text
            handle.update(display.HTML(text))

    return show


def line(experiment: str, most: int | None, now: Progress) -> str:
    """Return the progress as HTML: a bar, if the number of trials is known, and the counts."""
    done = now.before + now.ended
    bar = "" if most is None else f'<progress value="{done}" max="{most}"></progress> '
    count = f"{plural(done, 'trial')} done"
    if most is not None:
        count = f"{done} of {plural(most, 'trial')} done"
    failed = f", {now.failed} failed" if now.failed else ""
    outage = f"<br>{html.escape(now.outage)}" if now.outage else ""
    return f"{bar}{html.escape(experiment)}: {count}, {now.running} running{failed}{outage}"
