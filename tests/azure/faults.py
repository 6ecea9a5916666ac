"""Rules that make the control plane misbehave: which calls, how often, and in which way."""

import os
import re
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

GARBAGE = b'{"value": [{"name": "cut off in the mid'


@dataclass(eq=False, kw_only=True)
class Fault:
    """One rule. It picks calls by method and path, counts them, and spoils some.

    method, path: regular expressions, searched for in the call's method and its path with the query.
    every, at, first: of the calls that match, spoil each `every`-th, only the `at`-th, or only the `first` ones (from 1).
    times: stop after that many spoiled calls.
    after: whether the call takes effect before the answer is spoiled.
    status, code, message, retry_after: answer with this status and Azure's error body.
    reset: no answer; the connection is reset.
    body: answer with these bytes, and 200 unless `status` says otherwise.
    delay_s: wait first; alone, the answer is only late.
    """

    method: str = "."
    path: str = "."
    every: int = 1
    at: int | None = None
    first: int | None = None
    times: int | None = None
    after: bool = False
    status: int | None = None
    code: str | None = None
    message: str = "The emulator was told to fail this call."
    retry_after: str | float | None = None
    reset: bool = False
    body: bytes | None = None
    delay_s: float = 0.0
    matched: int = 0
    spoiled: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def picks(self, method: str, target: str) -> bool:
        """Count the call when it matches, and say whether it is to be spoiled."""
        if not (re.search(self.method, method) and re.search(self.path, target)):
            return False
        with self._lock:
            self.matched += 1
            picked = (
                self.matched % self.every == 0
                and self.at in (None, self.matched)
                and (self.first is None or self.matched <= self.first)
                and (self.times is None or self.spoiled < self.times)
            )
            self.spoiled += picked
        return picked

    @property
    def only_slow(self) -> bool:
        """Whether the answer itself is left as it is."""
        return not self.reset and self.status is None and self.body is None


class KillAt(Fault):
    """No fault of the service: at the k-th call the client, whose process id is `pid`, is killed.

    whole: its child processes first; what makes the first job would try again, if the machine is busy and it lives on.
    """

    def __init__(self, at, *, after, whole=False, **rule):
        super().__init__(at=at, after=after, reset=True, **rule)
        self.pid, self.whole = None, whole

    def picks(self, method, target):
        if not super().picks(method, target):
            return False
        for pid in [*(_children(self.pid) if self.whole else ()), self.pid]:
            os.kill(pid, signal.SIGKILL)
        return True


def _children(parent):
    """Return the ids of a process's child processes."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it is gone
            if int(file.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(file.parent.name))
    return found


def throttle(**rule) -> Fault:
    """Return 429 as Azure words it; give `retry_after` for the header."""
    return Fault(**{"status": 429, "code": "TooManyRequests", "message": "Too many requests.", **rule})


def garbage(**rule) -> Fault:
    """Return an answer whose JSON is cut off."""
    return Fault(**{"body": GARBAGE, **rule})


def expired_token(**rule) -> Fault:
    """Return 401 as if the token had expired."""
    message = "The access token expiry UTC time is earlier than the current UTC time."
    return Fault(**{"status": 401, "code": "ExpiredAuthenticationToken", "message": message, **rule})
