"""Checks the config against the JSON Schema, and says in a sentence each what is wrong."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from amlc.config.accepts import accepts
from amlc.config.spelling import Config
from amlc.config.wording import expected_other, flow, show, wrong_type
from amlc.errors import Problem, Sentence, nearest
from amlc.model import JsonPath
from amlc.resources import schema_file
from amlc.targets import names, target

_CODES = {
    "type": "E-type",
    "minimum": "E-range",
    "maximum": "E-range",
    "exclusiveMinimum": "E-range",
    "uniqueItems": "E-duplicate-item",
}
_OWN_RULES = {("tuner",), ("assessor",), ("advisor",), ("trainingService",)}
"""Objects whose required keys depend on more than the schema knows."""

_ONE_BY_ONE: Mapping[JsonPath, Any] = {("amlc", "initial"): {}, ("amlc", "constraints"): "true"}
"""Lists whose items are judged each by itself, and what is nothing wrong in the place of one."""


@cache
def load_schema(*platforms: str) -> Mapping[str, Any]:
    """Return the JSON Schema of experiment files, these platforms added if it lacks them."""
    schema: dict[str, Any] = json.loads(schema_file().read_text(encoding="utf-8"))
    service = schema["properties"]["trainingService"]
    choices = service["properties"]["platform"]["enum"]
    for name in platforms:
        if name not in choices:
            choices.append(name)
            given = {"properties": {"platform": {"const": name}}}
            service["allOf"].append({"if": given, "then": {"$ref": f"#/$defs/{name}"}})
            schema["$defs"][name] = target(name).SCHEMA
    return schema


def schema_text() -> str:
    """Return the JSON Schema for editors, with every platform that there is here, as text."""
    from amlc.config.published import published

    return json.dumps(published(load_schema(*names())), indent=2, ensure_ascii=False) + "\n"


def check_schema(config: Config) -> Config:
    """Return the config without the values that the schema refuses, and a problem for each of them.

    The search space is left to `parse_space`; keys that depend on the target, to its `check`.
    """
    data = config.data
    is_own_class = config.get("tuner", "className") is not None
    if isinstance(config.get("searchSpace"), Mapping) or is_own_class:
        data = {**data, "searchSpace": {}}
    schema = _schema_of(config)
    if accepts(schema, data):
        return config
    checked = config
    incomplete: set[JsonPath] = set(_OWN_RULES)
    for error in schema_errors(schema, data):
        path: JsonPath = tuple(error.absolute_path)
        if error.validator == "required":
            if path not in incomplete:
                checked = checked.noted(*_missing(config, path, error))
            incomplete.add(path)
        elif (
            error.validator not in ("not", "additionalProperties", "if")
            and path not in checked.broken
        ):
            code = _CODES.get(error.validator, "E-value")
            if _is_annotated(path, error.instance):
                code = "E-annotation"
            problem = config.problem(path, code, _sentence(config, path, error))
            checked = _without(checked, path).noted(problem)
    return checked


def _without(config: Config, path: JsonPath) -> Config:
    """Return the config without a refused value, or the list that it stands in."""
    whole = _whole(path)
    if path == whole or whole not in _ONE_BY_ONE:
        return config.without(whole)
    items = config.get(*map(str, whole))
    index = path[len(whole)]
    return config.with_value(
        whole, [_ONE_BY_ONE[whole] if n == index else item for n, item in enumerate(items)]
    )


def schema_errors(schema: Mapping[str, Any], data: object) -> list[Any]:
    """Return jsonschema's errors (its `ValidationError`), sorted by their paths.

    1.0 is no integer here, as in NNI.
    """
    from jsonschema import Draft202012Validator, validators

    extend: Any = validators.extend
    whole = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: type(value) is int
    )
    errors = list(extend(Draft202012Validator, type_checker=whole)(schema).iter_errors(data))
    errors.sort(key=lambda error: [str(part) for part in error.absolute_path])
    return errors


def _is_annotated(path: JsonPath, value: object) -> bool:
    return path == ("useAnnotation",) and value is True


def _schema_of(config: Config) -> Mapping[str, Any]:
    platform = config.get("trainingService", "platform")
    return load_schema(platform) if platform else load_schema()


def _whole(path: JsonPath) -> JsonPath:
    """Return the path of the key that an item of a list belongs to."""
    return path[
        : next((index for index, part in enumerate(path) if isinstance(part, int)), len(path))
    ]


def _missing(config: Config, path: JsonPath, error: Any) -> Iterator[Problem]:
    """Yield an error for each required key that an object has not."""
    for name in error.validator_value:
        if name not in error.instance and (*path, name) not in config.broken:
            where = f"'{path[-1]}' needs" if path else "the experiment needs"
            hint = _example(name, _definition(config, (*path, name)))
            said = Sentence(f"{where} '{name}'.", hint or None, expected=f"'{name}'")
            yield config.problem(path, "E-required", said, key=bool(path))


def _definition(config: Config, path: JsonPath) -> Mapping[str, Any]:
    """Return the schema of one key."""
    schema = _schema_of(config)
    node: Mapping[str, Any] = schema
    for part in path:
        if isinstance(part, int):
            node = node.get("items", {})
            continue
        if node.get("properties", {}).keys() == {"platform"}:
            node = schema["$defs"][config.get("trainingService", "platform")]
        node = node.get("properties", {}).get(part, {})
        if "$ref" in node:
            node = {
                **schema["$defs"][node["$ref"].rpartition("/")[2]],
                "examples": node["examples"],
            }
    return node


def _example(name: str, definition: Mapping[str, Any]) -> str:
    examples = definition.get("examples")
    return f"For example `{name}: {flow(examples[0])}`." if examples else ""


def _sentence(config: Config, path: JsonPath, error: Any) -> Sentence:
    """Return what was found, what is expected and what to do, for one error of the schema."""
    if _is_annotated(path, error.instance):
        return Sentence(
            "NNI 3.0 dropped annotations, and amlc reads none.",
            "To turn them into a search space and calls of NNI's: "
            f"amlc migrate {shlex.quote(config.document.file.name)} --in-place.",
        )
    keys = [part for part in path if isinstance(part, str)]
    key = keys[-1] if keys else "the file"
    is_item = isinstance(path[-1], int)
    name = f"an item of '{key}'" if is_item else f"'{key}'"
    example = _example(key, _definition(config, _whole(path) if is_item else path))
    found, limit = show(config, path, error.instance), error.validator_value
    expected = _definition(config, path).get("$comment", "")
    match error.validator:
        case "type":
            kinds = _kinds(limit)
            return wrong_type(
                name, found, error.instance, kinds=kinds, expected=expected, example=example
            )
        case "uniqueItems":
            what = f"{name} names the same item twice: {found}."
            return Sentence(what, "Remove one of them.", found=found)
        case "minLength":
            what = f"{name} must not be empty."
            return Sentence(what, example or None, found=found, expected="not empty")
        case "pattern":
            example = _near(error.instance, limit) or example
        case "enum":
            expected, hint = _choices(error.instance, limit)
            example = hint or example
        case "minimum":
            expected = f"at least {limit}"
        case "maximum":
            expected = f"at most {limit}"
        case "exclusiveMinimum":
            expected = f"above {limit}"
    return expected_other(name, expected or "something else", found, hint=example)


def _near(value: Any, pattern: str) -> str:
    """Return the hint at one of the words that a pattern lists, if one is near."""
    words = pattern.removeprefix("^(").removesuffix(")$").split("|")
    plain = isinstance(value, str) and all(word.isalpha() for word in words)
    return _meant(value, words) if plain else ""


def _meant(value: str, choices: Sequence[str]) -> str:
    near = nearest(value, choices)
    return f"Did you mean '{near}'?" if near else ""


def _kinds(types: str | Sequence[str]) -> list[str]:
    """Return the types that a value may have; that it may be left out goes without saying."""
    return [kind for kind in ([types] if isinstance(types, str) else types) if kind != "null"]


def _choices(value: Any, choices: Sequence[Any]) -> tuple[str, str]:
    """Return in words what may stand there, and which of it may be meant by `value`."""
    allowed = [str(choice) for choice in choices if choice is not None]
    hint = _meant(value, allowed) if isinstance(value, str) else ""
    return f"one of {', '.join(allowed)}" if len(allowed) > 1 else allowed[0], hint
