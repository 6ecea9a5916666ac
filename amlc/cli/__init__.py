"""The command line: each module's first line says which commands are there.

`compiling`: from an experiment file to job files. `running`: what has jobs run, or not. `watching`:
how they stand. `results`: what came out. `records`: what is on record, from and for elsewhere.
`reproducing`: what a row was made by, and that row again.

`command` says what a command is, `options` has those that several share, `invocation` what one call
knows. `process` runs a command, prints errors and exits.
"""

from amlc.cli import compiling, records, reproducing, results, running, watching  # noqa: F401 - each adds its commands
from amlc.cli.command import main
from amlc.cli.process import entry_point

__all__ = ["entry_point", "main"]
