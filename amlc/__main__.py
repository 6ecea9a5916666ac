"""`python -m amlc` is `amlc`."""

from amlc.cli import entry_point

entry_point()
