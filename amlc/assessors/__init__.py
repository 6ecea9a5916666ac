"""The assessors of the catalogue, one file each.

Pure functions of the intermediate results and the arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from amlc.catalogue import find


class Assess(Protocol):
    """Return whether the running trial with the intermediate results `curve` should be stopped.

    To be asked once for each new result, and so with every beginning of the curve in turn: the
    first result, the first two, and so on. curve: at least one number, in the order of the reports.
    others: such a curve for each trial that it is compared with; final results are not part of it.
    Those are the trials that succeeded, in the order in which they ended, or, for the assessors
    that are `among_all`, running, failed and stopped ones too: the first `len(curve)` results of
    each trial that had so many before this one did, in the order in which it was heard of them.
    args: NNI's `classArgs`, with every default filled in.

    The same arguments give the same answer, in every process.
    """

    def __call__(
        self,
        curve: Sequence[float],
        others: Sequence[Sequence[float]],
        /,
        *,
        args: Mapping[str, Any],
    ) -> bool: ...


def built_in(name: str) -> Assess:
    """Return the assessor of this name, one of the catalogue's."""
    known = find(name, "assessor")
    assert known is not None  # the config has seen to that
    assess: Assess = import_module(f"{__name__}.{known.module}").assess
    return assess


def among_all(name: str) -> bool:
    """Return whether the assessor compares a trial with all others, not only succeeded ones."""
    known = find(name, "assessor")
    return known is not None and known.among_all
