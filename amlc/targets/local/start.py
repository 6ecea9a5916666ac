"""Start the supervisor of a job: a shell, or a fork of an interpreter that holds the runner.

The fork spares a job the start of an interpreter and the import of the runner, most of what a short
trial costs. It is for jobs whose command is the runner's, on Linux; where it cannot be had, the
shell starts them, as all others.
"""

from __future__ import annotations

import marshal
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from amlc.targets.local import processes

_RUNNER_COMMAND: Final = "python3 amlc_runner.py"
_SUPERVISOR: Final = Path(__file__).with_name("supervise.sh")
_FORK_SERVER: Final = Path(__file__).with_name("fork_server.py")
_MARK: Final = processes.MARK.encode()
_ANSWER_S: Final = 10.0


class ServerLostError(Exception):
    """Nobody knows whether a job was started; its lock does."""


class Supervisor(Protocol):
    """A supervisor that was started, the leader of a session."""

    @property
    def pid(self) -> int: ...

    def wait(self) -> None:
        """Return when it has ended. Its number is nobody else's before `release`."""

    def release(self) -> None:
        """Have done with it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job to be started.

    run: its folder. runner: the folder of the runner that jobs share; None if it has its own. lock,
    log: descriptors. timeout_s: 0 for none.
    """

    run: Path
    runner: Path | None
    command: str
    timeout_s: int
    environment: dict[bytes, bytes]
    lock: int
    log: int


class Starter:
    """Starts supervisors; `search_path` is where shells are looked for."""

    def __init__(self, search_path: str | None) -> None:
        self._shell = shutil.which("bash", path=search_path) or "/bin/sh"
        self._server: _ForkServer | None = None
        self._can_fork = hasattr(os, "pidfd_open") and bool(sys.executable)

    def start(self, job: Job) -> Supervisor:
        """Start the supervisor of a job. Raises OSError, ServerLostError."""
        server = self._forking(job)
        if server is None:
            return _Shell(self._shell, job)
        try:
            return server.start(job)
        except ServerLostError:
            self._can_fork = False
            raise

    def _forking(self, job: Job) -> _ForkServer | None:
        """Return what forks the job, if anything can."""
        if not self._can_fork or job.runner is None or job.command != _RUNNER_COMMAND:
            return None
        if self._server is None or self._server.runner != job.runner:
            try:
                self._server = _ForkServer(job.runner, job.environment)
            except OSError:
                self._can_fork = False
                return None
        return self._server


class _Shell:
    """supervise.sh, a child of this process."""

    def __init__(self, shell: str, job: Job) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", str(_SUPERVISOR), shell, job.command.encode(), str(job.timeout_s)],
            stdin=job.lock,
            stdout=job.log,
            stderr=subprocess.STDOUT,
            cwd=job.run,
            env=job.environment,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> None:
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def release(self) -> None:
        self._process.wait()


class _ForkServer:
    """fork_server.py: it ends when this object or this process does."""

    def __init__(self, runner: Path, environment: dict[bytes, bytes]) -> None:
        """Start it. environment: a job's, whose mark is as long as every other one. OSError."""
        self.runner = runner
        self._lock = threading.Lock()
        os.close(os.pidfd_open(os.getpid()))  # the kernel may be older than Python
        self._requests, theirs = socket.socketpair()
        self._requests.settimeout(_ANSWER_S)
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_FORK_SERVER), str(runner.absolute())],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={**environment, _MARK: environment[_MARK][:-1] + b"-"},
                start_new_session=True,
            )
        except BaseException:
            self._requests.close()
            raise
        finally:
            theirs.close()
        self._end = weakref.finalize(self, _end, self._requests, process)

    def start(self, job: Job) -> _Forked:
        request = {
            "run": os.fsencode(job.run.absolute()),
            "environment": dict(job.environment),
            "timeout_s": job.timeout_s,
        }
        try:
            with self._lock:
                self._send(request, job.lock, job.log)
                answer = self._requests.recv(8, socket.MSG_WAITALL)
        except OSError:
            answer = b""
        pid = int.from_bytes(answer, "big") if len(answer) == 8 else 0
        if not pid:
            self._end()  # what it was asked for and has not done yet, it must not do
            raise ServerLostError
        return _Forked(self, pid, os.pidfd_open(pid))

    def release(self, pid: int) -> None:
        with suppress(OSError), self._lock:
            self._send(pid)

    def _send(self, request: int | dict[str, Any], *descriptors: int) -> None:
        content = marshal.dumps(request)
        socket.send_fds(self._requests, [len(content).to_bytes(8, "big")], descriptors)
        self._requests.sendall(content)


def _end(requests: socket.socket, process: subprocess.Popen[bytes]) -> None:
    requests.close()
    process.kill()  # it may be one that does not run; its forks do not need it
    process.wait()


@dataclass(frozen=True, slots=True)
class _Forked:
    """A fork of the server's. ended: a descriptor that can be read from when it has ended."""

    server: _ForkServer
    pid: int
    ended: int

    def wait(self) -> None:
        poller = select.poll()
        poller.register(self.ended, select.POLLIN)
        poller.poll()

    def release(self) -> None:
        os.close(self.ended)
        self.server.release(self.pid)
