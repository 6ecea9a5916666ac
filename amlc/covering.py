"""Choose a few jobs that between them have what all of them have: a canary before the others."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, TypeAlias

from amlc.model import Trial

MOST_PAIRWISE: Final = 12
"""Jobs: where more are needed for every pair of values, every value has to do."""

_MOST_VALUES: Final = 12
"""Of a number: where there are more, or most trials have one of their own, as of a range, its
extremes stand for all."""

_Level: TypeAlias = "tuple[str, str]"
_Feature: TypeAlias = "frozenset[_Level]"


def covering(jobs: Sequence[Sequence[Trial]]) -> list[int]:
    """Return the places of the chosen jobs, in order.

    With them each pair of values of two parameters that any trial has is run, if a few jobs are
    enough for that, a quarter of all at the most; otherwise each value of each parameter.
    """
    levels = [[_levels(trial.parameters) for trial in job] for job in jobs]
    each = {tuple(sorted(trial.items())) for job in levels for trial in job}
    most = min(_MOST_VALUES, max(len(each) // 2, 2))
    kept = _kept((level for trial in each for level in trial), most=most)
    plain = [[frozenset(set(trial.items()) & kept) for trial in job] for job in levels]
    pairs = [
        {frozenset(pair) for trial in job for pair in combinations(sorted(trial), 2)}
        | {frozenset((level,)) for trial in job for level in trial}
        for job in plain
    ]
    chosen = _greedy(pairs, most=min(MOST_PAIRWISE, len(jobs) // 4))
    if chosen is None:
        singles = [{frozenset((level,)) for trial in job for level in trial} for job in plain]
        chosen = _greedy(singles, most=len(jobs))
    return sorted(chosen or range(min(1, len(jobs))))


def _levels(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the values of one trial, as text, by the paths of its parameters."""
    found: dict[str, str] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            found |= _levels(value, f"{prefix}{name}/")
        else:
            found[f"{prefix}{name}"] = json.dumps(value, sort_keys=True)
    return found


def _kept(levels: Iterator[_Level], *, most: int) -> set[_Level]:
    """Return the values that count: all of a parameter, or its extremes if there are more."""
    values: dict[str, set[str]] = {}
    for name, value in levels:
        values.setdefault(name, set()).add(value)
    kept = set()
    for name, some in values.items():
        if len(some) > most and all(_is_number(value) for value in some):
            some = {min(some, key=float), max(some, key=float)}  # noqa: PLW2901 - these stand for all
        kept |= {(name, value) for value in some}
    return kept


def _is_number(text: str) -> bool:
    return type(json.loads(text)) in (int, float)


def _greedy(features: Sequence[set[_Feature]], *, most: int) -> list[int] | None:
    """Return places whose features are all that there are; None: these are more than `most`.

    Each next one has most of what is missing, the first of those that have as many.
    """
    missing = set().union(*features)
    queue = [(-len(some), place) for place, some in enumerate(features)]
    heapq.heapify(queue)
    chosen: list[int] = []
    while missing:
        if len(chosen) == most:
            return None
        _, place = heapq.heappop(queue)
        gain = len(features[place] & missing)
        # What a job adds only shrinks: one that is still the best needs no other looked at.
        if queue and (-gain, place) > queue[0]:
            heapq.heappush(queue, (-gain, place))
            continue
        chosen.append(place)
        missing -= features[place]
    return chosen
