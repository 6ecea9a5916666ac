"""Find ranges that collapse, options that repeat each other, and options that never come."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, Final

from amlc.config.rules import variables
from amlc.constraints import Gate
from amlc.errors import PlanError, Sentence
from amlc.lint.errors import OddityError
from amlc.model import (
    Choice,
    Dimension,
    Experiment,
    Integer,
    JsonPath,
    Parameters,
    Real,
    Rows,
    Space,
    parameter_names,
)

_MOST_POINTS: Final = 5_000
_NARROW: Final = 1.001  # the ratio of bounds below which a logarithm has nothing to spread


def about_space(space: Space, path: JsonPath) -> Iterator[OddityError]:
    """Yield ranges that collapse to a value, and options that are the same number."""
    for dimension in space:
        here = (*path, dimension.name)
        if isinstance(dimension, Real):
            yield from _about_range(dimension, here)
        elif isinstance(dimension, Choice) and not dimension.branches:
            yield from _about_options(dimension, here)
        for index, branch in enumerate(dimension.branches if isinstance(dimension, Choice) else ()):
            yield from about_space(branch, (*here, "_value", index))


def _about_range(dimension: Real, path: JsonPath) -> Iterator[OddityError]:
    low, high, name = dimension.a, dimension.b, dimension.name
    if dimension.normal:
        return
    if dimension.log and low < high < low * _NARROW:
        text = f"the bounds of '{name}' are so near that a logarithm has nothing to spread. "
        yield OddityError(f"{text}Widen them, or write uniform.", path=path, code="W-space-range")
    elif dimension.log and low == high:
        text = f"the range of '{name}' has one value, {low:g}. "
        text += "Widen it, or write a choice of one."
        yield OddityError(text, path=path, code="W-space-range")
    elif dimension.q is not None and low < high:
        first, last = (_rounded(value, dimension) for value in (low, high))
        if first == last:
            text = (
                f"rounded to multiples of {dimension.q:g}, all values of '{name}' are {first:g}. "
            )
            yield OddityError(f"{text}Take a smaller q.", path=path, code="W-space-range")


def _rounded(value: float, dimension: Real) -> float:
    assert dimension.q is not None
    steps = value / dimension.q
    if not math.isfinite(steps):
        return value
    return min(max(round(steps) * dimension.q, dimension.a), dimension.b)


def _about_options(dimension: Choice, path: JsonPath) -> Iterator[OddityError]:
    """Yield options that differ as they are written, 1 and 1.0, and are the same number."""
    seen: dict[float, Any] = {}
    for index, option in enumerate(dimension.options):
        if isinstance(option, bool) or not isinstance(option, (int, float)):
            continue
        other = seen.setdefault(option, option)
        if type(other) is not type(option):
            text = f"the options {other} and {option} are the same number, so that their trials "
            text += "repeat each other. Keep one of them."
            yield OddityError(text, path=(*path, "_value", index), code="W-space-equal")


def about_branches(experiment: Experiment) -> Iterator[OddityError]:
    """Yield options that the constraints exclude whatever else is chosen."""
    if (
        not experiment.constraints
        or experiment.tuner.class_name
        or experiment.tuner.name == "Batch"
    ):
        return
    countable = tuple(one for one in experiment.space if _count((one,)) <= _MOST_POINTS)
    names = {*parameter_names(countable)}
    some = [text for text in experiment.constraints if variables(text) <= names]
    used = {name for text in some for name in variables(text)}
    space = tuple(one for one in countable if not used.isdisjoint(parameter_names((one,))))
    if not some or _count(space) > _MOST_POINTS:
        return
    gate = Gate(some)
    try:
        chosen = {place for one in _points(space) if gate(one) for place in _places(space, one)}
    except PlanError:
        return  # the constraint itself is at fault, which is said elsewhere
    for place in _all_places(space, ("searchSpace",)):
        if place not in chosen and chosen:
            text = Sentence(
                "the constraints never allow this option.", hint="Remove it, or loosen them."
            )
            yield OddityError(text, path=place, code="W-space-never")


def _count(space: Iterable[Dimension]) -> float:
    """Return how many points a space has, infinity if endlessly many."""
    total = 1.0
    for dimension in space:
        if isinstance(dimension, Choice):
            branches = dimension.branches or ((),) * len(dimension.options)
            total *= sum(_count(branch) for branch in branches)
        elif isinstance(dimension, Integer):
            total *= dimension.high - dimension.low
        else:
            total *= 1 if dimension.constant else math.inf
    return total


def _points(space: Space) -> Iterator[Parameters]:
    """Yield every point of a space that can be counted, as a trial receives it."""
    for values in product(*map(_values, space)):
        point: dict[str, Any] = {}
        for dimension, value in zip(space, values, strict=True):
            point |= value if isinstance(dimension, Rows) else {dimension.name: value}
        yield point


def _values(dimension: Dimension) -> Sequence[Any]:
    if isinstance(dimension, Choice):
        if not dimension.branches:
            return dimension.options
        pairs = zip(dimension.options, dimension.branches, strict=True)
        return [{"_name": name, **inner} for name, branch in pairs for inner in _points(branch)]
    if isinstance(dimension, Integer):
        return range(dimension.low, dimension.high)
    return [dimension.a]


def _places(space: Space, parameters: Parameters) -> Iterator[JsonPath]:
    """Yield where the options stand that a point has."""
    yield from _chosen(space, parameters, ("searchSpace",))


def _chosen(space: Space, parameters: Parameters, path: JsonPath) -> Iterator[JsonPath]:
    for dimension in space:
        if not isinstance(dimension, Choice):
            continue
        if isinstance(dimension, Rows):
            value = {name: parameters[name] for name in dimension.names}
        else:
            value = parameters[dimension.name]
        wanted = value["_name"] if dimension.branches else value
        for index, option in enumerate(dimension.options):
            if option == wanted and type(option) is type(wanted):
                here = (*path, dimension.name, "_value", index)
                yield here
                if dimension.branches:
                    yield from _chosen(dimension.branches[index], value, here)


def _all_places(space: Space, path: JsonPath) -> Iterator[JsonPath]:
    """Yield where options stand; those of a branch that is never chosen go without saying."""
    for dimension in space:
        if isinstance(dimension, Choice):
            for index in range(len(dimension.options)):
                yield (*path, dimension.name, "_value", index)
