"""ASHA: random configurations, each trained for as long as it is among the best.

assessors/asha.py stops the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from amlc.model import Parameters, Record, Space
from amlc.tuners import random
from amlc.tuners.shared.random_sequence import sequence


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield what the Random tuner does: no result changes it, only how far each trial goes.

    Source: Li et al. 2020, "A system for massively parallel hyperparameter tuning".
    """
    drawn = filter(allowed, (parameters for _, parameters in sequence(space, seed)))
    return islice(random.behind(space, history, drawn), count)


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return 0: no number of trials is certain.

    `maxExperimentDuration` may say how many there will be, and how many of them are stopped.
    """
    return 0
