"""The number in what a trial reported."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from amlc.model import Status


def number(value: Any) -> float | None:
    """Return a reported value as a finite float; None for anything else.

    True and False are 1 and 0, as they are for NNI.
    """
    if type(value) is float:  # most are, and a curve has many
        return value if math.isfinite(value) else None
    if not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:  # JSON's integers have no upper bound
        return None
    return found if math.isfinite(found) else None


def result(status: Status, final: Sequence[Any]) -> float | None:
    """Return the number that a trial counts with, wherever trials are compared or a mean is taken.

    Only that of one that succeeded does. final: its final report, if there is one.
    """
    return scalar(final[0]) if final and status.counts else None


def scalar(value: Any) -> float | None:
    """Return the number that tuners learn from.

    The `number` of a reported value or of its `default`.
    """
    return number(value.get("default") if isinstance(value, Mapping) else value)
