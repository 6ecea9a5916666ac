"""`amlc report`: the results as one HTML page."""

from __future__ import annotations

from typing import BinaryIO, TextIO

from amlc.collect import verdict
from amlc.commands.observe import up_to_date
from amlc.errors import UsageError
from amlc.folders import Folders
from amlc.report.page import report_page


def report(*, target: str | None, folders: Folders, out: BinaryIO, err: TextIO, quiet: bool) -> int:
    """Write the report of an experiment to `out`, complete or not.

    Raises UsageError when `out` is a terminal, which cannot show the page.
    """
    manifest = folders.manifest(target)
    if out.isatty():
        raise UsageError("the report is a large HTML page; write it to a file: amlc report > report.html")
    with up_to_date(manifest, folders) as results:
        out.write(report_page(results, results.ledger))
        out.flush()
        end = verdict(results)
    if not quiet:
        print(f"{manifest.header.experiment}: {end}", file=err)
    return 0
