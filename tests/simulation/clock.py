"""Threads in virtual time: one of them runs at once, and time goes on only when all of them wait.

`install` replaces, in this process and for good, what the standard library makes waiting of: `time.sleep` and the
clocks, `threading.Lock`, `RLock` and `Thread`, and `queue.SimpleQueue`. All else that waits is made of these, so that
conditions, events, futures and thread pools follow. The threads are real ones that hand a turn on, always in the same
order: first who may go on, longest waiting first, then who wakes next.
"""

from __future__ import annotations

import _thread
import concurrent.futures.thread  # noqa: F401 - its own lock stays a real one, which a fork needs
import functools
import heapq
import itertools
import os
import queue
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

_new_lock = _thread.allocate_lock  # a real one


class Task:
    """A thread: what it waits for its turn by, and whose processor it uses."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.turn = _new_lock()
        self.turn.acquire()


class _Wait:
    """That a task waits for a lock or a time; over: it does no longer, and got the lock or did not."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.is_over = self.has_lock = False


class Clock:
    """Virtual time in seconds since the epoch, and the threads that live in it."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.switches = 0
        self.current = Task(None)
        self._ready: deque[Task] = deque()
        self._waiting: list[tuple[float, int, _Wait]] = []
        self._numbers = itertools.count()

    def sleep(self, seconds: float) -> None:
        """Let others run until so many seconds later."""
        wait = _Wait(self.current)
        self._at(max(seconds, 0.0), wait)
        self._rest()

    def spawn(self, run: Callable[[], None], owner: Any) -> None:
        """Run something in a thread of its own, when its turn comes."""
        task = Task(owner)

        def begin() -> None:
            task.turn.acquire()
            try:
                run()
            except BaseException:  # noqa: BLE001 - whatever it is
                traceback.print_exc()
                os._exit(1)  # a lost thread would be a wrong figure
            self._hand_on()

        _thread.start_new_thread(begin, ())
        self._ready.append(task)

    def wait(self, waiters: deque[_Wait], timeout_s: float) -> bool:
        """Wait in a queue for `wake`, for so long at the most (-1: for ever); tell whether it came."""
        wait = _Wait(self.current)
        waiters.append(wait)
        if timeout_s >= 0:
            self._at(timeout_s, wait)
        self._rest()
        return wait.has_lock

    def wake(self, waiters: deque[_Wait]) -> bool:
        """Let the first of a queue go on; tell whether anybody waits there."""
        while waiters:
            wait = waiters.popleft()
            if not wait.is_over:
                wait.is_over = wait.has_lock = True
                self._ready.append(wait.task)
                return True
        return False

    def _at(self, seconds: float, wait: _Wait) -> None:
        heapq.heappush(self._waiting, (self.now + seconds, next(self._numbers), wait))

    def _rest(self) -> None:
        me = self.current
        self._hand_on()
        me.turn.acquire()

    def _hand_on(self) -> None:
        self.switches += 1
        while not self._ready:
            if not self._waiting:
                _die()
            at, _, wait = heapq.heappop(self._waiting)
            if not wait.is_over:
                wait.is_over = True
                self.now = max(self.now, at)
                self._ready.append(wait.task)
        self.current = self._ready.popleft()
        self.current.turn.release()


def _die() -> None:
    for ident, frame in sys._current_frames().items():
        print(f"thread {ident}", file=sys.stderr)
        traceback.print_stack(frame)
    os.write(2, b"all threads wait for each other\n")
    os._exit(1)


def install(clock: Clock) -> None:  # noqa: C901 - three classes
    """Let this process live by the clock."""

    class Lock:
        """What `threading.Lock` makes."""

        def __init__(self) -> None:
            self._is_locked = False
            self._waiters: deque[_Wait] = deque()

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            if not self._is_locked:
                self._is_locked = True
                return True
            return blocking and timeout != 0 and clock.wait(self._waiters, timeout)

        def release(self) -> None:
            if not self._is_locked:
                raise RuntimeError("release of a lock that nobody holds")
            self._is_locked = clock.wake(self._waiters)  # whom it wakes has it

        def locked(self) -> bool:
            return self._is_locked

        def __enter__(self) -> bool:
            return self.acquire()

        def __exit__(self, *_: object) -> None:
            self.release()

    class Thread:
        """What is needed of `threading.Thread`."""

        def __init__(self, group=None, target=None, name=None, args=(), kwargs=None, *, daemon=None) -> None:
            self.name, self.daemon = name, daemon
            self._run = functools.partial(target, *args, **(kwargs or {}))
            self._alive = Lock()

        def start(self) -> None:
            self._alive.acquire()
            clock.spawn(self._to_its_end, clock.current.owner)

        def _to_its_end(self) -> None:
            self._run()
            self._alive.release()

        def join(self, timeout: float | None = None) -> None:
            if self._alive.acquire(timeout=-1 if timeout is None else timeout):
                self._alive.release()

        def is_alive(self) -> bool:
            return self._alive.locked()

    time.sleep = clock.sleep
    time.time = time.monotonic = lambda: clock.now
    threading.Lock = threading._allocate_lock = Lock
    threading.RLock = functools.RLock = threading._RLock  # that of Python itself, made of the lock above
    threading.Thread = Thread
    queue.SimpleQueue = queue._PySimpleQueue
