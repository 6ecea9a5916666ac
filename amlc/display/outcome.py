"""What became of jobs and of the checks before them, as findings: for CI, beside other problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from amlc.backends import Check
from amlc.collect.rows import Row
from amlc.commands.observe import up_to_date
from amlc.commands.steps import Run
from amlc.display.formats import Case, nowhere
from amlc.errors import Problem, Severity
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.model import Status

_BAD = (Status.FAILED, Status.UNFINISHED)


def checks(found: Sequence[Check], about: Path) -> tuple[Case, ...]:
    """Return a case for each check of `amlc doctor`. about: the experiment's file."""
    return tuple(
        Case(group="doctor", name=check.name, problems=tuple(_of_check(check, about)))
        for check in found
    )


def _of_check(check: Check, about: Path) -> Iterator[Problem]:
    text = f"{check.name}: {check.text}"
    if not check.is_well:
        yield nowhere(about, "E-check", text)
    elif check.is_warned:
        yield nowhere(about, "W-check", text, severity=Severity.WARNING)


def checks_as_json(found: Sequence[Check]) -> list[dict[str, Any]]:
    """Return what JSON says of the checks."""
    words = {(True, False): "ok", (True, True): "warned"}
    return [
        {
            "name": check.name,
            "verdict": words.get((check.is_well, check.is_warned), "failed"),
            "text": check.text,
        }
        for check in found
    ]


def trials(manifest: Manifest, folders: Folders, about: Path) -> Iterator[Case]:
    """Yield a case for each trial; one that failed, or was left unfinished, has a problem."""
    with up_to_date(manifest, folders) as results:
        for row in results.rows():
            yield Case(
                group=manifest.header.experiment,
                name=f"trial {row.trial.sequence} ({row.trial.id}): {row.status.value}",
                problems=(_of_trial(row, about),) if row.status in _BAD else (),
            )


def _of_trial(row: Row, about: Path) -> Problem:
    why = " ".join((row.error or "no reason is known").split())
    text = f"trial {row.trial.sequence} {row.status.value}: {why}"
    return nowhere(about, "E-trial", text)


def run_as_json(run: Run) -> dict[str, Any]:
    """Return what JSON says of a run."""
    end = run.verdict
    return {
        "experiment": run.manifest.header.experiment,
        "submitted": run.progress.submitted,
        "stopped": run.stopped,
        "trials": end.trials,
        "done": end.done,
        "statuses": {status.value: count for status, count in end.statuses.items() if count},
        "to_propose": end.to_propose,
        "complete": end.complete,
    }
