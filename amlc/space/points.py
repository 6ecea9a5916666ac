"""Flatten a search space into axes and turn points on them into what a trial receives.

A *point* holds one number for each active axis: an index for `choice`, an offset from `low` for
`randint`, 0 for the only value between equal bounds, and the draw itself for the real types, before
exp, rounding and clipping. Source of the formulas: NNI 3.0, `nni/common/hpo_utils/formatting.py`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from amlc.errors import RefusedError, Sentence, shorten
from amlc.model import Choice, Dimension, Integer, Real, Rows, Space, parameter_names


class SpaceError(RefusedError):
    """A draw of the search space is no number that a computer has."""

    code = "E-space"


MODEL_DIGITS: Final = 12
"""How many significant digits what a model proposes has: the last four differ between processors
and libraries."""

Key: TypeAlias = "tuple[str | int, ...]"
Point: TypeAlias = "Mapping[Key, int | float]"


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension and its place in a nested space.

    Names and, behind each nested choice, the option's index. size: how many values a discrete axis
    has; None for the real types.
    """

    key: Key
    dimension: Dimension
    size: int | None

    @property
    def nested(self) -> bool:
        """Whether the axis lies in a branch of a choice, and so may be inactive."""
        return len(self.key) > 1

    def active(self, point: Point) -> bool:
        """Tell whether `point`, filled in up to here in axis order, chose this axis's branch."""
        return not self.nested or point.get(self.key[:-2]) == self.key[-2]


def axes(space: Space) -> tuple[Axis, ...]:
    """Return every axis of `space`, depth first.

    A nested choice stands before what its branches hold.
    """
    return tuple(_walk(space, ()))


def _walk(space: Space, prefix: Key) -> Iterator[Axis]:
    for dimension in space:
        key = (*prefix, dimension.name)
        yield Axis(key, dimension, _size(dimension))
        if isinstance(dimension, Choice):
            for index, branch in enumerate(dimension.branches):
                yield from _walk(branch, (*key, index))


def _size(dimension: Dimension) -> int | None:
    match dimension:
        case Choice():
            return len(dimension.options)
        case Integer():
            return dimension.high - dimension.low
    return 1 if dimension.constant else None


def endless(space: Space) -> bool:
    """Tell whether a draw can never repeat.

    Some parameter, in no branch, is continuous and not rounded. NNI's own rule
    (`hpo_utils/dedup.py`): a continuous parameter inside a branch does not count.
    """
    return any(
        isinstance(dimension, Real) and dimension.q is None and not dimension.constant
        for dimension in space
    )


def inexhaustible(space: Space) -> str:
    """Return the first parameter with endlessly many values, a branch's as `outer/inner`, or ""."""
    for dimension in space:
        if (
            isinstance(dimension, Real)
            and not dimension.constant
            and (dimension.q is None or dimension.normal)
        ):
            return dimension.name
        for branch in dimension.branches if isinstance(dimension, Choice) else ():
            if name := inexhaustible(branch):
                return f"{dimension.name}/{name}"
    return ""


def combinations(space: Space) -> int | None:
    """Return how many parameter sets a space has, equal ones once; None if endlessly many."""
    total = 1
    for dimension in space:
        size = _values(dimension)
        if size is None:
            return None
        total *= size
    return total


def _values(dimension: Dimension) -> int | None:
    """Return how many values a dimension has, those of its branches too."""
    match dimension:
        case Choice():
            branches = dimension.branches or ((),) * len(dimension.options)
            options = {
                json.dumps(option, sort_keys=True): combinations(branch)
                for option, branch in zip(dimension.options, branches, strict=True)
            }
            sizes = [size for size in options.values() if size is not None]
            return sum(sizes) if len(sizes) == len(options) else None
        case Integer():
            return dimension.high - dimension.low
    if dimension.constant:
        return 1
    if dimension.normal or dimension.q is None:
        return None
    low, high = coordinates(dimension)
    high = low + (high - low)  # as a draw or the last quantile comes to it, but for rounding
    if dimension.log:
        low, high = math.exp(low), math.exp(high)
    steps = low / dimension.q, high / dimension.q
    return round(steps[1]) - round(steps[0]) + 1 if all(map(math.isfinite, steps)) else None


def may_overflow(space: Space) -> bool:
    """Tell whether some draw of `space` may be no number that a computer has.

    Then `deliver` raises SpaceError.
    """
    return any(
        isinstance(axis.dimension, Real) and _may_overflow(axis.dimension) for axis in axes(space)
    )


def _may_overflow(dimension: Real) -> bool:
    low, high = coordinates(dimension)
    if dimension.normal:  # of a normal draw, no generator gives more than 40 sigma
        low, high = low - 40 * high, low + 40 * high
    try:
        return not all(math.isfinite(_real(dimension, x)) for x in (low, high))
    except SpaceError:
        return True


def deliver(
    space_axes: Sequence[Axis], point: Point, *, digits: int | None = None
) -> dict[str, Any]:
    """Return the parameters that a trial receives for `point`, in the order of the space.

    digits: to how many significant ones a continuous value is rounded, within its bounds; None: not
    at all, as NNI's own draws. Of what a model has computed, `MODEL_DIGITS` are the same on every
    machine.
    """
    parameters: dict[str, Any] = {}
    for axis in space_axes:
        if axis.key in point:
            value = value_at(axis.dimension, point[axis.key])
            if digits is not None and isinstance(axis.dimension, Real):
                value = _shortened(axis.dimension, value, digits)
            assign(parameters, axis, value)
    return parameters


def deliverer(space_axes: Sequence[Axis]) -> Callable[[Point], dict[str, Any]]:
    """Return what `deliver` does for points of these axes, at half of what that takes."""
    if any(axis.nested or isinstance(axis.dimension, Rows) for axis in space_axes):
        return lambda point: deliver(space_axes, point)
    plain = [(axis.key, str(axis.key[0]), _value_of(axis.dimension)) for axis in space_axes]
    return lambda point: {name: value(point[key]) for key, name, value in plain if key in point}


def _value_of(dimension: Dimension) -> Callable[[float], Any]:
    """Return `value_at` of one dimension."""
    match dimension:
        case Choice() if not dimension.branches:
            options = dimension.options
            return lambda x: options[int(x)]
        case Integer():
            low = dimension.low
            return lambda x: low + int(x)
        case Real() if dimension.q is None and not (dimension.log or dimension.constant):
            if not dimension.normal:
                a, b = dimension.a, dimension.b
                return lambda x: x if a <= x <= b else min(max(x, a), b)
    return partial(value_at, dimension)


def _shortened(dimension: Real, value: float, digits: int) -> float:
    if dimension.q is not None:  # a value of the grid has the last digits that NNI gives it
        return value
    short = float(f"{value:.{digits}g}")
    return short if dimension.normal else min(max(short, dimension.a), dimension.b)


def value_at(dimension: Dimension, x: float) -> Any:
    """Return what the trial receives for coordinate `x`.

    For a nested choice, the mapping with its `_name`; for what varies together, its row.
    """
    match dimension:
        case Choice():
            option = dimension.options[int(x)]
            return {"_name": option} if dimension.branches else option
        case Integer():
            return dimension.low + int(x)
    return _real(dimension, x)


def _real(dimension: Real, x: float) -> float:
    if dimension.constant:
        return dimension.a
    try:
        return settled(dimension, math.exp(x) if dimension.log else x)
    except OverflowError as err:
        raise SpaceError(
            Sentence(
                f"searchSpace: '{dimension.name}' has draws beyond the largest number, about "
                "1.8e308.",
                hint="Narrow its bounds.",
            ),
            path=("searchSpace", dimension.name),
        ) from err


def settled(dimension: Real, x: float) -> float:
    """Return what the trial receives for a draw after exp: rounded and clipped as NNI does it.

    Raises OverflowError where that is no number.
    """
    if dimension.q is None:  # exp(log(bound)) may lie a rounding error beyond the bound
        return x if dimension.normal else min(max(x, dimension.a), dimension.b)
    # Half to even, and no decimal clean-up: 0.8999999999999999 is what NNI delivers for
    # quniform [0, 1, 0.3].
    x = round(x / dimension.q) * dimension.q
    return x if dimension.normal else min(max(x, dimension.a), dimension.b)


def locate(space_axes: Sequence[Axis], parameters: Mapping[str, Any]) -> Point | None:
    """Return the point for which a trial receives `parameters`, the inverse of `deliver`.

    None if there is none. Rounding cannot be undone: of a rounded value the point is the value
    itself, as it stands on the grid, which `deliver` leaves as it is. A parameter that the space
    does not have, or that lies outside its bounds, is no point of the space; extra names
    (TRIAL_BUDGET and the like) are the caller's to remove.
    """
    point: dict[Key, int | float] = {}
    used = 0
    for axis in space_axes:
        if not axis.active(point):
            continue
        coordinate = coordinate_on(axis, parameters)
        if coordinate is None:
            return None
        point[axis.key] = coordinate
        used += 1
    return point if used == _count(space_axes, point, parameters) else None


def located_part(space_axes: Sequence[Axis], parameters: Mapping[str, Any]) -> Point:
    """Return the coordinates of those axes of which `parameters` say something.

    Of what varies together some of a row's values are enough: the first row that has them counts.
    """
    point: dict[Key, int | float] = {}
    for axis in space_axes:
        if axis.active(point):
            dimension = axis.dimension
            coordinate = (
                row_of(dimension, parameters)
                if isinstance(dimension, Rows)
                else coordinate_on(axis, parameters)
            )
            if coordinate is not None:
                point[axis.key] = coordinate
    return point


def row_of(rows: Rows, parameters: Mapping[str, Any]) -> int | None:
    """Return which row is the first with the values that parameters give, None without any."""
    given = {name: parameters[name] for name in rows.names if name in parameters}
    fits = (
        index
        for index, row in enumerate(rows.options)
        if all(_same(row[name], value) for name, value in given.items())
    )
    return next(fits, None) if given else None


def coordinate_on(axis: Axis, parameters: Mapping[str, Any]) -> int | float | None:
    """Return the coordinate on an axis of what parameters say of it, None if it lacks that."""
    found = _found(parameters, axis)
    return None if found is _ABSENT else coordinate_of(axis.dimension, found)


def as_delivered(
    space_axes: Sequence[Axis], parameters: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return parameters with the numbers that the space delivers, in its types and on its grids.

    None: they are no point of it. JavaScript and tables write 1.0 as 1; so an option may be another
    spelling of a number where none is the number itself.
    """
    point: dict[Key, int | float] = {}
    delivered: dict[str, Any] = {}
    for axis in space_axes:
        if not axis.active(point):
            continue
        found = _found(parameters, axis)
        coordinate = None if found is _ABSENT else _near(axis.dimension, found)
        if coordinate is None:
            return None
        point[axis.key] = coordinate
        assign(delivered, axis, _typed(axis.dimension, coordinate, found))
    return delivered if len(point) == _count(space_axes, point, parameters) else None


def misfit(space_axes: Sequence[Axis], parameters: Mapping[str, Any]) -> str:
    """Return why `as_delivered` is None of parameters: what is unknown, missing or no value."""
    known = parameter_names(tuple(axis.dimension for axis in space_axes if not axis.nested))
    for name in parameters:
        if name not in known:
            return f"the space has no {shorten(name)!r}"
    point: dict[Key, int | float] = {}
    for axis in space_axes:
        if not axis.active(point):
            continue
        found = _found(parameters, axis)
        name = ".".join(part for part in axis.key if isinstance(part, str))
        if found is _ABSENT:
            return f"{name!r} is missing"
        coordinate = _near(axis.dimension, found)
        if coordinate is None:
            return f"{name!r} is {shorten(json.dumps(found))}"
        point[axis.key] = coordinate
    return "a branch has more than the space"


def _near(dimension: Dimension, value: Any) -> int | float | None:
    """Return the coordinate of a value, or of the same number in another type."""
    coordinate = coordinate_of(dimension, value)
    if coordinate is None and isinstance(dimension, Choice):
        return _equal_option(dimension, value)
    return coordinate


def _equal_option(dimension: Choice, value: Any) -> int | None:
    """Return the option that is the same number in another type, or the row of such numbers."""
    if dimension.branches:
        return None
    for index, option in enumerate(dimension.options):
        if isinstance(dimension, Rows):
            pairs = [(option[name], value[name]) for name in option]
            if all(_same(one, other) or is_same_number(one, other) for one, other in pairs):
                return index
        elif is_same_number(option, value):
            return index
    return None


def is_same_number(a: Any, b: Any) -> bool:
    """Tell whether two values are the same number, perhaps in another type."""
    numbers = (isinstance(x, (int, float)) and not isinstance(x, bool) for x in (a, b))
    return all(numbers) and bool(a == b)


def _typed(dimension: Dimension, coordinate: float, value: Any) -> Any:
    """Return what a trial receives: a logarithm's exponential may be another number."""
    if isinstance(dimension, Real) and dimension.q is None:
        return float(value)
    return value_at(dimension, coordinate)


_ABSENT: Any = object()


def _found(parameters: Any, axis: Axis) -> Any:
    """Return what parameters say of an axis: a value, a row, or nothing."""
    if not isinstance(axis.dimension, Rows):
        return _lookup(parameters, axis.key)
    names = axis.dimension.names
    if any(name not in parameters for name in names):
        return _ABSENT
    return {name: parameters[name] for name in names}


def _lookup(parameters: Any, key: Key) -> Any:
    """Return the value at `key`, whose numbers (the chosen options) are no level of their own."""
    for name in key:
        if isinstance(name, str):
            if not isinstance(parameters, Mapping) or name not in parameters:
                return _ABSENT
            parameters = parameters[name]
    return parameters


def _count(space_axes: Sequence[Axis], point: Point, parameters: Mapping[str, Any]) -> int:
    """Return how many parameters there are, a row of them counted as one.

    The names at the top and in each nested choice, without `_name`.
    """
    count = len(parameters)
    for axis in space_axes:
        if axis.key not in point:
            continue
        if isinstance(axis.dimension, Rows):
            count += 1 - len(axis.dimension.names)
        elif isinstance(axis.dimension, Choice) and axis.dimension.branches:
            count += len(_lookup(parameters, axis.key)) - 1
    return count


def coordinate_of(dimension: Dimension, value: Any) -> int | float | None:
    """Return the coordinate that `value_at` turns into `value`.

    None if the dimension does not have the value. Options are told apart as JSON tells them: 1,
    1.0, true and "1" are four values.
    """
    if isinstance(dimension, Choice):
        if dimension.branches:
            value = value.get("_name", _ABSENT) if isinstance(value, Mapping) else _ABSENT
        return next((i for i, option in enumerate(dimension.options) if _same(option, value)), None)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(dimension, Integer):
        is_one = value in range(dimension.low, dimension.high)  # never true of NaN
        return int(value) - dimension.low if is_one else None
    if not -sys.float_info.max <= value <= sys.float_info.max:  # an int may be beyond all floats
        return None
    if dimension.constant:
        return 0 if value == dimension.a else None
    return _draw_of(dimension, value)


def _draw_of(dimension: Real, value: float) -> float | None:
    if (dimension.log and value < 0) or not (
        dimension.normal or dimension.a <= value <= dimension.b
    ):
        return None
    if dimension.q is not None:
        given, value = value, settled(dimension, value)
        if not math.isclose(given, value, rel_tol=1e-9, abs_tol=dimension.q * 1e-9):
            return None  # its grid has no such value, not even in other last digits
    if dimension.log and value == 0:
        # One of those that are rounded to 0.
        return None if dimension.q is None else math.log(dimension.q / 4)
    x = math.log(value) if dimension.log else float(value)
    low, high = (-math.inf, math.inf) if dimension.normal else coordinates(dimension)
    return min(max(x, low), high)  # the logarithm of a bound may lie a rounding error beyond it


def _same(a: Any, b: Any) -> bool:
    return (
        b is not _ABSENT
        and bool(a == b)
        and json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    )


def assign(parameters: dict[str, Any], axis: Axis, value: Any) -> None:
    """Put a value into the place of its axis; the choices above it have theirs already."""
    if isinstance(axis.dimension, Rows):
        parameters.update(value)
        return
    place = parameters
    for name in axis.key[:-1]:
        if isinstance(name, str):
            place = place[name]
    place[str(axis.key[-1])] = value


def coordinates(dimension: Real) -> tuple[float, float]:
    """Return the bounds of the draw (or mu and sigma).

    The logarithm of `a` and `b` for loguniform.
    """
    if dimension.log and not dimension.normal:
        return math.log(dimension.a), math.log(dimension.b)
    return dimension.a, dimension.b


def flattened(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested parameters as one level, names joined with dots; a list stays one value."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, dict) and value:  # as JSON has it; asking for a Mapping takes longer
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
