"""The part of nni.utils that trial scripts use."""

from enum import Enum
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class OptimizeMode(Enum):
    """Which results are better."""

    Minimize = "minimize"
    Maximize = "maximize"


class MetricType:
    """The two kinds of results, and a request."""

    FINAL = "FINAL"
    PERIODICAL = "PERIODICAL"
    REQUEST_PARAMETER = "REQUEST_PARAMETER"


def extract_scalar_reward(value: "Any", scalar_key: str = "default") -> "Any":
    """Return the number of a result, or of a dict under `scalar_key`. Raises RuntimeError."""
    found = value.get(scalar_key) if isinstance(value, dict) else value
    if not isinstance(found, (float, int)):
        raise RuntimeError(
            f"a result must be a number, or a dict with one under {scalar_key!r}, not {value!r:.80}"
        )
    return found


def extract_scalar_history(trial_history: "Any", scalar_key: str = "default") -> "list[Any]":
    """Return the numbers of several results."""
    return [extract_scalar_reward(value, scalar_key) for value in trial_history]


def merge_parameter(base_params: "Any", override_params: "Mapping[str, Any] | None") -> "Any":
    """Set the values of `override_params` in `base_params`, in place, and return it.

    base_params: a dict or a namespace.
    Raises ValueError for a key that is not there and for a value of another type; None fits every
    value, and an integer becomes a float where a float is.
    """
    has: Any
    read: Any
    write: Any
    if isinstance(base_params, dict):
        has = base_params.__contains__
        read = base_params.__getitem__
        write = base_params.__setitem__
    else:
        has, read, write = (partial(access, base_params) for access in (hasattr, getattr, setattr))
    for key, value in (override_params or {}).items():
        if not has(key):
            raise ValueError(f"there is no parameter {key!r} to override")
        write(key, _fit(key, read(key), value))
    return base_params


def _fit(key: str, old: "Any", new: "Any") -> "Any":
    if old is None or isinstance(new, type(old)):
        return new
    if isinstance(old, float) and isinstance(new, int):
        return float(new)
    wanted, found = type(old).__name__, type(new).__name__
    raise ValueError(f"parameter {key!r} needs a value of type {wanted}, not {found}")
