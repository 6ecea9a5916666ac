"""Print what came of running a row of the results again."""

from __future__ import annotations

from typing import Any

from amlc.commands.reproduce import Compared, Reproduced
from amlc.console import Console
from amlc.display.values import shown
from amlc.errors import printable, shorten
from amlc.numbers import number


def show(done: Reproduced, console: Console) -> None:
    """Print it: a line for the trial, one for each metric, and what is not as it was."""
    say, then, again = console.write, done.then, done.again
    say(
        f"#{then.trial.sequence} at revision {done.revision[:6]}: {then.status.value} then, "
        f"{again.status.value} again"
    )
    if again.error:
        say(f"  {printable(again.error)}")
    rows = [_row(one) for one in done.metrics]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say(f"  {'  '.join(cells).rstrip()}")
    for change in done.changes:
        say(f"  not as it was: {change}")
    say(f"  all of it is in {done.folder}")


def _row(one: Compared) -> tuple[str, str, str, str]:
    verdict = "same" if one.agrees else f"differs{_by(one)}"
    return printable(shorten(one.name)), _shown(one.then), _shown(one.again), verdict


def _by(one: Compared) -> str:
    then, again = number(one.then), number(one.again)
    return "" if then is None or again is None else f" by {again - then:+.3g}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return shorten(str(value) if isinstance(value, float) else shown(value))  # with all digits
