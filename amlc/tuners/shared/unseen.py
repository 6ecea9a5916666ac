"""What a search may still propose: sets that are allowed and new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from amlc.model import Parameters, Record, Space
from amlc.space.canonical import canonical
from amlc.space.draws import distinct, draws
from amlc.space.points import Point, deliver, endless
from amlc.tuners.shared.failures import elsewhere
from amlc.tuners.shared.feasibility import feasible
from amlc.tuners.shared.memory import axes, digest

if TYPE_CHECKING:
    from numpy.random import Generator


class Unseen:
    """The sets proposed so far, `taken` ones behind those of the history; chooses the next one.

    digits: see `deliver`.
    """

    def __init__(
        self,
        space: Space,
        history: Sequence[Record],
        taken: Iterable[Parameters] = (),
        *,
        allowed: Callable[[Parameters], bool],
        digits: int | None = None,
    ) -> None:
        self.space = space
        self.axes = axes(space)
        self.allowed = allowed
        self.digits = digits
        self._taken = [*(record.parameters for record in history), *taken]
        self._apart = elsewhere(self.axes, history)
        self._hopeful = feasible(self.axes, history)
        self._seen = None if endless(space) else set(map(digest, self._taken))

    def pick(self, candidates: Iterable[Point], rng: Generator) -> Parameters | None:
        """Return the first of `candidates` (finitely many) that may be proposed, and take it.

        When none of them may, it is a draw of `rng`, or a point of the grid when draws only repeat
        what was; None when the space is exhausted. What is refused leaves no trace: the choice
        depends on what was proposed alone.
        """
        delivered = (deliver(self.axes, point, digits=self.digits) for point in candidates)
        parameters: Parameters | None = next(filter(self._may, delivered), None)
        if parameters is None:
            fallback = distinct(self.space, draws(rng, self.axes), self._taken)
            parameters = next(filter(self.allowed, fallback), None)
        if parameters is not None:
            self._taken.append(parameters)
            if self._seen is not None:
                self._seen.add(canonical(parameters))
        return parameters

    def _may(self, parameters: Parameters) -> bool:
        new = self._is_new(parameters)
        return new and self._hopeful(parameters) and self.allowed(parameters)

    def _is_new(self, parameters: Parameters) -> bool:
        if self._seen is not None:
            return canonical(parameters) not in self._seen
        return not is_among(self._taken, parameters) and self._apart(parameters)


def is_among(taken: Iterable[Parameters], parameters: Parameters) -> bool:
    """Tell whether a set is one of those that are taken."""
    alike = [one for one in taken if one == parameters]
    # Of those that Python takes for equal: 1, 1.0 and true are three values.
    return bool(alike) and canonical(parameters) in map(canonical, alike)
