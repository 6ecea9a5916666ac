"""Batch: the parameter sets that the user wrote down, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from amlc.model import Choice, Parameters, Record, Space


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield each option of the space's only choice.

    An option is the mapping itself, or a plain value under the choice's name.
    Source: NNI 3.0, `algorithms/hpo/batch_tuner.py`. `seed` and `args` change nothing.
    """
    (choice,) = space
    assert isinstance(choice, Choice)  # validation admits nothing else
    rows = (
        option if isinstance(option, Mapping) else {choice.name: option}
        for option in choice.options
    )
    return islice(islice(filter(allowed, rows), len(history), None), count)
