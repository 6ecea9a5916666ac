"""The errors that amlc raises, each class with the exit code that the command line gives it."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

_LONGEST = 60
_RIGHTS = "Give this user the right to it (ls -ld, chmod), or run amlc as who has it."
_REMEDIES = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EBADF: "Is stdout closed? Give it a place to go, such as /dev/null.",
    errno.EROFS: "Put the folders on a disk that can be written: --build, --state.",
}


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text file; `line` and `column` count from 1.

    Line 0: what is there was never a file.
    """

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else str(self.file)


class Severity(str, Enum):
    """How much a problem matters: an error stops the command, a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A message of two parts: what is wrong, and what to do about it.

    found, expected: what `what` says in words was there, and should be. None: it has no such part.
    """

    what: str
    hint: str | None = None
    found: str | None = field(default=None, kw_only=True)
    expected: str | None = field(default=None, kw_only=True)

    @property
    def text(self) -> str:
        """The whole of it."""
        return f"{self.what} {self.hint}" if self.hint else self.what

    def __str__(self) -> str:
        return self.text


def sentence(said: str | Sentence) -> Sentence:
    """Return a message as a sentence; of a text no part is known."""
    return Sentence(said) if isinstance(said, str) else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding about the user's files.

    code: stable and short, such as `E-unknown-key`; `--format json` and CI annotations carry it.
    path: JSON pointer inside the file (`/searchSpace/lr/_value/0`), empty for the whole file.
    found, expected, hint: the parts of the message, where they are known apart.
    """

    position: Position
    code: str
    message: str
    path: str = ""
    severity: Severity = Severity.ERROR
    found: str | None = None
    expected: str | None = None
    hint: str | None = None

    @classmethod
    def at(
        cls,
        position: Position,
        code: str,
        said: str | Sentence,
        *,
        path: str = "",
        severity: Severity = Severity.ERROR,
    ) -> Problem:
        """Return the problem that a sentence tells of."""
        parts = sentence(said)
        return cls(
            position=position,
            code=code,
            message=parts.text,
            path=path,
            severity=severity,
            found=parts.found,
            expected=parts.expected,
            hint=parts.hint,
        )

    def __str__(self) -> str:
        where = f"{self.position} {self.path}".rstrip()
        label = "" if self.severity is Severity.ERROR else f"{self.severity.value}: "
        return printable(f"{where}: {label}{self.message} [{self.code}]")


def printable(text: str) -> str:
    """Return the text with line ends and control characters, which keys may hold, as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def os_text(err: OSError) -> str:
    """Return in a line what the system refused, and what to do about it where that is known."""
    text = f"{err.filename or 'input or output'}: {err.strerror or err}."
    return f"{text} {_REMEDIES[err.errno]}" if err.errno in _REMEDIES else text


def nearest(found: str, known: Iterable[str]) -> str | None:
    """Return the one of `known` that may be meant, None when none is near; case does not count."""
    from difflib import get_close_matches

    by_fold = {name.lower(): name for name in known}
    near = get_close_matches(found.lower(), by_fold, n=1, cutoff=0.6)
    return by_fold[near[0]] if near else None


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest of `known`, or nothing when none is near."""
    near = nearest(found, known)
    return f" Did you mean '{near}'?" if near else ""


def shorten(text: str) -> str:
    """Return a found text as a message shows it: on one line, and no longer than 60 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


class AmlcError(Exception):
    """The root of all errors that amlc raises on purpose; its text is for the user.

    message: the text, with its parts where they are known. code: as in `Problem`, for those who
    read what was found as data.
    """

    exit_code = 2
    code = "E-usage"

    def __init__(self, message: str | Sentence = "") -> None:
        super().__init__(str(message))
        self.message = message


class UsageError(AmlcError):
    """The command cannot do what it was asked: nothing compiled, no such trial, a wrong option."""


class ConfigError(AmlcError):
    """The user's files have problems; carries every one of them, in file order."""

    exit_code = 1

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.position, p.code, p.message)))
        super().__init__("\n".join(map(str, self.problems)))


class RefusedError(AmlcError):
    """The experiment file is in order, and still cannot be compiled.

    code: as in `Problem`. path: the key of the experiment file that is the cause, in camelCase,
    from its top.
    """

    exit_code = 1
    code = "E-refused"
    path: tuple[str | int, ...] = ()

    def __init__(
        self,
        message: str | Sentence,
        *,
        path: tuple[str | int, ...] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.path = self.path if path is None else path
        self.code = code or self.code


class PlanError(RefusedError):
    """The experiment cannot be expanded.

    It is over budget, a constraint fails, a trial does not fit into a job.
    """


class TemplateError(RefusedError):
    """A job template failed, or rendered something else than the plan.

    Says template, line and value.
    """

    code = "E-template"
    path = ("amlc", "templates")


class DamageWarning(RuntimeWarning):
    """A record that was shown to be damaged was left out of what is shown."""


class LockedError(AmlcError):
    """Another process works on this experiment; the text says which."""

    exit_code = 5
    code = "E-locked"


class IncompleteError(AmlcError):
    """Some compiled trials have no result."""

    exit_code = 4


class NoResultError(IncompleteError):
    """All trials have ended, and none has a result that counts: waiting brings none."""

    exit_code = 1


class BackendError(AmlcError):
    """The back end, the sign-in or the network refused or failed."""

    exit_code = 5
    code = "E-backend"
    status_code: int | None = None  # of the answer, for back ends that have to tell them apart


class TransientError(BackendError):
    """The service or the network failed, and may work again in a while."""
