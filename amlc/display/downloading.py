"""Show how a download goes, and say what came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from amlc.commands.download import Downloaded, Watch
from amlc.console import Console
from amlc.plural import plural


@contextmanager
def watching(console: Console) -> Iterator[Watch]:
    """Give what shows the progress: a bar on a terminal, nothing elsewhere and quietly."""
    if console.quiet or not console.err.isatty():
        yield lambda name, done, total: None
        return
    from rich.console import Console as Terminal  # here: only a terminal needs it
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        BarColumn(bar_width=20),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Terminal(file=console.err)) as bar:
        task = bar.add_task("", total=None)
        yield lambda name, done, total: bar.update(
            task, description=name, completed=done, total=total
        )


def show(found: Downloaded, console: Console) -> None:
    """Print the folder, which is what a script needs, and say what is in it."""
    console.write(str(found.folder))
    files = plural(found.files, "file")
    of = f"trial {found.trial.id} (#{found.trial.sequence})"
    console.note(f"{of}: {files}, {plural(found.size, 'byte')}")
    if found.shared:
        console.note(
            f"{found.shared} of them from 'outputs/', which the trials of its job share: what has "
            "one name there is the last one's. Named outputs and NNI_OUTPUT_DIR are each one's own."
        )
