"""Spoil one call to the emulated Azure ML, do the command again unharmed, and see whether the answer is right."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.azure import conftest as needs
from tests.faults.injector import Finding

ROLE = "Azure ML"
KINDS: Mapping[str, Mapping[str, Any]] = {
    "reset before": {"reset": True},
    "reset after": {"reset": True, "after": True},
    "429": {"status": 429, "code": "TooManyRequests", "retry_after": 0.1},
    "500": {"status": 500, "code": "InternalServerError"},
    "500 after": {"status": 500, "code": "InternalServerError", "after": True},
}
_SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}
_TPE = {"name": "TPE", "classArgs": {"optimize_mode": "minimize"}}
_GRID: Mapping[str, Any] = {"values": range(3)}
_TUNED: Mapping[str, Any] = {"searchSpace": _SPACE, "tuner": _TPE, "maxTrialNumber": 4, "trialConcurrency": 2}
COMMANDS: Mapping[str, tuple[Mapping[str, Any], tuple[tuple[str, ...], ...], tuple[str, ...], int]] = {
    "submit": (_GRID, (), ("submit",), 3),
    "run, TPE": (_TUNED, (), ("run", "experiment.yml"), 4),
    "collect": (_GRID, (("submit", "--no-wait"),), ("collect",), 3),
}
"""The experiment, what is done before, the words, how many trials."""


def struck(folder: Path, each: int, rng: random.Random) -> Iterator[Finding]:
    """Yield what came of each strike; nothing where the emulator's needs are missing. each: as in `table`."""
    if reason := needs.missing():
        print(f"Azure ML is left out: {reason}")
        return
    for name in COMMANDS:
        count = _done(folder / name, name, None)[1]
        for kind in KINDS:
            every = range(1, count + 1)
            for at in sorted(rng.sample(every, each)) if 0 < each < count else every:
                yield strike(folder / f"{name}-{kind}-{at}", name, kind, at)


def strike(folder: Path, command: str, kind: str, at: int) -> Finding:
    """Run a command with one call spoiled, then the clean one; return what was wrong."""
    return _done(folder, command, (kind, at))[0]


def _done(folder: Path, command: str, case: tuple[str, int] | None) -> tuple[Finding, int]:
    """Return what was wrong, and how many calls the command made."""
    from tests.azure.client_process import AzureProject
    from tests.azure.emulator import Emulator
    from tests.azure.faults import Fault

    keys, before, words, trials = COMMANDS[command]
    kind, at = case or ("none", 0)
    finding = Finding(command, ROLE, kind, at)
    folder.mkdir(parents=True)
    with Emulator(folder / "azure", mode="instant", metrics=lambda job: {"default": [0.5, 1.5]}) as azure:
        project = AzureProject(folder / "project", azure).write(**keys)
        for one in before:
            project.amlc(*one)
        azure.forget_calls()
        if case:
            fault = Fault(at=at, **KINDS[kind])
            azure.faults.append(fault)
        done = project.start(*words)[1]()
        count = len(azure.calls)
        azure.faults.clear()
        if case and fault.spoiled:
            finding.struck = f"call {at}"
        _check(finding, done.stderr)
        if done.returncode == 0:
            for _, text in _missing(project, azure, trials):
                finding.note("wrong exit", f"exit 0, and {text}")
        again = project.start(*words)[1]()
        _check(finding, again.stderr)
        if again.returncode != 0:
            finding.note("wrong exit", f"afterwards: exit {again.returncode}: {again.stderr}")
        for column, text in _missing(project, azure, trials):
            finding.note(column, text)
    return finding, count


def _check(finding: Finding, err: str) -> None:
    if "Traceback" in err:
        finding.note("traceback", err)


def _missing(project: Any, azure: Any, trials: int) -> Iterator[tuple[str, str]]:
    ended = [attempt for attempt in project.attempts() if attempt.latest.status.ended]
    if len({trial.id for attempt in ended for trial in attempt.trials}) != trials:
        yield "lost", f"{len(ended)} attempts have ended"
    if len(azure.statuses()) > trials:
        yield "doubled", f"{len(azure.statuses())} jobs were made"
    if len(azure.statuses()) < trials:
        yield "lost", f"{len(azure.statuses())} jobs were made"
