"""What a trial without a result teaches: its place is bad, and need not be tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from amlc.model import Integer, Parameters, Real, Record, Status
from amlc.numbers import scalar
from amlc.space.points import Axis, Key, Point, locate
from amlc.tuners.shared.memory import locator
from amlc.tuners.shared.unit_cube import to_unit

_NEAR: Final = 1e-3
"""How near to a failed trial, in quantiles of each continuous parameter, counts as its own
place."""

_FAILED: Final = frozenset({Status.FAILED, Status.SUCCEEDED})
"""How a trial ends without a result by its own fault; `canceled` and `unfinished` are no fault of
its parameters."""


def lessons(
    history: Sequence[Record],
    *,
    maximize: bool,
    failed: str | float = "worst",
    intermediate: bool = False,
) -> Sequence[Record]:
    """Return `history` with a value for each trial that ended without one, marked as `guessed`.

    A trial that failed, or reported no finite number, counts as `failed`: "worst" is the worst
    result so far, a number stands for itself, and "ignore" leaves everything as it is, which is
    what NNI does. One that was stopped early counts as the worst result, too, or as its last
    intermediate result where that is worse: of a curve that ended early the last value alone may
    look good, and what it was behind are the results of good trials, whose median is no warning
    (GP, 50 trials of Levy-4 with an ideal median stop: 4.2 with the median, 0.9 with the worst).
    With `intermediate` it is that last value itself (NNI's `includeIntermediateResults`), and no
    guess. Without any result there is nothing to compare with: what failed is marked, and has no
    value.
    """
    if intermediate:
        history = [_as_reported(record) for record in history]
    if failed == "ignore":
        return history
    sign = -1.0 if maximize else 1.0
    losses = [sign * record.value for record in history if record.value is not None]
    if not losses:
        return [replace(r, guessed=True) if r.status in _FAILED else r for r in history]
    worst = max(losses)
    lost = worst if isinstance(failed, str) else sign * failed

    def taught(record: Record) -> Record:
        if record.value is not None or not record.status.ended:
            return record
        if record.status is Status.EARLY_STOPPED:
            last = scalar(_last(record))
            loss = worst if last is None else max(worst, sign * last)
        elif record.status in _FAILED:
            loss = lost
        else:
            return record
        return replace(record, value=sign * loss, guessed=True)

    return [taught(record) for record in history]


def _as_reported(record: Record) -> Record:
    stopped = (
        record.status is Status.EARLY_STOPPED and record.value is None and record.reported is None
    )
    if not stopped:
        return record
    last = _last(record)
    return replace(record, value=scalar(last), reported=last)


def _last(record: Record) -> Any:
    """Return the last intermediate result that is a finite number, as it was reported."""
    finite = (reported for _, reported in reversed(record.curve) if scalar(reported) is not None)
    return next(finite, None)


def elsewhere(
    space_axes: Sequence[Axis], history: Iterable[Record]
) -> Callable[[Parameters], bool]:
    """Return whether parameters lie apart from all trials of `history` that failed.

    Failures are those of which `lessons` told. Two lie apart if a choice, an integer or a rounded
    number differs, or a continuous one by more than a thousandth of its distribution: a model that
    climbs to the edge of a region where trials fail ends at the same place each time, and no two of
    its numbers need be equal.
    """
    failed = [record.parameters for record in history if has_failed(record)]
    places: list[Point] = []

    def apart(parameters: Parameters) -> bool:
        if not failed:
            return True
        if not places:  # only when the model has something to suggest
            places.extend(point for point in map(locator(space_axes), failed) if point is not None)
        here = locate(space_axes, parameters)
        return here is None or not any(_near(space_axes, here, place) for place in places)

    return apart


def has_failed(record: Record) -> bool:
    """Tell whether the trial failed, by what `lessons` told of it."""
    return record.guessed and record.status in _FAILED


def _near(space_axes: Sequence[Axis], here: Point, there: Point) -> bool:
    if here.keys() != there.keys():
        return False
    return all(_equal(axis, here, there, axis.key) for axis in space_axes if axis.key in here)


def _equal(axis: Axis, here: Point, there: Point, key: Key) -> bool:
    if here[key] == there[key]:
        return True
    if axis.size is not None or isinstance(axis.dimension, Integer):
        return False
    assert isinstance(axis.dimension, Real)  # the axes without a size are those of the real types
    if axis.dimension.q is not None:
        return False
    (a,), (b,) = to_unit([axis], here), to_unit([axis], there)
    return abs(a - b) <= _NEAR
