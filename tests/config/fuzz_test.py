"""Whatever stands in an experiment file: an experiment or problems with positions come out, never a crash."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amlc.config import load_experiment
from amlc.config.load import parse_document
from amlc.config.schema import load_schema
from amlc.errors import ConfigError, Severity
from amlc.space.parse import parse_space

GOOD: dict[str, Any] = {
    "searchSpace": {"lr": {"_type": "uniform", "_value": [0, 1]}},
    "trialCommand": "x",
    "trialConcurrency": 1,
    "maxTrialNumber": 4,
    "tuner": {"name": "Random"},
    "trainingService": {"platform": "local"},
}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["aml", "local", "Random", "TPE", "Batch", "1h", "${X}", "choice", "uniform", "_type", "10" * 500]),
)
KEYS = st.sampled_from(
    [
        *load_schema()["properties"],
        *(name for part in load_schema()["$defs"].values() for name in part["properties"]),
        *("_name", "_type", "_value", "seed", "trial", "Platform", "tpe_args"),
    ]
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4)
)
RELAXED = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("backend", [None, "local"])
@given(changes=st.dictionaries(KEYS, JSON, max_size=5))
@RELAXED
def test_any_values_are_judged(tmp_path: Path, backend: str | None, changes: dict[str, Any]) -> None:
    file = tmp_path / "x.yml"
    file.write_text(json.dumps({**GOOD, **changes}), encoding="utf-8")
    try:
        _, problems = load_experiment(file, backend=backend, environ={"X": "x"})
    except ConfigError as error:
        problems = error.problems
        assert any(problem.severity is Severity.ERROR for problem in problems)
    assert all(str(problem).isprintable() for problem in problems)


@given(space=JSON, tuner=st.sampled_from(["Random", "GridSearch", "Batch", None]))
@RELAXED
def test_any_space_is_judged(space: Any, tuner: str | None) -> None:
    document = parse_document(json.dumps({"space": space}), Path("x.json"))
    _, problems = parse_space(document, ("space",), tuner=tuner)
    assert all(problem.code and problem.message for problem in problems)


@given(
    text=st.text(
        alphabet=st.sampled_from(list("abc:-[]{},\"'&*!|>%@#?.\\ \n\t\r019~<=\u2028\ufeff\x00é😀")), max_size=60
    )
)
@RELAXED
def test_any_text_is_judged(text: str) -> None:
    with suppress(ConfigError):
        parse_document(text, Path("x.yml"))
