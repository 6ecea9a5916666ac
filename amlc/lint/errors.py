"""A finding of these checks."""

from __future__ import annotations

from amlc.errors import RefusedError


class OddityError(RefusedError):
    """What is odd, with its place, on the way to a warning; it is never raised."""
