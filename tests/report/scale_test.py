"""When numbers are best seen as exponents."""

import pytest

from amlc.report.scale import decades


@pytest.mark.parametrize(
    ("values", "are_decades"),
    [
        ([], False), ([1], False), ([1, 100], True), ([1, 99], False), ([0, 100], False), ([-1, 1, 100], False),
        ([1, 2, 100], True), ([1, 25, 100], True), ([1, 26, 100], False), ([100, 1, 2], True), ([1, 50, 100], False),
        ([1, 25, 26, 100], True), ([1e-9, 1e-8, 1e-3], True), ([1, 1, 1], False),
    ],
)  # fmt: skip
def test_values_over_two_decades_of_which_most_are_small_are_exponents(values, are_decades):
    assert decades(values) is are_decades
