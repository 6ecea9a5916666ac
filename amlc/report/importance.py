"""How much each parameter counts for reaching the best tenth of a metric: PED-ANOVA.

Sources: Watanabe et al. 2023 (arXiv:2304.10255); with parameters that some trials lack, Itoh et al.
2026 (arXiv:2601.20800). The numbers are those of Optuna's evaluator, which a test compares: its
module would import scikit-learn, for a second and 100 MB.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

from amlc.numbers import number
from amlc.report.columns import ABSENT, plain
from amlc.report.overview import OverviewRow
from amlc.report.scale import decades

_TOP = 0.1  # of the trials are the best
_STEPS = 50  # of a numeric parameter's range
_FEWEST_TRIALS = 10
_FEWEST_OF_PART = 2
_MOST_PARAMETERS = 40
_MOST_METRICS = 5
_MOST_OPTIONS = 50
_LEAST = 1e-12
_NARROWEST = 0.5 / 1.64  # of a kernel: nine tenths of it lie in its own step
_DIGITS = 3

Densities: TypeAlias = "Sequence[float]"


def importances(
    rows: Sequence[OverviewRow], names: Sequence[str], metrics: Sequence[str], *, maximize: bool
) -> tuple[dict[str, Any], ...]:
    """Return shares that add up to 1, the largest first, for each metric that has them.

    names: the parameters that vary. maximize: whether more is better, of `default`; of other
    metrics nobody says, and less is taken for it.
    """
    found = []
    for metric in metrics[:_MOST_METRICS]:
        sign = -1.0 if maximize and metric == "default" else 1.0
        losses = {
            row.sequence: sign * value
            for row in rows
            if (value := number(row.metrics.get(metric))) is not None
        }
        if len(losses) < _FEWEST_TRIALS or len(set(losses.values())) < 2:
            continue
        scored = [row for row in rows if row.sequence in losses]
        limit = sorted(losses.values())[math.ceil(_TOP * len(losses)) - 1]
        best = [losses[row.sequence] <= limit for row in scored]
        counted = {
            name: _importance([row.parameters.get(name, ABSENT) for row in scored], best)
            for name in names[:_MOST_PARAMETERS]
        }
        total = sum(counted.values())
        if total > 0:
            ordered = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
            shares = [(name, plain(value / total, _DIGITS)) for name, value in ordered]
            found.append({"metric": metric, "trials": len(scored), "shares": shares})
    return tuple(found)


def _importance(values: Sequence[Any], best: Sequence[bool]) -> float:
    """Return what a parameter counts for, up to a factor that all of them share.

    values: ABSENT where a trial does not have it.
    """
    present = [(value, top) for value, top in zip(values, best, strict=True) if value is not ABSENT]
    top_part = sum(top for _, top in present) / sum(best)
    if len(present) < _FEWEST_OF_PART or not top_part:
        return 0.0
    places, size, is_numeric = _places([value for value, _ in present])
    if size < 2:
        return 0.0
    density = _numeric if is_numeric else _categorical
    every = density(Counter(places), size)
    top = density(
        Counter(place for place, (_, top) in zip(places, present, strict=True) if top), size
    )
    divergence = sum(b * (a / b - 1) ** 2 for a, b in zip(top, every, strict=True))
    return top_part**2 / (len(present) / len(values)) * divergence


def _places(values: Sequence[Any]) -> tuple[Sequence[int], int, bool]:
    """Return where values stand on a grid, its size, and whether it is one of numbers.

    A size of 0: they are too many, or too far apart, to tell anything.
    """
    floats = [
        found
        for value in values
        if not isinstance(value, bool) and (found := number(value)) is not None
    ]
    if len(floats) < len(values):
        texts = [json.dumps(value, sort_keys=True) for value in values]
        options = {text: index for index, text in enumerate(sorted(set(texts)))}
        size = len(options) if len(options) <= _MOST_OPTIONS else 0
        return [options[text] for text in texts], size, False
    if decades(floats):
        floats = [math.log(value) for value in floats]
    low, step = min(floats), (max(floats) - min(floats)) / (_STEPS - 1)
    if not 0 < step < math.inf:
        return [], 0, True
    last = _STEPS - 1
    return [min(max(math.ceil((x - low) / step - 0.5), 0), last) for x in floats], _STEPS, True


def _numeric(counts: Mapping[int, int], size: int) -> Densities:
    """Return the density at each step: a normal kernel for each step that has values.

    Their width is by Scott's rule; a wide one in the middle stands for knowing nothing.
    """
    places = sorted(counts)
    total = sum(counts.values())
    mean = sum(place * counts[place] for place in places) / total
    spread = sum((place - mean) ** 2 * counts[place] for place in places)
    so_far = list(accumulate(counts[place] for place in places))
    first = next(i for i, count in enumerate(so_far) if count >= total // 4)
    third = next((i for i, count in enumerate(so_far) if count > total * 3 // 4), len(places) - 1)
    quartiles = (places[third] - places[first]) / 1.34
    width = 1.059 * min(quartiles, math.sqrt(spread / max(1, total - 1))) * total**-0.2
    kernels = [(float(place), max(width, _NARROWEST), counts[place]) for place in places]
    kernels.append(((size - 1) / 2, float(size), 1))
    density = [_LEAST] * size
    for middle, sigma, weight in kernels:
        scale = sigma * math.sqrt(2)
        below = [math.erf((edge - 0.5 - middle) / scale) for edge in range(size + 1)]
        part = weight / (total + 1) / (below[-1] - below[0])
        for step in range(size):
            density[step] += part * (below[step + 1] - below[step])
    return density


def _categorical(counts: Mapping[int, int], size: int) -> Densities:
    """Return the density of each option: each that has values, blurred, and none preferred."""
    total = sum(counts.values())
    blur = 1 / (len(counts) + 1)
    whole = 1 + size * blur
    density = [_LEAST + 1 / size / (total + 1)] * size
    for option, count in counts.items():
        part = count / (total + 1) / whole
        for other in range(size):
            density[other] += part * (blur + (other == option))
    return density
