"""Says which optional libraries are missing, and what installs them."""

from __future__ import annotations

from collections.abc import Sequence
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


def absent(modules: Sequence[str]) -> Sequence[str]:
    """Return those that are not installed here. None is imported, which takes time."""
    return [name for name in modules if find_spec(name) is None]


def lacks(modules: Sequence[str], *, algorithm: str, extra: str) -> str:
    """Return what is said where an algorithm needs `modules` that are not there.

    extra: the set of amlc that has them; if it is none, they are installed by their own names.
    """
    names = " and ".join(f"'{name}'" for name in modules)
    are = "is" if len(modules) == 1 else "are"
    command = install(extra) if extra in EXTRAS else f"pip install {' '.join(modules)}"
    return f"{algorithm} needs {names}, which {are} not installed: {command}."


def missing(err: ModuleNotFoundError, *, algorithm: str, extra: str) -> AmlcError:
    """Return the error for a machine without the library of `algorithm`; extra: see `lacks`."""
    return AmlcError(lacks([str(err.name)], algorithm=algorithm, extra=extra))


def require(*modules: str, algorithm: str, extra: str) -> None:
    """Raise that error at once, not when a proposal first needs one of the `modules`."""
    if lacking := absent(modules):
        raise AmlcError(lacks(lacking, algorithm=algorithm, extra=extra))
