"""How a row that was run again is shown beside what it was."""

import io
from pathlib import Path

from amlc.collect.rows import Row
from amlc.commands.reproduce import Compared, Reproduced
from amlc.console import Console
from amlc.display import reproducing
from amlc.model import Status, Trial


def test_what_differs_says_by_how_much_and_what_is_not_as_it_was():
    trial = Trial("0" * 16, 3, {})
    metrics = [
        Compared(name="loss", then=0.5, again=0.25, agrees=False),
        Compared(name="a\x1b[2Jb", then="x", again=None, agrees=False),
        Compared(name="n", then=3, again=3, agrees=True),
    ]
    done = Reproduced(
        then=Row(trial, status=Status.SUCCEEDED),
        again=Row(trial, status=Status.SUCCEEDED, final=({"n": 3},)),
        revision="abcdef0123",
        metrics=metrics,
        changes=["input data: 1 -> 2"],
        folder=Path("again/3-1"),
    )
    out = io.StringIO()
    reproducing.show(done, Console(out, io.StringIO()))
    assert out.getvalue().splitlines() == [
        "#3 at revision abcdef: succeeded then, succeeded again",
        "  loss       0.5  0.25     differs by -0.25",
        "  a\\x1b[2Jb  x    nothing  differs",
        "  n          3    3        same",
        "  not as it was: input data: 1 -> 2",
        "  all of it is in again/3-1",
    ]
    assert not done.agrees
