"""Columns for the page's script: short, and they come back as they were."""

import json
import math

import pytest

from amlc.report.columns import ABSENT, anything, as_json, numbers, plain, words


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([1, ABSENT, 3], {"values": [1, None, 3], "whole": True}, id="whole numbers"),
        pytest.param([0.1, 2.0], {"values": [0.1, 2.0]}, id="floats, to their last digit"),
        pytest.param([1, 2.0], {"json": ["1", "2.0"], "values": [0, 1]}, id="1 and 1.0 differ"),
        pytest.param([True, 1], {"json": ["true", "1"], "values": [0, 1]}, id="true is no number"),
        pytest.param(["a", ABSENT, "a"], {"json": ['"a"'], "values": [0, -1, 0]}, id="a text is written once"),
        pytest.param([2**53 + 1], {"json": [str(2**53 + 1)], "values": [0]}, id="a number that no browser has exactly"),
        pytest.param([math.nan], {"json": ["NaN"], "values": [0]}, id="not a number"),
        pytest.param([None], {"json": ["null"], "values": [0]}, id="null is a value"),
        pytest.param([[1, {"a": 2}]], {"json": ['[1, {"a": 2}]'], "values": [0]}, id="a list"),
        pytest.param([], {"json": [], "values": []}, id="no row"),
    ],
)
def test_a_column_of_anything(values, expected):
    assert anything("x", values, most=50) == {"name": "x", **expected}


def test_a_value_that_is_too_long_is_cut_and_said_to_be():
    found = anything("x", ["a" * 100, "b"], most=10)
    assert found["cut"] is True
    assert found["json"] == ['"' + "a" * 8 + "…", '"b"']


def test_what_texts_begin_with_is_written_once():
    found = words("job", ["tiny-1", "", "tiny-2"], most=20)
    assert found == {"name": "job", "words": ["1", "2"], "values": [0, -1, 1], "prefix": "tiny-"}
    assert words("s", ["same", "same"], most=20) == {"name": "s", "words": ["same"], "values": [0, 0]}


def test_json_ends_no_script_and_keeps_half_a_surrogate_pair():
    hostile = {"a": "</script><!--&\ud800"}
    text = as_json(hostile)
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text) == hostile


def test_numbers_keep_their_gaps():
    assert numbers("n", [1.5, None]) == {"name": "n", "values": [1.5, None]}


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(0.0, 8, 0.0), (1 / 3, 8, 0.33333333), (math.inf, 8, 1e300), (-math.inf, 8, -1e300), (1.23456789, 3, 1.23)],
)
def test_a_number_is_as_short_as_a_screen_shows_it(value, digits, expected):
    assert plain(value, digits) == expected
