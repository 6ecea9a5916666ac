"""The tuners by name, one file each; every one is a pure function of the space, the arguments and the seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from amlc.model import Parameters, Space
from amlc.tuners import batch, gridsearch, random


class Propose(Protocol):
    """Yield the experiment's parameter sets in order; ends only when the space is exhausted.

    The same arguments give the same sequence, on every machine. seed: 0 or more; args: NNI's `classArgs`.
    """

    def __call__(self, space: Space, *, seed: int, args: Mapping[str, Any]) -> Iterator[Parameters]: ...


# NNI's TPE draws its first `n_startup_jobs` trials exactly as Random does; validation admits no more than those.
OPEN_LOOP: Final[Mapping[str, Propose]] = {
    "Random": random.propose,
    "TPE": random.propose,
    "GridSearch": gridsearch.propose,
    "Batch": batch.propose,
}
