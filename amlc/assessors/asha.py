"""ASHA.

Stop a trial that reaches a rung unless it is among the best that have reached it so far.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def assess(
    curve: Sequence[float], others: Sequence[Sequence[float]], *, args: Mapping[str, Any]
) -> bool:
    """Return whether `curve` ends on a rung and is not among the best 1/`eta` there.

    Rung k is the result number `min_budget` * `eta`**k, less than `max_budget` if there is one: who
    gets that far has what a whole trial costs behind it. The number of those that go on is rounded
    down, but one always does, so that the first to reach a rung is never stopped. Equal results are
    equally good; NaN is the worst. others: the first `len(curve)` results of each trial that had as
    many before this one did, whatever became of it.

    Source: Li et al. 2020, "A system for massively parallel hyperparameter tuning", whose algorithm
    pauses trials and resumes the promising ones. This is its form for trials that run on unless
    they are stopped, as in Ray Tune and in Optuna's SuccessiveHalvingPruner; the rounding is the
    paper's.
    """
    step = len(curve)
    if not _is_rung(step, args):
        return False
    sign = -1.0 if args["optimize_mode"] == "maximize" else 1.0
    own, *losses = (_loss(sign * results[step - 1]) for results in (curve, *others))
    better = sum(loss < own for loss in losses)
    return bool(better >= max((1 + len(losses)) // args["eta"], 1))


def _is_rung(step: int, args: Mapping[str, Any]) -> bool:
    rung = args["min_budget"]
    while rung < step:
        rung *= args["eta"]
    return bool(rung == step and (args["max_budget"] is None or step < args["max_budget"]))


def _loss(value: float) -> float:
    return math.inf if math.isnan(value) else value
