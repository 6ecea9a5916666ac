"""Find in a trial's stderr what it died of, and put its end in words."""

import re
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .job import Trial

KEPT_OF_STDERR = 1 << 16  # bytes; some progress bars go on after the error
LAST_WORDS_LENGTH = 300  # characters
_TRACEBACK = "Traceback (most recent call last):"
_LONGEST_MESSAGE = 10  # lines behind the first of an exception that may be its own

# CSI and OSC sequences (ECMA-48), and the short ones. Compiled where needed: most trials end well.
_ESCAPE = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
_PROGRESS = r"\d ?%|\d ?/ ?\d|[\u2588\u2501]"


class LastWords:
    """Keep the end of a trial's stderr, in bounded memory, and find there what it died of."""

    def __init__(self) -> None:
        self._tail = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next piece of stderr."""
        self._tail += data
        if len(self._tail) > 2 * KEPT_OF_STDERR:
            del self._tail[:-KEPT_OF_STDERR]

    def find(self) -> str:
        """Return the line that names the exception, else the last line that says something, or "".

        Progress bars, which are drawn over and over, say nothing.
        """
        *lines, unended = re.sub(r"\r+\n", "\n", self._tail.decode("utf-8", "replace")).split("\n")
        exception = _exception([*lines, unended])
        if exception:
            return printable(exception)[:LAST_WORDS_LENGTH]
        last_bar = ""
        for line, has_ended in [(unended, False)] + [(line, True) for line in reversed(lines)]:
            drawn = [words for words in map(printable, line.split("\r")) if words]
            if not drawn:
                continue
            if "\r" not in line or (has_ended and not re.search(_PROGRESS, drawn[-1])):
                return drawn[-1][:LAST_WORDS_LENGTH]
            last_bar = last_bar or drawn[-1][:LAST_WORDS_LENGTH]
        return last_bar


def _exception(lines: "list[str]") -> "str | None":
    """Return the line behind the last traceback, None if more follows than a message of its own.

    PyTorch's go on for lines, and the last of them says what could be tried.
    """
    said = [line for line in lines if line.strip() and "\r" not in line]
    for place in range(len(said) - 1, -1, -1):
        if said[place].strip() == _TRACEBACK:
            behind = [line for line in said[place + 1 :] if not line[0].isspace()]
            return behind[0] if 0 < len(behind) <= 1 + _LONGEST_MESSAGE else None
    return None


def printable(text: str) -> str:
    """Return `text` as one line of what can be printed.

    Escape sequences, control characters and halves of surrogate pairs are left out.
    """
    plain = re.sub(_ESCAPE, "", text)
    kept = (one for one in plain if one.isprintable() or one.isspace())
    return " ".join("".join(kept).split())


def how_it_exited(trial: "Trial", last_words: str) -> "str | None":
    """Return the error of a trial that ended by itself, or None."""
    if trial.signal:
        killed = f"killed by {trial.signal}"
        return f"{killed}; its last words: {last_words}" if last_words else killed
    if trial.exit_code:
        return last_words or f"exit code {trial.exit_code}"
    return None


def signal_name(number: int) -> str:
    """Return the name of a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals have no name here
        return f"signal {number}"
