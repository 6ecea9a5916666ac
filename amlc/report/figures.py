"""The charts of the report, as the plain values that plotly.js draws.

What a trial is called is never markup there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from amlc.model import Status
from amlc.report.axes import ABSENT, MOST_CHARACTERS, dimension, even_ticks, exponents, numbers
from amlc.report.overview import MOST_POINTS, Curve, Overview, OverviewRow, chosen, evenly, shown
from amlc.report.scale import COLOURS, Scale, decades, plain, scale_of

MOST_CURVES = 200
_MOST_BARS = 1_000
_MOST_LINES = 2_000
_MOST_AXES = 12
_LABEL_LENGTH = 24
_HOVER_PARAMETERS = 12
_FEW_TRIALS = 200  # that many get large dots
_FEW_STEPS = 30  # that many get dots on their curve
_FEW_AXES = 6  # that many have room for their names side by side
_FEW_TICKS = 20  # that many trials or steps get a tick each
_MINUTES_FROM_S = 180
_HOURS_FROM_S = 10_800

STATUS_COLOURS: Final[Mapping[Status, str]] = {
    Status.SUCCEEDED: "#2a9d8f",
    Status.EARLY_STOPPED: "#8ab17d",
    Status.RUNNING: "#4f8fbf",
    Status.WAITING: "#a9bcd0",
    Status.PENDING: "#9aa3ad",
    Status.CANCELED: "#b08968",
    Status.FAILED: "#d1495b",
    Status.UNFINISHED: "#e9a23b",
    Status.UNKNOWN: "#8e6bbf",
}
_PLAIN = "#4f8fbf"
_ACCENT = "#e07a2f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One chart. traces, layout: as plotly.js takes them.

    Without traces, the note says why there is nothing to see.
    """

    key: str
    title: str
    note: str
    traces: tuple[Mapping[str, Any], ...] = ()
    layout: Mapping[str, Any] | None = None


def default_metric(overview: Overview, scale: Scale) -> Figure:
    """Draw the score of each trial, and the best so far."""
    title = "Default metric"
    rows = overview.scored.rows
    if not rows:
        return Figure(key="metric", title=title, note=_no_score(overview))
    drawn = chosen(overview, overview.scored, rows, MOST_POINTS)
    scores = [plain(row.score) for row in drawn]
    trials = {
        **_by_trial(drawn),
        "type": "scatter",
        "mode": "markers",
        "name": "trial" if overview.replicates == 1 else "parameter set",
        "y": scores,
        "marker": {"color": _PLAIN, "size": 9 if len(drawn) <= _FEW_TRIALS else 5, "opacity": 0.85},
        "text": [_hover(row) for row in drawn],
        "hovertemplate": "%{text}<extra></extra>",
    }
    layout = {
        "height": 360,
        "xaxis": _trial_axis(
            rows, "trial" if overview.replicates == 1 else "first trial of the set"
        ),
        "yaxis": {
            "title": {"text": "default" if overview.replicates == 1 else "default, mean"},
            **_log(scale.log),
        },
        "legend": {"orientation": "h", "y": 1.12, "x": 0},
    }
    note = _sentences(
        _means(overview, "point"), _scored_drawn(overview, drawn, MOST_POINTS), _unscored(overview)
    )
    traces = (trials, _best_so_far(overview)) if overview.steps else (trials,)
    return Figure(key="metric", title=title, note=note, traces=traces, layout=layout)


def hyperparameters(overview: Overview, scale: Scale) -> Figure:
    """Draw each trial as a line through its parameters, coloured by its score."""
    title = "Hyperparameters"
    names, left_out = _axes(overview)
    if not overview.scored.rows:
        return Figure(key="parameters", title=title, note=_no_score(overview))
    if not names:
        return Figure(key="parameters", title=title, note="The search space is empty.")
    drawn = chosen(overview, overview.scored, overview.scored.rows, _MOST_LINES)
    are_few = len(names) <= _FEW_AXES
    trace: dict[str, Any] = {
        "type": "parcoords",
        "labelfont": {"size": 13},
        "tickfont": {"size": 12},
        "line": _coloured(scale, drawn),
        "dimensions": _dimensions(
            names, drawn, scale, most=_LABEL_LENGTH if are_few else MOST_CHARACTERS
        ),
    }
    if not are_few:
        trace["labelangle"] = -20
    note = _sentences(
        "Drag along an axis to pick a range, drag its name to move it",
        left_out,
        _means(overview, "line"),
        _scored_drawn(overview, drawn, _MOST_LINES),
    )
    margin = {"l": 110, "r": 40, "t": 56 if are_few else 84, "b": 32}
    return Figure(
        key="parameters",
        title=title,
        note=note,
        traces=(trace,),
        layout={"height": 440, "margin": margin},
    )


def _dimensions(
    names: Sequence[str], drawn: Sequence[OverviewRow], scale: Scale, *, most: int
) -> list[dict[str, Any]]:
    """Return the axes: one for each parameter, and the score. most: characters of a label."""
    columns = {name: [row.parameters.get(name, ABSENT) for row in drawn] for name in names}
    axes = [dimension(name, column) for name, column in columns.items()]
    axes.append(numbers("default", [row.score for row in drawn], log=scale.log))
    for axis in axes:
        axis["label"] = escape(_shortened(axis["label"], most), quote=False)
    return axes


def intermediate(
    overview: Overview, scale: Scale, curves: Sequence[Curve], *, candidates: int
) -> Figure:
    """Draw the intermediate results of trials.

    `candidates`: how many trials there were to choose from.
    """
    title = "Intermediate results"
    if not curves:
        note = "No trial has reported a finite number as its intermediate default metric."
        return Figure(key="intermediate", title=title, note=note)
    values = [value for curve in curves for _, value in curve.points]
    log = not overview.maximize and decades(values)
    traces = tuple(_curve(scale, curve) for curve in curves)
    last = max(curve.points[-1][0] for curve in curves)
    layout = {
        "height": 400,
        "showlegend": False,
        "xaxis": {"title": {"text": "step"}, "tickformat": "d", **_whole(last)},
        "yaxis": {"title": {"text": "default"}, **_log(log)},
    }
    notes = []
    if overview.scored.rows:
        notes.append("Coloured by the final result, from grey-blue (worst) to red (best)")
    if candidates > MOST_CURVES:
        looked_at = f"{MOST_CURVES} of {candidates:,} trials were looked at"
        notes.append(f"{looked_at}, half of them the best")
    if any(curve.reported > len(curve.points) for curve in curves):
        notes.append("Long curves show the lowest and the highest value of each span")
    note = _sentences(*notes)
    return Figure(key="intermediate", title=title, note=note, traces=traces, layout=layout)


def durations(overview: Overview) -> Figure:
    """Draw how long each trial took, by its status."""
    even = overview.sample.even
    rows = [row for row in overview.rows if row.duration_s is not None and row.sequence in even]
    if not rows:
        return Figure(key="durations", title="Duration", note="No trial has ended yet.")
    drawn = evenly(rows, _MOST_BARS)
    unit, seconds = _unit(max(row.duration_s or 0.0 for row in drawn))
    span = drawn[-1].sequence - drawn[0].sequence
    width = 0.8 * max(1.0, span / max(1, len(drawn) - 1))
    traces = []
    for status in Status:
        group = [row for row in drawn if row.status is status]
        if group:
            traces.append(_bars(group, status, unit, seconds) | {"width": plain(width)})
    layout = {
        "height": 280,
        "barmode": "overlay",
        "showlegend": True,
        "xaxis": _trial_axis(rows, "trial"),
        "yaxis": {"title": {"text": unit}, "rangemode": "tozero"},
        "legend": {"orientation": "h", "y": 1.16, "x": 0},
    }
    note = _drawn_of(len(drawn), overview.totals.timed, "trials that have ended")
    return Figure(
        key="durations",
        title="Duration",
        note=_sentences(note),
        traces=tuple(traces),
        layout=layout,
    )


# --- the parts of the charts ----------------------------------------------------------------------


def _by_trial(rows: Sequence[OverviewRow]) -> dict[str, Any]:
    """Return what places points by trial; `customdata` is the trial that a click leads to."""
    return {"x": [row.sequence for row in rows], "customdata": [row.sequence for row in rows]}


def _bars(rows: Sequence[OverviewRow], status: Status, unit: str, seconds: float) -> dict[str, Any]:
    """Return the bars of the trials of one status. seconds: the length of the unit."""
    name = _readable(status)
    return {
        **_by_trial(rows),
        "type": "bar",
        "name": name,
        "y": [plain((row.duration_s or 0.0) / seconds) for row in rows],
        "marker": {"color": STATUS_COLOURS[status]},
        "hovertemplate": f"trial %{{x}}: %{{y:.4~g}} {unit}<extra>{name}</extra>",
    }


def _best_so_far(overview: Overview) -> dict[str, Any]:
    steps = evenly(overview.steps, MOST_POINTS)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": [*(sequence for sequence, _ in steps), overview.last],
        "y": [plain(score) for _, score in (*steps, steps[-1])],
        "line": {"color": _ACCENT, "width": 2, "shape": "hv"},
        "hoverinfo": "skip",
    }


def _curve(scale: Scale, curve: Curve) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(curve.points) <= _FEW_STEPS else "lines",
        "name": f"#{curve.row.sequence}",
        "x": [step for step, _ in curve.points],
        "y": [plain(value) for _, value in curve.points],
        "customdata": [curve.row.sequence] * len(curve.points),
        "line": {"color": scale.colour(curve.row), "width": 1.5},
        "marker": {"size": 4},
        "meta": [_hover(curve.row)],
        "hovertemplate": "step %{x}: %{y:.6~g}<br>%{meta[0]}<extra></extra>",
    }


def _coloured(scale: Scale, rows: Sequence[OverviewRow]) -> dict[str, Any]:
    """Return the lines' colours.

    plotly draws high values over low ones, so that the best have to be the highest.
    """
    sign = 1 if scale.maximize else -1
    ticks = exponents(scale.low, scale.high) if scale.log else even_ticks(scale.low, scale.high)
    low, high = sorted((sign * scale.low, sign * scale.high))
    return {
        "color": [sign * scale.position(row.score or 0.0) for row in rows],
        "colorscale": [
            [index / (len(COLOURS) - 1), colour] for index, colour in enumerate(COLOURS)
        ],
        "cmin": low,
        "cmax": high,
        "showscale": True,
        "colorbar": {
            "title": {"text": "default", "font": {"size": 13}},
            "thickness": 12,
            "tickvals": [sign * tick for tick in ticks["tickvals"]],
            "ticktext": ticks["ticktext"],
        },
    }


def _axes(overview: Overview) -> tuple[tuple[str, ...], str]:
    """Return the parameters that get an axis, varying ones first, and a note on the others."""
    varying = overview.varying or overview.parameters
    constant = len(overview.parameters) - len(varying)
    notes = []
    if constant:
        notes.append(f"Left out: {constant} that never vary")
    if len(varying) > _MOST_AXES:
        notes.append(f"Drawn are the first {_MOST_AXES} of {len(varying)} parameters")
    return varying[:_MOST_AXES], ". ".join(notes)


def _trial_axis(rows: Sequence[OverviewRow], title: str) -> dict[str, Any]:
    return {
        "title": {"text": title},
        "tickformat": "d",
        **_whole(rows[-1].sequence - rows[0].sequence),
    }


def _whole(span: int) -> dict[str, Any]:
    return {"dtick": 1} if span <= _FEW_TICKS else {}


def _log(wanted: bool) -> dict[str, Any]:  # noqa: FBT001 - it is the only argument
    return {"type": "log", "dtick": 1, "exponentformat": "power"} if wanted else {"type": "linear"}


# --- texts and numbers ----------------------------------------------------------------------------


def _unit(longest_s: float) -> tuple[str, float]:
    """Return the unit that durations are best read in, and its length in seconds."""
    if longest_s >= _HOURS_FROM_S:
        return "hours", 3600.0
    return ("minutes", 60.0) if longest_s >= _MINUTES_FROM_S else ("seconds", 1.0)


def _readable(status: Status) -> str:
    return status.value.replace("_", " ")


def _shortened(name: str, most: int) -> str:
    """Return a name without its middle: long names of one experiment tend to begin alike."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-((most - 1) // 2) :]}"


def _hover(row: OverviewRow) -> str:
    """Return what hovering tells of a trial.

    Plotly reads it as markup, so that all of it is escaped.
    """
    lines = [row.origin if row.trials else f"trial #{row.sequence} · {_readable(row.status)}"]
    if row.score is not None:
        lines.append(f"default = {shown(row.score, 60)}")
    named = list(row.parameters.items())
    lines += [
        f"{shown(name, 40)} = {shown(value, 60)}" for name, value in named[:_HOVER_PARAMETERS]
    ]
    if len(named) > _HOVER_PARAMETERS:
        lines.append(f"and {len(named) - _HOVER_PARAMETERS} more")
    return "<br>".join(escape(" ".join(line.split()), quote=False) for line in lines)


def _no_score(overview: Overview) -> str:
    return _sentences("No trial has a finite number as its default metric yet", _unscored(overview))


def _unscored(overview: Overview) -> str:
    odd = overview.totals.odd
    return f"{odd} {'trial reports' if odd == 1 else 'trials report'} something else" if odd else ""


def _means(overview: Overview, what: str) -> str:
    if overview.replicates == 1:
        return ""
    return f"Each {what} is a parameter set, with the mean of its trials' results"


def _scored_drawn(overview: Overview, drawn: Sequence[OverviewRow], most: int) -> str:
    kind = "trials" if overview.replicates == 1 else "parameter sets"
    what = f"{kind} that have a result"
    # Not half where few of the evenly spaced ones have a result.
    best = "half" if len(drawn) == most else "most"
    return _drawn_of(len(drawn), overview.scored.every, f"{what}, {best} of them the best")


def _drawn_of(drawn: int, every: int, what: str) -> str:
    return f"Drawn: {drawn:,} of {every:,} {what}" if drawn < every else ""


def _sentences(*parts: str) -> str:
    return " ".join(f"{part}." for part in parts if part)


def figures(overview: Overview, curves: Sequence[Curve], *, candidates: int) -> tuple[Figure, ...]:
    """Return the charts of the page, in their order."""
    scale = scale_of(overview)
    return (
        default_metric(overview, scale),
        hyperparameters(overview, scale),
        intermediate(overview, scale, curves, candidates=candidates),
        durations(overview),
    )


def as_json(charts: Iterable[Figure]) -> str:
    """Return the charts as JSON that may stand inside a script element.

    No `<`, `>` or `&`, and plain ASCII.
    """
    values = {}
    for chart in charts:
        if chart.traces:
            values[chart.key] = {"data": chart.traces, "layout": chart.layout}
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
