"""Reads durations as NNI does: whole seconds, or a number with a unit."""

from __future__ import annotations

import math

_MOST_S = 10**10  # three hundred years; beyond, clocks and the service's own fields end
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_time(value: int | str) -> int:
    """Return whole seconds, rounded up, of `90`, `1.5h`, `10 m`, `1e2s`.

    Units d, h, m, s in either case. Raises ValueError, without a text for the user, for anything
    else, for what is not above zero, and for what outlasts us all.
    """
    if isinstance(value, int):
        seconds: float = min(value, 2 * _MOST_S)  # a float cannot hold every number
    else:
        text = value.strip().lower()
        if text[-1:] not in _SECONDS:
            raise ValueError(value)
        seconds = float(text[:-1]) * _SECONDS[text[-1]]
    if not 0 < seconds <= _MOST_S:  # which NaN is not either
        raise ValueError(value)
    return math.ceil(seconds)
