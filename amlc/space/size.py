"""How large the parameters of a trial can be, as they stand in a job's environment."""

from __future__ import annotations

import json
from typing import Final

from amlc.model import Choice, Space

_NUMBER_BYTES: Final = 30


def most_bytes(space: Space) -> int:
    """Return an upper bound of a parameter set's bytes, in JSON without live expressions."""
    total = 0
    for dimension in space:
        total += _text_bytes(dimension.name)
        if isinstance(dimension, Choice):
            total += max(map(_text_bytes, dimension.options), default=0)
            total += max(map(most_bytes, dimension.branches), default=0)
        else:
            total += _NUMBER_BYTES
    return total


def _text_bytes(value: object) -> int:
    return (
        3 * len(json.dumps(value)) + 10
    )  # ASCII, in which a `${{` becomes two and a half times as long
