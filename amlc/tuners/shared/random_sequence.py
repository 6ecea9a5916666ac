"""The configurations of Random's sequence, kept, since every call begins at its beginning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import count

from amlc.model import Parameters, Space
from amlc.space.canonical import canonical
from amlc.space.draws import distinct, draws
from amlc.space.points import axes


def fresh(
    space: Space, seed: int, drawn: Mapping[bytes, int], allowed: Callable[[Parameters], bool]
) -> Iterator[Parameters]:
    """Yield the configurations of Random's sequence that were not `drawn` before, without a budget.

    A finite space begins again when it is exhausted, since the brackets go on for ever; its order
    is then another.
    """
    left = Counter(drawn)
    for lap in count():
        useful = False
        for digest, parameters in sequence(space, seed, lap):
            if left[digest]:
                left[digest] -= 1
                useful = True
            elif allowed(parameters):
                useful = True
                yield parameters
        if not useful:  # the constraints exclude all of a finite space
            return


_KEPT: dict[tuple[str, int, int], _Draws] = {}
_MOST_KEPT = 256


def sequence(space: Space, seed: int, lap: int = 0) -> Iterator[tuple[bytes, Parameters]]:
    """Return Random's sequence, with digests; it is kept for the next call."""
    identity = (repr(space), seed, lap)
    if identity not in _KEPT:
        while len(_KEPT) >= _MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[identity] = _Draws(space, seed, lap)
    return iter(_KEPT[identity])


class _Draws:
    """One lap of Random's sequence, drawn no further than somebody asked."""

    def __init__(self, space: Space, seed: int, lap: int) -> None:
        # Here, because importing numpy takes as long as validating a file.
        from numpy.random import default_rng

        rng = default_rng([seed, lap] if lap else seed)
        self._rest = distinct(space, draws(rng, axes(space)))
        self._known: list[tuple[bytes, Parameters]] = []

    def __iter__(self) -> Iterator[tuple[bytes, Parameters]]:
        for position in count():
            if position == len(self._known):
                parameters = next(self._rest, None)
                if parameters is None:
                    return
                self._known.append((canonical(parameters), parameters))
            yield self._known[position]
