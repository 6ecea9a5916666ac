"""What a tuner with a model of the results learns from, and how its suggestions become trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Final, Protocol

from amlc.model import Parameters, Record, Space
from amlc.space.canonical import canonical
from amlc.space.draws import distinct, draws
from amlc.space.points import MODEL_DIGITS, Axis, Point, deliver, endless
from amlc.tuners import random
from amlc.tuners.shared.failures import elsewhere
from amlc.tuners.shared.memory import axes, digest, locator
from amlc.tuners.shared.one_thread import one_thread

if TYPE_CHECKING:
    from numpy.random import Generator

_TRIES: Final = 1000
"""How many suggestions may be refused or repeat a trial before a draw at random takes their
place."""

_MILESTONE: Final = 10

_HUGE: Final = 1e100

_SUGGESTIONS: Final = 1
"""The stream of random numbers beside Random's; it is no 0, for default_rng([seed, 0]) is
default_rng(seed)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Points of the space: those with a result, and those of running trials.

    `points` have a result each, the smaller the better; `running` ones are still without. Those
    with a result are in the order in which the results came.
    """

    points: tuple[Point, ...]
    values: tuple[float, ...]
    running: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A point to try next. again: it is one that was tried, and has the digits that it had."""

    point: Point
    again: bool = False


class Suggest(Protocol):
    """Yield what to try next, the best first; what is refused or was tried is passed over."""

    def __call__(
        self, space_axes: Sequence[Axis], evidence: Evidence, rng: Generator
    ) -> Iterator[Suggestion]: ...


def arrival(record: Record) -> int:
    """Return what results are sorted by: those that nobody waited for come first."""
    return -1 if record.told is None else record.told


def gather(
    space_axes: Sequence[Axis], history: Sequence[Record], *, maximize: bool, most: int
) -> Evidence:
    """Return what `history` teaches; records that failed, or do not fit the space, teach nothing.

    most: with more results than that, half of as many are the best ones, and the others the latest.
    """
    sign = -1.0 if maximize else 1.0
    results = [(record, sign * record.value) for record in history if record.value is not None]
    results.sort(key=lambda result: arrival(result[0]))
    if len(results) > most:
        ranking = sorted(range(len(results)), key=lambda index: results[index][1])
        best, rest = ranking[: most // 2], sorted(ranking[most // 2 :])
        results = [results[index] for index in sorted([*best, *rest[most // 2 - most :]])]
    locate = locator(space_axes)
    points, values = [], []
    for record, value in results:
        point = locate(record.parameters)
        if point is not None:
            points.append(point)
            values.append(value)
    running = (locate(record.parameters) for record in history if not record.status.ended)
    return Evidence(
        points=tuple(points),
        values=_tamed(values),
        running=tuple(point for point in running if point is not None),
    )


def milestone(
    space_axes: Sequence[Axis], history: Sequence[Record], *, maximize: bool, most: int
) -> Evidence | None:
    """Return what there was to learn from at the last multiple of 10 results.

    None with not more than `most` of them. Of so many results one more changes little: what takes
    long to learn is learned anew as rarely as that.
    """
    told = sorted((record for record in history if record.value is not None), key=arrival)
    if len(told) <= most:
        return None
    return gather(
        space_axes, told[: len(told) - len(told) % _MILESTONE], maximize=maximize, most=most
    )


def _tamed(values: Sequence[float]) -> tuple[float, ...]:
    """Return the values, the worst of them no worse than a model can make use of.

    Such are those of a training that diverged. Beside a loss of 1e38 all others are the same. None
    is worse than the median by more than 20 times its distance to the best, and the square of none
    overflows.
    """
    if not values:
        return ()
    best, middle = min(values), median(values)
    worst = min(middle + 20 * (middle - best) if middle > best else math.inf, _HUGE)
    return tuple(max(min(value, worst), -_HUGE) for value in values)


def stepwise(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    allowed: Callable[[Parameters], bool],
    startup: int,
    maximize: bool,
    most: int,
    suggest: Suggest,
) -> Iterator[Parameters]:
    """Yield at most `count` parameter sets, each as if the ones before it were running.

    The first `startup` ones are those of the Random tuner. From then on they are those of
    `suggest`, or other draws at random while fewer than `startup` results are there. The sequence
    ends when the space is exhausted.
    """
    from numpy.random import default_rng

    left = min(count, max(startup - len(history), 0))
    records = list(history)
    for parameters in random.propose(
        space, history, count=left, seed=seed, args={}, allowed=allowed
    ):
        yield parameters
        records.append(Record(parameters=parameters))
    if len(records) < len(history) + left:
        return
    for _ in range(count - left):
        following = _following(
            space,
            records,
            rng=default_rng([seed, len(records), _SUGGESTIONS]),
            allowed=allowed,
            startup=startup,
            maximize=maximize,
            most=most,
            suggest=suggest,
        )
        if following is None:
            return
        yield following
        records.append(Record(parameters=following))


def _following(
    space: Space,
    records: Sequence[Record],
    *,
    rng: Generator,
    allowed: Callable[[Parameters], bool],
    startup: int,
    maximize: bool,
    most: int,
    suggest: Suggest,
) -> Parameters | None:
    """Return what follows `records`; None when the space is exhausted."""
    space_axes = axes(space)
    if sum(record.value is not None for record in records) >= startup:
        evidence = gather(space_axes, records, maximize=maximize, most=most)
        if evidence.points:
            known, apart = _known(space, records), elsewhere(space_axes, records)
            with one_thread():
                for suggestion in islice(suggest(space_axes, evidence, rng), _TRIES):
                    # What is run again has the digits that it has.
                    digits = None if suggestion.again else MODEL_DIGITS
                    parameters = deliver(space_axes, suggestion.point, digits=digits)
                    new = suggestion.again or not known(parameters)
                    if new and apart(parameters) and allowed(parameters):
                        return parameters
    drawn = distinct(space, draws(rng, space_axes), (record.parameters for record in records))
    return next(filter(allowed, drawn), None)


def _known(space: Space, records: Sequence[Record]) -> Callable[[Parameters], bool]:
    """Return whether parameters are those of a record; an endless space seldom asks for it."""
    if not endless(space):
        digests = {digest(record.parameters) for record in records}
        return lambda parameters: canonical(parameters) in digests

    def known(parameters: Parameters) -> bool:
        for record in records:
            # Python's comparison is quick, but takes 1, 1.0 and true for the same.
            alike = record.parameters == parameters
            if alike and canonical(record.parameters) == canonical(parameters):
                return True
        return False

    return known
