"""Checks `amlc.initial`.

Each value is one that the search space has, and the tuner can begin with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from amlc.config.spelling import Config
from amlc.config.wording import expected_other, flow, no_parameter, show
from amlc.errors import Problem, Sentence, Severity, shorten
from amlc.model import Choice, Dimension, Integer, JsonPath, Rows, Space
from amlc.plural import plural
from amlc.space.points import axes, coordinate_of, locate, row_of

_PATH: JsonPath = ("amlc", "initial")


def check_initial(config: Config, space: Space, tuner: str | None) -> Iterator[Problem]:
    """Yield what is wrong with the parameter sets of `amlc.initial`."""
    given = config.get(*map(str, _PATH))
    if not given:
        return
    if config.get("tuner", "className") is not None:
        text = Sentence(
            "a class of your own proposes every trial itself.",
            hint="Remove 'initial', or let the class begin with them.",
        )
        yield config.problem(_PATH, "E-initial", text, key=True)
        return
    if tuner == "Batch":
        text = Sentence(
            "Batch runs its rows in their order.",
            hint="Remove 'initial', and write first what is to run first.",
        )
        yield config.problem(_PATH, "E-initial", text, key=True)
        return
    for index, parameters in enumerate(given):
        yield from _check(config, space, parameters, (*_PATH, index))
    yield from _check_equal(config, space, given)
    yield from _check_room(config, len(given))


def _check_equal(
    config: Config, space: Space, given: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    """Yield an error for a whole parameter set that is there already, if in other words."""
    space_axes, seen = axes(space), dict[frozenset[Any], int]()
    for index, parameters in enumerate(given):
        point = locate(space_axes, parameters)
        if point is None:  # what is left open may become another one
            continue
        first = seen.setdefault(frozenset(point.items()), index)
        if first != index:
            text = Sentence(
                f"this parameter set is number {first + 1} of 'initial' once more.",
                hint="Remove it. 'amlc.replicates' runs each set several times.",
            )
            yield config.problem((*_PATH, index), "E-initial", text)


def _check_room(config: Config, count: int) -> Iterator[Problem]:
    """Yield a warning for parameter sets that come behind the last trial."""
    most, replicates = config.get("maxTrialNumber"), config.get("amlc", "replicates") or 1
    if type(most) is not int or type(replicates) is not int or most < 1:
        return
    room = -(-most // replicates)
    if room < count:
        of_each = f", {replicates} of each" if replicates > 1 else ""
        text = Sentence(
            f"maxTrialNumber is {most:,}{of_each}: {plural(count - room, 'set')} of 'initial' from "
            "here on will not run.",
            hint="Raise it, or remove them.",
        )
        path = (*_PATH, room)
        yield config.problem(path, "W-no-effect", text, severity=Severity.WARNING)


def _check(
    config: Config, space: Space, given: Mapping[str, Any], path: JsonPath
) -> Iterator[Problem]:
    known: dict[str, Dimension] = {dimension.name: dimension for dimension in space}
    for rows in space:
        if isinstance(rows, Rows):
            columns = {one: [row[one] for row in rows.options] for one in rows.names}
            known |= {one: Choice(one, tuple(values)) for one, values in columns.items()}
            yield from _check_row(config, rows, given, path)
    for name, value in given.items():
        here = (*path, name)
        dimension = known.get(name)
        if dimension is None:
            if name == "_name":
                continue
            said = no_parameter(str(name), known)
            yield config.problem(here, "E-initial", said, key=True)
            continue
        coordinate = coordinate_of(dimension, value)
        if coordinate is None:
            found = show(config, here, value)
            said = expected_other(f"'{name}'", _expected(dimension), found, hint="Correct it.")
            yield config.problem(here, "E-initial", said)
        elif isinstance(dimension, Choice) and dimension.branches:
            yield from _check(config, dimension.branches[int(coordinate)], value, here)


def _check_row(
    config: Config, rows: Rows, given: Mapping[str, Any], path: JsonPath
) -> Iterator[Problem]:
    """Yield an error for values that the parameters have each for itself, and not together."""
    own = {name: given[name] for name in rows.names if name in given}
    alone = (row_of(rows, {name: value}) is not None for name, value in own.items())
    if own and all(alone) and row_of(rows, own) is None:
        names = "' and '".join(own)
        text = Sentence(
            f"'{names}' vary together (amlc.zip), and no row has these values.",
            hint="Correct them.",
        )
        yield config.problem((*path, next(iter(own))), "E-initial", text)


def _expected(dimension: Dimension) -> str:
    """Return in words what the dimension can be."""
    match dimension:
        case Choice():
            options = ", ".join(flow(option) for option in dimension.options)
            if dimension.branches:
                return f"a mapping with '_name', one of {shorten(options)}"
            return f"one of {options}"
        case Integer():
            return f"a whole number from {dimension.low} to {dimension.high - 1}"
    grid = "" if dimension.q is None else f", on its grid of {dimension.q:g}"
    if dimension.normal:
        return f"a {'positive ' if dimension.log else ''}number{grid}"
    return f"a number from {dimension.a:g} to {dimension.b:g}{grid}"
