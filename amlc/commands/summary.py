"""`amlc summary`: how an experiment stands, for the summary of a job in CI."""

from __future__ import annotations

from dataclasses import dataclass

from amlc.commands.collect import Best, best
from amlc.commands.status import Standing, status
from amlc.errors import IncompleteError
from amlc.folders import Folders
from amlc.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Summary:
    """How an experiment stands, and the best of its trials, None while there is no result."""

    experiment: str
    revision: str
    standing: Standing
    best: Best | None


def summary(manifest: Manifest, *, folders: Folders) -> Summary:
    """Return how the trials stand, why some failed, and which is the best."""
    header = manifest.header
    try:
        found = best(manifest, folders=folders)
    except IncompleteError:
        found = None
    return Summary(header.experiment, header.revision, status(manifest, folders=folders), found)
