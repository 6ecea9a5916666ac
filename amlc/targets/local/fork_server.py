"""Start local jobs as forks of an interpreter that has the runner in memory, instead of one each.

A script, run apart from amlc: `python -I -S fork_server.py RUNNER`, the folder with amlc_runner.py.
Single-threaded, so that a fork is safe, and it ends with whoever holds the other end of its stdin,
a stream socket. In: requests, each its length (8 bytes, big-endian) and a marshalled value.
  {"run": folder, "environment": {name: value} in bytes, "timeout_s": n, 0 for none}
      with two descriptors, the job's lock and its log: start it. Out: its supervisor's process id,
      8 bytes, or 0 if it was not started.
  n   ask for the end of the supervisor n. Until then its number is nobody else's.

A supervisor does what supervise.sh does, which is the explanation; the job itself is a fork of it
that goes on as `python3 amlc_runner.py` would. Both have the job's mark where others look for it,
in /proc/PID/environ: what stands there is the memory that this process got at its start, so the
mark is written over one of the same length.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import marshal
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any, NoReturn

MARK = b"_AMLC_RUN"
LEFTOVERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "leftovers.sh")
TRIES = 20
PAUSE_S = 1.0
KILL_S = 15
LONGEST_S = 10**9  # 30 years; alarm() takes not much more


def load(runner: str) -> ModuleType:
    """Import all parts of the runner in that folder; return its main module."""
    sys.dont_write_bytecode = True
    path = os.path.join(runner, "amlc_runner.py")
    spec = importlib.util.spec_from_file_location("amlc_runner", path)
    assert spec is not None
    assert spec.loader is not None
    start = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(start)
    parts = os.path.join(runner, start.PARTS)
    sys.meta_path.insert(0, start.Parts(parts))
    for name in sorted(os.listdir(parts)):
        if name.endswith(".py") and name != "__init__.py":
            importlib.import_module(f"{start.PARTS}.{name[:-3]}")
    return sys.modules[f"{start.PARTS}.main"]


def serve(requests: socket.socket, runner: ModuleType) -> None:
    """Do what is asked for until nobody is there to ask."""
    while True:
        header, fds, _, _ = socket.recv_fds(requests, 8, 2)
        if not header:
            return
        header += _read(requests, 8 - len(header))
        content = _read(requests, int.from_bytes(header, "big"))
        request = marshal.loads(content)  # noqa: S302 - of the process that started this one
        if isinstance(request, int):
            os.waitpid(request, 0)
            continue
        try:
            pid = os.fork()
        except OSError:
            pid = 0
        else:
            if not pid:
                requests.close()
                _end_with(partial(supervise, request, fds, runner))
        for fd in fds:
            os.close(fd)
        requests.sendall(pid.to_bytes(8, "big"))


def _read(requests: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        piece = requests.recv(length - len(found))
        if not piece:
            raise SystemExit(0)
        found += piece
    return bytes(found)


def _end_with(act: Callable[[], int]) -> NoReturn:
    """End this fork with what `act` returns: it never goes back to where it was made."""
    code = 1
    try:
        code = act()
    except BaseException:  # noqa: BLE001 - as an interpreter does with all that is left to it
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def supervise(request: dict[str, Any], fds: list[int], runner: ModuleType) -> int:
    """Run one job and write down how it ended."""
    lock, log = fds
    parent = os.getppid()
    os.setsid()
    os.dup2(lock, 0)  # as in the shell: what runs behind this one by exec has it too
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, max(lock, log) + 1)
    os.chdir(request["run"])
    _take(request["environment"])
    me = str(os.getpid())
    if not (_again(lambda: _write("supervisor.tmp", me)) and _again(lambda: _write("started", me))):
        os.write(2, b"amlc: the job was not started: its run folder cannot be written\n")
        return 1
    job = os.fork()
    if not job:
        _end_with(partial(_run, runner))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: None)  # live through it, to write down the end
    if request["timeout_s"]:
        signal.signal(signal.SIGALRM, _late)
        signal.alarm(min(request["timeout_s"], LONGEST_S))
    _again(lambda: os.rename("supervisor.tmp", "supervisor"))
    code = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    signal.alarm(0)
    if _again(lambda: _write("exit_code.tmp", str(code if code >= 0 else 128 - code))):
        _again(lambda: os.rename("exit_code.tmp", "exit_code"))
    if os.getppid() != parent:  # who would end what is left is gone
        os.execv("/bin/sh", ["/bin/sh", LEFTOVERS])  # noqa: S606 - in this process's place
    return 0


def _run(runner: ModuleType) -> int:
    """Be the runner of the job."""
    os.chdir("work")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the lock is the supervisor's alone
    os.close(nothing)
    return int(runner.main())


def _late(number: int, frame: object) -> None:
    """End the job at its limit: all of the process group, and what is left of it by force."""
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(0, signal.SIGKILL))
    signal.alarm(KILL_S)
    with suppress(OSError):
        _write("timed_out", "")
    os.killpg(0, signal.SIGTERM)


def _take(environment: dict[bytes, bytes]) -> None:
    """Make the environment this process's, and its mark what others see of it. Raises OSError."""
    mark = environment[MARK]
    with open("/proc/self/environ", "rb") as file:
        seen = b"\0" + file.read()
    placeholder = b"\0%s=%s\0" % (MARK, os.environb[MARK])
    with open("/proc/self/stat", "rb") as file:
        start = int(file.read().rpartition(b")")[2].split()[47])  # env_start, the 50th of all
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start - 1 + seen.index(placeholder) + len(MARK) + 2)
        memory.write(mark)
    os.environb.clear()
    os.environb.update(environment)


def _write(name: str, text: str) -> None:
    with open(name, "w") as file:
        print(text, file=file, flush=True)
        if name == "exit_code.tmp":
            os.fsync(file.fileno())  # or a power cut could leave the name without the number


def _again(act: Callable[[], object]) -> bool:
    """Do it or, after a while, do not: a disk may be full for a moment."""
    for left in reversed(range(TRIES)):
        try:
            act()
        except OSError:
            if left:
                time.sleep(PAUSE_S)
        else:
            return True
    return False


if __name__ == "__main__":
    with socket.socket(fileno=os.dup(0)) as stdin:
        _take(dict(os.environb))  # whoever cannot had better not begin
        main = load(sys.argv[1])
        gc.freeze()  # so that a fork shares what is here
        serve(stdin, main)
