"""The axes of the report's charts: one for each parameter, and the ticks of a scale."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from amlc.numbers import number
from amlc.report.overview import evenly, shown
from amlc.report.scale import decades, plain, widened

MOST_CHARACTERS: Final = 15
"""How long the name of a value may be beside an axis."""

ABSENT: Final = object()
"""What stands for the value of a parameter that a trial does not have."""

_MOST_TICKS = 24
_FEW_VALUES = 8  # that many numbers are taken for names
_ALMOST = 1e-9  # of a step: 1 / 0.2 is 5, and 1 // 0.2 is 4


def dimension(label: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return one axis.

    Numbers to scale, everything else (and numbers from a short list) as evenly spaced names.
    """
    present = [value for value in values if value is not ABSENT]
    distinct = {_name(value) for value in present}
    if not present or any(number(value) is None for value in present):
        return _names(label, values, key=None)
    if len(distinct) <= _FEW_VALUES:
        whole = all(isinstance(value, int) for value in present)
        if whole or len(present) >= 2 * len(distinct):
            return _names(label, values, key=number)  # from a short list
    floats = [number(value) for value in values]
    return numbers(label, floats, log=decades([one for one in floats if one is not None]))


def numbers(label: str, values: Sequence[float | None], *, log: bool) -> dict[str, Any]:
    """Return an axis of numbers to scale; log: as exponents of ten. None is one that is absent."""
    drawn = [_place(value, log=log) for value in values]
    present = [place for place in drawn if place is not None]
    low, high = min(present), max(present)
    if log:  # whole decades have ticks
        low, high = math.floor(low), math.ceil(high)
    low, high = widened(low, high)
    absent = plain(low - 0.12 * (high - low))
    axis = {
        "label": label,
        "values": [absent if value is None else value for value in drawn],
        "range": [absent if None in drawn else low, high],
    }
    ticks = exponents(low, high) if log else {}  # plotly finds even ones by itself
    if None in drawn:
        ticks = ticks or even_ticks(low, high)
        ticks = {
            "tickvals": [absent, *ticks["tickvals"]],
            "ticktext": ["absent", *ticks["ticktext"]],
        }
    return axis | ticks


def _place(value: float | None, *, log: bool) -> float | None:
    """Return where a number stands on its axis."""
    if value is None:
        return None
    return plain(math.log10(value) if log else value)


def _names(
    label: str, values: Sequence[Any], *, key: Callable[[Any], Any] | None
) -> dict[str, Any]:
    by_name = {_name(value): value for value in values if value is not ABSENT}
    order = sorted(by_name, key=(lambda name: key(by_name[name])) if key else None)
    place = {name: index for index, name in enumerate(order)}
    low, high = min(0, len(order) - 1.5), max(0.5, len(order) - 1)
    ticks = evenly(order, _MOST_TICKS)
    places = [place[name] for name in ticks]
    texts = [shown(by_name[name], MOST_CHARACTERS) or "(empty)" for name in ticks]
    if any(value is ABSENT for value in values):
        low = -1.0
        places, texts = [-1, *places], ["absent", *texts]
        place[_name(ABSENT)] = -1
    return {
        "label": label,
        "values": [place[_name(value)] for value in values],
        "range": [low, high],
        "tickvals": places,
        "ticktext": texts,
    }


def _name(value: Any) -> str:
    """Return a text that tells any two values apart, as `1` from `"1"` and from `true`."""
    return "" if value is ABSENT else json.dumps(value, sort_keys=True)


def exponents(low: float, high: float) -> dict[str, Any]:
    """Return the ticks of an axis that holds exponents of ten."""
    whole = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    ticks = evenly(whole, 8) if len(whole) > 1 else (low, high)
    return {"tickvals": list(ticks), "ticktext": [f"{10.0**tick:.4g}" for tick in ticks]}


def even_ticks(low: float, high: float) -> dict[str, Any]:
    """Return the ticks of an axis at multiples of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(high - low))
    ticks = [low, high]
    for step in (power / 5, power / 2, power, power * 2):
        if step and (high - low) / step <= 7:  # a step of 0: the numbers are too small to divide
            first = math.ceil(low / step - _ALMOST)
            last = math.floor(high / step + _ALMOST)
            ticks = [min(max(step * number, low), high) for number in range(first, last + 1)]
            break
    return {
        "tickvals": [plain(tick) for tick in ticks],
        "ticktext": [f"{plain(tick):.6g}" for tick in ticks],
    }
