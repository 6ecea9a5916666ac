"""Points at random, each axis by its distribution, and what stands in for repeated ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

from amlc.model import Choice, Parameters, Real, Space
from amlc.space.canonical import canonical
from amlc.space.grid import grid_points
from amlc.space.points import Axis, Key, Point, axes, coordinates, deliver, deliverer, endless

if TYPE_CHECKING:
    from numpy.random import Generator

_OF_EACH = 10  # draws for each option of a choice
_MOST = 3_000
_BLOCK = 1_024  # words of 64 bits
_HALF = 2**32
_ULP = 2.0**-53


def distinct(
    space: Space, points: Iterator[Point], taken: Iterable[Parameters] = ()
) -> Iterator[Parameters]:
    """Yield the parameter sets of `points`, each once if they may repeat, none that is `taken`.

    A repeated one is replaced by the next point of GridSearch that was not used yet, and the
    sequence ends when there is none: NNI's rule (`hpo_utils/dedup.py`).
    """
    space_axes = axes(space)
    if endless(space):
        return map(deliverer(space_axes), points)
    return _distinct(points, space_axes, {canonical(parameters) for parameters in taken})


def sample(space: Space, *, seed: int, count: int, flat: bool) -> Iterator[Parameters]:
    """Yield `count` draws, and then some for each option of each nested choice (`flat`.

    Of each choice). So each branch of the space is there, however rarely a draw takes it; at most
    3,000 in all for huge spaces.
    """
    from numpy.random import default_rng

    rng, space_axes = default_rng(seed), axes(space)

    def points() -> Iterator[Point]:
        yield from islice(draws(rng, space_axes), count)
        for fixed in _options(space_axes, flat=flat):
            yield from islice(draws(rng, space_axes, fixed), _OF_EACH)

    return (deliver(space_axes, point) for point in islice(points(), max(count, _MOST)))


def _options(space_axes: Sequence[Axis], *, flat: bool) -> Iterator[dict[Key, int]]:
    """Yield for each option of a choice the coordinates that lead to it.

    Its own, and those of the choices above.
    """
    for axis in space_axes:
        if isinstance(axis.dimension, Choice) and (flat or axis.dimension.branches):
            above = {}
            for place, index in enumerate(axis.key):
                if isinstance(index, int):  # the option that was chosen above
                    above[axis.key[:place]] = index
            for option in range(len(axis.dimension.options)):
                yield {**above, axis.key: option}


def draws(
    rng: Generator, space_axes: Sequence[Axis], fixed: Mapping[Key, int] | None = None
) -> Iterator[Point]:
    """Yield points at random, for ever: each axis from its own distribution, in NNI's order.

    fixed: coordinates that are not drawn.
    """
    given = fixed or {}
    return _sampled(space_axes, lambda axis: _sampler(rng, axis, given.get(axis.key)))


def all_draws(rng: Generator, space_axes: Sequence[Axis]) -> Iterator[Point]:
    """Yield what `draws` does, in a third of the time, of a PCG64 that nobody else draws from.

    The numbers are made here of the generator's bits, read in blocks, by numpy's own steps
    (`numpy/random/src/distributions/distributions.c`).
    """
    ranges = [axis.size for axis in space_axes if axis.size is not None]
    dimensions = [axis.dimension for axis in space_axes]
    if max(ranges, default=0) > _HALF or any(isinstance(d, Real) and d.normal for d in dimensions):
        return draws(rng, space_axes)  # those take more steps
    raw, half = _words(rng)
    return _sampled(space_axes, partial(_of_words, raw, half))


def _sampled(
    space_axes: Sequence[Axis], sampler: Callable[[Axis], Callable[[], int | float]]
) -> Iterator[Point]:
    """Yield points for ever, of each axis what its sampler gives."""
    samplers = [(axis, axis.key, sampler(axis)) for axis in space_axes]
    if not any(axis.nested for axis in space_axes):  # all are active
        flat = [(key, sample) for _, key, sample in samplers]
        while True:
            yield {key: sample() for key, sample in flat}
    while True:
        point: dict[Key, int | float] = {}
        for axis, key, sample in samplers:
            if axis.active(point):
                point[key] = sample()
        yield point


def _words(rng: Generator) -> tuple[Callable[[], int], Callable[[], int]]:
    """Return what gives the next 64 bits of a generator, and what the next 32: a half of them."""
    read: Any = rng.bit_generator.random_raw
    blocks = (read(_BLOCK).tolist() for _ in repeat(None))
    raw = chain.from_iterable(blocks).__next__

    def halves() -> Iterator[int]:
        while True:
            word = raw()
            yield word & (_HALF - 1)
            yield word >> 32

    return raw, halves().__next__


def _of_words(
    raw: Callable[[], int], half: Callable[[], int], axis: Axis
) -> Callable[[], int | float]:
    size = axis.size
    if isinstance(axis.dimension, Real):
        if axis.dimension.constant:
            return lambda: 0 * raw()
        a, b = coordinates(axis.dimension)
        width = b - a
        return lambda: a + width * ((raw() >> 11) * _ULP)
    assert size is not None
    if size == 1:  # no bits are drawn for it
        return lambda: 0
    unfair = (_HALF - size) % size

    def integer() -> int:
        product = half() * size
        while product & (_HALF - 1) < unfair:  # Lemire's rejection
            product = half() * size
        return product >> 32

    return integer


def _sampler(rng: Generator, axis: Axis, fixed: int | None) -> Callable[[], int | float]:
    if fixed is not None:
        return lambda: fixed
    if isinstance(axis.dimension, Real) and axis.dimension.constant:
        return lambda: int(0 * rng.uniform())  # NNI draws a number for it too
    if axis.size is not None:
        size = axis.size
        return lambda: int(rng.integers(size))
    assert isinstance(axis.dimension, Real)  # an axis without a size is one of the real types
    a, b = coordinates(axis.dimension)
    if axis.dimension.normal:
        return lambda: rng.normal(a, b)
    width, draw = b - a, rng.random
    return lambda: a + width * draw()  # as `uniform` does, which takes five times as long


def _distinct(
    points: Iterator[Point], space_axes: tuple[Axis, ...], seen: set[bytes]
) -> Iterator[Parameters]:
    grid: Iterator[Point] | None = None
    for draw in points:
        point: Point | None = draw
        parameters = deliver(space_axes, draw)
        if canonical(parameters) in seen:
            grid = grid_points(space_axes) if grid is None else grid
            point = next((p for p in grid if canonical(deliver(space_axes, p)) not in seen), None)
            if point is None:
                return
            parameters = deliver(space_axes, point)
        seen.add(canonical(parameters))
        yield parameters
