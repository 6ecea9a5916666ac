"""The tables of tuners and assessors: found by any of their names, and filled with their defaults."""

import pytest

from amlc.config.arguments import ASSESSORS, TUNERS, Argument, filled, find


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("TPE", "tuner", "TPE"), ("tpe", "tuner", "TPE"), ("BatchTuner", "tuner", "Batch"), ("batch", "tuner", "Batch"),
        ("Medianstop", "tuner", None), ("medianstop", "assessor", "Medianstop"), ("TPE", "assessor", None), ("ASHA", "assessor", "ASHA"),
        (None, "tuner", None), (7, "tuner", None),
    ],
)  # fmt: skip
def test_an_algorithm_is_found_by_its_names(name, kind, found):
    known = find(name, kind)
    assert (known.name if known else None) == found


def test_no_two_algorithms_have_one_name():
    for table in (TUNERS, ASSESSORS):
        names = [name.lower() for known in table for name in {known.name, known.alias} if name]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"a": 1, "b": {"c": 2}}),
        ({"a": 5}, {"a": 5, "b": {"c": 2}}),
        ({"a": None}, {"a": None, "b": {"c": 2}}),
        ({"b": {"c": 7}, "a": 0}, {"a": 0, "b": {"c": 7}}),
        ({"b": None}, {"a": 1, "b": {"c": 2}}),
    ],
)
def test_what_is_not_given_has_its_default(given, expected):
    table = {"a": Argument(default=1), "b": Argument(nested={"c": Argument(default=2)})}
    found = filled(table, given)
    assert (found, list(found)) == (expected, list(expected))
