"""Spread work on many small items over the processors, with the results in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 250
_function: Callable[[Any], Any]


def in_chunks(
    function: Callable[[Sequence[Item]], Result], items: Iterable[Item]
) -> Iterator[tuple[Sequence[Item], Result]]:
    """Yield each chunk of `items`, in order, with what `function` returns for it; few chunks are in memory at a time.

    A work of one chunk is done here. The chunks of a larger one go to forked processes, one for each processor:
    `function` is inherited, items and results are pickled.
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
    with ProcessPoolExecutor(processors, context, initializer=_begin, initargs=(function,)) as pool:
        waiting: deque[tuple[Sequence[Item], Future[Result]]] = deque()
        while chunk or waiting:
            if chunk:
                waiting.append((chunk, pool.submit(_call, chunk)))
                chunk = tuple(islice(remaining, _CHUNK))
            if len(waiting) > 2 * processors or not chunk:
                done, future = waiting.popleft()
                yield done, future.result()


def _processors() -> int:
    if "fork" not in multiprocessing.get_all_start_methods():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(function: Callable[[Any], Any]) -> None:
    global _function  # noqa: PLW0603 - the only way to hand a function over without pickling it
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the parent, which ends the pool


def _call(chunk: Sequence[Any]) -> Any:
    return _function(chunk)
