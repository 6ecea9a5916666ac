"""When two parameter sets are equal.

When their canonical JSON is, so that 1, 1.0 and true are three values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from amlc.model import Parameters

T = TypeVar("T")

canonical_json: Final[Callable[[Any], str]] = json.JSONEncoder(
    sort_keys=True, separators=(",", ":")
).encode
"""The one text of a JSON value, whatever the order of its keys. Trial ids are made of it: never
change it."""


def canonical(parameters: Parameters) -> bytes:
    """Return a 16-byte digest that equal parameter sets share, whatever the order of their keys."""
    return digest_of(canonical_json(parameters))


def in_sets(
    items: Iterable[T], size: int, parameters: Callable[[T], Parameters]
) -> Iterator[Sequence[T]]:
    """Yield items of equal parameters together, `size` at a time, once the last of them came.

    They are the replicates of one parameter set, wherever they stand: after an edit of the space or
    of the number of replicates, not side by side. Those that are fewer come in the end.
    """
    waiting: dict[bytes, list[T]] = {}
    for item in items:
        key = canonical(parameters(item))
        waiting.setdefault(key, []).append(item)
        if len(waiting[key]) == size:
            yield waiting.pop(key)
    yield from waiting.values()


def digest_of(text: str) -> bytes:
    """Return the 16-byte digest of canonical JSON: short, for there may be millions of them."""
    return hashlib.sha256(text.encode()).digest()[:16]
