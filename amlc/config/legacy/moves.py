"""Reads the keys of a v1 file by their rules, and makes today's mapping of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from amlc.config.legacy.signs import PLATFORM, SERVICE
from amlc.config.legacy.table import ALGORITHMS, Gone, Items, Table, To, table_of
from amlc.model import JsonPath


@dataclass(frozen=True, slots=True)
class Move:
    """A key of a v1 file. new: where it stands today, None if it has no effect, for `reason`."""

    old: JsonPath
    new: JsonPath | None
    value: Any
    reason: str = ""


def to_v2(found: list[Move]) -> dict[str, Any]:
    """Return what was moved; where two keys say the same, the platform's own block wins."""
    converted: dict[str, Any] = {}
    for move in sorted(found, key=lambda move: ("amlc", "trial", move.old[0]).index(move.old[0])):
        if move.new is not None:
            _put(converted, move.new, copy.copy(move.value))
    return converted


def _put(target: Any, path: JsonPath, value: Any) -> None:
    """Set a value in nested mappings and lists, which are made where they are not there."""
    for part, following in pairwise(path):
        target = _child(target, part, [] if isinstance(following, int) else {})
    if isinstance(target, list):
        target.append(value)
    else:
        target[path[-1]] = value


def _child(target: Any, part: str | int, new: Any) -> Any:
    if isinstance(target, list):
        assert isinstance(part, int)
        while len(target) <= part:
            target.append({})
        return target[part]
    if not isinstance(target.get(part), (dict, list)):
        target[part] = new
    return target[part]


def moves(data: Mapping[str, Any]) -> Iterator[Move]:
    """Yield what becomes of each key of a v1 file, in its order; unknown ones are left out.

    Keys match exactly, as in NNI; `null` counts as not given.
    """
    yield from _read(data, table_of(data), (), ())
    service = data.get(f"{data.get(PLATFORM)}Config")
    if isinstance(service, Mapping) and data.get(PLATFORM) in ("kubeflow", "frameworkcontroller"):
        kind = "nfs" if "nfs" in service else "azureStorage"
        if service.get("storage") is None:
            yield Move((f"{data[PLATFORM]}Config", kind), (SERVICE, "storage", "storageType"), kind)


def _read(data: Mapping[str, Any], table: Table, old: JsonPath, new: JsonPath) -> Iterator[Move]:
    for key, value in data.items():
        rule, here = table.get(key), (*old, key)
        if value is None or rule is None:
            continue
        match rule:
            case Gone():
                yield Move(here, None, value, rule.reason)
            case To() if here[0] in ALGORITHMS:
                yield from _algorithm_move(data, here, rule.path, value)
            case To():
                yield Move(
                    here,
                    (*new, *rule.path),
                    "openpai" if here == (PLATFORM,) and value == "pai" else value,
                )
            case Items() if isinstance(value, list):
                for index, item in enumerate(value):
                    place = (*new, *rule.path, index)
                    if isinstance(item, Mapping):
                        yield from _read(item, rule.table, (*here, index), place)
                    else:
                        yield Move((*here, index), place, item)
            case Mapping() if isinstance(value, Mapping):
                yield from _read(value, rule, here, new)


def _algorithm_move(
    found: Mapping[str, Any], old: JsonPath, new: JsonPath, value: Any
) -> Iterator[Move]:
    key = old[-1]
    if key == "className":
        file = found.get("classFileName")
        yield Move(
            old,
            new,
            f"{str(file).removesuffix('.py')}.{value}"
            if file and isinstance(value, str)
            else value,
        )
    elif key == "classFileName":
        if found.get("className") is None:
            yield Move(old, new, value)
        else:
            yield Move(old, new, f"{str(value).removesuffix('.py')}.{found['className']}")
    elif (
        key == "classArgs"
        and isinstance(value, Mapping)
        and _is_curvefitting(found)
        and "optimize_mode" in value
    ):
        # NNI's own Curvefitting lost it in 1.8, and the files that have it are many.
        yield Move(
            (*old, "optimize_mode"),
            None,
            value["optimize_mode"],
            "Curvefitting takes larger values as better",
        )
        for name, argument in value.items():
            if name != "optimize_mode":
                yield Move((*old, name), (*new, name), argument)
    else:
        yield Move(old, new, value)


def _is_curvefitting(found: Mapping[str, Any]) -> bool:
    return str(found.get("builtinAssessorName", "")).lower() == "curvefitting"
