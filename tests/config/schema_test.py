"""The JSON Schema is sound, describes every key, and agrees with its own examples and defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest

from amlc.config.schema import load_schema
from amlc.resources import runner_dir, schema_file, templates_dir

SCHEMA = load_schema()


def keys(node: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each key that the schema describes."""
    if isinstance(node, Mapping):
        for name, child in node.get("properties", {}).items():
            if path.endswith("/if"):
                continue
            yield f"{path}/{name}", child
        for part, child in node.items():
            if part not in ("default", "examples"):
                yield from keys(child, f"{path}/{part}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from keys(child, f"{path}/{index}")


ALL = dict(keys(SCHEMA))


def validator(node: Mapping[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**node, "$defs": SCHEMA["$defs"]})


def test_schema_is_valid_draft_2020_12() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"].startswith("urn:")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert len(ALL) > 70


@pytest.mark.parametrize("path", ALL)
def test_every_key_is_described(path: str) -> None:
    key = ALL[path]
    assert {"description", "type", "default", "examples"} <= key.keys()
    assert key["description"].endswith(".")
    assert key["examples"]


@pytest.mark.parametrize("path", ALL)
def test_examples_and_defaults_are_valid(path: str) -> None:
    key = ALL[path]
    for example in key["examples"]:
        validator(key).validate(example)
    if key["default"] is not None:
        validator(key).validate(key["default"])


def test_every_object_refuses_unknown_keys() -> None:
    for name, definition in {"": SCHEMA, **SCHEMA["$defs"]}.items():
        assert definition["additionalProperties"] is False, name


def test_data_files_are_found() -> None:
    assert schema_file().is_file()
    assert templates_dir().name == "templates"
    assert runner_dir().name == "runner"
