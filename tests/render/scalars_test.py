"""What to_yaml writes, readers of YAML 1.1 and 1.2 read back as it was."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from amlc.render.scalars import to_yaml


def ruamel(version: tuple[int, int]) -> YAML:
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    return reader


READERS = {
    "PyYAML in C": lambda text: yaml.load(text, Loader=yaml.CSafeLoader),
    "PyYAML in Python": lambda text: yaml.load(text, Loader=yaml.SafeLoader),
    "YAML 1.2": lambda text: ruamel((1, 2)).load(io.StringIO(text)),
}
SLOW_READERS = {"YAML 1.1 of ruamel": lambda text: ruamel((1, 1)).load(io.StringIO(text))}

HOSTILE = [
    *[
        "1e-05",
        "1e5",
        "1.10",
        "0x1F",
        "0o17",
        "017",
        "1_000",
        "12:30:00",
        "1:30",
        "190:20:30",
        "2026-11-22",
        "+1",
        "-1",
        "-",
    ],
    *[
        "yes",
        "Yes",
        "YES",
        "no",
        "on",
        "off",
        "y",
        "Y",
        "n",
        "N",
        "true",
        "True",
        "false",
        "null",
        "Null",
        "None",
        "~",
        "",
    ],
    *[
        ".",
        "..",
        "...",
        "---",
        "-.inf",
        ".inf",
        ".NaN",
        "._",
        ".1",
        ".e5",
        "_",
        "=",
        "<<",
        "!",
        "!!str x",
        "&a",
        "*a",
        "%YAML 1.2",
    ],
    *[
        "a: b",
        "a:",
        ":a",
        "a #b",
        "#a",
        "a:b",
        "http://x.y/z",
        "a,b",
        "[a]",
        "{a}",
        "- a",
        "? a",
        "| a",
        "> a",
        "@a",
        "`a`",
    ],
    *[
        "it's",
        '"',
        "''",
        '"a"',
        "\\",
        "\\n",
        "a\\",
        "'\"\\",
        " a",
        "a ",
        "\t",
        "a\tb",
        "\n",
        "a\nb",
        "a\n\nb\n",
        "\r",
        "a\r\nb",
    ],
    *[
        "\0",
        "\x07",
        "\x1b[31m",
        "\x7f",
        "\x85",
        "a\x85b",
        "\xa0",
        "\u2028",
        "a\u2029b",
        "\ufeff",
        "\ufeffa",
        "\ufffe",
        "\uffff",
    ],
    *[
        "é",
        "🙂",
        "日本",
        "\U0010ffff",
        "${{inputs.x}}",
        "$[[x]]",
        "$(rm -rf ~)",
        "{{ x }}",
        "{% x %}",
        "a" * 5000,
        "=1+1",
    ],
]
NUMBERS = [
    *[
        0,
        1,
        -1,
        10**30,
        2**63,
        0.0,
        -0.0,
        1.0,
        0.1,
        1e-05,
        1e-7,
        1.5e-300,
        1e16,
        1e22,
        -1e22,
        5e-324,
        1.7976931348623157e308,
    ],
    *[math.inf, -math.inf, math.nan, True, False, None, 0.8999999999999999, 100000.0, 123456789012345680.0],
]


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return type(found) is type(expected) and found == expected and repr(found) == repr(expected)


def check(value: Any, readers: dict[str, Any]) -> None:
    text = to_yaml(value)
    assert "\n" not in text
    for reader, read in readers.items():
        assert same(read(f"key: {text}\n")["key"], value), f"{reader} misreads {text[:200]}"


@pytest.mark.parametrize("value", HOSTILE, ids=[ascii(text)[:30] for text in HOSTILE])
def test_hostile_text_reads_back_everywhere(value) -> None:
    readers = {**READERS, **SLOW_READERS}
    check(value, readers)
    check([value, {"k": [value, value]}], readers)
    if value:
        check({value: value}, readers)
        for reader, read in readers.items():
            assert list(read(f"{to_yaml(value[:900])}: 1\n")) == [value[:900]], reader


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_and_words_read_back_everywhere(value) -> None:
    check(value, {**READERS, **SLOW_READERS})
    check([value], {**READERS, **SLOW_READERS})


def test_a_megabyte_of_text_reads_back() -> None:
    for text in ("x" * 1_000_000, "é\n\"'" * 100_000):
        check(text, {"PyYAML in C": READERS["PyYAML in C"]})


@pytest.mark.parametrize("length", [1000, 1023, 1024, 2000, 70_000])
def test_keys_beyond_the_length_of_a_simple_key_read_back(length) -> None:
    check({"k" * length: 1, "é\n" * (length // 8): {"x" * length: [2]}}, READERS)


CHARACTERS = st.one_of(
    st.sampled_from(list("-:?,[]{}#&*!|>'\"%@`=<~ .\\/_$\t\n\r\0yYnN01eE+xo\x85\u2028\u2029\ufeff\xa0é🙂")),
    st.characters(exclude_categories=["Cs"]),
)
WORDS = st.one_of(
    st.text(CHARACTERS, max_size=12), st.text("0123456789.:eE_+-xo", max_size=8), st.sampled_from(HOSTILE)
)
VALUES = st.recursive(
    st.one_of(WORDS, st.integers(), st.floats(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=300, derandomize=True, suppress_health_check=list(HealthCheck))
@given(value=VALUES)
def test_any_json_value_reads_back_everywhere(value) -> None:
    check(value, READERS)


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, 1j])
def test_what_is_not_json_is_refused(value) -> None:
    with pytest.raises(TypeError, match="is not JSON data"):
        to_yaml(value)
