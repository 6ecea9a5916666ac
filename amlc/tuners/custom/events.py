"""What happened, in its order: what a class of the user's own is told again in each process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from amlc.model import Parameters, Record, Status
from amlc.space.canonical import canonical


@dataclass(frozen=True, slots=True)
class Imported:
    """All imported results, parameters and value, before any trial. Equal digests: equal rows."""

    digest: tuple[bytes, ...]
    rows: tuple[tuple[Parameters, float], ...] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A proposal, the `index`-th from 0. Equal digests: equal parameters."""

    index: int
    digest: bytes
    parameters: Parameters = field(compare=False)


@dataclass(frozen=True, slots=True)
class Reported:
    """An intermediate result, the `step`-th from 0, as JSON."""

    index: int
    step: int
    value: str


@dataclass(frozen=True, slots=True)
class Told:
    """An end. value: the final result as JSON, None where none was reported."""

    index: int
    event: str
    value: str | None


Event: TypeAlias = "Imported | Asked | Reported | Told"
_Placed: TypeAlias = "tuple[tuple[int, int, int, int], Event]"
Encoded: TypeAlias = "dict[int, tuple[Record, tuple[_Placed, ...]]]"
"""The events of each record, by its index: with every proposal the whole history is read again."""

_EVENTS: Final[Mapping[Status, str]] = {
    Status.SUCCEEDED: "SUCCEEDED",
    Status.FAILED: "FAILED",
    Status.CANCELED: "USER_CANCELED",
    Status.EARLY_STOPPED: "EARLY_STOPPED",
    Status.UNFINISHED: "SYS_CANCELED",
}


def happened(history: Sequence[Record], encoded: Encoded) -> list[Event]:
    """Return what happened, in order: the imported results, then each proposal, report and end.

    encoded: spares the encoding of what it has of the same records; takes up the others.
    """
    rows: list[tuple[Parameters, float]] = []
    placed: list[_Placed] = []
    index = 0
    for record in history:
        if record.imported:
            if record.value is not None:
                rows.append((record.parameters, record.value))
            continue
        known = encoded.get(index)
        if known is None or known[0] is not record:
            known = encoded[index] = record, tuple(_of(index, record, known))
        placed += known[1]
        index += 1
    ordered = [event for _, event in sorted(placed, key=lambda one: one[0])]
    if not rows:
        return ordered
    digest = tuple(
        canonical({"parameter": parameters, "value": value}) for parameters, value in rows
    )
    return [Imported(digest, tuple(rows)), *ordered]


def _of(
    index: int, record: Record, known: tuple[Record, tuple[_Placed, ...]] | None
) -> Iterator[_Placed]:
    """Yield what happened to one trial, each with its place.

    At the same number ends come behind all proposals.
    """
    if known is not None and known[0].parameters is record.parameters:
        asked = known[1][0][1]
    else:
        asked = Asked(index, canonical(record.parameters), record.parameters)
    yield (record.asked, 0, index, 0), asked
    for step, (number, value) in enumerate(record.curve):
        yield (number, 1, index, step), Reported(index, step, json.dumps(value))
    if record.status.ended:
        told = record.asked if record.told is None else record.told
        yield (told, 2, index, 0), Told(index, _EVENTS[record.status], _final(record))


def _final(record: Record) -> str | None:
    if record.reported is not None:
        return json.dumps(record.reported)
    if record.status is not Status.SUCCEEDED or record.guessed or record.value is None:
        return None
    return json.dumps(record.value)
