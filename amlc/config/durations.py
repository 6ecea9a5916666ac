"""Reads durations as NNI does: whole seconds, or a number with a unit."""

from __future__ import annotations

import math

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_time(value: int | str) -> int:
    """Return whole seconds, rounded up, of `90`, `1.5h`, `10 m`, `1e2s`.

    Units d, h, m, s in either case. Raises ValueError, without a text for the user, for anything
    else and for what is not above zero.
    """
    if isinstance(value, int):
        seconds: float = value
    else:
        text = value.strip().lower()
        if text[-1:] not in _SECONDS:
            raise ValueError(value)
        seconds = float(text[:-1]) * _SECONDS[text[-1]]
    if not math.isfinite(seconds) or seconds <= 0:
        raise ValueError(value)
    return math.ceil(seconds)
