"""The tuners of the catalogue, a file each: pure functions of space, results, arguments, seed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from amlc.catalogue import find
from amlc.model import Parameters, Record, Space


class Propose(Protocol):
    """Yield at most `count` parameter sets, to follow those of `history` in the experiment.

    history: every parameter set so far in the order of its proposal, those of running trials too;
    imported ones come first. seed: 0 or more. args: NNI's `classArgs`, with every default filled
    in. allowed: whether the user's constraints hold; what they exclude is not proposed. Fewer than
    `count` mean that the space is exhausted or, while trials run, that the next ones wait for their
    results.

    The same arguments give the same parameter sets, on every machine and in every process: nothing
    is remembered between two calls but what is faster to keep than to compute.
    """

    def __call__(
        self,
        space: Space,
        history: Sequence[Record],
        *,
        count: int,
        seed: int,
        args: Mapping[str, Any],
        allowed: Callable[[Parameters], bool],
    ) -> Iterator[Parameters]: ...


class Ahead(Protocol):
    """Return how many of the next parameter sets no result that is still to come can change."""

    def __call__(self, history: Sequence[Record], *, args: Mapping[str, Any]) -> int: ...


class GivenUp(Protocol):
    """Return which running trials shall end now.

    It names them by their places among those of `history` that are not imported. The arguments are
    those of `Propose`; `history` has the intermediate results of running trials. None: the tuner
    does not look at them.
    """

    def __call__(
        self,
        space: Space,
        history: Sequence[Record],
        *,
        seed: int,
        args: Mapping[str, Any],
        allowed: Callable[[Parameters], bool],
    ) -> Collection[int] | None: ...


@dataclass(frozen=True, slots=True)
class Tuner:
    """A tuner.

    ahead: None for an open loop, in which no result changes anything. given_up: None for most.
    by_value: it learns from how good a result is, and needs one for a failed trial too: see
    `failures.lessons`.
    """

    propose: Propose
    ahead: Ahead | None = None
    given_up: GivenUp | None = None
    by_value: bool = False


def built_in(name: str) -> Tuner:
    """Return the tuner of this name, one of the catalogue's."""
    known = find(name, "tuner")
    assert known is not None  # the config has seen to that
    module = import_module(f"{__name__}.{known.module}")
    return Tuner(
        module.propose,
        getattr(module, "ahead", None),
        getattr(module, "given_up", None),
        by_value=getattr(module, "BY_VALUE", False),
    )
