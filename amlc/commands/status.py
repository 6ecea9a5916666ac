"""`amlc status`: how the trials stand, for people or as data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice
from typing import BinaryIO

from amlc.backends import Remote, open_backend
from amlc.collect import Results, Table, named, trials_table, verdict
from amlc.commands.look import looked_up
from amlc.ledger import Attempt
from amlc.model import Status, Trial
from amlc.places import Places
from amlc.report.tables import WRITERS

_FIXED_WIDTH = 48
_MOST_ROWS = 40
_STYLES = {Status.FAILED: "red", Status.SUCCEEDED: "green", Status.RUNNING: "cyan", Status.EARLY_STOPPED: "yellow"}


def status(*, target: str | None, places: Places, format_: str, everything: bool, out: BinaryIO) -> int:
    """Write the status of each trial to `out`; as text, the verdict and a table of at most 40 rows."""
    manifest = places.manifest(target)
    with looked_up(manifest, places) as (results, _):
        if format_ != "text":
            table = trials_table(results)
            columns = tuple(name for name in table.columns if not name.startswith(("param.", "metric.")))
            WRITERS[format_](Table(columns, table.rows), out)
        else:
            _show(results, everything=everything, reasons=_reasons(results, places), out=out)
    return 0


def _reasons(results: Results, places: Places) -> Mapping[str, str]:
    """Return why waiting jobs wait, as far as the back end says so; asked for as many as the table shows."""
    header = results.manifest.header
    here = ((a, state) for _, a, state in results.trials() if a is not None and a.backend == header.backend)
    waiting = dict.fromkeys(attempt.job for attempt, state in here if state is Status.WAITING)
    jobs = list(islice(waiting, _MOST_ROWS))
    if not jobs:
        return {}
    backend = open_backend(header, places.runs(header.experiment))
    return backend.reasons(jobs) if isinstance(backend, Remote) else {}


def _show(results: Results, *, everything: bool, reasons: Mapping[str, str], out: BinaryIO) -> None:
    import io

    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    stream = io.TextIOWrapper(out, encoding="utf-8", errors="replace")
    console = Console(file=stream, highlight=False)
    console.print(f"{results.manifest.header.experiment}: {verdict(results)}", markup=False)
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for name, justify in (("#", "right"), ("trial", "left"), ("status", "left"), ("try", "right"), ("time", "right")):
        grid.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    grid.add_column("result, or why there is none", overflow="ellipsis", no_wrap=True)
    room = max(console.width - _FIXED_WIDTH, 20)  # a long remark must not squeeze the columns before it
    hidden = 0
    for number, (trial, attempt, state) in enumerate(results.trials()):
        if number >= _MOST_ROWS and not everything:
            hidden += 1
            continue
        remark = _remark(results, trial, attempt) or (reasons.get(attempt.job, "") if attempt else "")
        grid.add_row(
            str(trial.sequence),
            trial.id,
            Text(state.value, style=_STYLES.get(state, "")),
            str(attempt.number) if attempt else "",
            _duration(attempt),
            Text(remark if len(remark) <= room else remark[: room - 1] + "…"),
        )
    console.print(grid)
    if hidden:
        console.print(f"… and {hidden} more: amlc status --all", markup=False)
    stream.flush()
    stream.detach()


def _duration(attempt: Attempt | None) -> str:
    if attempt is None or attempt.latest.started is None:
        return ""
    seconds = (attempt.latest.ended or time.time()) - attempt.latest.started
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _remark(results: Results, trial: Trial, attempt: Attempt | None) -> str:
    final = named(results.result(trial, attempt))
    parts = [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in final.items()]
    if attempt is not None and attempt.latest.error:
        parts.append(attempt.latest.error)
    return " ".join(parts)
