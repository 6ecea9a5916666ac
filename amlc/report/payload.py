"""What the page's script is given: columns of trials, their curves, and what is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from amlc.numbers import number
from amlc.report.columns import ABSENT, anything, as_json, numbers, plain, words
from amlc.report.curves import MOST_CURVES, Curves
from amlc.report.overview import MOST_ROWS, Overview, OverviewRow, Sample, chosen, evenly, shown

MOST_METRICS: Final = 30
MOST_PARAMETERS: Final = 40
_MOST_NAME = 200  # characters
_MOST_STEPS = 2_000  # of the best so far
_MOST_BYTES = 5_000_000  # of the columns
# Characters of a value as JSON, and part of the rows: what comes first that is small enough.
_SIZES = ((400, 1), (80, 1), (80, 2), (80, 4), (40, 8))


@dataclass(frozen=True, slots=True)
class Runs:
    """Run folders on this machine.

    address: of what holds them, as the page names it. jobs: those that have one.
    """

    address: str
    jobs: frozenset[str]


def payload(
    overview: Overview,
    curves: Curves,
    importance: Sequence[Mapping[str, Any]],
    runs: Runs | None = None,
) -> dict[str, Any]:
    """Return plain values of a bounded size, whatever the number of trials."""
    origin = overview.totals.started or 0.0
    trials, sets = _parts(overview, origin, runs.jobs if runs else frozenset())
    looked = min(MOST_CURVES, overview.totals.attempted)
    counts = {"candidates": overview.totals.attempted, "looked": looked}
    counts |= {"left_out": curves.left_out, "thinned": curves.thinned}
    names = len(overview.parameters)
    return {
        "experiment": shown(overview.experiment, _MOST_NAME),
        "maximize": overview.maximize,
        "origin": origin,
        "odd": overview.totals.odd,
        "partial": names > MOST_PARAMETERS,
        "trials": trials,
        "sets": sets,
        "steps": [[at, plain(score)] for at, score in evenly(overview.steps, _MOST_STEPS)],
        "last": overview.last,
        "curves": curves.as_values() | counts,
        "importance": list(importance),
        "runs": runs.address if runs else "",
    }


def left_out(overview: Overview) -> str:
    """Return a note on the columns that the page does not have; empty: it has all."""
    more = max(0, len(overview.metrics) - MOST_METRICS)
    more += max(0, len(overview.parameters) - MOST_PARAMETERS)
    return f"{more:,} more columns are in amlc collect." if more else ""


def _parts(
    overview: Overview, origin: float, here: frozenset[str]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    for longest, share in _SIZES:
        rows = chosen(overview, overview.sample, overview.rows, MOST_ROWS // share)
        trials = _trials(overview, rows, origin, longest, here)
        sets = None
        if overview.replicates > 1:
            some = chosen(overview, overview.scored, overview.scored.rows, MOST_ROWS // 2 // share)
            sets = _sets(overview, some, longest)
        if len(as_json({"trials": trials, "sets": sets})) <= _MOST_BYTES:
            break
    return trials, sets


def _trials(
    overview: Overview,
    rows: Sequence[OverviewRow],
    origin: float,
    longest: int,
    here: frozenset[str],
) -> dict[str, Any]:
    fixed = [
        numbers("#", (row.sequence for row in rows)),
        words("trial", (row.trial[:8] for row in rows), most=8),
        words("status", (row.status.value.replace("_", " ") for row in rows), most=20),
        numbers("attempt", (row.attempt for row in rows)),
        numbers("started", (_since(row.started, origin) for row in rows)),
        numbers("duration", (row.duration_s for row in rows)),
        words("revision", (row.revision for row in rows), most=6),
        words("job", (row.job for row in rows), most=300),
        words("page", map(_page, rows), most=2_000),
        words(
            "folder", (" " if row.job in here else "" for row in rows), most=1
        ),  # no word to find
        words("error", (" ".join(row.error.split()) for row in rows), most=longest),
    ]
    empty = {"page", "folder", "error", "revision", "attempt"}
    kept = [column for column in fixed if column["name"] not in empty or _is_there(column)]
    return _part(overview, overview.sample, rows, kept, longest)


def _sets(overview: Overview, rows: Sequence[OverviewRow], longest: int) -> dict[str, Any]:
    fixed = [
        numbers("#", (row.sequence for row in rows)),
        words("of", (row.origin for row in rows), most=200),
    ]
    part = _part(overview, overview.scored, rows, fixed, longest)
    return part | {"members": [row.members for row in rows]}


def _part(
    overview: Overview,
    sample: Sample,
    rows: Sequence[OverviewRow],
    fixed: Sequence[Mapping[str, Any]],
    longest: int,
) -> dict[str, Any]:
    metrics = overview.metrics[:MOST_METRICS]
    return {
        "count": len(rows),
        "every": sample.every,
        "fixed": fixed,
        "metrics": [
            _column(name, [_reported(row, name) for row in rows], longest) for name in metrics
        ],
        "parameters": list(_parameters(overview, rows, longest)),
    }


def _parameters(
    overview: Overview, rows: Sequence[OverviewRow], longest: int
) -> Iterator[dict[str, Any]]:
    varying = frozenset(overview.varying)
    for name in overview.parameters[:MOST_PARAMETERS]:
        column = _column(name, [row.parameters.get(name, ABSENT) for row in rows], longest)
        path = overview.paths[name]
        if path != (name,):
            column["path"] = path
        if name not in varying:
            column["varies"] = False
        yield column


def _column(name: str, values: Sequence[Any], longest: int) -> dict[str, Any]:
    column = anything(shown(name, _MOST_NAME), values, most=longest)
    return column | ({"cut": True} if len(name) > _MOST_NAME else {})


def _reported(row: OverviewRow, name: str) -> Any:
    """Return a metric with the digits that are shown: what was reported is in `collect`."""
    value = row.metrics.get(name, ABSENT)
    return plain(value) if isinstance(value, float) and number(value) is not None else value


def _since(at: float | None, origin: float) -> float | None:
    return None if at is None else round(at - origin, 1)


def _page(row: OverviewRow) -> str:
    """Return the address of a job's page with its name taken out, which makes many of them one."""
    return row.page.replace(row.job, "{job}") if row.job else ""


def _is_there(column: Mapping[str, Any]) -> bool:
    return any(value not in (-1, None) for value in column["values"])
