"""Tells whether a file is in NNI's v1 format, by keys that no other one has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from amlc.config.spelling import fold
from amlc.model import Document

PLATFORM: Final = "trainingServicePlatform"
SERVICE: Final = "trainingService"
SIGNS: Final = (PLATFORM, "trial", "authorName")


def is_legacy(document: Document) -> bool:
    """Return whether a file is in the v1 format, by NNI's sign or, without today's, by others."""
    if not isinstance(document.data, Mapping):
        return False
    return PLATFORM in document.data or (
        any(sign in document.data for sign in SIGNS)
        and not any(fold(key) == "trainingservice" for key in document.data)
    )
