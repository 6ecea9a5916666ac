"""Print the experiments of a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from amlc.commands.list_ import Listed
from amlc.console import Console
from amlc.folders import Folders
from amlc.plural import plural


def show(listed: Iterable[Listed], console: Console, folders: Folders) -> None:
    """Write a line for each, or say that there is none."""
    count = 0
    for one in listed:
        console.write(f"{one.name}: {_standing(one)}")
        count += 1
    if not count:
        console.note(f"{folders.build}/ and {folders.state}/: no experiments yet.")


def show_json(listed: Iterable[Listed], console: Console) -> None:
    """Write one JSON array."""
    console.write(json.dumps([_object(one) for one in listed], ensure_ascii=False, indent=2))


def _standing(one: Listed) -> str:
    at_work = f", {plural(one.working, 'job')} at work" if one.working else ""
    if one.manifest is None:
        return (one.problem or "not compiled; results are on record") + at_work
    header = one.manifest.header
    source = f" ({os.path.relpath(one.manifest.source)})" if one.manifest.source else ""
    return f"{one.verdict} on {header.backend}{at_work}{source}"


def _object(one: Listed) -> dict[str, Any]:
    found: dict[str, Any] = {"experiment": one.name, "working": one.working}
    if one.problem is not None:
        found["problem"] = one.problem
    if one.manifest is None or one.verdict is None:
        return found
    end, source = one.verdict, one.manifest.source
    return found | {
        "backend": one.manifest.header.backend,
        "source": os.path.relpath(source) if source else None,
        "trials": end.trials,
        "toPropose": end.to_propose,
        "complete": end.complete,
        "statuses": {status.value: count for status, count in end.statuses.items() if count},
    }
