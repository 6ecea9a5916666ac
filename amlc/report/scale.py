"""How scores become positions and colours, the same in every chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from amlc.report.overview import Overview, OverviewRow

# From the worst to the best; every step is legible on white and on near-black.
COLOURS: Final = ("#93a8bd", "#4f8fbf", "#2a9d8f", "#e9a03b", "#d1495b")
_UNSCORED: Final = "#9aa3ad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The scores that get the ends of the colours, `low` < `high`.

    With `log`, as exponents of ten.
    """

    low: float
    high: float
    log: bool
    maximize: bool

    def position(self, score: float) -> float:
        """Return where a score stands between `low` and `high`, or beyond them."""
        # Of a trial: the means of its set and of the others are positive.
        if self.log and score <= 0:
            return self.low
        return plain(math.log10(score) if self.log else score)

    def colour(self, row: OverviewRow) -> str:
        """Return a trial's colour as #rrggbb; grey without a score."""
        if row.score is None:
            return _UNSCORED
        part = min(1.0, max(0.0, (self.position(row.score) - self.low) / (self.high - self.low)))
        place = (part if self.maximize else 1 - part) * (len(COLOURS) - 1)
        index = min(int(place), len(COLOURS) - 2)
        return _mixed(COLOURS[index], COLOURS[index + 1], place - index)


def scale_of(overview: Overview) -> Scale:
    """Return the scale of the scores.

    The worst tenth shares one colour, or an outlier would take them all.
    """
    sample = overview.scored
    # The evenly spaced ones, and the best: more of the best ones would tell nothing of the others.
    scores: list[float] = []
    best: list[float] = []
    for row in sample.rows:
        if row.score is not None:
            best.append(row.score)
            if row.sequence in sample.even:
                scores.append(row.score)
    if not sample.is_complete:
        scores.append(max(best) if overview.maximize else min(best))
    scores.sort(reverse=overview.maximize)
    log = not overview.maximize and decades(scores)
    ends = (scores[0], scores[(len(scores) - 1) * 9 // 10]) if scores else (0.0, 0.0)
    low, high = widened(*sorted(plain(math.log10(score) if log else score) for score in ends))
    return Scale(low=low, high=high, log=log, maximize=overview.maximize)


def decades(values: Sequence[float]) -> bool:
    """Return whether `values` are best seen as exponents.

    Positive, two decades apart, and most of them small. The last of these tells draws from a
    uniform range that begins near 0, whose median is half of it.
    """
    ordered = sorted(values)
    if not ordered or ordered[0] <= 0:
        return False
    return ordered[-1] / 100 >= ordered[0] and ordered[-1] / 4 >= ordered[(len(ordered) - 1) // 2]


def widened(low: float, high: float) -> tuple[float, float]:
    """Return the bounds with some room between them."""
    if high > low:
        return low, high
    return low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)


def plain(value: float | None) -> float:
    """Return a number as charts take it.

    Eight digits are more than a screen shows, and JSON holds no infinity.
    """
    return float(f"{max(-1e300, min(1e300, value or 0.0)):.8g}")


def _mixed(start: str, end: str, part: float) -> str:
    pairs = ((int(start[i : i + 2], 16), int(end[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)
