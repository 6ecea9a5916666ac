"""Call what may wait for something that only the caller could bring.

So do tuners that NNI calls in several threads.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_IDLE_S: Final = 5.0
"""Who has used no processor for so long does not compute: NNI's own test class looks around every
two seconds."""

_LITTLE_S: Final = 0.05
_LOOK_S: Final = 0.1


def answered(function: Callable[[], T]) -> T | None:
    """Return what `function` returns, or None once it waits idly. Raises what it raises."""
    call = _Call(function)
    call.thread.start()
    call.thread.join(_LOOK_S)
    used, since = call.used_s(), time.monotonic()
    while call.thread.is_alive():
        call.thread.join(_LOOK_S)
        if (now := call.used_s()) > used + _LITTLE_S:
            used, since = now, time.monotonic()
        elif time.monotonic() - since > _IDLE_S:
            call.end()
            return None
    return call.result()


class _Call(Generic[T]):
    """A function in a thread of its own."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._found: list[T] = []
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._found.append(self._function())
        except BaseException as err:  # noqa: BLE001 - it is raised where the result is asked for
            self._error = err

    def used_s(self) -> float:
        """Return how long processors worked for it, for other threads and for ended children."""
        times = time.process_time()
        with suppress(OSError, AttributeError):
            import resource

            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            times += children.ru_utime + children.ru_stime
        return times

    def end(self) -> None:
        """Make it end as soon as it does anything at all: nobody is going to hear what it says."""
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self.thread.ident or 0), ctypes.py_object(SystemExit)
        )

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._found[0]
