"""Print what a compile did, or would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amlc.commands.compile import difference
from amlc.console import Console
from amlc.write import Build, OnChange


def show(build: Build, console: Console) -> None:
    """Say in one line what was compiled."""
    what = "would change" if build.preview else "files changed"
    changes = f"{build.changes} {what}" if build.changes else "nothing changed"
    counts = f"{_counted(build.trials, 'trial')} in {_counted(build.jobs, 'job')}"
    later = "" if build.trials else "; the tuner proposes trials as it runs"
    text = f"{counts}, revision {build.revision[:6]}, {changes}: {build.folder}/{later}"
    console.note(f"{build.experiment}: {text}")


def as_json(build: Build) -> dict[str, Any]:
    """Return what JSON says of a compile."""
    return {
        "experiment": build.experiment,
        "folder": str(build.folder),
        "revision": build.revision,
        "trials": build.trials,
        "jobs": build.jobs,
        "changes": build.changes,
        "preview": build.preview,
    }


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def changes(console: Console) -> OnChange:
    """Return what prints, for `--check`, each file that would change."""

    def show(path: Path, old: bytes | None, new: bytes | None) -> None:
        if old is None:
            mark = "+"
        elif new is None:
            mark = "-"
        else:
            mark = "~"
        console.write(f"{mark} {path}")

    return show


def differences(console: Console) -> OnChange:
    """Return what prints, for `--diff`, how each file would change."""

    def show(path: Path, old: bytes | None, new: bytes | None) -> None:
        for line in difference(path, old, new):
            console.write(line.removesuffix("\n"))

    return show
