"""Write an experiment's report: one HTML page that holds all it needs and loads nothing."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from amlc import __version__
from amlc.collect.results import Results
from amlc.errors import UsageError
from amlc.extras import install
from amlc.ledger import Ledger
from amlc.numbers import number
from amlc.report.figures import MOST_CURVES, STATUS_COLOURS, as_json, figures
from amlc.report.overview import Overview, OverviewRow, chosen, read_curves, read_overview, shown

MOST_ROWS = 2_000
_FIXED = ("#", "trial", "status", "attempt", "started", "duration")
_NUMBERS = ("#", "attempt", "duration")
_MOST_METRICS = 30
_MOST_PARAMETERS = 40
_FOLDER = Path(__file__).resolve().parent
_SECONDS = {"d": 86_400, "h": 3600, "min": 60}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the trial table. kind: its CSS classes; `first` begins a new group of columns."""

    name: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. value: what it sorts by, if it is a number.

    kind: its CSS classes. colour: of the dot before it.
    """

    text: str
    value: float | None = None
    kind: str = ""
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the trial table."""

    sequence: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTable:
    """The trial table.

    groups: a heading and the number of columns below it. rows can be gone through once.
    """

    groups: tuple[tuple[str, int], ...]
    columns: tuple[Column, ...]
    rows: Iterator[Line] | None
    note: str


def report_page(results: Results, ledger: Ledger) -> bytes:
    """Return the report as HTML in UTF-8; the same ledger gives the same bytes.

    Its size is bounded, whatever the number of trials: what is left out is said on the page.
    Raises UsageError when plotly is not installed.
    """
    plotly = _plotly()
    overview = read_overview(results)
    attempted = [row for row in overview.rows if row.job]
    curves = read_curves(ledger, chosen(overview, overview.sample, attempted, MOST_CURVES))
    charts = figures(overview, curves, candidates=overview.totals.attempted)
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    best = overview.best
    parts = _template().generate(
        overview=overview,
        facts=tuple(_facts(overview)),
        best=best,
        best_parameters=tuple(best.parameters.items())[:_MOST_PARAMETERS] if best else (),
        charts=charts,
        table=trial_table(overview),
        colours=STATUS_COLOURS,
        policy=_policy(plotly, script),
        data=Markup(as_json(charts)),  # noqa: S704 - as_json leaves no character that could end the element
        plotly=Markup(plotly),  # noqa: S704 - a library's own script
        script=Markup(script),  # noqa: S704 - our own script
        version=__version__,
    )
    page = io.BytesIO()
    # Part by part: as text the whole page would take up to four times as much.
    for part in parts:
        # Half a surrogate pair is valid in JSON and not in UTF-8.
        page.write(part.encode("utf-8", errors="replace"))
    return page.getvalue()


def trial_table(overview: Overview) -> TrialTable:
    """Return the table of trials, bounded in rows and columns."""
    metrics, parameters = overview.metrics[:_MOST_METRICS], overview.parameters[:_MOST_PARAMETERS]
    rows = chosen(overview, overview.sample, overview.rows, MOST_ROWS)
    groups = (
        ("", len(_FIXED)),
        ("metrics", len(metrics)),
        ("parameters", len(parameters)),
        ("", 1),
    )
    columns = (
        *(Column(name, "number" if name in _NUMBERS else "") for name in _FIXED),
        *_columns(metrics, [row.metrics for row in rows]),
        *_columns(parameters, [row.parameters for row in rows]),
        Column("error", "first"),
    )
    left_out = len(overview.metrics) + len(overview.parameters) - len(metrics) - len(parameters)
    notes = []
    if len(rows) < overview.sample.every:
        some = f"{len(rows):,} of {overview.sample.every:,} trials"
        notes.append(f"{some}: half of them the best, the others evenly spaced.")
    if left_out:
        notes.append(f"{left_out:,} more columns are in amlc collect.")
    lines = (Line(row.sequence, tuple(_cells(row, metrics, parameters))) for row in rows)
    return TrialTable(
        groups=tuple(group for group in groups if group[1]),
        columns=columns,
        rows=lines if rows else None,
        note=" ".join(notes),
    )


def _cells(row: OverviewRow, metrics: Sequence[str], parameters: Sequence[str]) -> Iterator[Cell]:
    yield Cell(f"#{row.sequence}", row.sequence)
    yield Cell(row.trial[:8])
    yield Cell(row.status.value.replace("_", " "), colour=STATUS_COLOURS[row.status])
    yield Cell("", None) if row.attempt is None else Cell(str(row.attempt), row.attempt)
    yield Cell(_time(row.started))
    yield Cell(_duration(row.duration_s), row.duration_s)
    yield from _group(row.metrics, metrics)
    yield from _group(row.parameters, parameters)
    yield Cell(shown(row.error, 400), kind="first text" if row.error else "first")


def _columns(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[Column]:
    for index, name in enumerate(names):
        numeric = any(number(row.get(name)) is not None for row in rows)
        yield Column(shown(name, 60), " ".join(("first",) * (index == 0) + ("number",) * numeric))


def _group(values: Mapping[str, Any], names: Sequence[str]) -> Iterator[Cell]:
    for index, name in enumerate(names):
        kind = "" if index else "first"
        if name in values:
            yield Cell(shown(values[name], 80), number(values[name]), kind)
        else:
            yield Cell("", kind=kind)


def _facts(overview: Overview) -> Iterator[tuple[str, str]]:
    yield "revision", overview.revision
    totals = overview.totals
    if totals.other_revisions:
        yield "of other revisions", f"{totals.other_revisions:,} of the trials"
    yield "back end", overview.backend
    unsaid = "" if overview.is_said else ", which the experiment does not say"
    yield "optimize_mode", ("maximize" if overview.maximize else "minimize") + unsaid
    if totals.started is not None:
        yield "first start", _time(totals.started)
    if totals.ended is not None:
        yield "last end", _time(totals.ended)
        yield "time in trials", _duration(totals.seconds)
    if overview.cost:
        yield "cost", overview.cost


def _time(at: float | None) -> str:
    return (
        "" if at is None else datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, size in _SECONDS.items():
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as err:
        raise UsageError(f"amlc report needs plotly: {install('report')}.") from err
    return str(get_plotlyjs())


def _policy(*scripts: str) -> str:
    """Return the rule by which browsers load nothing and run these scripts only."""
    digests = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    # plotly's parallel coordinates compile their WebGL programs, and its styles are set from
    # scripts.
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    return environment.get_template("page.html.j2")
