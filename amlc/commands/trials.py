"""Find the trials that a command's arguments name."""

from __future__ import annotations

from collections.abc import Sequence

from amlc.attempts import Attempt
from amlc.backends import Backend, Children
from amlc.collect.results import Results
from amlc.collect.rows import Row
from amlc.errors import UsageError

_SHORTEST = 4  # digits of an id; with fewer a slip would name a trial


def chosen(results: Results, names: Sequence[str]) -> list[Row]:
    """Return the trial that each name stands for.

    Its number, with or without a `#`, or the start of its id. Raises UsageError for a name that
    fits no trial, or more than one.
    """
    found: dict[str, list[Row]] = {name: [] for name in names}
    for row in results.rows():
        for name, rows in found.items():
            if _is_named(row, name):
                rows.append(row)
    return [_one(name, found[name]) for name in names]


def child(backend: Backend, attempt: Attempt, trial: str) -> str | None:
    """Return the job that runs a trial of an attempt: its own, or of a sweep a child, if any."""
    if attempt.draws:
        return next((job for job, one in attempt.children.items() if one == trial), None)
    if attempt.sweep and isinstance(backend, Children):
        return backend.child(attempt.job, trial)
    return attempt.job


def _is_named(row: Row, name: str) -> bool:
    number = name.removeprefix("#")
    if number.isdecimal() and len(number) < len(row.trial.id):
        return row.trial.sequence == int(number)
    return len(name) >= _SHORTEST and row.trial.id.startswith(name.lower())


def _one(name: str, rows: Sequence[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    if not rows:
        what = "a trial's number, or four or more digits of the start of its id"
        raise UsageError(
            f"{name or 'an empty name'}: no trial has this number or id. Give {what}: "
            "amlc status --all."
        )
    ids = ", ".join(row.trial.id for row in rows[:_SHORTEST])
    raise UsageError(
        f"{name}: {len(rows)} trials have this number, or an id that starts so ({ids}). "
        "Give the id."
    )
