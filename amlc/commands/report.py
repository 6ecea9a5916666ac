"""`amlc report`: the results as one HTML page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from amlc.collect.verdict import Verdict
from amlc.commands.observe import up_to_date
from amlc.errors import AmlcError
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.model import Experiment
from amlc.report.page import report_page
from amlc.report.payload import Runs


@dataclass(frozen=True, slots=True)
class Report:
    """The page in UTF-8, and how complete the results are that it shows."""

    page: bytes
    verdict: Verdict


def report(manifest: Manifest, *, folders: Folders, place: Path | None = None) -> Report:
    """Return the report of an experiment, complete or not.

    place: the folder in which it is going to lie; run folders below that are linked to.
    """
    with up_to_date(manifest, folders) as results:
        runs = _runs(folders.runs(manifest.header.experiment), place) if place else None
        return Report(*report_page(results, results.ledger, experiment_of(manifest), runs))


def _runs(folder: Path, place: Path) -> Runs | None:
    """Return the run folders in `folder` as a page in `place` names them.

    None elsewhere than below it: the way there would tell of this machine, and a page is sent on.
    """
    try:
        way = folder.resolve().relative_to(place.resolve())
        jobs = frozenset(os.listdir(folder))
    except (ValueError, OSError):
        return None
    return Runs(quote(way.as_posix(), errors="surrogateescape") + "/", jobs)


def experiment_of(manifest: Manifest) -> Experiment | None:
    """Return what the experiment's file says now, None where it cannot be read."""
    from amlc.config import load_experiment  # slow to import

    if manifest.source is None:
        return None
    try:
        experiment, _ = load_experiment(
            manifest.source,
            backend=manifest.header.backend,
            environ=os.environ,
            given=manifest.header.given,
        )
    except (AmlcError, OSError):
        return None
    return experiment
