"""Medianstop.

Stop a trial whose best result so far is worse than what completed trials had reached on average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any


def assess(
    curve: Sequence[float], completed: Sequence[Sequence[float]], *, args: Mapping[str, Any]
) -> bool:
    """Return whether the best of `curve` is worse than the median of the running averages.

    The averages are those of the first `len(curve)` results; a shorter completed curve does not
    count, nor does one with NaN. Of an even number of averages the median is the worse of the two
    in the middle. Nothing is stopped before `start_step` results. Source: NNI 3.0,
    `medianstop_assessor.py`; Golovin et al. 2017, section 3.2.2.
    """
    step = len(curve)
    if step < args["start_step"]:
        return False
    high = args["optimize_mode"] == "maximize"
    averages = sorted(
        filter(_known, (_average(other, step) for other in completed if len(other) >= step))
    )
    results = list(filter(_known, curve))
    if not averages or not results:
        return False
    if high:
        return max(results) < averages[(len(averages) - 1) // 2]
    return min(results) > averages[len(averages) // 2]


def _average(curve: Sequence[float], step: int) -> float:
    """Return the mean of the first `step` results, added from the left.

    `sum` of Python 3.12 rounds otherwise.
    """
    *_, total = accumulate(curve[:step])
    return total / step


def _known(number: float) -> bool:
    return not math.isnan(number)
