"""`amlc status`: how the trials stand, for people or as data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from amlc.backends import Reasons
from amlc.collect import Causes, Row, Table, Tally, Verdict, trials_table
from amlc.commands.observe import up_to_date
from amlc.commands.submit import hint
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.model import Status
from amlc.report.tables import WRITERS
from amlc.targets import open_backend

_FIXED_WIDTH = 48
_MOST_ROWS = 40
_STYLES = {
    Status.FAILED: "red",
    Status.UNFINISHED: "magenta",
    Status.SUCCEEDED: "green",
    Status.RUNNING: "cyan",
    Status.EARLY_STOPPED: "yellow",
}


def status(*, target: str | None, folders: Folders, format_: str, everything: bool, out: BinaryIO) -> int:
    """Write the status of each trial to `out`; as text, the verdict, at most 40 rows, and why trials failed."""
    manifest = folders.manifest(target)
    with up_to_date(manifest, folders) as results:
        if format_ != "text":
            with trials_table(results.rows()) as table:
                columns = tuple(name for name in table.columns if not name.startswith(("param.", "metric.")))
                WRITERS[format_](Table(columns, table.rows), out)
            return 0
        tally, causes = Tally(results), Causes()
        shown: list[Row] = []
        for row in tally.counted(results.rows()):
            causes.count(row)
            if everything or len(shown) < _MOST_ROWS:
                shown.append(row)
        end = tally.verdict
    _show(manifest, end, shown, causes, folders, out)
    return 0


def _reasons(manifest: Manifest, rows: Sequence[Row], folders: Folders) -> Mapping[str, str]:
    """Return why waiting jobs wait, as far as the back end says so."""
    header = manifest.header
    attempts = [row.attempt for row in rows if row.status is Status.WAITING and row.attempt is not None]
    jobs = list(dict.fromkeys(attempt.job for attempt in attempts if attempt.backend == header.backend))[:_MOST_ROWS]
    if not jobs:
        return {}
    backend = open_backend(header, folders.runs(header.experiment))
    return backend.reasons(jobs) if isinstance(backend, Reasons) else {}


def _show(
    manifest: Manifest, end: Verdict, rows: Sequence[Row], causes: Causes, folders: Folders, out: BinaryIO
) -> None:
    import io

    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    stream = io.TextIOWrapper(out, encoding="utf-8", errors="replace")
    console = Console(file=stream, highlight=False)
    header = manifest.header
    console.print(f"{header.experiment}: {end}{hint(end, manifest, folders)}", markup=False, soft_wrap=True)
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for name, justify in (("#", "right"), ("trial", "left"), ("status", "left"), ("try", "right"), ("time", "right")):
        grid.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    grid.add_column("result, or why there is none", overflow="ellipsis", no_wrap=True)
    room = max(console.width - _FIXED_WIDTH, 20)  # a long remark must not squeeze the columns before it
    reasons = _reasons(manifest, rows, folders)
    for row in rows:
        remark = _remark(row) or (reasons.get(row.attempt.job, "") if row.attempt else "")
        grid.add_row(
            str(row.trial.sequence),
            row.trial.id,
            Text(row.status.value, style=_STYLES.get(row.status, "")),
            str(row.attempt.number) if row.attempt else "",
            _duration(row),
            Text(remark if len(remark) <= room else remark[: room - 1] + "…"),
        )
    console.print(grid)
    if end.trials > len(rows):
        console.print(f"… and {end.trials - len(rows)} more: amlc status --all", markup=False)
    for line in causes.lines():
        console.print(line, style="red", markup=False, soft_wrap=True)
    stream.flush()
    stream.detach()


def _duration(row: Row) -> str:
    started, ended = row.times
    if started is None:
        return ""
    seconds = (ended or time.time()) - started
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _remark(row: Row) -> str:
    final = row.result.items()
    parts = [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in final]
    return " ".join([*parts, *filter(None, [row.error])])
