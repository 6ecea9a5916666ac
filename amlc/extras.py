"""Says which optional libraries are missing, and what installs them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from amlc.errors import AmlcError

EXTRAS: Final = {
    "azure": ("azure-ai-ml", "azure-identity", "six"),
    "parquet": ("pyarrow",),
    "tuners": ("cmaes", "hyperopt", "scikit-learn", "scipy"),
}
"""What each extra of amlc installs, as in pyproject.toml.

Messages name these and not the extra: on the package index, the name `amlc` is somebody else's.
"""


def install(extra: str) -> str:
    """Return the command that installs what an extra of amlc has."""
    return f"pip install {' '.join(EXTRAS[extra])}"


def missing(err: ModuleNotFoundError, *, algorithm: str, extra: str) -> AmlcError:
    """Return the error for a machine without the library of `algorithm`.

    `extra` is the set of amlc that has it.
    """
    return AmlcError(f"{algorithm} needs '{err.name}', which is not installed: {install(extra)}.")


def require(library: str, *, algorithm: str, extra: str) -> None:
    """Raise that error at once, not when a proposal first needs the `library`.

    It is not imported, which takes time.
    """
    if find_spec(library) is None:
        raise missing(ModuleNotFoundError(name=library), algorithm=algorithm, extra=extra)
