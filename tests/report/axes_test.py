"""Where the values of a parameter stand on its axis, and what is written beside it."""

import pytest

from amlc.report.axes import ABSENT, dimension, even_ticks, exponents, numbers


@pytest.mark.parametrize(
    ("values", "places", "ticks"),
    [
        pytest.param([2, 1, 2], [1, 0, 1], ["1", "2"], id="a-short-list-of-numbers"),
        pytest.param(["b", "a", ""], [2, 1, 0], ["(empty)", "a", "b"], id="texts"),
        pytest.param([1, "1", True], [1, 0, 2], ["1", "1", "true"], id="values-that-only-their-type-tells-apart"),
        pytest.param(["a", ABSENT], [0, -1], ["absent", "a"], id="absent-in-some-trials"),
    ],
)  # fmt: skip
def test_names_are_evenly_spaced(values, places, ticks):
    axis = dimension("p", values)
    assert (axis["values"], axis["ticktext"]) == (places, ticks)
    assert axis["range"][0] <= min(places)
    assert axis["range"][1] >= max(places)


def test_many_numbers_are_drawn_to_scale():
    axis = dimension("p", [number / 10 for number in range(20)])
    assert (axis["values"][1], axis["range"]) == (0.1, [0.0, 1.9])
    assert "ticktext" not in axis


def test_small_numbers_over_decades_are_drawn_as_exponents():
    axis = dimension("p", [10.0**-number for number in range(10)])
    assert axis["values"][:3] == [0.0, -1.0, -2.0]
    assert axis["ticktext"][-1] == "1"


def test_an_absent_number_has_a_place_below_the_others():
    axis = numbers("p", [1.0, None, 3.0], log=False)
    assert axis["values"][1] == axis["range"][0] == axis["tickvals"][0] < 1.0
    assert axis["ticktext"][0] == "absent"


@pytest.mark.parametrize(("low", "high", "ticks"), [(0.0, 7.0, 8), (0.0, 1.0, 6), (0.0, 0.3, 7), (0.0, 2.0, 5), (-3.0, 40.0, 5)])
def test_even_ticks_are_few_and_within(low, high, ticks):
    found = even_ticks(low, high)["tickvals"]
    assert len(found) == ticks
    assert low <= min(found) <= max(found) <= high


def test_exponents_are_written_as_numbers():
    assert exponents(-2.0, 1.0) == {"tickvals": [-2, -1, 0, 1], "ticktext": ["0.01", "0.1", "1", "10"]}
