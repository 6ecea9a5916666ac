"""Says which optional libraries an algorithm needs."""

from __future__ import annotations

from amlc.errors import AmlcError


def missing(err: ModuleNotFoundError, *, algorithm: str, extra: str) -> AmlcError:
    """Return the error for a machine without the library of `algorithm`; `extra` is the set of amlc that has it."""
    return AmlcError(f"{algorithm} needs '{err.name}', which is not installed: pip install 'amlc[{extra}]'.")
