"""What tuners learn from: the parameter sets of an experiment in the order of their proposal, with their results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from amlc.ledger import Attempt, Ledger
from amlc.model import Parameters, Record, Status, Trial
from amlc.tuners.gridsearch import canonical


@dataclass(frozen=True, slots=True)
class Past:
    """The trials of each job that was ever submitted, and what is known of their parameter sets."""

    groups: tuple[tuple[Trial, ...], ...] = ()
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class _Tried:
    """One trial as its last attempt has it; `asked` is that of the first."""

    trial: Trial
    status: Status
    value: float | None
    asked: int
    told: int | None


class History:
    """The past of one experiment. Attempts that did not change since the last call cost next to nothing."""

    def __init__(self, ledger: Ledger, *, replicates: int) -> None:
        self._ledger = ledger
        self._replicates = replicates
        self._imported = tuple(imported(ledger))
        self._known: dict[str, tuple[Attempt, list[_Tried]]] = {}

    def past(self, attempts: Mapping[str, Attempt]) -> Past:
        """Return the past; `attempts`: those of the ledger by job name, in the order of their intents.

        The result of a trial is its final one; a trial that was stopped early has none, as in NNI. The result of a
        replicated parameter set is the mean of those of its trials, once all of them ended.
        """
        first: dict[str, int] = {}
        last: dict[str, Attempt] = {}
        for attempt in attempts.values():
            first.setdefault(attempt.id, attempt.asked)
            last[attempt.id] = attempt
        tried = [one for attempt in last.values() for one in self._tried(attempt, first[attempt.id])]
        groups = tuple(attempt.trials for attempt in last.values())
        return Past(groups, (*self._imported, *_records(tried, self._replicates)))

    def _tried(self, attempt: Attempt, asked: int) -> list[_Tried]:
        known = self._known.get(attempt.id)
        if known is None or known[0] is not attempt:
            values = _results(self._ledger, attempt) if attempt.told is not None else {}
            tried = [
                _Tried(trial, attempt.status(trial.id), values.get(trial.id), asked, attempt.told)
                for trial in attempt.trials
            ]
            known = self._known[attempt.id] = (attempt, tried)
        return known[1]


def scalar(value: Any) -> float | None:
    """Return the finite number that a reported value stands for: itself or its `default`; None if there is none."""
    if isinstance(value, Mapping):
        value = value.get("default")
    if not isinstance(value, (int, float)):  # NNI takes true and false for 1 and 0
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON's integers have no upper bound
        return None
    return number if math.isfinite(number) else None


def imported(ledger: Ledger) -> Iterator[Record]:
    """Yield the results that were imported, the oldest first."""
    for event in ledger.events(kind="import"):
        for row in event.data["results"]:
            yield Record(
                parameters=row["parameters"], status=Status.SUCCEEDED, value=row["value"], told=0, imported=True
            )


def _results(ledger: Ledger, attempt: Attempt) -> dict[str, float | None]:
    return {metric.trial: scalar(metric.value) for _, metric in ledger.metrics("final", job=attempt.job)}


def _records(tried: Sequence[_Tried], replicates: int) -> Iterator[Record]:
    """Yield the records in order; trials are replicates of one another that lie in one block of numbers."""
    ordered = sorted(tried, key=lambda one: one.trial.sequence)
    if replicates == 1:
        yield from (_record(one.trial.parameters, [one]) for one in ordered)
        return
    for _, block in groupby(ordered, key=lambda one: one.trial.sequence // replicates):
        sets: dict[bytes, list[_Tried]] = {}  # more than one after an edit of the space
        for one in block:
            sets.setdefault(canonical(one.trial.parameters), []).append(one)
        yield from (_record(alike[0].trial.parameters, alike) for alike in sets.values())


def _record(parameters: Parameters, tried: Sequence[_Tried]) -> Record:
    asked = min(one.asked for one in tried)
    numbers = [one.told for one in tried if one.told is not None and one.status.ended]
    if len(numbers) < len(tried):
        return Record(parameters=parameters, status=Status.RUNNING, asked=asked)
    values = [one.value for one in tried if one.value is not None and one.status is Status.SUCCEEDED]
    status = next((one.status for one in tried if one.status is Status.SUCCEEDED), tried[0].status)
    value = sum(values) / len(values) if values else None
    return Record(parameters=parameters, status=status, value=value, asked=asked, told=max(numbers))
