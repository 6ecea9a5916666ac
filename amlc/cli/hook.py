"""The command that a user wants to be run when a submit has ended: `--on-end`."""

from __future__ import annotations

import os
import subprocess

from amlc.cli.invocation import Invocation, say


def run_hook(call: Invocation, *, code: int) -> None:
    """Run the user's own command by the shell, and say when it fails; nothing else depends on it.

    It finds AMLC_EXPERIMENT (its name; where that never came to be known, as the user named it or
    empty), AMLC_EXIT_CODE and AMLC_MESSAGE, a line. What it prints goes to stderr: stdout may be a
    table.
    """
    if call.on_end is None:
        return
    told = {
        "AMLC_EXPERIMENT": call.name or call.given or "",
        "AMLC_EXIT_CODE": str(code),
        "AMLC_MESSAGE": call.message,
    }
    try:
        ended = subprocess.run(  # noqa: S602 - it is what the user typed
            call.on_end,
            shell=True,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=2,
            env=os.environ | told,
        )
    except OSError as err:
        say(f"warning: --on-end: {err.strerror}.")
    else:
        if ended.returncode:
            say(f"warning: --on-end: {call.on_end}: exit code {ended.returncode}.")
