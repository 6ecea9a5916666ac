"""What number stands in what a trial reported."""

import math

import pytest

from amlc.model import Status
from amlc.numbers import result, scalar


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


@pytest.mark.parametrize("status", Status)
def test_only_a_trial_that_succeeded_has_a_result(status):
    expected = 2.0 if status is Status.SUCCEEDED else None
    assert result(status, (2,)) == result(status, ({"default": 2, "n": 9},)) == expected
    assert result(status, ()) is result(status, ("x",)) is None
