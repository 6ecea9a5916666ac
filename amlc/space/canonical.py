"""When two parameter sets are equal.

When their canonical JSON is, so that 1, 1.0 and true are three values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

from amlc.model import Parameters

canonical_json: Final[Callable[[Any], str]] = json.JSONEncoder(
    sort_keys=True, separators=(",", ":")
).encode
"""The one text of a JSON value, whatever the order of its keys. Trial ids are made of it: never
change it."""


def canonical(parameters: Parameters) -> bytes:
    """Return a 16-byte digest that equal parameter sets share, whatever the order of their keys."""
    return digest_of(canonical_json(parameters))


def digest_of(text: str) -> bytes:
    """Return the 16-byte digest of canonical JSON: short, for there may be millions of them."""
    return hashlib.sha256(text.encode()).digest()[:16]
