"""Run a command; print its exit code and what it, and all that it started, took: seconds, those of CPU, and megabytes.

python meter.py MOST_S COMMAND…. A script that imports little, since a process counts as large as the one that started
it. What the command leaves behind is waited for, since its CPU counts too, and ended when MOST_S are over, or ten
seconds after the command.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress

PR_SET_CHILD_SUBREAPER = 36
LEFT_BEHIND_S = 10.0


def main(most_s: float, command: list[str]) -> None:
    if sys.platform == "linux":  # elsewhere what is orphaned does not count
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGALRM, lambda *_: _end(process))
    signal.setitimer(signal.ITIMER_REAL, most_s, 0.1)
    code = process.wait()
    wall_s = time.perf_counter() - start
    signal.setitimer(signal.ITIMER_REAL, LEFT_BEHIND_S, 0.1)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    kilobytes = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    print(code, wall_s, used.ru_utime + used.ru_stime, kilobytes / 1024)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and what is left of it; at the next signal, what these leave behind."""
    process.kill()
    with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        for pid in file.read().split():
            with suppress(OSError):
                os.kill(int(pid), signal.SIGKILL)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
