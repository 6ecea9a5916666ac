"""Read from a job's environment variables which trials it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from amlc.model import Trial


def trials_in(variables: Mapping[str, Any]) -> tuple[Trial, ...]:
    """Return the trials that a job carries in its environment variables, in order.

    None for a foreign job.
    """
    trials: list[Trial] = []
    while (text := variables.get(f"AMLC_TRIAL_{len(trials)}")) is not None:
        part = 1
        while (more := variables.get(f"AMLC_TRIAL_{len(trials)}_{part}")) is not None:
            text, part = text + more, part + 1
        try:
            value = json.loads(text)
            trials.append(Trial.of(value))
        except (ValueError, KeyError, TypeError, RecursionError):
            break
    return tuple(trials)
