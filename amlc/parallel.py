"""Spread work on many small items over the processors, with the results in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from amlc.errors import AmlcError

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 250
_function: Callable[[Any], Any]


class WorkerError(AmlcError):
    """A worker process was killed."""

    exit_code = 1


def in_chunks(
    function: Callable[[Sequence[Item]], Result], items: Iterable[Item]
) -> Iterator[tuple[Sequence[Item], Result]]:
    """Yield each chunk of `items`, in order, with what `function` returns for it.

    Few chunks are in memory at a time. A work of one chunk is done here. The chunks of a larger one
    go to forked processes, one for each processor: `function` is inherited, items and results are
    pickled. Raises WorkerError when one of them is killed.
    """
    remaining = iter(items)
    chunk = tuple(islice(remaining, _CHUNK))
    processors = _processors()
    if len(chunk) < _CHUNK or processors == 1:
        while chunk:
            yield chunk, function(chunk)
            chunk = tuple(islice(remaining, _CHUNK))
        return
    context = multiprocessing.get_context("fork")
    try:
        with ProcessPoolExecutor(
            processors, context, initializer=_begin, initargs=(function,)
        ) as pool:
            waiting: deque[tuple[Sequence[Item], Future[Result]]] = deque()
            while chunk or waiting:
                if chunk:
                    waiting.append((chunk, pool.submit(_call, chunk)))
                    chunk = tuple(islice(remaining, _CHUNK))
                if len(waiting) > 2 * processors or not chunk:
                    done, future = waiting.popleft()
                    yield done, future.result()
    except BrokenProcessPool as err:
        raise WorkerError(
            "a worker process was killed, by the system perhaps, for want of memory. "
            "Nothing is lost: do it again."
        ) from err


def _processors() -> int:
    if "fork" not in multiprocessing.get_all_start_methods():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(function: Callable[[Any], Any]) -> None:
    global _function  # noqa: PLW0603 - the only way to hand a function over without pickling it
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the parent, which ends the pool
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of the parent.

    A worker of one that was killed would wait for more work for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(chunk: Sequence[Any]) -> Any:
    return _function(chunk)
