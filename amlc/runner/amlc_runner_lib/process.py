"""A trial as long as it runs: how its shell is started, and how its process group ends."""

import os
import signal
import time

from .last_words import LastWords
from .results import TERMINATED, TIME_LIMIT
from .streams import TICK_S, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .job import Trial
    from .metric_log import MetricLog
    from .own_log import OwnLog
    from .slots import Slot
    from .streams import Echo

STOP_GRACE_S = 5.0  # Azure ML allows more, but not always
LEFTOVER_GRACE_S = 1.0
KILL_WAIT_S = 2.0
LONGEST_TRIAL_S = 10**9  # 30 years; integers beyond what a clock or poll() takes mean no more
LONGEST_WAIT_S = 3600.0
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class Process:
    """A running trial: its shell, the shell's process group, and the way to their end."""

    def __init__(
        self,
        trial: "Trial",
        slot: "Slot",
        folder: "str | None",
        log: "MetricLog",
        echoes: "Sequence[Echo]",
        own: "OwnLog | None",
    ) -> None:
        self.trial, self.slot, self.folder, self.log, self.own = trial, slot, folder, log, own
        self.last_words = LastWords()
        looks: list[Callable[[bytes], None]] = [log.feed, self.last_words.feed]
        if own:
            looks = [own.beside(look) for look in looks]
        self.streams = [Stream(echo, look) for echo, look in zip(echoes, looks)]
        self.status: int | None = None  # of the shell: exit code, or -n for signal n
        self.asked: str | None = None  # why the shell was asked to end: TIME_LIMIT or TERMINATED
        self._pid = 0  # of the shell
        self._limit: float | None = None  # when its time is up
        self._deadline: float | None = None  # set once the group was asked to end
        self._is_killed = False

    def spawn(
        self, command: bytes, env: "Mapping[bytes, bytes]", cwd: str, limit_s: "int | None"
    ) -> None:
        """Start the shell. Raises OSError."""
        write_ends = []
        try:
            for stream in self.streams:
                write_ends.append(stream.open())  # noqa: PERF401 - of one that cannot be opened, the others are closed
            self._pid = spawn(
                [b"/bin/sh", b"-c", command], env, cwd, stdout=write_ends[0], stderr=write_ends[1]
            )
        except BaseException:
            for stream in self.streams:
                stream.close()
            raise
        finally:
            for fd in write_ends:
                os.close(fd)
        if limit_s is not None:
            self._limit = time.monotonic() + min(limit_s, LONGEST_TRIAL_S)

    def advance(self, now: float, stopped_by: "str | None") -> bool:
        """Do what is due; return whether it is all over."""
        self._look()
        is_shell_alive = self.status is None
        reason = self._reason_to_end(now, stopped_by)
        if is_shell_alive and not reason:
            return False
        if not is_shell_alive and not self._is_group_alive():
            return True
        if self._deadline is None:
            self._signal(signal.SIGTERM)
            self.asked = reason if is_shell_alive else None
            self._deadline = now + (STOP_GRACE_S if is_shell_alive else LEFTOVER_GRACE_S)
        elif now >= self._deadline:
            if self._is_killed:
                return True
            self._signal(signal.SIGKILL)
            self._is_killed = True
            self._deadline = now + KILL_WAIT_S
        return False

    def patience_s(self, now: float) -> float:
        """Return how long the runner may wait to look at this trial, if nothing is heard of it."""
        if self._deadline is not None:
            return TICK_S
        if self._limit is None:
            return LONGEST_WAIT_S
        return max(0.0, min(self._limit - now, LONGEST_WAIT_S))

    def kill(self) -> None:
        """End it at once, for when the runner itself is broken."""
        self._signal(signal.SIGKILL)

    def _reason_to_end(self, now: float, stopped_by: "str | None") -> "str | None":
        if self.asked:
            return self.asked
        if self._limit is not None and now >= self._limit:
            return TIME_LIMIT
        return TERMINATED if stopped_by else None

    def _look(self) -> None:
        if self.status is not None:
            return
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self.status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # gone, or somebody else's by now (sudo)

    def _is_group_alive(self) -> bool:
        try:
            while os.waitpid(-self._pid, os.WNOHANG)[0]:
                pass  # as process 1 of a container the runner inherits what is left
        except ChildProcessError:
            pass
        try:
            os.killpg(self._pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True


def spawn(
    command: "list[bytes]", env: "Mapping[bytes, bytes]", cwd: str, *, stdout: int, stderr: int
) -> int:
    """Start a process in a group of its own, without stdin, and return its id. Raises OSError.

    Not subprocess: importing it costs as much as everything else here before the trial runs.
    """
    stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if hasattr(os, "posix_spawn"):  # 3.8
            return _posix_spawn(command, env, cwd, (stdin, stdout, stderr))
        from .fork import fork

        return fork(command, env, cwd, (stdin, stdout, stderr), IGNORED_BY_PYTHON)
    finally:
        os.close(stdin)


def _posix_spawn(
    command: "list[bytes]", env: "Mapping[bytes, bytes]", cwd: str, streams: "Sequence[int]"
) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)]  # novm
    here = os.getcwd()
    os.chdir(cwd)  # posix_spawn has no cwd, and no other thread of the runner uses a relative path
    try:
        return os.posix_spawn(  # novm: guarded by the caller
            command[0],
            command,
            env,
            file_actions=actions,
            setpgroup=0,
            setsigdef=IGNORED_BY_PYTHON,
        )
    finally:
        os.chdir(here)
