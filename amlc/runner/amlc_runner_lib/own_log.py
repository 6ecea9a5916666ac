"""Keep what one of a job's several trials prints apart, in a file of its own."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "log.txt"
MOST_BYTES = 1 << 26  # of a log; the job's own has the rest


class OwnLog:
    """What a trial prints to stdout and stderr, as it comes; nothing here ever fails a trial."""

    def __init__(self, folder: str) -> None:
        self._left = MOST_BYTES
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        try:
            self._file = os.open(os.path.join(folder, NAME), flags, 0o666)
        except OSError:
            self._file, self._left = -1, 0

    def beside(self, look: "Callable[[bytes], None]") -> "Callable[[bytes], None]":
        """Return what keeps a piece of output, and shows it to `look` too."""

        def both(data: bytes) -> None:
            self._keep(data)
            look(data)

        return both

    def close(self) -> None:
        """Close the file, whatever comes of it."""
        self._left = 0
        try:
            os.close(self._file)
        except OSError:
            pass

    def _keep(self, data: bytes) -> None:
        view = memoryview(data)[: self._left]
        self._left -= len(view)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:  # what has a gap is no log: it ends here
            self._left = 0
