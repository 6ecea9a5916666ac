"""Run amlc as forks of one process that has imported it, and the large libraries, already: most of a short command's time.

A fork sees what a process of its own would: its environment, folder, streams and exit code, and random numbers of its
own. What Python heeds at its start alone (`is_possible`) it cannot see, and `/proc` says nothing of its environment;
tests about either, and those that kill, start real processes (`Project.start`).
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What amlc loads when it is needed, and what `import nni` waits for; that itself is part of what amlc does.
_THEIRS = ("jinja2.sandbox", "jsonschema", "rich.progress", "optuna", "pandas", "scipy.stats", "scipy.optimize",
           "json_tricks", "requests", "typeguard", "cloudpickle")  # fmt: skip
_AT_START = ("PYTHON", "LC_", "LANG", "OMP_", "OPENBLAS_", "MKL_", "LD_")
_LONGEST = 1 << 20
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
"""The variables that the process has which forks for this one: none that the first test to need it has set, whose end
would end all processes that know its folder."""


def is_possible(environ):
    """Whether a fork with this environment does what a process would: Python takes some variables at its start alone."""
    heeded = ({name: text for name, text in each.items() if name.startswith(_AT_START)} for each in (environ, _ENVIRONMENT))
    return next(heeded) == next(heeded)


class Forked:
    """A fork that runs amlc, with what tests use of subprocess.Popen."""

    def __init__(self, arguments, environ, folder):
        reads, writes = zip(*(os.pipe() for _ in range(3)), strict=True)
        message = json.dumps([arguments, environ, str(folder)]).encode()
        socket.send_fds(_server(), [message], writes)
        for descriptor in writes:
            os.close(descriptor)
        self._out, self._err = (os.fdopen(descriptor, "rb") for descriptor in reads[:2])
        self._status = os.fdopen(reads[2], encoding="ascii")
        self.args, self.returncode = ["amlc", *arguments], None
        self.pid = int(self._status.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for file in (self._out, self._err, self._status):
            file.close()

    def communicate(self, timeout):
        """Return what it writes to stdout and stderr, once it has ended. Raises TimeoutExpired."""
        found, deadline = [b"", b""], time.monotonic() + timeout
        readers = [
            threading.Thread(target=lambda n=n, file=file: found.__setitem__(n, file.read()), daemon=True)
            for n, file in enumerate((self._out, self._err))
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(max(deadline - time.monotonic(), 0))
            if reader.is_alive():
                self.kill()
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.returncode = int(self._status.readline())
        return tuple(found)

    def kill(self):
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


@cache
def _server():
    """Start the process that forks, once for each process of pytest; return the socket that it listens to."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
    process = subprocess.Popen(
        [sys.executable, __file__, str(its.fileno())],
        env=_ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,  # pipes, as a fork has
        pass_fds=[its.fileno()],
    )  # fmt: skip
    its.close()
    atexit.register(process.wait)
    atexit.register(ours.close)  # which ends it; what is registered last comes first
    return ours


def _serve(listener):
    """Fork for each message; return its folder and arguments in the fork, and None when there are no more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while True:
        message, descriptors, _, _ = socket.recv_fds(listener, _LONGEST, 3)
        if not message:
            return None
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _fork(*json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _fork(arguments, environ, folder, out, err, status):
    """Become the fork, and leave behind one that says how it ended."""
    pid = os.fork()
    if pid:
        os.close(out)
        os.close(err)
        os.write(status, b"%d\n" % pid)
        _, code = os.waitpid(pid, 0)
        with suppress(BrokenPipeError):
            os.write(status, b"%d\n" % os.waitstatus_to_exitcode(code))
        os._exit(0)
    os.close(status)
    for number, descriptor in enumerate((out, err), 1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.chdir(folder)
    return folder, arguments


def _modules():
    """Return the names of amlc's own modules; the runner is none, and Azure's client is for whoever asks for it."""
    names = [path.relative_to(ROOT).with_suffix("").parts for path in sorted((ROOT / "amlc").rglob("*.py"))]
    return [".".join(name) for name in names if name[1] not in ("runner", "__main__") and "aml" not in name]


def load(*more):
    """Import what commands need, and `more`, once for all forks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*_modules(), *_THEIRS, *more):
            with suppress(ImportError):  # of a library, which whoever needs it will say
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection in each fork copies all of it


if __name__ == "__main__":
    load()
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    if (wanted := _serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        import numpy as np

        np.random.seed()  # noqa: NPY002 - each process has its own
        sys.path[0] = wanted[0]
        sys.argv = ["amlc", *wanted[1]]
        runpy.run_module("amlc", run_name="__main__", alter_sys=True)
