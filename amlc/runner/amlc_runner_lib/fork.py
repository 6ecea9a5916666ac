"""Start a process where Python has no posix_spawn, before 3.8."""

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def fork(
    command: "list[bytes]",
    env: "Mapping[bytes, bytes]",
    cwd: str,
    streams: "Sequence[int]",
    defaults: "Sequence[signal.Signals]",
) -> int:
    """Start a process in a group of its own and return its id.

    Raises OSError if the command cannot be run.
    streams: the descriptors that are its 0, 1 and 2. defaults: the signals that it does not ignore.
    """
    failure, failed = os.pipe()
    with open(failure, "rb") as report:
        try:
            pid = os.fork()
            if not pid:
                try:
                    _set_up(cwd, streams, defaults)
                    os.execve(command[0], command, env)  # noqa: S606 - the command is a shell
                except OSError as error:
                    os.write(failed, b"%d" % (error.errno or 0))
                finally:
                    os._exit(127)  # whatever it is, it must not go back into the loop
        finally:
            os.close(failed)
        number = int(report.read() or 0)  # the child's end is closed once the command runs
    if number:
        os.waitpid(pid, 0)
        raise OSError(number, os.strerror(number))
    return pid


def _set_up(cwd: str, streams: "Sequence[int]", defaults: "Sequence[signal.Signals]") -> None:
    os.setpgid(0, 0)  # the parent goes on only after this
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
    for number in defaults:
        signal.signal(number, signal.SIG_DFL)
    os.chdir(cwd)
