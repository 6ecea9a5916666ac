"""Cells: a text is what some option is written as, a value of JSON is that option; what is neither says why."""

import json

import pytest

from amlc.elsewhere.cells import TEXTS, VALUES, MisfitError, number_in, parameters_of
from amlc.model import Choice, Integer, Real, Rows
from amlc.space.points import axes
from tests.elsewhere.conftest import FIRST


@pytest.mark.parametrize(
    ("text", "found"),
    [("1", 1), ("+07", 7), ("-.5", -0.5), ("1.", 1.0), (" 2e-3 ", 0.002), (str(2**70), 2**70), ("inf", float("inf"))],
)
def test_a_decimal_number_is_read(text, found):
    assert repr(number_in(text)) == repr(found)


@pytest.mark.parametrize("text", ["", "0_1", "1_000.5", "\u0660.\u0665", "\uff11", "0x10", "1,5", "1e", ".", "true", "1 2", "--1"])
def test_what_only_python_or_nobody_reads_as_a_number_is_none(text):
    assert number_in(text) is None


SPACE = (Real("lr", 0.0, 1.0), Integer("units", 2, 2**62), Choice("odd", (1, "1", None, "", "x", {"a": None}, {"a": 1})))


def parsed(cells, reading, space=SPACE):
    return parameters_of(cells, axes(space), reading)


@pytest.mark.parametrize("odd", [1, "1", "", "x", 1.0])
def test_a_value_of_json_is_told_by_its_type(odd):
    found = parsed({"lr": 1, "units": 2.0, "odd": odd}, VALUES)
    assert json.dumps(found) == json.dumps({"lr": 1.0, "units": 2, "odd": 1 if odd == 1.0 else odd})


def test_a_whole_number_keeps_its_last_digits():
    assert parsed({"lr": "0", "units": str(2**60 + 1), "odd": "x"}, TEXTS)["units"] == 2**60 + 1


def test_a_mapping_may_stand_in_parts():
    assert parsed({"lr": 0, "units": 2, "odd.a": 1}, VALUES)["odd"] == {"a": 1}
    assert parsed({"lr": "0", "units": "2", "odd": "", "odd.a": "1"}, TEXTS)["odd"] == {"a": 1}


def test_what_trials_get_beside_the_space_is_kept():
    added = {"TRIAL_BUDGET": 3, "load_checkpoint_dir": "a/0/1", "save_checkpoint_dir": "a/0/3"}
    cells = {"lr": "0", "units": "2", "odd": "x"}
    assert parsed({**cells, **{name: str(value) for name, value in added.items()}}, TEXTS).items() >= added.items()
    assert parsed({"lr": 0, "units": 2, "odd": "x", **added}, VALUES).items() >= added.items()


@pytest.mark.parametrize(
    ("reading", "cells", "why"),
    [
        (TEXTS, {"odd": "x"}, "'lr' is missing"),
        (TEXTS, {"lr": "", "odd": "x"}, "'lr' is empty"),
        (TEXTS, {"lr": "0_1", "odd": "x"}, "'lr' is 0_1"),
        (TEXTS, {"lr": "0", "units": "2.5", "odd": "x"}, "'units' is 2.5"),
        (TEXTS, {"lr": "0", "units": "2", "odd": "y"}, "'odd' is y"),
        (TEXTS, {"lr": "0", "units": "2", "odd": "1"}, "'odd' is 1, and two options are written so"),
        (TEXTS, {"lr": "0", "units": "2", "odd": ""}, "'odd' is empty, and two options are written so"),
        (TEXTS, {"lr": "0", "units": "2", "odd": "x", "odd.a": "2"}, "'odd.a' is left over"),
        (TEXTS, {"lr": "0", "momentum": "2"}, "the space has no 'momentum'"),
        (VALUES, {"lr": "0", "units": 2, "odd": "x"}, "'lr' is \"0\""),
        (VALUES, {"lr": True, "units": 2, "odd": "x"}, "'lr' is true"),
        (VALUES, {"lr": 0, "units": 2}, "'odd' is missing, and two options are written so"),  # null, and {"a": null}
        (VALUES, {"lr": 0, "units": 2, "odd": "x", "b": 0}, "the space has no 'b'"),
    ],
)
def test_what_fits_nothing_or_two_says_why(reading, cells, why):
    with pytest.raises(MisfitError) as caught:
        parsed(cells, reading)
    assert str(caught.value) == why


def test_true_is_no_number():
    with pytest.raises(MisfitError, match="'c' is true"):
        parsed({"c": True}, VALUES, (Choice("c", (1, "true")),))


def test_an_option_that_stands_twice_is_one():
    assert parsed({"c": "1"}, TEXTS, (Choice("c", (1, 1, None, None)),)) == {"c": 1}
    assert parsed({}, VALUES, (Choice("c", (1, 1, None, None)),)) == {"c": None}


def test_rows_that_vary_together_are_told_as_a_whole():
    rows = (Rows("a", ({"a": 1, "b": None}, {"a": 1, "b": "x"}, {"a": "1", "b": ""})),)
    assert parsed({"a": 1}, VALUES, rows) == {"a": 1, "b": None}
    assert parsed({"a": "1", "b": "x"}, TEXTS, rows) == {"a": 1, "b": "x"}
    with pytest.raises(MisfitError, match="'a' is 1, and two options are written so"):
        parsed({"a": "1", "b": ""}, TEXTS, rows)


def test_a_nested_choice_of_json(space):
    cells = {**FIRST, "layer._name": "conv", "layer.k": 5}
    del cells["layer"]
    assert parsed(cells, VALUES, space)["layer"] == {"_name": "conv", "k": 5}
    with pytest.raises(MisfitError, match=r"'layer\.k' is 4"):
        parsed({**cells, "layer.k": 4}, VALUES, space)
