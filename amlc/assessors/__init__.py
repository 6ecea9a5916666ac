"""The assessors by name, one file each: pure functions of the intermediate results so far and the arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from amlc.assessors import asha, curvefitting, medianstop


class Assess(Protocol):
    """Return whether the running trial with the intermediate results `curve` should be stopped.

    To be asked once for each new result, and so with every beginning of the curve in turn: the first result, the
    first two, and so on. curve: at least one number, in the order of the reports. others: such a curve for each trial
    that it is compared with; final results are not part of it. Those are the trials that succeeded, in the order in
    which they ended, or, for the assessors in `AMONG_ALL`, running, failed and stopped ones too: the first
    `len(curve)` results of each trial that had so many before this one did, in the order in which it was heard of
    them. args: NNI's `classArgs`, with every default filled in.

    The same arguments give the same answer, in every process.
    """

    def __call__(
        self, curve: Sequence[float], others: Sequence[Sequence[float]], /, *, args: Mapping[str, Any]
    ) -> bool: ...


ASSESSORS: Final[Mapping[str, Assess]] = {
    "Medianstop": medianstop.assess,
    "Curvefitting": curvefitting.assess,
    "ASHA": asha.assess,
}
AMONG_ALL: Final = frozenset({"ASHA"})
"""Those that compare a trial with all others; to them a result that is no finite number is one too, NaN."""
