"""The runner's own stdout and stderr, and the pipes from trials whose output is passed on."""

import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .signals import Signals

READ_SIZE = 1 << 16  # what a pipe holds
DRAIN_LIMIT = 1 << 21  # bytes; a process that left the group may write for ever
ECHO_SIZE = 4096  # PIPE_BUF: after poll() says so, a write of this size does not block
ECHO_LIMIT = 1 << 20  # bytes kept for a reader that is behind

TICK_S = 0.02
SAY_WAIT_S = 1.0
ECHO_CLOSE_WHEN_STOPPED_S = 1.0


def say(text: object) -> None:
    """Write one line to stderr, whatever the locale.

    Nobody listening is no reason to fail, nor to wait for long.
    """
    line = "amlc: {}".format(" ".join(str(text).split())).encode("utf-8", "backslashreplace")
    poller = select.poll()
    poller.register(2, select.POLLOUT)
    try:
        if poller.poll(SAY_WAIT_S * 1000):
            os.write(2, line[: ECHO_SIZE - 1] + b"\n")
    except OSError:
        pass


def open_missing_streams() -> None:
    """See that 0, 1 and 2 are taken, so that no file of the runner's becomes somebody's stdout."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


class Echo:
    """Copy the trials' stdout or stderr (`fd`) to the runner's own, never waiting for its reader.

    While the reader is behind, nothing more is read for it, so that the trials wait as they would
    for a reader of their own. Once the runner has to stop, they do not, and what does not fit is
    dropped: their last metrics matter more. A reader that is gone is no reason to fail.
    """

    def __init__(self, fd: int, signals: "Signals") -> None:
        self.fd = fd
        self._signals = signals
        self._pending = bytearray()

    @property
    def is_behind(self) -> bool:
        """Whether its reader has not taken everything."""
        return bool(self._pending)

    @property
    def is_far_behind(self) -> bool:
        """Whether as much is kept for its reader as may be."""
        return len(self._pending) >= ECHO_LIMIT

    @property
    def takes_more(self) -> bool:
        """Whether trials should be read for it."""
        return not self._pending or bool(self._signals.stopped_by)

    def write(self, data: bytes) -> None:
        """Pass on `data`, at once or when its reader is ready."""
        while self.is_far_behind and self._signals.stopped_by:
            before = len(self._pending)
            self.flush(TICK_S)
            if len(self._pending) == before:
                return
        self._pending += data
        self.flush()

    def flush(self, wait_s: float = 0.0) -> None:
        """Write what the reader takes without waiting, or what it takes first within `wait_s`."""
        poller = select.poll()
        poller.register(self.fd, select.POLLOUT)
        while self._pending and poller.poll(wait_s * 1000):
            wait_s = 0.0
            try:
                del self._pending[: os.write(self.fd, self._pending[:ECHO_SIZE])]
            except BlockingIOError:
                return
            except OSError:
                self._pending.clear()

    def close(self) -> None:
        """Write what is left, however long that takes; not for long if the runner has to stop."""
        last = time.monotonic() + ECHO_CLOSE_WHEN_STOPPED_S
        while self._pending and not (self._signals.stopped_by and time.monotonic() > last):
            self.flush(TICK_S)


class Stream:
    """The pipe from a trial's stdout or stderr: all is passed on to `echo`, and shown to `look`."""

    def __init__(self, echo: Echo, look: "Callable[[bytes], None]") -> None:
        self.echo = echo
        self._look = look
        self.fd: int | None = None  # the reading end, while there may be more

    def open(self) -> int:
        """Return the writing end of a new pipe."""
        self.fd, write_end = os.pipe()
        os.set_blocking(self.fd, False)
        return write_end

    def pass_on(self) -> int:
        """Pass on one piece; return its size, 0 at the end."""
        assert self.fd is not None
        try:
            data = os.read(self.fd, READ_SIZE)
        except BlockingIOError:
            return 1
        self.echo.write(data)
        self._look(data)
        return len(data)

    def drain(self) -> None:
        """Read what is there but do not wait for the end.

        A process outside the group may hold the pipe open.
        """
        left = DRAIN_LIMIT
        while self.fd is not None and left > 0 and self._has_more(self.fd):
            size = self.pass_on()
            left -= size or left
        self.close()

    def close(self) -> None:
        """Close the reading end, if it is not closed already."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    @staticmethod
    def _has_more(fd: int) -> bool:
        poller = select.poll()  # select() takes no descriptor beyond 1023
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(0))
