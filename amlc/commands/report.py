"""`amlc report`: the results as one HTML page."""

from __future__ import annotations

from dataclasses import dataclass

from amlc.collect.verdict import Verdict, verdict
from amlc.commands.observe import up_to_date
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.report.page import report_page


@dataclass(frozen=True, slots=True)
class Report:
    """The page in UTF-8, and how complete the results are that it shows."""

    page: bytes
    verdict: Verdict


def report(manifest: Manifest, *, folders: Folders) -> Report:
    """Return the report of an experiment, complete or not."""
    with up_to_date(manifest, folders) as results:
        page = report_page(results, results.ledger)
        return Report(page, verdict(results))
