"""Let a platform draw a search space: what it draws for each axis, and what a trial receives then.

It draws a *latent* number, or the label of an option; the rest of NNI's formula is done here, and
in the runner by the same steps: a number is quantised, shifted, exponentiated and clipped as NNI
does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from amlc.model import Choice, Dimension, Integer, Real, Space
from amlc.names import SWEEP_INDEX
from amlc.space.canonical import canonical_json
from amlc.space.points import Axis, Key, assign, axes, coordinates, settled, value_at

BAYESIAN: Final = "bayesian"
RANDOM: Final = "random"

_LABEL: Final = re.compile(r"[A-Za-z0-9_.+-]{1,60}")
_LONGEST_NAME: Final = 80
_LARGEST_INTEGER: Final = 2**31 - 1
# What the platform draws of an axis.
_LABELS = "label"  # that of an option
_OFFSET = "offset"  # a whole number from 0
_NUMBER = "number"  # of which the whole part counts
_DRAW = "draw"  # NNI's own draw, before exp
_VALUE = "value"  # the same after exp
_QUANTILE = "quantile"  # the probability of one that is smaller


@dataclass(frozen=True, slots=True)
class Latent:
    """What a platform draws for one axis.

    name: its parameter there. space: how the platform is told, as a job file has it. how: what it
    draws. labels: of the options of a choice, in their order.
    """

    name: str
    axis: Axis
    how: str
    space: Mapping[str, Any]
    labels: tuple[str, ...] = ()


def latents(space: Space, sampling: str) -> tuple[Latent, ...]:
    """Return what the platform draws of a space, in the order of its axes.

    sampling: `bayesian`, which knows choices and uniform numbers alone, or `random`.
    """
    taken = {SWEEP_INDEX}
    return tuple(_latent(axis, sampling, _name(axis, taken)) for axis in axes(space))


def _name(axis: Axis, taken: set[str]) -> str:
    """Return a name for an axis of letters, digits and `_`, which no other one has in any case."""
    parts = [re.sub(r"[^A-Za-z0-9_]", "_", part) for part in axis.key if isinstance(part, str)]
    base = "__".join(parts)[:_LONGEST_NAME]
    if not base or base[0].isdigit():
        base = f"p_{base}"
    name, number = base, 2
    while name.lower() in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name.lower())
    return name


def _latent(axis: Axis, sampling: str, name: str) -> Latent:
    match axis.dimension:
        case Choice() as choice:
            labels = _labels(choice.options)
            return Latent(name, axis, _LABELS, _choice(labels), labels)
        case Integer() as integer:
            how, space = _of_integer(integer, sampling)
        case Real() as real:
            how, space = _of_real(real, sampling)
    return Latent(name, axis, how, space)


def _of_integer(integer: Integer, sampling: str) -> tuple[str, Mapping[str, Any]]:
    count = integer.high - integer.low
    if count == 1:
        return _OFFSET, _choice(("0",))
    if sampling == BAYESIAN or count > _LARGEST_INTEGER:
        return _NUMBER, _uniform(integer.low, integer.high)
    return _OFFSET, {"type": "randint", "upper": count}


def _of_real(real: Real, sampling: str) -> tuple[str, Mapping[str, Any]]:
    if real.constant:
        return _OFFSET, _choice(("0",))
    low, high = coordinates(real)
    if not real.normal:
        if real.log and sampling == RANDOM:
            return _VALUE, {**_uniform(low, high), "type": "loguniform"}
        return _DRAW, _uniform(low, high)
    if sampling == BAYESIAN:
        return _QUANTILE, _uniform(0, 1)
    how, kind = (_VALUE, "lognormal") if real.log else (_DRAW, "normal")
    return how, {"type": kind, "mu": float(low), "sigma": float(high)}


def _choice(labels: Sequence[str]) -> Mapping[str, Any]:
    return {"type": "choice", "values": list(labels)}


def _uniform(low: float, high: float) -> Mapping[str, Any]:
    return {"type": "uniform", "min_value": float(low), "max_value": float(high)}


def _labels(options: Sequence[Any]) -> tuple[str, ...]:
    """Return a text for each option: its own where they stay apart however they are written.

    Else their places.
    """
    own = tuple(option if isinstance(option, str) else canonical_json(option) for option in options)
    if all(map(_LABEL.fullmatch, own)) and len({plain(text) for text in own}) == len(own):
        return own
    return tuple(map(str, range(len(options))))


def plain(text: str) -> float | str:
    """Return what stays of a label, whoever writes it: the number that it is, or lower case."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    return number if math.isfinite(number) else text.lower()


def records(drawn: Sequence[Latent]) -> list[dict[str, Any]]:
    """Return the latents as the runner has them in `AMLC_SPACE`, and `from_records` reads them."""
    return [dict(_record(latent)) for latent in drawn]


def _record(latent: Latent) -> Iterator[tuple[str, Any]]:
    yield "name", latent.name
    yield "key", list(latent.axis.key)
    match latent.axis.dimension:
        case Choice() as choice:
            yield "options", list(choice.options)
            if latent.labels != tuple(map(str, range(len(choice.options)))):
                yield "labels", list(latent.labels)
            if choice.branches:
                yield "nested", True
        case Integer() as integer:
            yield "how", latent.how
            yield "low", integer.low
            yield "high", integer.high
        case Real() as real:
            yield "how", latent.how
            yield from {"a": real.a, "b": real.b, "normal": real.normal, "log": real.log}.items()
            yield "q", real.q


def from_records(values: Sequence[Mapping[str, Any]]) -> tuple[Latent, ...]:
    """Return the latents of `records`. Raises KeyError, TypeError or ValueError for other values.

    They know no more than `finished` needs.
    """
    return tuple(map(_of_record, values))


def _of_record(value: Mapping[str, Any]) -> Latent:
    key: Key = tuple(value["key"])
    dimension: Dimension
    labels: tuple[str, ...] = ()
    name = str(key[-1])
    if "options" in value:
        options = tuple(value["options"])
        labels = tuple(value.get("labels") or map(str, range(len(options))))
        branches: tuple[Space, ...] = ((),) * len(options) if value.get("nested") else ()
        dimension = Choice(name, options, branches)
    elif "low" in value:
        dimension = Integer(name, int(value["low"]), int(value["high"]))
    else:
        dimension = Real(
            name, value["a"], value["b"], bool(value["normal"]), bool(value["log"]), value["q"]
        )
    return Latent(value["name"], Axis(key, dimension, None), value.get("how", _LABELS), {}, labels)


def finished(drawn: Sequence[Latent], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that a trial receives for what was drawn, by name in any case, as text.

    Of a nested choice the chosen branch alone. Raises ValueError where a text is no such draw, and
    KeyError where there is none.
    """
    folded = {name.lower(): text for name, text in texts.items()}
    parameters: dict[str, Any] = {}
    point: dict[Key, int | float] = {}
    for latent in drawn:
        axis = latent.axis
        if axis.active(point):
            point[axis.key], value = _drawn(latent, folded[latent.name.lower()])
            assign(parameters, axis, value)
    return parameters


def _drawn(latent: Latent, text: str) -> tuple[int | float, Any]:
    """Return the coordinate that a text stands for, and the value there."""
    dimension, how = latent.axis.dimension, latent.how
    if isinstance(dimension, Choice):
        place = [plain(label) for label in latent.labels].index(plain(text.strip()))
        return place, value_at(dimension, place)
    x = float(text)
    if not math.isfinite(x):
        raise ValueError(text)
    if isinstance(dimension, Integer):
        offset = math.floor(x) - (dimension.low if how == _NUMBER else 0)
        offset = min(max(offset, 0), dimension.high - dimension.low - 1)
        return offset, value_at(dimension, offset)
    if how == _VALUE:
        return x, settled(dimension, x)
    if how == _QUANTILE:
        x = dimension.a + dimension.b * normal_quantile(x)
    return x, value_at(dimension, x)


def normal_quantile(u: float) -> float:
    """Return the number below which a standard normal draw lies with probability `u`."""
    u = min(max(u, 2.0**-53), 1 - 2.0**-53)
    low, high = -9.0, 9.0
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if math.erfc(-middle / math.sqrt(2)) / 2 < u:
            low = middle
        else:
            high = middle
