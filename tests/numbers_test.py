"""What number stands in what a trial reported."""

import math

import pytest

from amlc.numbers import scalar


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0), (0.5, 0.5), (True, 1.0), (False, 0.0), ({"default": 2, "n": 3}, 2.0), ({"default": True}, 1.0),
        ({"n": 3}, None), ({}, None), ({"default": {"default": 1}}, None), ("1", None), (None, None), ([1], None),
        (math.nan, None), (math.inf, None), (-math.inf, None), (10**400, None), ({"default": math.nan}, None),
    ],
    ids=str,
)  # fmt: skip
def test_a_result_stands_for_a_finite_number_or_none(value, number):
    found = scalar(value)
    assert (found, type(found)) == (number, type(number))
