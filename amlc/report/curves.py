"""The intermediate results of some trials: every metric that they report, in a bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, TypeAlias

from amlc.collect.rows import named
from amlc.ledger import Ledger
from amlc.model import MetricKind
from amlc.numbers import number
from amlc.report.columns import plain
from amlc.report.overview import OverviewRow

MOST_CURVES: Final = 1_000
"""Of how many trials intermediate results are looked at."""

_MOST_POINTS = 80_000  # of all curves together
_MOST_STEPS, _FEWEST_STEPS = 500, 16  # of one curve
_MOST_METRICS = 8
_MOST_LINES = 2_500  # trials by metrics
_DIGITS = 6

_value = itemgetter(1)

Points: TypeAlias = "Sequence[tuple[int, float]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Of trials, by number, their (step, value) by metric.

    metrics: `default` first. left_out: how many metrics are. thinned: whether points are.
    """

    metrics: tuple[str, ...]
    trials: Mapping[int, Mapping[str, Points]]
    left_out: int
    thinned: bool

    def as_values(self) -> dict[str, Any]:
        """Return it as plain values: for each trial and metric the values, and steps with gaps."""
        by_trial = [
            [_values(curves.get(metric, ())) for metric in self.metrics]
            for curves in self.trials.values()
        ]
        return {"metrics": self.metrics, "trials": list(self.trials), "curves": by_trial}


def read_curves(ledger: Ledger, rows: Iterable[OverviewRow]) -> Curves:
    """Read what `rows` reported on their way, where it is a finite number.

    A trial that reported none is left out.
    """
    by_job: dict[str, dict[str, int]] = {}
    count = 0
    for row in rows:
        if row.job:  # without one it was never submitted
            by_job.setdefault(row.job, {})[row.trial] = row.sequence
            count += 1
    kept = max(1, min(_MOST_METRICS, _MOST_LINES // max(1, count)))
    found: dict[int, dict[str, Points]] = {}
    metrics: dict[str, None] = {}
    is_thinned = False
    for job, wanted in by_job.items():
        for sequence, curves in _of_job(ledger, job, wanted):
            metrics |= dict.fromkeys(curves)
            most = _most(count, min(kept, len(metrics)))
            is_thinned |= any(len(points) > most for points in curves.values())
            found[sequence] = {name: thinned(points, most) for name, points in curves.items()}
    names = sorted(metrics, key=lambda name: (name != "default", name))
    shown = tuple(names[:kept])
    most = _most(len(found), len(shown))
    trials = {
        sequence: {
            name: thinned(points, most) for name, points in found[sequence].items() if name in shown
        }
        for sequence in sorted(found)
    }
    left_out = len(names) - len(shown)
    return Curves(metrics=shown, trials=trials, left_out=left_out, thinned=is_thinned)


def thinned(points: Points, most: int) -> Points:
    """Return at most `most` of `points`.

    The lowest and the highest of equal spans, so that no spike is lost.
    """
    if len(points) <= most:
        return tuple(points)
    spans = (most - 2) // 2
    kept = {points[0], points[-1]}
    for span in range(spans):
        part = points[len(points) * span // spans : len(points) * (span + 1) // spans]
        kept |= {min(part, key=_value), max(part, key=_value)}
    return tuple(sorted(kept))


def _most(trials: int, metrics: int) -> int:
    """Return how many points a curve may have, of so many."""
    return max(_FEWEST_STEPS, min(_MOST_STEPS, _MOST_POINTS // max(1, trials * metrics)))


def _of_job(
    ledger: Ledger, job: str, wanted: Mapping[str, int]
) -> Iterator[tuple[int, dict[str, list[tuple[int, float]]]]]:
    points: dict[str, dict[str, list[tuple[int, float]]]] = {trial: {} for trial in wanted}
    for _, metric in ledger.metrics(MetricKind.INTERMEDIATE, job=job):
        if metric.trial in points:
            curves = points[metric.trial]
            for name, reported in named(metric.value).items():
                value = number(reported)
                if value is not None:
                    curves.setdefault(name, []).append((metric.sequence, value))
    for trial, curves in points.items():
        if curves:
            yield wanted[trial], curves


def _values(points: Points) -> list[Any]:
    """Return [] without points, [values] where the steps are 0, 1, 2 …, else [values, steps]."""
    if not points:
        return []
    steps = [step for step, _ in points]
    values = [plain(value, _DIGITS) for _, value in points]
    return [values] if steps == list(range(len(steps))) else [values, steps]
