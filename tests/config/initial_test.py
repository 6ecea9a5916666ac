"""What `amlc.initial` may say: values that the space has."""

import json

import pytest

from amlc.config.initial import check_initial
from amlc.model import Choice, Integer, Real

SPACE = (
    Real("lr", 0.1, 1.0),
    Real("q", 0.0, 1.0, q=0.25),
    Real("n", 0.0, 1.0, normal=True),
    Real("ln", 0.0, 1.0, normal=True, log=True),
    Integer("i", 1, 4),
    Choice("c", ("a", 2, True)),
    Choice("net", ("conv", "dense"), ((Integer("k", 3, 6),), ())),
)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lr", 0.1, None), ("lr", 1, None), ("lr", 1.5, "a number from 0.1 to 1"), ("lr", "x", "a number from 0.1 to 1"),
        ("lr", True, "a number from 0.1 to 1"), ("lr", None, "a number from 0.1 to 1"),
        ("q", 0.25, None), ("q", 0.5000000001, None), ("q", 0.3, "a number from 0 to 1, on its grid of 0.25"),
        ("n", -7, None), ("n", "x", "a number"), ("ln", 3, None), ("ln", -1, "a positive number"),
        ("i", 1, None), ("i", 3, None), ("i", 4, "a whole number from 1 to 3"), ("i", 0, "from 1 to 3"), ("i", 1.5, "from 1 to 3"),
        ("c", "a", None), ("c", 2, None), ("c", True, None), ("c", "b", "one of a, 2, true"), ("c", 1, "one of a, 2, true"),
        ("net", {"_name": "dense"}, None), ("net", {"_name": "conv", "k": 5}, None), ("net", {"_name": "conv"}, None),
        ("net", {"_name": "x"}, "a mapping with '_name', one of conv, dense"), ("net", "conv", "a mapping with '_name'"),
        ("other", 1, "the search space has no parameter 'other'. Known: lr,"), ("lrr", 1, "Did you mean 'lr'?"),
    ],
    ids=str,
)  # fmt: skip
def test_each_value_is_one_that_the_space_has(read, say, name, value, expected):
    found = list(check_initial(read("amlc: " + json.dumps({"initial": [{name: value}]})), SPACE, "TPE"))
    assert say(found) == ([] if expected is None else [f"E-initial /amlc/initial/0/{name}"])
    assert all(expected in problem.message for problem in found)


def test_values_of_a_branch_are_checked_where_they_stand(read, say):
    initial = [{}, {"net": {"_name": "conv", "k": 9}, "lr": 0.5}, {"net": {"_name": "dense", "k": 3}}]
    found = check_initial(read("amlc: " + json.dumps({"initial": initial})), SPACE, "TPE")
    assert say(found) == ["E-initial /amlc/initial/1/net/k", "E-initial /amlc/initial/2/net/k"]


@pytest.mark.parametrize(
    ("text", "tuner", "said"),
    [
        ("amlc: {initial: [{x: 1}]}", "Batch", ["E-initial /amlc/initial"]),
        ("amlc: {initial: [{x: 1}]}\ntuner: {className: a.B}", None, ["E-initial /amlc/initial"]),
        ("amlc: {initial: []}", "Batch", []),
        ("amlc: {initial: [{}, {}, {}]}\nmaxTrialNumber: 2", "TPE", ["W-no-effect /amlc/initial/2"]),
        ("amlc: {initial: [{}, {}, {}], replicates: 2}\nmaxTrialNumber: 3", "TPE", ["W-no-effect /amlc/initial/2"]),
        ("amlc: {initial: [{}, {}]}\nmaxTrialNumber: 2", "TPE", []),
        ("amlc: {}", "Batch", []),
    ],
)
def test_some_tuners_begin_with_nothing_but_their_own(read, say, text, tuner, said):
    assert say(check_initial(read(text), SPACE, tuner)) == said


def test_a_whole_set_stands_there_once(read, say):
    """Each would be a trial of its own, however it is written."""
    space = (Real("x", 0.0, 3.0, q=1.0), Choice("c", (1, 2)))
    initial = [{"x": 1, "c": 2}, {"x": 1}, {"x": 1}, {"c": 2, "x": 1.0}, {"x": 1, "c": 1}]
    (found,) = check_initial(read("amlc: " + json.dumps({"initial": initial})), space, "TPE")
    assert say([found]) == ["E-initial /amlc/initial/3"]
    assert "number 1 of 'initial' once more" in found.message
