"""Evolution: of some individuals at random the worst leaves, and the best has a mutated child."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from amlc.model import Parameters, Record, Space, parameter_names
from amlc.space.draws import draws
from amlc.space.points import Axis, Key, Point, locate
from amlc.tuners import random
from amlc.tuners.shared.unseen import Unseen

if TYPE_CHECKING:
    from numpy.random import Generator

# Streams of random numbers beside Random's. They end in no 0, for default_rng([seed, 0]) is
# default_rng(seed).
_TOURNAMENTS, _CHILDREN = 1, 2
_AT_ONCE = 64
_TRIES = 64  # mutations that may be old or refused before a draw at random takes their place

BY_VALUE: Final = True


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield `population_size` draws of Random's sequence, then a child for each place that is free.

    A child is the winner of a tournament with one active parameter drawn anew; a nested choice,
    with all that its branch holds. The loser leaves for it, and it joins the population with its
    result. A trial that ends without one leaves its place to a draw at random. The population is
    what these rules make of the history, in the order of its events.

    Half the population meets in a tournament. In NNI two do, whatever its size: with the default of
    32, dozens of children are hardly better than draws at random. NNI fails when more trials run at
    once than the population has; here the further ones are draws at random, and the worst leaves
    while there are more results than places. No trial comes twice, where NNI may draw the option
    anew that was there: an old child is mutated again, and so is one that is likely to fail
    (`feasible`). Imported results, the best `population_size` of them, take the places of first
    draws.
    Source: NNI 3.0, `algorithms/hpo/evolution_tuner.py`; Real et al. 2017, arXiv 1703.01041.
    """
    from numpy.random import default_rng

    left = min(count, ahead(history, args=args))
    first = list(random.propose(space, history, count=left, seed=seed, args=args, allowed=allowed))
    yield from first
    if len(first) < left or left == count:
        return
    unseen = Unseen(space, history, first, allowed=allowed)
    population = _replay(history, space=space, seed=seed, args=args)
    for number in range(len(history) + len(first), len(history) + count):
        rng = default_rng([seed, number, _CHILDREN])
        parent = population.ask()
        point = None if parent is None else locate(unseen.axes, history[parent].parameters)
        child = unseen.pick(() if point is None else _children(unseen.axes, point, rng), rng)
        if child is None:
            return
        yield child


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many draws the first population still lacks."""
    taken = sum(not record.imported or record.value is not None for record in history)
    return max(0, int(args["population_size"]) - taken)


@dataclass(slots=True)
class _Population:
    """Who lives: the score, and the place in the history, in the order of the results.

    Of scores, the greater is better.
    lots: for each child one number for each place. vacant: how many places a draw at random has to
    fill.
    """

    size: int
    lots: Iterator[Sequence[float]]
    living: list[tuple[float, int]] = field(default_factory=list)
    vacant: int = 0

    def tell(self, index: int, score: float | None) -> None:
        """Take in a result, or that there will be none."""
        if score is None:
            self.vacant += 1
            return
        self.living.append((score, index))
        if len(self.living) > self.size:
            self.living.remove(min(self.living))

    def ask(self) -> int | None:
        """Return whose child is next, for which the loser leaves; None for a draw at random."""
        lots = next(self.lots)
        if self.vacant:
            self.vacant -= 1
            return None
        if len(self.living) < 2:
            return self.living[0][1] if self.living else None
        many = max(len(self.living) // 2, 2)
        rivals = sorted(range(len(self.living)), key=lots.__getitem__)[:many]
        loser, *_, winner = sorted(rivals, key=lambda place: self.living[place][0])
        parent = self.living[winner][1]
        del self.living[loser]
        return parent


def _replay(
    history: Sequence[Record], *, space: Space, seed: int, args: Mapping[str, Any]
) -> _Population:
    """Return the population after `history`, in which all behind the first draws are children."""
    size = max(int(args["population_size"]), 1)
    population = _Population(size, _lots(seed, size))
    names = {*parameter_names(space)}
    sign = 1.0 if args["optimize_mode"] == "maximize" else -1.0

    def tell(index: int) -> None:
        record = history[index]
        fits = record.parameters.keys() == names  # the space may have been edited
        population.tell(index, sign * record.value if fits and record.value is not None else None)

    for index, record in enumerate(history):
        if record.imported and record.value is not None:
            tell(index)
    own = [index for index, record in enumerate(history) if not record.imported]
    children = own[ahead([record for record in history if record.imported], args=args) :]
    events = [(history[index].asked, False, index) for index in children]
    for index in own:
        told = history[index].told
        if told is not None:
            events.append((told, True, index))
    for _, ended, index in sorted(events):
        if ended:
            tell(index)
        else:
            population.ask()
    return population


def _lots(seed: int, size: int) -> Iterator[Sequence[float]]:
    """Yield `size` numbers in [0, 1) again and again, always the same; many at once is faster."""
    from numpy.random import default_rng

    rng = default_rng([seed, _TOURNAMENTS])
    while True:
        yield from rng.random((_AT_ONCE, size)).tolist()


def _children(space_axes: Sequence[Axis], parent: Point, rng: Generator) -> Iterator[Point]:
    """Yield mutations of `parent`: one axis, with what a nested choice holds, is drawn anew."""
    active = [axis.key for axis in space_axes if axis.key in parent]
    for _ in range(_TRIES if active else 0):
        key = active[int(rng.integers(len(active)))]
        depth = len(key) - 1  # what lies above the axis keeps its place
        held = [replace(a, key=a.key[depth:]) for a in space_axes if _holds(key, a.key)]
        drawn = next(draws(rng, held))
        kept = {k: x for k, x in parent.items() if not _holds(key, k)}
        yield kept | {(*key[:depth], *k): x for k, x in drawn.items()}


def _holds(key: Key, other: Key) -> bool:
    """Tell whether `other` is `key` or lies in one of its branches."""
    return other[: len(key)] == key
