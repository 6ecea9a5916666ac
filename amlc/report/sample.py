"""Take a bounded part of a stream of results, without knowing how long it will be."""

from __future__ import annotations

import heapq
from bisect import bisect
from typing import Generic, TypeVar

T = TypeVar("T")


class Sampler(Generic[T]):
    """Keeps at most `even` items, evenly spaced, and the `best` of those that have a rank."""

    def __init__(self, *, even: int, best: int) -> None:
        self._most_even, self._most_best = even, best
        self._even: list[tuple[int, T]] = []
        self._stride = 1
        self._best: list[tuple[float, int, T]] = []  # a heap: the worst of them is the first
        self.offered = 0

    def offer(self, sequence: int, score: float | None, item: T) -> None:
        """Take the next item or leave it.

        sequence: it alone has it. score: less is better; None: it has no rank.
        """
        if self.offered % self._stride == 0:
            self._even.append((sequence, item))
            if len(self._even) > self._most_even:
                self._even = self._even[::2]
                self._stride *= 2
        self.offered += 1
        if score is None:
            return
        if len(self._best) < self._most_best:
            heapq.heappush(self._best, (-score, -sequence, item))
        else:
            heapq.heappushpop(self._best, (-score, -sequence, item))

    @property
    def kept(self) -> tuple[T, ...]:
        """All that was kept, by sequence number."""
        items = dict(self._even) | {-negative: item for _, negative, item in self._best}
        return tuple(items[sequence] for sequence in sorted(items))

    @property
    def even(self) -> frozenset[int]:
        """The sequence numbers of the evenly spaced ones."""
        return frozenset(sequence for sequence, _ in self._even)


class Steps:
    """The steps of the best score so far, by sequence number, in whatever order scores come.

    Every one is kept as long as there are at most 2 * `most` of them, then one for each of equal
    spans.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._stride = 1
        self._sequences: list[int] = []
        self._scores: list[float] = []

    def offer(self, sequence: int, score: float) -> None:
        """Take a score, of which less is better."""
        place = bisect(self._sequences, sequence)
        if place and self._scores[place - 1] <= score:
            return
        end = place
        while end < len(self._scores) and self._scores[end] >= score:
            end += 1
        self._sequences[place:end] = [sequence]
        self._scores[place:end] = [score]
        if len(self._scores) > 2 * self._most:
            self._thin()

    @property
    def found(self) -> tuple[tuple[int, float], ...]:
        """The steps as (sequence number, score)."""
        return tuple(zip(self._sequences, self._scores, strict=True))

    def _thin(self) -> None:
        while len(steps := self._spaced()) > self._most:
            self._stride *= 2
        self._sequences = [sequence for sequence, _ in steps]
        self._scores = [score for _, score in steps]

    def _spaced(self) -> tuple[tuple[int, float], ...]:
        """Return the first step of each span, and the last of all."""
        steps = self.found
        spans = {sequence // self._stride: (sequence, score) for sequence, score in reversed(steps)}
        return tuple(sorted({*spans.values(), steps[-1]}))
