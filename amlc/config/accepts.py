"""Tells that a config surely fits the schema: where nothing is wrong, nobody has to explain it.

Importing `jsonschema` takes longer than all the rest of validating a file. So this decides the
good case alone; what it refuses, or does not know, jsonschema judges (`schema`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}
"""The exact types, so that true is no integer, and 1.0 is none either."""


class _UnsureError(Exception):
    """The schema says what this module does not know."""


def accepts(schema: Mapping[str, Any], value: object) -> bool:
    """Return whether the value surely fits a schema of draft 2020-12.

    False means that it does not, or that nobody here knows.
    """
    try:
        return _fits(schema, value, schema)
    except _UnsureError:
        return False


def _fits(schema: Any, value: Any, root: Mapping[str, Any]) -> bool:
    if isinstance(schema, bool):
        return schema
    for keyword, limit in schema.items():
        if keyword in _REMARKS:
            continue
        check = _CHECKS.get(keyword)
        if check is None:
            raise _UnsureError(keyword)
        if not check(limit, value, schema, root):
            return False
    return True


_REMARKS: Final = frozenset(
    {"$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples"}
    | {"deprecated", "then", "else"}
)


def _type(limit: Any, value: Any, *_: Any) -> bool:
    names = [limit] if isinstance(limit, str) else limit
    return any(type(value) in _TYPES[name] for name in names)


def _one_of(limit: Any, value: Any, *_: Any) -> bool:
    """Tell whether the value is one of the options; equal ones of two types are a fine point."""
    for option in limit:
        if option == value:
            if type(option) is not type(value) or isinstance(value, (list, dict)):
                raise _UnsureError
            return True
    return False


def _bound(fits: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def check(limit: Any, value: Any, *_: Any) -> bool:
        if type(value) not in (int, float):
            return True
        if isinstance(value, float) and not math.isfinite(value):
            raise _UnsureError
        return fits(value, limit)

    return check


def _unique(limit: Any, value: Any, *_: Any) -> bool:
    if not limit or not isinstance(value, list):
        return True
    if any(isinstance(item, (list, dict)) for item in value):
        raise _UnsureError
    if len({(type(item), item) for item in value}) < len(value):
        return False
    if len(set(value)) < len(value):
        raise _UnsureError  # 1, 1.0 and true
    return True


def _required(limit: Any, value: Any, *_: Any) -> bool:
    return not isinstance(value, dict) or all(name in value for name in limit)


def _properties(limit: Any, value: Any, _: Any, root: Mapping[str, Any]) -> bool:
    return not isinstance(value, dict) or all(
        _fits(limit[name], item, root) for name, item in value.items() if name in limit
    )


def _additional(limit: Any, value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    known = schema.get("properties", {})
    return all(_fits(limit, item, root) for name, item in value.items() if name not in known)


def _items(limit: Any, value: Any, _: Any, root: Mapping[str, Any]) -> bool:
    return not isinstance(value, list) or all(_fits(limit, item, root) for item in value)


def _reference(limit: Any, value: Any, _: Any, root: Mapping[str, Any]) -> bool:
    folder, _slash, name = limit.rpartition("/")
    if folder != "#/$defs":
        raise _UnsureError
    return _fits(root["$defs"][name], value, root)


def _if(limit: Any, value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    branch = "then" if _fits(limit, value, root) else "else"
    return _fits(schema.get(branch, True), value, root)


_CHECKS: Final[Mapping[str, Callable[..., bool]]] = {
    "type": _type,
    "enum": _one_of,
    "const": lambda limit, value, *_: _one_of([limit], value),
    "minimum": _bound(lambda value, limit: value >= limit),
    "maximum": _bound(lambda value, limit: value <= limit),
    "exclusiveMinimum": _bound(lambda value, limit: value > limit),
    "minLength": lambda limit, value, *_: not isinstance(value, str) or len(value) >= limit,
    "pattern": lambda limit, value, *_: (
        not isinstance(value, str) or re.search(limit, value) is not None
    ),
    "uniqueItems": _unique,
    "items": _items,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "allOf": lambda limit, value, _, root: all(_fits(part, value, root) for part in limit),
    "not": lambda limit, value, _, root: not _fits(limit, value, root),
    "if": _if,
    "$ref": _reference,
}
