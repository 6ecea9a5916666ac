"""Spread work on many small items over the processors, with the results in order."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from amlc.errors import AmlcError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.connection import Connection
    from queue import SimpleQueue

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 250


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
    processors = 1 if len(chunk) < _CHUNK else _processors()
    if processors == 1:
        while chunk:
            yield chunk, function(chunk)
            chunk = tuple(islice(remaining, _CHUNK))
        return
    from concurrent.futures import ThreadPoolExecutor  # here, because most have few items

    # A thread for each worker, so that each finds its next chunk however busy the reader is.
    with _workers(function, processors) as ask, ThreadPoolExecutor(processors) as threads:
        waiting: deque[tuple[Sequence[Item], Future[Result]]] = deque()
        while chunk or waiting:
            if chunk:
                waiting.append((chunk, threads.submit(ask, chunk)))
                chunk = tuple(islice(remaining, _CHUNK))
            if len(waiting) > 2 * processors or not chunk:
                done, future = waiting.popleft()
                yield done, future.result()


@contextmanager
def _workers(function: Callable[[Any], Any], count: int) -> Iterator[Callable[[Any], Any]]:
    """Start so many processes and give what has one of them call the function.

    Each has a pipe of its own, which ends with it. In the one that all workers of a
    ProcessPoolExecutor share, the rest of a message that one was killed at is waited for, for ever.
    """
    import multiprocessing
    from queue import SimpleQueue

    context = multiprocessing.get_context("fork")
    free: SimpleQueue[Connection] = SimpleQueue()
    processes = []

    def ask(chunk: Any) -> Any:
        connection = free.get()
        try:
            connection.send(chunk)
            result, error = connection.recv()
        except (EOFError, OSError) as err:
            raise WorkerError(
                "a worker process was killed, by the system perhaps, for want of memory. "
                "Nothing is lost: do it again."
            ) from err
        finally:
            free.put(connection)
        if error is not None:
            raise error
        return result

    try:
        for _ in range(count):
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(there, function), daemon=True)
            process.start()
            there.close()  # before the next one is forked, which would keep it open
            processes.append(process)
            free.put(here)
        yield ask
    finally:
        for process in processes:
            process.kill()  # it has nothing to lose
            process.join()


def _processors() -> int:
    if not hasattr(os, "fork"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(connection: Connection, function: Callable[[Any], Any]) -> None:
    """Do in a worker what is asked of it, until it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the parent, which ends the workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        chunk = connection.recv()
        answer: tuple[Any, Exception | None]
        try:
            answer = function(chunk), None
        except Exception as err:  # noqa: BLE001 - it is raised where the chunk comes from
            answer = None, err
        connection.send(answer)


def _end_with_parent() -> None:
    """Wait for the end of the parent.

    A worker of one that was killed would wait for more work for ever.
    """
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
