"""The command line: each module's first line says which commands are there.

`compiling`: from an experiment file to job files. `running`: what has jobs run, or not. `watching`:
how they stand. `results`: what came out. `records`: what is on record, from and for elsewhere.
`reproducing`: what a row was made by, and that row again. `everything`: all of them at once.

`command` says what a command is, `options` has those that several share, `invocation` what one call
knows. `process` runs a command, prints errors and exits.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from typing import NoReturn

from amlc import __version__

__all__ = ["entry_point"]


def entry_point() -> NoReturn:
    """Run the command line and exit with the code that `amlc --help` explains.

    The version is said before click is imported, which takes three times as long as Python itself.
    """
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        with suppress(OSError):  # which the process says
            sys.stdout.write(f"amlc {__version__}\n")
            sys.stdout.flush()
            sys.exit()
    # Of what is read by the hundred thousand nothing is in a cycle; to look for one again and again
    # takes a tenth of the time.
    gc.set_threshold(50_000)
    import signal

    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:  # so early it has nothing to say
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from amlc.cli import process

    signal.signal(signal.SIGINT, interrupt)
    process.entry_point()
