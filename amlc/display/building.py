"""Print what a compile did, or would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amlc.commands.compile import difference
from amlc.console import Console
from amlc.display.advice import about_others
from amlc.plural import plural
from amlc.write import Build, OnChange


def show(build: Build, console: Console) -> None:
    """Say in one line what was compiled."""
    changes = "nothing changed"
    if build.changes:
        files = plural(build.changes, "file")
        changes = f"{files} would change" if build.preview else f"{files} changed"
    counts = f"{plural(build.trials, 'trial')} in {plural(build.jobs, 'job')}"
    later = "; the tuner is asked for more as it runs" if build.is_open else ""
    if build.is_open and not build.trials:
        counts, later = "the tuner is asked for trials as it runs", ""
    elif build.jobs and not build.trials:
        counts = f"{plural(build.jobs, 'sweep')}, whose trials are drawn as it runs"
    text = f"{counts}, revision {build.revision[:6]}, {changes}: {build.folder}/{later}"
    console.note(f"{build.experiment}: {text}")
    for line in about_others(build.trials, build.made):
        console.note(f"{build.experiment}: {line}")


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
