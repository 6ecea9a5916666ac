"""Print the results: as a table, the best of them, or as a page."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from amlc import nni_export
from amlc.collect.verdict import Verdict
from amlc.commands.collect import Best, collected, exported, sent
from amlc.console import Console
from amlc.display.advice import goes_on
from amlc.errors import IncompleteError, UsageError
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.plural import plural
from amlc.report.tables import WRITERS, finite
from amlc.viewers.runs import Sent


def show_collected(
    manifest: Manifest,
    console: Console,
    folders: Folders,
    *,
    format_: str,
    history: bool = False,
    aggregate: Sequence[str] = (),
    costs: bool = False,
    numbers: bool = False,
) -> Verdict:
    """Write the table to stdout, and return how complete it is; see `collected` for the rest.

    numbers: say so when final results are no numbers, which only a tuner that learns cannot do
    without.
    """
    name = manifest.header.experiment
    with collected(
        manifest, folders=folders, history=history, aggregate=aggregate, costs=costs
    ) as results:
        WRITERS[format_](results.table, console.binary)
    console.binary.flush()
    if numbers and results.without_number:
        console.note(f"{name}: {results.without_number}")
    if results.verdict.complete:
        console.note(f"{name}: {results.verdict}")
    return results.verdict


def show_exported(
    manifest: Manifest, console: Console, folders: Folders, *, kind: str, history: bool
) -> Verdict:
    """Write what `nnictl experiment export` would to stdout, and return how complete it is.

    kind: `nni-json` or `nni-csv`.
    """
    with exported(manifest, folders=folders, history=history) as (trials, tally):
        nni_export.WRITERS[kind](trials, console.binary)
        end = tally.verdict
    console.binary.flush()
    if end.complete:
        console.note(f"{manifest.header.experiment}: {end}")
    return end


def show_sent(
    manifest: Manifest, console: Console, folders: Folders, *, viewer: str, place: str
) -> Verdict:
    """Send the trials to a viewer, say what became of them, and return how complete they are."""
    with sent(manifest, viewer, place, folders=folders) as (runs, tally):
        counts = Counter(runs)
        end = tally.verdict
    name = manifest.header.experiment
    said = [f"{counts[one]} {one.value}" for one in Sent if counts[one]]
    total = counts.total()
    what = f"{plural(total, 'run')}{': ' if said else ''}{', '.join(said)}"
    console.note(f"{name}: {viewer} has {what}")
    if end.complete:
        console.note(f"{name}: {end}")
    return end


def incomplete(
    end: Verdict, manifest: Manifest, folders: Folders, *, written: str = "The rows are written"
) -> IncompleteError:
    """Return the error which says that the results that were written are not all."""
    hint = goes_on(end, manifest, folders)
    return IncompleteError(f"{manifest.header.experiment}: {end}{hint}. {written} all the same.")


def show_best(best: Best, experiment: str, console: Console) -> None:
    """Print the parameters as JSON, and say which trials they are of."""
    if best.without_number:
        console.note(f"{experiment}: {best.without_number}")
    trial = best.rows[0].trial
    console.write(json.dumps(finite(trial.parameters), ensure_ascii=False, indent=2))
    if len(best.rows) > 1:
        numbers = ", ".join(f"#{row.trial.sequence}" for row in best.rows)
        counted = [f"#{row.trial.sequence}" for row in best.rows if row.score is not None]
        of = "" if len(counted) == len(best.rows) else f" of {', '.join(counted)}"
        which = f"trials {numbers}: mean default{of} = {best.score:g}"
    else:
        which = f"trial {trial.id} (#{trial.sequence}): default = {best.score:g}"
    console.note(f"{which}, the best by {best.mode}")
    tell_doubts(best, console)


def show_best_job(best: Best, console: Console) -> None:
    """Print the name of the job that ran the best trial, and say where its page is."""
    row = best.row
    assert row.attempt is not None  # it has a result
    console.write(row.attempt.job)
    page = f": {row.attempt.latest.url}" if row.attempt.latest.url else ""
    console.note(f"trial {row.trial.id} (#{row.trial.sequence}){page}")
    tell_doubts(best, console)


def tell_doubts(best: Best, console: Console) -> None:
    """Say which better number does not count, and if nobody said which results are better."""
    for line in doubts(best):
        console.note(line)


def doubts(best: Best) -> Iterator[str]:
    """Yield what `tell_doubts` says, line by line."""
    if best.better is not None:
        one = best.better
        why = f" ({one.error})" if one.error else ""
        yield (
            f"#{one.trial.sequence} reported {one.number:g}, which is better, and is "
            f"{one.status.value}{why}: only the result of a trial that succeeded counts"
        )
    if best.partial is not None:
        rows, score = best.partial
        numbers = ", ".join(f"#{row.trial.sequence}" for row in rows)
        yield (
            f"{numbers}: {score:g}, which is better, and lacks a replicate's result: it counts "
            "only where no set has them all"
        )
    if not best.is_said:
        yield (
            "warning: smaller was taken for better, since the experiment has no optimize_mode. Set "
            "it in the tuner's classArgs, or: amlc best --optimize-mode maximize."
        )


def _folder_of(stream: BinaryIO) -> Path:
    """Return the folder of the file that a stream goes to; of anything else, the working folder."""
    try:
        file = Path(os.readlink(f"/proc/self/fd/{stream.fileno()}"))
        return file.parent if file.is_file() else Path()
    except (OSError, ValueError):
        return Path()


def show_report(manifest: Manifest, console: Console, folders: Folders) -> None:
    """Write the page to stdout. Raises UsageError when that is a terminal, which cannot show it."""
    if console.out.isatty():
        raise UsageError(
            "the report is a large HTML page; write it to a file: amlc report > report.html"
        )
    from amlc.commands.report import report  # here: it brings Jinja, which no table needs

    found = report(manifest, folders=folders, place=_folder_of(console.binary))
    console.binary.write(found.page)
    console.binary.flush()
    console.note(f"{manifest.header.experiment}: {found.verdict}")
