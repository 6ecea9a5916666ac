"""Results from elsewhere: for a tuner to learn from, or as trials of the experiment itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from amlc.elsewhere import EXPECTED, Ended, read
from amlc.errors import UsageError
from amlc.events import EventKind, imported
from amlc.ledger import Ledger
from amlc.model import Parameters, Space, Status, Trial
from amlc.numbers import result
from amlc.space.points import as_delivered, axes, misfit
from amlc.tuners.shared.brackets import ADDED, fits

_ENDS: Final = {
    Status.FAILED: "failed",
    Status.EARLY_STOPPED: "stopped early",
    Status.CANCELED: "canceled",
    Status.UNFINISHED: "cut short",
}
OPEN: Final = "had not ended"
_NUMBER: Final = "without a number as result"
UNFIT: Final = "outside of the space"


@dataclass(frozen=True, slots=True)
class ImportedResults:
    """Parameter sets of the search space with their results.

    left_out: how many were left out and why, see `counted`.
    """

    rows: tuple[tuple[Parameters, float], ...]
    left_out: str = ""


def counted(why: Mapping[str, Sequence[str]]) -> str:
    """Return how many were left out for each reason, with the place of the first; or nothing."""
    return ", ".join(
        f"{len(places)} {reason} ({places[0]})" for reason, places in why.items() if places
    )


def read_results_from(
    path: Path,
    space: Space | None,
    *,
    name: str = "",
    metric: str | None = None,
    wants: str = "",
) -> ImportedResults:
    """Read finished trials from a file or a folder; name, metric: as for `elsewhere.read`.

    space: None for one that only the user's class understands: all is taken then, as in NNI, but
    of tables, whose cells are read by a space. wants: a parameter without which none is of use.
    Those that did not succeed, or without a number as result, are left out. Raises UsageError when
    it is neither, or when none of its trials can be used.
    """
    rows: list[tuple[Parameters, float]] = []
    why: dict[str, list[str]] = {reason: [] for reason in (*_ENDS.values(), OPEN, _NUMBER, UNFIT)}
    trials = read(path, space or (), name=name, metric=metric)
    for one in trials if space is None else fitting(trials, space):
        value = result(one.status, one.final)
        if one.flaw:
            why.setdefault(one.flaw, []).append(one.place)
        elif not one.status.counts:
            why[_ENDS.get(one.status, OPEN)].append(one.where)
        elif value is None:
            why[_NUMBER].append(one.where)
        elif one.parameters is None:
            why[UNFIT].append(one.place)
        elif wants and wants not in one.parameters:
            why.setdefault(f"without {wants}", []).append(one.where)
        else:
            rows.append((one.parameters, value))
    left_out = counted(why)
    if not rows:
        said = f"no result can be used: {left_out}" if left_out else "it has no results"
        raise UsageError(f"--from {path}: {said}. {EXPECTED}.")
    return ImportedResults(tuple(rows), left_out)


def fitting(trials: Iterable[Ended], space: Space) -> Iterator[Ended]:
    """Yield the trials with their parameters as the space delivers them.

    Those that are no point of it have none, and it is known why.
    """
    space_axes = axes(space)
    for one in trials:
        if one.parameters is None or one.flaw:
            yield one
            continue
        own: dict[str, Any] = {}
        added: dict[str, Any] = {}
        for name, value in one.parameters.items():
            (added if name in ADDED else own)[name] = value
        found = as_delivered(space_axes, own)
        if found is None:
            yield replace(one, parameters=None, why=misfit(space_axes, own))
        else:
            yield replace(one, parameters={**found, **added}, why="")


def outside(space: Space, trials: Iterable[Trial]) -> int:
    """Return how many of the trials have parameters that are no point of the space."""
    space_axes = axes(space)
    return sum(not fits(space_axes, trial.parameters) for trial in trials)


def record_results(ledger: Ledger, results: ImportedResults, *, at: float) -> bool:
    """Put results into the ledger; tell whether they are new, for the same ones count once."""
    fact = imported(results.rows, at=at)
    if any(
        event.data["digest"] == fact.data["digest"]
        for event in ledger.events(kind=EventKind.IMPORT)
    ):
        return False
    ledger.append([fact])
    return True
