"""amlc compiles NNI experiment files into Azure ML jobs, runs them and gathers the metrics.

For Python programs: `amlc.load("experiment.yml")` and `amlc.Experiment("local")`, see docs/api.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amlc.api import Build, Experiment, ExperimentConfig, Report, Results, load
    from amlc.errors import (
        AmlcError,
        BackendError,
        ConfigError,
        IncompleteError,
        LockedError,
        NoResultError,
        UsageError,
    )

__version__ = "0.1.0"

__all__ = [
    "AmlcError",
    "BackendError",
    "Build",
    "ConfigError",
    "Experiment",
    "ExperimentConfig",
    "IncompleteError",
    "LockedError",
    "NoResultError",
    "Report",
    "Results",
    "UsageError",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: `amlc --version` has to answer at once."""
    if name not in __all__:
        raise AttributeError(f"module 'amlc' has no attribute {name!r}")
    return getattr(import_module("amlc.errors" if name.endswith("Error") else "amlc.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
