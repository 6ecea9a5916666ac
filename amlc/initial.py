"""`amlc.initial`.

Parameter sets that the user wants to run first, whatever the tuner would begin with. Trials get
their values as the space delivers them, or it would propose 1.0 behind the 1 of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, takewhile
from typing import Any, Final

from amlc.constraints import Gate
from amlc.errors import PlanError, Sentence
from amlc.model import Experiment, Parameters, Record, Space, parameter_names
from amlc.space.canonical import canonical
from amlc.space.draws import distinct, draws
from amlc.space.points import (
    Axis,
    Key,
    Point,
    as_delivered,
    axes,
    deliver,
    endless,
    locate,
    located_part,
)

_MOST_DRAWS: Final = 10_000
"""How many completions of a partial parameter set are tried before the constraints are blamed.

A tenth of what a tuner's proposal gets, since there may be many of them."""

_COMPLETIONS: Final = 3
"""The stream of random numbers beside those of the tuners."""

Allowed = Callable[[Parameters], bool]
Propose = Callable[[Sequence[Record], int, Allowed], Iterable[Parameters]]
"""The tuner: yields at most so many parameter sets that are allowed, to follow those that have
records."""


def refused(experiment: Experiment) -> Iterator[PlanError]:
    """Yield an error for each initial parameter set that the constraints exclude.

    Whatever the tuner proposes, the others become trials.
    """
    for number in range(len(experiment.initial)):
        try:
            _completed(experiment, number, {}, Gate(experiment.constraints))
        except PlanError as err:
            yield err


def leading(experiment: Experiment, records: Sequence[Record]) -> int:
    """Return how many of the next parameter sets are certain: the user gave all their values."""
    space_axes = axes(experiment.space)
    begun = _begun(experiment, records)
    left = (given for number, given in enumerate(experiment.initial) if number not in begun)
    return sum(1 for _ in takewhile(lambda given: locate(space_axes, given) is not None, left))


def before(
    experiment: Experiment,
    records: Sequence[Record],
    propose: Propose,
    *,
    count: int,
    allowed: Allowed,
) -> Iterator[Parameters]:
    """Yield at most `count` parameter sets.

    The initial ones that no trial had yet, then those of the tuner. Each takes the place of one of
    the tuner's proposals. What it leaves open, and what the tuner adds to the parameters of the
    space (a budget, a folder for checkpoints), is as there. One that the user adds while the
    experiment runs comes next. A finite space does not repeat it. Raises PlanError for one that the
    constraints exclude.
    """
    begun = _begun(experiment, records)
    left = [number for number in range(len(experiment.initial)) if number not in begun][:count]
    proposals = propose(records, len(left), allowed) if left else ()
    now = 1 + max((max(record.asked, record.told or 0) for record in records), default=0)
    records, known = list(records), len(records)
    for number, proposal in zip(left, proposals, strict=False):
        begun[number] = _completed(experiment, number, proposal, allowed)
        yield begun[number]
        records.append(Record(parameters=begun[number], asked=now))
    if len(begun) == len(experiment.initial):
        for parameters in propose(
            records, count - len(left), _not_again(experiment, begun.values(), allowed)
        ):
            yield parameters
            records.append(Record(parameters=parameters, asked=now))
        yield from _rest(experiment, records, count=count + known - len(records), allowed=allowed)


def _rest(
    experiment: Experiment, records: Sequence[Record], *, count: int, allowed: Allowed
) -> Iterator[Parameters]:
    """Yield what is left of a finite space when the tuner, by its draws, takes it for exhausted."""
    from numpy.random import default_rng

    taken = [record.parameters for record in records]
    if endless(experiment.space) or any(one.keys() != _names(experiment.space) for one in taken):
        return  # tuners that add to the parameters repeat them, and wait
    for _ in range(count):
        rng = default_rng([experiment.seed, len(taken), _COMPLETIONS])
        fresh = distinct(experiment.space, draws(rng, axes(experiment.space)), taken)
        parameters = next(filter(allowed, fresh), None)
        if parameters is None:
            return
        yield parameters
        taken.append(parameters)


def _begun(experiment: Experiment, records: Sequence[Record]) -> dict[int, Parameters]:
    """Return the parameters of the trial that is each initial parameter set, by its number.

    One stands for one.
    """
    begun: dict[int, Parameters] = {}
    space_axes = axes(experiment.space)
    points = [located_part(space_axes, given).items() for given in experiment.initial]
    for record in records:
        if len(begun) == len(experiment.initial):
            break
        if not record.imported:
            found = located_part(space_axes, record.parameters).items()
            for number, given in enumerate(points):
                if number not in begun and given <= found:
                    begun[number] = record.parameters
                    break
    return begun


def first(
    experiment: Experiment, proposals: Iterable[Parameters], *, allowed: Allowed
) -> Iterator[Parameters]:
    """Yield the initial parameter sets, then all proposals of an open loop but equal ones."""
    rest = iter(proposals)
    drawn = list(islice(rest, len(experiment.initial)))
    taken: set[bytes] = set()
    for number in range(len(experiment.initial)):
        parameters = _completed(
            experiment, number, drawn[number] if number < len(drawn) else {}, allowed
        )
        taken.add(canonical(parameters))
        yield parameters
    yield from (
        parameters for parameters in chain(drawn, rest) if canonical(parameters) not in taken
    )


def _not_again(experiment: Experiment, own: Iterable[Parameters], allowed: Allowed) -> Allowed:
    if endless(experiment.space):
        return allowed
    names = _names(experiment.space)
    taken = {
        canonical({name: value for name, value in one.items() if name in names}) for one in own
    }
    return lambda parameters: canonical(parameters) not in taken and allowed(parameters)


def _completed(
    experiment: Experiment, number: int, proposal: Parameters, allowed: Allowed
) -> Parameters:
    given, names = experiment.initial[number], _names(experiment.space)
    whole = locate(axes(experiment.space), given) is not None
    completions = _completions(
        experiment.space, given, proposal, seed=[experiment.seed, number, _COMPLETIONS]
    )
    for parameters in islice(completions, 1) if whole else completions:
        if allowed({name: parameters[name] for name in parameters if name in names}):
            return parameters
    said = Sentence(
        "amlc.constraints exclude this parameter set.",
        hint="Correct it, or loosen the constraint.",
    )
    if not whole:
        said = Sentence(
            f"amlc.constraints hold for none of {_MOST_DRAWS:,} ways to complete this parameter "
            "set at random.",
            hint="Give more of its values, or loosen the constraint.",
        )
    raise PlanError(said, path=("amlc", "initial", number), code="E-initial")


def _names(space: Space) -> set[str]:
    return {*parameter_names(space)}


def _completions(
    space: Space, given: Parameters, proposal: Parameters, *, seed: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Yield the given values with those of the proposal for what they leave open.

    Then with draws at random.
    """
    from numpy.random import default_rng

    space_axes = axes(space)
    names = _names(space)
    added = {name: value for name, value in proposal.items() if name not in names}
    fixed = located_part(space_axes, given)
    proposed = (
        locate(space_axes, {name: value for name, value in proposal.items() if name in names}) or {}
    )

    def at_random() -> Iterator[Point]:
        yield from draws(default_rng(seed), space_axes)  # begun once it is needed: few are

    for base in chain([proposed], islice(at_random(), _MOST_DRAWS)):
        point = _merged(space_axes, fixed, base, at_random())
        parameters = as_delivered(space_axes, _overlaid(deliver(space_axes, point), given))
        assert parameters is not None  # the config has seen to it that the space has what is given
        yield {**parameters, **added}


def _merged(space_axes: Sequence[Axis], fixed: Point, base: Point, more: Iterator[Point]) -> Point:
    """Return a whole point.

    `fixed`, else `base`, else the first of `more` in which the axis is active.
    """
    known: dict[Key, int | float] = dict(base)
    point: dict[Key, int | float] = {}
    for axis in space_axes:
        if not axis.active(point):
            continue
        if axis.key in fixed:
            point[axis.key] = fixed[axis.key]
            continue
        while axis.key not in known:
            known = {**next(more), **known}
        point[axis.key] = known[axis.key]
    return point


def _overlaid(parameters: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with the given values, which a logarithm may have changed."""
    found = dict(parameters)
    for name, value in given.items():
        nested = isinstance(value, dict) and isinstance(found.get(name), dict) and "_name" in value
        found[name] = _overlaid(found[name], value) if nested else value
    return found
