"""What the files look like: Hypothesis strategies for each kind, mostly right, with anything in any place."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from amlc.config.schema import load_schema
from amlc.events import EventKind
from tests.fuzz.readers import TRIALS
from tests.fuzz.seeds import EXPERIMENT, INTENT, LEGACY, OBSERVED, SPACE, entry, manifest

HOSTILE = ["", "\0", "~nosuchuser/x", "/dev/zero", "../..", "${X}", "${{a}}", "9" * 401, "9" * 401 + "s", "nan", "1e999"]
HOSTILE += ["\ud800", "\u2028", "é😀", "a" * 10_000, "[" * 3_000, "{{ 'a' * 10**9 }}", "range(10**9)|list", "None", "-0", "0x1"]
SCALARS = st.one_of(
    st.sampled_from(HOSTILE),
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63), 10**400]),
    st.floats(),
    st.text(max_size=8),
)
NAMES = st.sampled_from(
    [
        *load_schema()["properties"],
        *(name for part in load_schema()["$defs"].values() for name in part["properties"]),
        *("_name", "_type", "_value", "seed", "trial", "id", "sequence", "parameters", "status", "outcomes", "at"),
    ]
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _paths(inner, (*path, key))
    return found


def _with(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(copy[path[0]], path[1:], new)
    return copy


@st.composite
def changed(draw: Any, value: Any) -> Any:
    """A value with anything in up to three of its places, and up to two keys more."""
    for _ in range(draw(st.integers(0, 3))):
        value = _with(value, draw(st.sampled_from(_paths(value))), draw(ANYTHING))
    if isinstance(value, dict):
        value = {**value, **draw(st.dictionaries(NAMES, ANYTHING, max_size=2))}
    return value


def _json(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))


def _lines(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(values, max_size=6).map(b"\n".join)


METRIC = {"type": "final", "sequence": 0, "at": 1.0, "value": 0.5}
END = {"end": "exited", "exit_code": 0, "started": 1.0, "ended": 2.0, "error": None}
EXPORT = [{"parameter": {"x": 1, "y": 0.5}, "value": "0.5", "intermediate": ["0.1"], "id": "a"}]
TABLE = ["sequence", "param.x", "param.y", "metric.default", "status", "started", "budget"]
JOB = {"environment_variables": {"AMLC_TRIAL_0": json.dumps({"id": TRIALS[0], "sequence": 0, "parameters": {}})}}
REPORTS = {TRIALS[0]: {"final": [1], "step": 1, "names": ["default"], "integers": [], "whole": True}}
CELL = SCALARS.map(str).map(lambda text: '"' + text.replace('"', '""') + '"')
ROW = _json(changed(INTENT)).map(b"intent ".__add__) | _json(changed(OBSERVED)).map(b"observed ".__add__)
ROW |= st.sampled_from(list(EventKind)).flatmap(lambda kind: _json(ANYTHING).map(f"{kind.value} ".encode().__add__))
ROW |= _json(ANYTHING).map(b"final ".__add__)
WORDS = ["x", "y", "'a'", "10", "range(", ")", "|", "center", "format", "list", "*", "**", "~", "+", "%", "(", "[", "]", "in"]
WORDS += ["9" * 20, " if ", " else ", "==", "<", ".", "join", "replace", "map", "sum", "loop", "{", "}", ":", ",", "not "]

GRAMMAR: dict[str, st.SearchStrategy[bytes]] = {
    "experiment": _json(changed(EXPERIMENT)),
    "space": _json(changed(SPACE)),
    "legacy": _json(changed(LEGACY)),
    "manifest": st.lists(_json(changed(entry(0))), max_size=3).map(manifest),
    "ledger": st.binary(max_size=200).map(b"SQLite format 3\0".__add__),
    "ledger_rows": _lines(ROW),
    "metrics": _lines(_json(changed(METRIC))),
    "result": _json(changed(END)),
    "job_file": _json(changed(JOB)),
    "imported": _json(changed(EXPORT))
    | st.lists(st.lists(CELL, min_size=7, max_size=7).map(",".join), max_size=4).map(
        lambda rows: "\n".join([",".join(TABLE), *rows]).encode("utf-8", "replace")
    ),
    "channel": _lines(_json(changed({**METRIC, "value": "0.5"})).map(lambda text: b"x NNISDK_MEb'" + text + b"'")),
    "service": _json(changed(REPORTS)) | _json(SCALARS),
    "constraint": st.lists(st.sampled_from(WORDS), max_size=8).map("".join).map(str.encode),
}
