"""Write an experiment's report: one HTML page that holds all it needs and loads nothing."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from amlc import __version__
from amlc.collect.results import Results
from amlc.collect.verdict import Verdict
from amlc.ledger import Ledger
from amlc.model import Experiment, Status
from amlc.report.columns import as_json
from amlc.report.curves import MOST_CURVES, read_curves
from amlc.report.importance import importances
from amlc.report.overview import Overview, chosen, evenly, read_overview, shown
from amlc.report.payload import MOST_PARAMETERS, Runs, left_out, payload
from amlc.report.settings import settings_of

SCRIPTS: Final = (
    "frame",
    "search",
    "scale",
    "fanova",
    "charts",
    "results",
    "chart",
    "view",
    "table",
    "compare",
    "page",
)
"""The page's own scripts, in their order: each may use what stands before it."""

_FOLDER = Path(__file__).resolve().parent
_START = 'start(JSON.parse(document.getElementById("data").textContent));'
_MOST_LEARNT = 2_000  # trials that importance is computed of
_SECONDS = {"d": 86_400, "h": 3600, "min": 60}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a page shows of an experiment at one moment.

    data: what its script is given. damage: what could not be read, in a sentence each.
    """

    overview: Overview
    data: Mapping[str, Any]
    damage: tuple[str, ...] = ()


def report_page(
    results: Results,
    ledger: Ledger,
    experiment: Experiment | None = None,
    runs: Runs | None = None,
) -> tuple[bytes, Verdict]:
    """Return the report as HTML in UTF-8, and how complete it is.

    The same ledger gives the same bytes.

    Its size is bounded, whatever the number of trials: what is left out is said on the page.
    experiment: what its file says, None where that cannot be read. runs: what the page links to.
    """
    found = drawn(results, ledger, runs)
    return whole_page(found, experiment, start=_START), found.overview.verdict


def drawn(results: Results, ledger: Ledger, runs: Runs | None = None) -> Drawn:
    """Return what a page shows of `results`."""
    overview = read_overview(results)
    attempted = [row for row in overview.rows if row.job]
    curves = read_curves(ledger, chosen(overview, overview.sample, attempted, MOST_CURVES))
    learnt = evenly(overview.scored.rows, _MOST_LEARNT)
    found = importances(learnt, overview.varying, overview.metrics, maximize=overview.maximize)
    damage = (*ledger.damage, *results.damage)
    return Drawn(overview, payload(overview, curves, found, runs), damage)


def whole_page(
    found: Drawn,
    experiment: Experiment | None,
    *,
    start: str,
    more: Sequence[str] = (),
    home: str = "",
    connect: str = "'none'",
) -> bytes:
    """Return the page as HTML in UTF-8.

    start: the script's last words, which begin it all. more: scripts of `web/` beyond SCRIPTS.
    home: where all experiments are listed, "" for nowhere. connect: where the page may ask for
    news.
    """
    overview = found.overview
    script = f'"use strict";\n(() => {{\n{scripts(*SCRIPTS, *more)}\n{start}\n}})();'
    parts = template("page.html.j2").generate(
        **_summary(found),
        home=home,
        note=left_out(overview),
        revisions=tuple(_revisions(overview)),
        settings=settings_of(experiment) if experiment is not None else None,
        policy=policy(_library(), script, style=style(), connect=connect),
        style=Markup(style()),  # noqa: S704 - our own style
        data=Markup(as_json(found.data)),  # noqa: S704 - as_json leaves no character that could end the element
        library=Markup(_library()),  # noqa: S704 - a library's own script
        script=Markup(script),  # noqa: S704 - our own script
        version=__version__,
    )
    page = io.BytesIO()
    # Part by part: as text the whole page would take up to four times as much.
    for part in parts:
        # Half a surrogate pair is valid in JSON and not in UTF-8.
        page.write(part.encode("utf-8", errors="replace"))
    return page.getvalue()


def summary(found: Drawn) -> str:
    """Return the part of the page above its charts as HTML."""
    return template("summary.html.j2").render(**_summary(found))


def policy(*scripts: str, style: str, connect: str = "'none'") -> str:
    """Return the rule by which browsers load nothing, and take these scripts and this style only.

    connect: where the page may ask for news.
    """
    allowed = " ".join(map(_digest, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_digest(style)}; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _summary(found: Drawn) -> dict[str, Any]:
    overview, best = found.overview, found.overview.best
    return {
        "damage": found.damage,
        "overview": overview,
        "bar": bar(overview.statuses),
        "facts": tuple(_facts(overview)),
        "best": best,
        "best_parameters": tuple(best.parameters.items())[:MOST_PARAMETERS] if best else (),
    }


def bar(statuses: Mapping[Status, int]) -> tuple[tuple[int, int, str], ...]:
    """Return where the part of each status begins, how many trials it has, and its name."""
    parts = []
    at = 0
    for status, count in statuses.items():
        if count:
            parts.append((at, count, _readable(status)))
            at += count
    return tuple(parts)


def _revisions(overview: Overview) -> Iterator[tuple[str, str]]:
    """Yield each revision with how its trials stand; nothing where there is only one."""
    revisions = overview.totals.revisions
    if len(revisions) > 1:
        for name, counts in revisions.items():
            yield name, ", ".join(f"{n:,} {_readable(status)}" for status, n in counts.items())


def _readable(status: Status) -> str:
    return status.value.replace("_", " ")


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


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def _duration(seconds: float) -> str:
    for unit, size in _SECONDS.items():
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


@cache
def _library() -> str:
    return (_FOLDER / "vendor" / "charts.js").read_text(encoding="utf-8")


@cache
def scripts(*names: str) -> str:
    """Return scripts of `web/`, one after the other."""
    files = (_FOLDER / "web" / f"{name}.js" for name in names)
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@cache
def style() -> str:
    """Return the style of every page."""
    return (_FOLDER / "web" / "page.css").read_text(encoding="utf-8")


@cache
def template(name: str) -> jinja2.Template:
    """Return a template of `web/`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    return environment.get_template(name)
