"""Writes a search space as NNI's mapping again, for classes that were written against NNI."""

from __future__ import annotations

import copy
from typing import Any

from amlc.model import Choice, Dimension, Integer, Real, Space

_LARGEST_EXACT = 2**53


def nni_space(space: Space) -> dict[str, Any]:
    """Return the mapping of `_type` and `_value` that `parse_space` reads `space` from.

    Whole numbers are written as int, as people write them: what was `1.0` becomes `1`.
    """
    return {dimension.name: _specification(dimension) for dimension in space}


def _specification(dimension: Dimension) -> dict[str, Any]:
    match dimension:
        case Choice(branches=()):
            return {"_type": "choice", "_value": copy.deepcopy(list(dimension.options))}
        case Choice():
            branches = zip(dimension.options, dimension.branches, strict=True)
            return {
                "_type": "choice",
                "_value": [{"_name": name, **nni_space(branch)} for name, branch in branches],
            }
        case Integer():
            return {"_type": "randint", "_value": [dimension.low, dimension.high]}
        case Real():
            rounded = () if dimension.q is None else (dimension.q,)
            return {
                "_type": _kind(dimension),
                "_value": [_number(x) for x in (dimension.a, dimension.b, *rounded)],
            }


def _kind(dimension: Real) -> str:
    rounded, scale = "" if dimension.q is None else "q", "log" if dimension.log else ""
    return f"{rounded}{scale}{'normal' if dimension.normal else 'uniform'}"


def _number(x: float) -> float:
    return int(x) if x.is_integer() and abs(x) < _LARGEST_EXACT else x
