"""Note that the runner was told to stop, and wake it up."""

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


class Signals:
    """Note that the runner was told to stop, and make poll() notice that, or a child's end."""

    def __init__(self) -> None:
        self.stopped_by: str | None = None
        self.wake, write_end = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(write_end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # A shell's `&` and nohup ignore the others.
            if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._stop)
        signal.set_wakeup_fd(write_end)

    def clear(self) -> None:
        """Forget what woke poll() up so far."""
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            pass

    def _stop(self, number: int, frame: "FrameType | None") -> None:
        self.stopped_by = self.stopped_by or signal.Signals(number).name
