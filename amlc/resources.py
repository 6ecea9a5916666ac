"""Finds the data files that come with amlc, in a wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _data(name: str) -> Path:
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def schema_file() -> Path:
    """Return the JSON Schema of experiment files."""
    return _data("schema") / "experiment.schema.json"


def diagnostics_file() -> Path:
    """Return the pages of the codes of messages."""
    return _data("docs") / "diagnostics.md"


def templates_dir() -> Path:
    """Return the folder of the job templates that amlc brings."""
    return _data("templates")


def runner_dir() -> Path:
    """Return the folder of the script that runs inside a job; it is copied, never imported."""
    return _PACKAGE / "runner"
