"""Says which optional libraries an algorithm needs."""

from __future__ import annotations

from importlib.util import find_spec

from amlc.errors import AmlcError


def missing(err: ModuleNotFoundError, *, algorithm: str, extra: str) -> AmlcError:
    """Return the error for a machine without the library of `algorithm`.

    `extra` is the set of amlc that has it.
    """
    return AmlcError(
        f"{algorithm} needs '{err.name}', which is not installed: pip install 'amlc[{extra}]'."
    )


def require(library: str, *, algorithm: str, extra: str) -> None:
    """Raise that error at once, not when a proposal first needs the `library`.

    It is not imported, which takes time.
    """
    if find_spec(library) is None:
        raise missing(ModuleNotFoundError(name=library), algorithm=algorithm, extra=extra)
