"""Random: independent draws, bit for bit those of NNI 3.0's Random tuner with the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from amlc.model import Parameters, Record, Space
from amlc.space.draws import distinct, draws
from amlc.space.points import axes


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield draws from `numpy.random.default_rng(seed)`, one number for each active axis.

    Axes are drawn in depth-first order. Of `history` only its length counts: the sequence goes on
    behind as many of its own parameter sets. `args` change nothing: the tuner's own `seed` is in
    `seed` already.
    """
    # Here, because importing numpy takes as long as validating a file.
    from numpy.random import default_rng

    space_axes = axes(space)
    sequence = distinct(space, draws(default_rng(seed), space_axes))
    done = sum(not record.imported for record in history)
    return islice(islice(filter(allowed, sequence), done, None), count)
