"""What an unquoted scalar means, here and to readers of YAML 1.2."""

import math

import pytest

from amlc.config.scalars import resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, None) for text in ("", "~", "null", "Null", "NULL")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        ("0", 0), ("-7", -7), ("+7", 7), ("1e-3", 1e-3), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0), ("-1.5e+3", -1500.0),
        ("0x1f", 31), ("-0x1F", -31), ("0o17", 15),
        (".inf", math.inf), ("-.Inf", -math.inf), ("+.INF", math.inf),
        ("tRue", "tRue"), ("nULL", "nULL"), ("abc", "abc"), ("-", "-"), ("1e", "1e"), ("1.2.3", "1.2.3"), ("+.nan", "+.nan"),
        ("y", "y"), ("N", "N"), ("yES", "yES"), ("NaN", "NaN"), ("Infinity", "Infinity"), ("-Infinity", "-Infinity"),
        ("2026-11-25", "2026-11-25"), ("0b", "0b"), ("0x", "0x"), ("1:60", "1:60"),
    ],
)  # fmt: skip
def test_what_both_versions_read_alike_has_no_remark(text, value):
    found, remark = resolve(text, json_words=False)
    assert (found, type(found), remark) == (value, type(value), "")


@pytest.mark.parametrize(
    ("text", "value", "remark"),
    [
        *[(text, True, "true or false") for text in ("yes", "Yes", "YES", "on", "On", "ON")],
        *[(text, False, "true or false") for text in ("no", "No", "NO", "off", "Off", "OFF")],
        ("017", 15, "base 8 in YAML 1.1, in base 10"),
        ("00", 0, "base 8"),
        ("-010", -8, "base 8"),
        ("0_7", 7, "base 8 in YAML 1.1, text"),
        ("089", "089", "text in YAML 1.1, a number"),
        ("1:30", 90, "base 60"),
        ("-1:30:15", -5415, "base 60"),
        ("1:30.5", 90.5, "base 60"),
        ("0b101", 5, "base 2"),
        ("-0b1_1", -3, "base 2"),
        ("0x_1f", 31, "underscores"),
        ("1_000", 1000, "underscores"),
        ("1_000.5", 1000.5, "underscores"),
        (".5_5", 0.55, "underscores"),
        ("1_0.e+3", 10_000.0, "underscores"),
    ],
)
def test_what_they_read_differently_is_nnis_meaning_with_a_remark(text, value, remark):
    found, why = resolve(text, json_words=False)
    assert (found, type(found)) == (value, type(value))
    assert remark in why


@pytest.mark.parametrize(("text", "value"), [("Infinity", math.inf), ("-Infinity", -math.inf)])
def test_json_has_words_for_what_is_no_number(text, value):
    assert resolve(text, json_words=True) == (value, "")
    assert math.isnan(resolve("NaN", json_words=True)[0])
    assert math.isnan(resolve(".NaN", json_words=False)[0])
