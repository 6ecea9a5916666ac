"""The exit codes of commands that went through, by what they returned.

An error has that of its class in `errors`. 0 ok · 1 problems found, or a trial failed · 2 wrong
usage · 3 --check found a difference · 4 results incomplete · 5 not now: the same may work later
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from amlc.errors import BackendError, ConfigError, IncompleteError, UsageError

if TYPE_CHECKING:  # what another command returns would take long to import
    from amlc.backends import Check
    from amlc.commands.plan import Plan
    from amlc.commands.reproduce import Reproduced
    from amlc.commands.steps import Run
    from amlc.commands.validate import Checked
    from amlc.write import Build

OK: Final = 0
DIFFERENT: Final = 3

_PASSING: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.EBADF,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.EAGAIN,
        errno.EBUSY,
        errno.ENOLCK,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""What ails the machine, and neither the user's files nor the command."""


def of_os_error(error: OSError) -> int:
    """Return the exit code where the system refused something."""
    return (BackendError if error.errno in _PASSING else UsageError).exit_code


def exit_code(command: str, answer: Any) -> int:
    """Return the exit code of a command, given what it returned."""
    return _CODES[command](answer) if command in _CODES and answer is not None else OK


def _of_validate(answer: Sequence[Checked]) -> int:
    if any(one.unreadable for one in answer):
        return UsageError.exit_code
    return ConfigError.exit_code if any(one.failed for one in answer) else OK


def _of_compile(answer: Build) -> int:
    return DIFFERENT if answer.preview and answer.changes else OK


def _of_plan(answer: Plan) -> int:
    return ConfigError.exit_code if answer.expense.exceeded else OK


def _of_submit(answer: Run) -> int:
    from amlc.drive import CANCELED

    if answer.canary or answer.stopped == CANCELED:
        return 1
    if answer.verdict.failed or answer.progress.failed:
        return 1
    if answer.partial or answer.verdict.over:
        return OK
    return IncompleteError.exit_code


def _of_retry(answer: Run) -> int:
    """Return what `submit` does, unless what was asked for by its number was not done."""
    is_refused = answer.stopped is not None and not answer.progress.submitted
    return _of_submit(answer) or (IncompleteError.exit_code if is_refused else OK)


def _of_doctor(answer: Sequence[Check]) -> int:
    return OK if all(check.is_well for check in answer) else BackendError.exit_code


def _of_reproduce(answer: Reproduced) -> int:
    return OK if answer.agrees else 1


_CODES: Final[dict[str, Callable[[Any], int]]] = {
    "validate": _of_validate,
    "compile": _of_compile,
    "plan": _of_plan,
    "submit": _of_submit,
    "retry": _of_retry,
    "run": _of_submit,
    "doctor": _of_doctor,
    "reproduce": _of_reproduce,
}
