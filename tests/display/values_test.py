"""A reported value as people read it."""

import math

import pytest

from amlc.display.values import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a word", "a word"),
        ("a\nb\x1b[2J\u2028", r"a\nb\x1b[2J\u2028"),
        (0.123456789, "0.123457"),
        (math.nan, "nan"),
        (3, "3"),
        (True, "true"),
        (None, "null"),
        ({"b": [1, "é", "\n"]}, r'{"b": [1, "é", "\n"]}'),
        ([math.inf], "[Infinity]"),
    ],
)
def test_a_value_is_one_line_in_the_form_of_tables(value, text):
    assert shown(value) == text
