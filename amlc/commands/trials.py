"""Find the trials that a command's arguments name."""

from __future__ import annotations

from collections.abc import Sequence

from amlc.collect import Results
from amlc.errors import UsageError
from amlc.ledger import Attempt
from amlc.model import Trial


def chosen(results: Results, names: Sequence[str]) -> list[tuple[Trial, Attempt | None]]:
    """Return the trial that each name stands for: the start of its id, or `#` and its sequence number.

    Raises UsageError for a name that fits no trial, or more than one.
    """
    everything = [(trial, attempt) for trial, attempt, _ in results.trials()]
    return [_one(name, everything) for name in names]


def _one(name: str, everything: Sequence[tuple[Trial, Attempt | None]]) -> tuple[Trial, Attempt | None]:
    if name.startswith("#"):
        found = [row for row in everything if str(row[0].sequence) == name[1:]]
    else:
        found = [row for row in everything if name and row[0].id.startswith(name.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"{name}: no trial has this id or number. amlc status lists them.")
    ids = ", ".join(trial.id for trial, _ in found[:4])
    raise UsageError(f"{name}: {len(found)} trials have an id that starts so ({ids}…). Give more of it.")
