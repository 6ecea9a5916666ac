"""What is accepted without jsonschema is what jsonschema accepts, nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlc.config.accepts import accepts
from amlc.config.schema import load_schema, schema_errors
from tests.fuzz.grammar import ANYTHING, changed
from tests.fuzz.seeds import EXPERIMENT

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "searchSpace": {"lr": {"_type": "uniform", "_value": [0, 1]}},
    "trialCommand": "python3 train.py",
    "trialConcurrency": 1,
    "maxTrialNumber": 4,
    "tuner": {"name": "Random"},
    "trainingService": {"platform": "local"},
    "tunerGpuIndices": [0, 1],
    "amlc": {"replicates": 2, "prices": {"STANDARD_NC6": 1.5}, "budget": {"nodeHours": 5}},
}


def agree(schema: dict[str, Any], value: Any) -> None:
    assert accepts(schema, value) == (not schema_errors(schema, value))


@settings(max_examples=150)
@given(st.one_of(changed(GOOD), changed(EXPERIMENT)))
def test_both_agree_on_experiments(value: Any) -> None:
    agree(dict(load_schema()), value)


PARTS: dict[str, Any] = {
    "type": st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object", ["integer", "null"]]),
    "minimum": st.integers(-3, 3),
    "maximum": st.integers(-3, 3),
    "exclusiveMinimum": st.integers(-3, 3),
    "minLength": st.integers(0, 3),
    "pattern": st.sampled_from(["^a", "b$", "[0-9]"]),
    "required": st.lists(st.sampled_from("ab"), max_size=2),
    "enum": st.lists(st.sampled_from(["a", "b", 3, None]), min_size=1, max_size=3, unique_by=repr),
    "const": st.sampled_from(["a", 7, None]),
    "$ref": st.just("#/$defs/a"),
    "description": st.text(max_size=3),
}
SCHEMAS = st.recursive(
    st.booleans() | st.fixed_dictionaries({}, optional=PARTS),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "additionalProperties": inner,
            "items": inner,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
        },
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.sampled_from([None, -4, 0, 2, 2.5, "", "a", "ab", "b1", "0000"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.fixed_dictionaries({"allOf": st.lists(SCHEMAS, min_size=1, max_size=3)}), VALUES)
def test_whatever_is_accepted_has_no_errors_and_plain_values_are_never_unsure(schema: Any, value: Any) -> None:
    agree({**schema, "$defs": {"a": {"type": ["string", "integer"]}}}, value)


@given(st.booleans(), st.lists(st.sampled_from([None, 0, 1, 2.5, "a", "b"]), max_size=4))
def test_items_that_are_there_twice_are_found(unique: bool, value: Any) -> None:
    agree({"uniqueItems": unique}, value)


@given(SCHEMAS.filter(lambda schema: not isinstance(schema, bool)), ANYTHING)
def test_what_is_odd_is_left_to_jsonschema(schema: Any, value: Any) -> None:
    whole = {**schema, "$defs": {"a": {}}}
    assert not (accepts(whole, value) and schema_errors(whole, value))


@pytest.mark.parametrize("keyword", ["dependentRequired", "patternProperties", "maxItems", "$dynamicRef", "format"])
def test_a_keyword_that_is_not_known_is_left_to_jsonschema(keyword: str) -> None:
    assert not accepts({"properties": {"a": {keyword: {}}}}, {"a": 1})
    assert accepts({"properties": {"a": {keyword: {}}}}, {"b": 1})


@pytest.mark.parametrize(
    ("schema", "value"), [({"enum": [1]}, True), ({"const": 1.0}, 1), ({"uniqueItems": True}, [1, True]), ({"uniqueItems": True}, [[1]])], ids=str
)
def test_equal_values_of_two_types_are_left_to_jsonschema(schema: Any, value: Any) -> None:
    assert not accepts(schema, value)
    assert not accepts({"not": schema}, value)


def test_a_good_file_is_validated_without_importing_jsonschema(tmp_path: Path) -> None:
    file = tmp_path / "e.yml"
    file.write_text(
        "searchSpace: {x: {_type: uniform, _value: [0, 1]}}\ntrialCommand: echo\ntrialConcurrency: 1\n"
        "maxTrialNumber: 2\ntuner: {name: Random}\ntrainingService: {platform: local}\n"
    )
    code = (
        "import sys; from pathlib import Path; from amlc.config import load_experiment\n"
        f"load_experiment(Path({str(file)!r}), environ={{}}); print('jsonschema' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
