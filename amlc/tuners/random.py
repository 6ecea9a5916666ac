"""Random: independent draws, bit for bit those of NNI 3.0's Random tuner with the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from amlc.model import Parameters, Record, Space
from amlc.space.canonical import canonical
from amlc.space.draws import all_draws, distinct
from amlc.space.points import axes, endless


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

    Axes are drawn in depth-first order. The sequence goes on behind as many of its own parameter
    sets as `history` has (see `behind`). `args` change nothing: the tuner's own `seed` is in `seed`
    already.
    """
    # Here, because importing numpy takes as long as validating a file.
    from numpy.random import default_rng

    drawn = distinct(space, all_draws(default_rng(seed), axes(space)))
    return islice(behind(space, history, filter(allowed, drawn)), count)


def behind(
    space: Space, history: Sequence[Record], sequence: Iterator[Parameters]
) -> Iterator[Parameters]:
    """Yield what follows in the tuner's `sequence` behind its own trials of `history`.

    A finite one has no parameter set of `history` again, imported ones included, and leaves none
    out for ever: after an edit of the space, what it has passed over comes at its end.
    """
    done = sum(not record.imported for record in history)
    if endless(space):
        yield from islice(sequence, done, None)
        return
    tried = {canonical(record.parameters) for record in history}
    passed_over = list(islice(sequence, done))  # and tried, unless the space was edited
    for parameters in chain(sequence, passed_over):
        if canonical(parameters) not in tried:
            yield parameters
