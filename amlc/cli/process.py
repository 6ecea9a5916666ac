"""The process: the only place that prints errors and exits."""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
import warnings
from contextlib import suppress
from typing import Any, NoReturn

import click

from amlc.cli.command import main
from amlc.cli.invocation import Invocation, say
from amlc.errors import AmlcError, ConfigError, DamageWarning, IncompleteError, os_text, printable


def entry_point() -> NoReturn:
    """Run the command line and exit with the code that `amlc --help` explains."""
    _open_missing_streams()
    _let_streams_take_anything()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it
            signal.signal(number, _terminated)
    call = Invocation()
    warnings.showwarning = lambda message, category, *_: _warn(call, message, category)
    sys.exit(_guarded(call))


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM, as a CI job that is canceled gets it, or SIGHUP: what goes on is said, as after ^C.

    number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _terminated(number: int, _: Any) -> NoReturn:
    raise _TerminatedError(number)


def _warn(call: Invocation, message: Warning | str, category: type[Warning]) -> None:
    call.damaged |= issubclass(category, DamageWarning)
    call.warn(f"warning: {message}")


def _guarded(call: Invocation) -> int:
    """Run the command, and what the user wants to be run at its end; return its exit code."""
    code = _ended(call)
    if call.on_end is not None:
        from amlc.cli.hook import run_hook

        run_hook(call, code=code)
    return code


def _ended(call: Invocation) -> int:
    """Run the command; return its exit code, or that of the error that it says."""
    stdout = sys.stdout
    try:
        try:
            return _run(call)
        except AmlcError as err:
            call.message = str(err).partition("\n")[0]
            code = _failed(call, err)
            sys.stdout.flush()  # what was written before has to arrive all the same
            return code
    except click.exceptions.Abort as err:
        call.message = _interrupted(call)
        cause = err.__cause__
        number = cause.number if isinstance(cause, _TerminatedError) else signal.SIGINT
        return _complain(call.message, 128 + number)
    except click.ClickException as err:
        call.message = err.format_message()
        err.show()
        return err.exit_code
    except (BrokenPipeError, SystemExit) as err:
        # Of the former rich makes the latter, with 1, and so does click, once it has put another
        # stream in stdout's place.
        is_made_of_it = isinstance(err.__context__, BrokenPipeError) or sys.stdout is not stdout
        if isinstance(err, SystemExit) and not is_made_of_it:
            raise
        _drop_output()  # its reader is gone
        return 128 + signal.SIGPIPE
    except OSError as err:
        _flush_or_drop()
        call.message = os_text(err)
        return _complain(call.message, _of_os_error(err))


def _failed(call: Invocation, err: AmlcError) -> int:
    """Say an error, in the format that was asked for; return its exit code."""
    call.say_held()
    is_listed = isinstance(err, ConfigError)
    if call.format not in ("text", "markdown"):
        call.complain(err)
        call.report()
        sys.stdout.flush()
        return err.exit_code if is_listed else _complain(str(err), err.exit_code)
    return _list(err) if isinstance(err, ConfigError) else _complain(str(err), err.exit_code)


def _list(err: ConfigError) -> int:
    """Say the problems of the user's files, each with its place."""
    from amlc.display.problems import lines

    for problem in err.problems:
        head, *shown = lines(problem, sys.stderr)
        # Several are a list, each with its own position.
        say(f"{_mark()}{head}" if len(err.problems) == 1 else head)
        for line in shown:
            say(line)
    return err.exit_code


def _run(call: Invocation) -> int:
    answer = main.main(prog_name="amlc", standalone_mode=False, obj=call)
    if not call.is_told:
        call.report()
    # Without a command it was `--help` or `--version`, of which click returns the exit code itself.
    code = _code(call.command, answer) if call.command else int(answer or 0)
    sys.stdout.flush()
    if call.damaged and not code:
        code = IncompleteError.exit_code
    if code:
        call.say_held()
    call.message = str(getattr(answer, "verdict", ""))
    return code


def _of_os_error(err: OSError) -> int:
    from amlc.exit_codes import of_os_error

    return of_os_error(err)


def _code(command: str, answer: Any) -> int:
    from amlc.exit_codes import exit_code

    return exit_code(command, answer)


def _interrupted(call: Invocation) -> str:
    if call.command not in ("run", "submit", "retry"):
        return "interrupted."
    again = shlex.join(["amlc", *sys.argv[1:]])
    advice, given = call.folders.advice, call.given
    return (
        f"interrupted. Jobs that were submitted go on. {again} takes them up again, "
        f"{advice('status', given)} shows them, {advice('cancel', given, '--all')} ends them."
    )


def _complain(text: str, code: int) -> int:
    text = "\n".join(map(printable, text.split("\n")))  # a terminal obeys what a file may hold
    if "\n" not in text:  # else it is a list of problems, each with its own position
        text = f"{_mark()}{text}"
    say(text)
    return code


def _mark() -> str:
    red = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return "\x1b[31merror:\x1b[0m " if red else "error: "


def _open_missing_streams() -> None:
    """Give a stream that the caller closed (`>&-`) a place to go.

    Otherwise the next file that is opened would get its number, and what is printed. Into stdout
    nothing can be written then either, which is an error of the command that does; what goes to
    stderr is lost, as who closes that wants it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # the lowest one that is free
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase) and raw.fileno() == 1:
        # PYTHONUNBUFFERED: a raw write may write a part only, of which nobody would hear.
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115


def _let_streams_take_anything() -> None:
    """Let no character be a reason to stop: a terminal may not be able to show it."""
    for stream in (sys.stdout, sys.stderr):
        encoding = None
        if stream is sys.stdout and not stream.isatty():
            encoding = "utf-8"  # as JSON and CSV are
        with suppress(AttributeError):
            stream.reconfigure(encoding=encoding, errors="backslashreplace")  # type: ignore[union-attr]


def _flush_or_drop() -> None:
    """Write out what can be: what a full disk did not take would fail again at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            _drop_output()


def _drop_output() -> None:
    """Let stdout lead nowhere: Python would complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
