"""Checks the config against the JSON Schema, and says in one sentence each what was found and what is expected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from amlc.config.spelling import Config
from amlc.config.tree import secret
from amlc.errors import Problem, did_you_mean
from amlc.model import JsonPath
from amlc.resources import schema_file

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping (key: value)",
    "array": "a list",
}
_CODES = {
    "type": "E-type",
    "minimum": "E-range",
    "exclusiveMinimum": "E-range",
    "uniqueItems": "E-duplicate-item",
}
_OWN_RULES = {("tuner",), ("assessor",), ("advisor",), ("trainingService",)}
"""Objects whose required keys depend on more than the schema knows."""


@cache
def load_schema() -> Mapping[str, Any]:
    """Return the JSON Schema of experiment files."""
    schema: Mapping[str, Any] = json.loads(schema_file().read_text(encoding="utf-8"))
    return schema


def check_schema(config: Config) -> Config:
    """Return the config without the values that the schema refuses, and a problem for each of them.

    The search space is left to `parse_space`; keys that depend on the back end, to `check_required`.
    """
    from jsonschema import Draft202012Validator, validators

    extend: Any = validators.extend
    whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    validator = extend(Draft202012Validator, type_checker=whole)(load_schema())
    data = {**config.data, "searchSpace": {}} if isinstance(config.get("searchSpace"), Mapping) else config.data
    checked = config
    incomplete: set[JsonPath] = set(_OWN_RULES)
    for error in sorted(validator.iter_errors(data), key=lambda e: [str(part) for part in e.absolute_path]):
        path: JsonPath = tuple(error.absolute_path)
        if error.validator == "required":
            if path not in incomplete:
                checked = checked.noted(*_missing(config, path, error))
            incomplete.add(path)
        elif error.validator not in ("not", "additionalProperties", "if") and path not in checked.broken:
            problem = config.problem(path, _CODES.get(error.validator, "E-value"), _sentence(config, path, error))
            checked = checked.without(_whole(path)).noted(problem)
    return checked


def _whole(path: JsonPath) -> JsonPath:
    """Return the path of the key that an item of a list belongs to."""
    return path[: next((index for index, part in enumerate(path) if isinstance(part, int)), len(path))]


def _missing(config: Config, path: JsonPath, error: Any) -> Iterator[Problem]:
    """Yield an error for each required key that an object has not."""
    for name in error.validator_value:
        if name not in error.instance and (*path, name) not in config.broken:
            where = f"'{path[-1]}' needs" if path else "the experiment needs"
            text = f"{where} '{name}'.{_example(name, _definition(config, (*path, name)))}"
            yield config.problem(path, "E-required", text, key=bool(path))


def _definition(config: Config, path: JsonPath) -> Mapping[str, Any]:
    """Return the schema of one key."""
    schema = load_schema()
    node: Mapping[str, Any] = schema
    for part in path:
        if isinstance(part, int):
            node = node.get("items", {})
            continue
        if node.get("properties", {}).keys() == {"platform"}:
            node = schema["$defs"][config.get("trainingService", "platform") or "local"]
        node = node.get("properties", {}).get(part, {})
        if "$ref" in node:
            node = {**schema["$defs"][node["$ref"].rpartition("/")[2]], "examples": node["examples"]}
    return node


def _example(name: str, definition: Mapping[str, Any]) -> str:
    examples = definition.get("examples")
    return f" For example `{name}: {_flow(examples[0])}`." if examples else ""


def _flow(value: Any) -> str:
    """Return a value as one line of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return f'"{value}"' if value[:1].isdigit() and "," in value else value
    return json.dumps(value)


def _sentence(config: Config, path: JsonPath, error: Any) -> str:
    """Return what was found, what is expected and what to do, for one error of the schema."""
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "the file")
    name = f"an item of '{key}'" if path and isinstance(path[-1], int) else f"'{key}'"
    found = show(config, path, error.instance)
    example = _example(key, _definition(config, path if name[0] == "'" else path[:-1]))
    limit = error.validator_value
    if (key, found) == ("useAnnotation", "true"):
        return "NNI 3.0 dropped annotations, and amlc has none. Set 'useAnnotation: false' and write a 'searchSpace'."
    match error.validator:
        case "type":
            return _wrong_type(name, found, error.instance, limit, example)
        case "enum":
            allowed = [str(item) for item in limit if item is not None]
            hint = did_you_mean(str(error.instance), allowed) if isinstance(error.instance, str) else ""
            return f"{name} must be one of {', '.join(allowed)}, got {found}.{hint or ' Write one of them.'}"
        case "minimum":
            return f"{name} must be at least {limit}, got {found}.{example}"
        case "exclusiveMinimum":
            return f"{name} must be above {limit}, got {found}.{example}"
        case "minLength":
            return f"{name} must not be empty.{example}"
        case "uniqueItems":
            return f"{name} names the same item twice: {found}. Remove one of them."
    return f"{name} cannot be {found}.{example}"


def _wrong_type(name: str, found: str, value: Any, wanted: Any, example: str) -> str:
    kinds = [kind for kind in ([wanted] if isinstance(wanted, str) else wanted) if kind != "null"]
    expected = " or ".join(_TYPES[kind] for kind in kinds)
    return f"{name} must be {expected}, got {found}.{_mend(value, kinds) or example}"


def _mend(value: Any, kinds: list[str]) -> str:
    """Return what to do about a value of a wrong type that YAML's spelling explains."""
    if isinstance(value, str):
        text = value.strip()
        number = text.lstrip("+-").isdigit() and {"integer", "number"} & set(kinds)
        boolean = text.lower() in ("true", "false") and "boolean" in kinds
        return " Remove the quotes." if number or boolean else ""
    if "string" in kinds and len(kinds) == 1 and isinstance(value, (bool, int, float)):
        return " Put it in quotes."
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        return f" Write {int(value)}."
    return ""


def show(config: Config, path: JsonPath, value: Any) -> str:
    """Return a found value for a message: never a secret, never what came from the environment, never long."""
    if isinstance(value, Mapping):
        return "a mapping"
    raw: Any = config.document.data
    for part in config.original(path):
        raw = raw[part]
    if secret(path):
        return "a value that is not shown"
    if isinstance(value, list):
        return f"the list {_short(_flow(raw))}"
    if isinstance(value, str):
        return f"the text '{_short(str(raw))}'"
    return _short(_flow(raw))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
