"""Every command at once, for who shows or checks all of them."""

from amlc.cli import compiling, records, reproducing, results, running, watching  # noqa: F401 - each adds its commands
from amlc.cli.command import main

__all__ = ["main"]
