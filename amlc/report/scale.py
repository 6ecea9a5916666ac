"""Whether numbers are best seen as exponents."""

from __future__ import annotations

from collections.abc import Sequence


def decades(values: Sequence[float]) -> bool:
    """Return whether `values` are best seen as exponents.

    Positive, two decades apart, and most of them small. The last of these tells draws from a
    uniform range that begins near 0, whose median is half of it.
    """
    ordered = sorted(values)
    if not ordered or ordered[0] <= 0:
        return False
    return ordered[-1] / 100 >= ordered[0] and ordered[-1] / 4 >= ordered[(len(ordered) - 1) // 2]
