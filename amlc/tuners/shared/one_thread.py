"""Linear algebra on one thread, so that its sums are the same whatever the number of cores."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Keep linear algebra on one thread.

    Its sums do not depend on the number of cores then. And beside trials that keep the machine
    busy, threads that wait for one another take 10 times as long (measured: 3.4 s instead of 0.24 s
    for a proposal of Metis).
    """
    try:
        import scipy.linalg  # noqa: F401  a library that is loaded later would not be held to it
        import threadpoolctl  # noqa: F401
    except ModuleNotFoundError:  # of which the model tells
        return nullcontext()
    limits: AbstractContextManager[object] = _libraries("sklearn" in sys.modules).limit(limits=1)
    return limits


@cache
def _libraries(with_openmp: bool) -> ThreadpoolController:  # noqa: FBT001  what is found differs
    """Return the libraries that have threads; to find them takes 10 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
