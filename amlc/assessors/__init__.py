"""The assessors by name, one file each: pure functions of the intermediate results so far and the arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from amlc.assessors import curvefitting, medianstop


class Assess(Protocol):
    """Return whether the running trial with the intermediate results `curve` should be stopped.

    To be asked once for each new result, and so with every beginning of the curve in turn: the first result, the
    first two, and so on. curve: at least one number, in the order of the reports. completed: such a curve for each
    trial that succeeded, in the order in which they ended; final results are not part of it, and trials that failed
    or were stopped are not in it. args: NNI's `classArgs`, with every default filled in.

    The same arguments give the same answer, in every process.
    """

    def __call__(
        self, curve: Sequence[float], completed: Sequence[Sequence[float]], *, args: Mapping[str, Any]
    ) -> bool: ...


ASSESSORS: Final[Mapping[str, Assess]] = {
    "Medianstop": medianstop.assess,
    "Curvefitting": curvefitting.assess,
}
