"""Write values as YAML that readers of YAML 1.1 and 1.2 read back alike, and read such files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

# Words that are text in both versions as they stand, and nothing like a number; everything else is
# quoted.
_RESERVED = "y|n|yes|no|on|off|true|false|null|nan|inf"
_PLAIN = re.compile(
    rf"(?!(?i:{_RESERVED}|[.](?:inf|nan)|[.]+)\Z|[.][0-9_])[A-Za-z_./][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*\Z"
)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# A longer key has to be marked as one.
_SIMPLE_KEY = 1000
# Quoted scalars may hold these only as escapes: control characters, YAML 1.1 line breaks, what YAML
# calls unprintable.
_ESCAPED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def from_yaml(text: str | bytes) -> Any:
    """Parse YAML 1.1 with PyYAML's safe loader, the fast one where it is there.

    Raises yaml.YAMLError.
    """
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as err:
        # PyYAML lets these through where a scalar does not fit its tag or its date, and for lone
        # surrogates.
        raise yaml.YAMLError(f"{type(err).__name__}: {err}") from err


def to_yaml(value: Any) -> str:  # noqa: PLR0911 - one line for each kind of value
    """Return `value` (JSON data) as one line of YAML in flow style.

    Raises TypeError for anything that is not JSON data.
    """
    if isinstance(value, str):  # first: nearly every value is
        return _string(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        return (
            "{"
            + ", ".join(f"{_key(to_yaml(str(k)))}: {to_yaml(v)}" for k, v in value.items())
            + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(to_yaml, value)) + "]"
    raise TypeError(f"{type(value).__name__} is not JSON data: {value!r}")


def _key(text: str) -> str:
    return text if len(text) <= _SIMPLE_KEY else f"? {text}"


def is_plain(text: str) -> bool:
    """Tell whether `text`, without quotes, is text to every reader."""
    return _PLAIN.match(text) is not None


def has_escaped(text: str) -> bool:
    """Tell whether `text` has a character that a quoted scalar may hold only as an escape."""
    # All of those are unprintable to Python too, and that is told faster.
    return not text.isprintable() and _ESCAPED.search(text) is not None


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # PyYAML reads 1e-05 as text: YAML 1.1 wants the point.
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text


def _string(text: str) -> str:
    if _PLAIN.match(text):
        return text
    if not text.isprintable() and has_escaped(text):
        return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False))
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
