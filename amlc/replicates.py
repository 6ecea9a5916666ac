"""Take the trials of one replicated parameter set together."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

from amlc.collect.rows import Row
from amlc.collect.spool import spooled
from amlc.collect.tables import Table
from amlc.errors import UsageError
from amlc.model import Trial
from amlc.numbers import number
from amlc.space.canonical import in_sets
from amlc.space.points import flattened


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one finite number, also where their sum is none."""
    try:
        return statistics.fmean(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


AGGREGATES: Final[Mapping[str, Callable[[Sequence[float]], float | None]]] = {
    "mean": lambda values: mean(values) if values else None,
    "std": lambda values: statistics.stdev(values) if len(values) > 1 else None,  # of a sample
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "count": len,
}


def by_set(rows: Iterable[Row], replicates: int) -> Iterator[tuple[Row, ...]]:
    """Yield the rows of each parameter set together, once the last of them came.

    Those with gaps come in the end.
    """
    if replicates == 1:
        for row in rows:
            yield (row,)
        return
    yield from map(_in_order, in_sets(rows, replicates, lambda row: row.trial.parameters))


def _in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: row.trial.sequence))


class Scored(Protocol):
    """A trial as far as it has come. score: as `Row` has it."""

    @property
    def trial(self) -> Trial: ...
    @property
    def score(self) -> float | None: ...


S = TypeVar("S", bound=Scored)


def score(rows: Iterable[Scored]) -> float | None:
    """Return the mean of the scores of a parameter set's trials; None: none of them has one."""
    values = [value for row in rows if (value := row.score) is not None]
    return mean(values) if values else None


def best_set(
    sets: Iterable[Sequence[S]], *, replicates: int, maximize: bool
) -> tuple[Sequence[S], float] | None:
    """Return the parameter set with the best score, and that; among equals, the first.

    A set that lacks a trial's score counts only where none has them all: what became of half of its
    trials says less. replicates: how many trials a set should have.
    """
    whole, partial = best_sets(sets, replicates=replicates, maximize=maximize)
    return whole or partial


def best_sets(
    sets: Iterable[Sequence[S]], *, replicates: int, maximize: bool
) -> tuple[tuple[Sequence[S], float] | None, tuple[Sequence[S], float] | None]:
    """Return the best set of which each trial has a score, and the best of the others."""
    best: dict[bool, tuple[tuple[float, int], Sequence[S], float]] = {}
    for rows in sets:
        value = score(rows)
        if value is None:
            continue
        is_whole = len(rows) >= replicates and all(row.score is not None for row in rows)
        key = (-value if maximize else value, rows[0].trial.sequence)
        if is_whole not in best or key < best[is_whole][0]:
            best[is_whole] = key, rows, value
    whole, partial = best.get(True), best.get(False)
    return whole and whole[1:], partial and partial[1:]


@contextmanager
def aggregate_table(
    rows: Iterable[Row], replicates: int, functions: Sequence[str]
) -> Iterator[Table]:
    """Give a row for each parameter set, with `functions` of AGGREGATES for each metric."""
    parameters: dict[str, None] = {}
    metrics: set[str] = set()
    with spooled() as spool:
        for group in by_set(rows, replicates):
            values = flattened(group[0].trial.parameters)
            parameters |= dict.fromkeys(values)
            by_name = numbers(group)
            metrics |= by_name.keys()
            cells: dict[str, Any] = {"sequence": group[0].trial.sequence, "trials": len(group)}
            cells |= {f"param.{name}": value for name, value in values.items()}
            for name, column in by_name.items():
                cells |= {f"metric.{name}.{f}": AGGREGATES[f](column) for f in functions}
            spool.put(cells)
        columns = ["sequence", "trials", *(f"param.{name}" for name in parameters)]
        for name in sorted(metrics, key=lambda name: (name != "default", name)):
            columns += [f"metric.{name}.{f}" for f in functions]
        yield Table(tuple(columns), spool.rows())


def numbers(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Return the results of a parameter set that count and are finite numbers, by metric."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if not row.status.counts:
            continue
        for name, value in row.result.items():
            if (one := number(value)) is not None:
                found.setdefault(str(name), []).append(one)
    return found


def functions(text: str) -> tuple[str, ...]:
    """Return the functions of AGGREGATES that a list with commas names, each once.

    Raises UsageError for any other word.
    """
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for name in names:
        if name not in AGGREGATES:
            raise UsageError(f"--aggregate {text}: '{name}' is not one of {', '.join(AGGREGATES)}.")
    return names
