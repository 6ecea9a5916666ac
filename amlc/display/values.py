"""A reported value as people read it, on one line."""

from __future__ import annotations

import json
from typing import Any

from amlc.errors import printable


def shown(value: Any) -> str:
    """Return a text as it is, a float short, and anything else as JSON, as tables have it.

    Line ends and other control characters become escapes.
    """
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float):
        return f"{value:g}"
    return printable(json.dumps(value, ensure_ascii=False))
