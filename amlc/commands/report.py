"""`amlc report`: the results as one HTML page."""

from __future__ import annotations

import os
from dataclasses import dataclass

from amlc.collect.verdict import Verdict
from amlc.commands.observe import up_to_date
from amlc.errors import AmlcError
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.model import Experiment
from amlc.report.page import report_page


@dataclass(frozen=True, slots=True)
class Report:
    """The page in UTF-8, and how complete the results are that it shows."""

    page: bytes
    verdict: Verdict


def report(manifest: Manifest, *, folders: Folders) -> Report:
    """Return the report of an experiment, complete or not."""
    with up_to_date(manifest, folders) as results:
        return Report(*report_page(results, results.ledger, experiment_of(manifest)))


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
