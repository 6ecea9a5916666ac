"""The processes of a job on this machine: found by their session and by a mark, and ended.

A trial may leave the session (`setsid`), and its supervisor may be killed: the mark, a variable in
the environment, is then all that says whose process it is. Only Linux shows it to others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

MARK: Final = "_AMLC_RUN"
"""The variable that holds the mark of a job and, in front of it, of the job that it runs inside."""

_PATIENCE_S = 5.0  # how long a killed process may take to be gone


def is_marked(pid: int, mark: str) -> bool | None:
    """Tell whether a process belongs to the job with that mark; None where nobody can know."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            return mark.encode() in stream.read()
    except ProcessLookupError:  # gone while it was read
        return False
    except FileNotFoundError:
        return None if os.path.isdir(f"/proc/{pid}") or not os.path.isdir("/proc/self") else False
    except OSError:  # another user's
        return None


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group, if it is there and ours."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end(mark: str | None, *, session: int | None = None) -> None:
    """Kill every process of a job, and wait until those that are marked are gone.

    mark: None for a job that has none. session: its number, which is sure to be the job's still;
    None: processes are known by their mark alone.
    """
    deadline = time.monotonic() + _PATIENCE_S
    looks = 1  # that have to find nothing
    while looks and time.monotonic() < deadline:
        found = [*_of_job(mark, session)]
        # All stand still first: none may see another's end, go on and call its trial a success.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        if mark is None:
            return
        # While the list was made, one of them may have begun another and ended.
        looks = 3 if found else looks - 1
        session = None  # killed, its members are there for as long as nobody asks for their end
        if looks:
            time.sleep(0.002)


def _of_job(mark: str | None, session: int | None) -> Iterator[int]:
    for pid in _processes():
        with suppress(ProcessLookupError, PermissionError):
            if session is not None and os.getsid(pid) == session and not _is_dead(pid):
                yield pid
        if mark and is_marked(pid, mark):
            yield pid


def _is_dead(pid: int) -> bool:
    """Tell whether a process is there only because nobody asked for its end yet."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].lstrip().startswith(b"Z")
    except OSError:
        return False


def _processes() -> list[int]:
    if os.path.isdir("/proc/self"):
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=False
    ).stdout
    return [int(word) for word in listing.split()]
