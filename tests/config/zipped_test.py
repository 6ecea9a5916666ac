"""`amlc.zip`: what may vary together, and the rows that become of it."""

import json

import pytest

from amlc.config.zipped import with_rows, zipped_names
from amlc.model import Choice, Integer, Real, Rows, parameter_names

SPACE = (
    Choice("a", (1, 1.0, True)),
    Real("lr", 0.1, 1.0),
    Choice("b", ("x", None, [2])),
    Choice("two", (1, 2)),
    Choice("net", ("conv", "dense"), ((Integer("k", 3, 6),), ())),
    Choice("c", (7, 8, 9)),
    Choice("d", (7, 8, 7)),
)


@pytest.fixture
def zipped(read):
    """Return a function that gives the space with rows, and what is wrong with the groups."""

    def make(groups, space=SPACE, *, tuner="GridSearch", more=None):
        config = read(json.dumps({"amlc": {"zip": groups}, **(more or {})}))
        assert zipped_names(config) == {name for group in groups for name in group}
        config, found = with_rows(config, space, tuner)
        return found, config.problems

    return make


def test_a_group_becomes_one_choice_of_rows_where_its_first_parameter_stood(zipped):
    space, problems = zipped([["c", "a"], ["b", "d"]])
    rows = Rows("a", ({"a": 1, "c": 7}, {"a": 1.0, "c": 8}, {"a": True, "c": 9}))
    others = Rows("b", ({"b": "x", "d": 7}, {"b": None, "d": 8}, {"b": [2], "d": 7}))
    assert space == (rows, SPACE[1], others, SPACE[3], SPACE[4])
    assert problems == ()
    assert [type(option["a"]) for option in space[0].options] == [int, float, bool]
    assert parameter_names(space) == ("a", "c", "lr", "b", "d", "two", "net")


def test_without_groups_nothing_is_another(zipped):
    assert zipped([]) == (SPACE, ())


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([["a", "bb"]], {"0/1": "no parameter 'bb'. Did you mean 'b'?"}),
        ([["a", "b"], ["c", "a"]], {"1/1": "'a' is in 'zip' twice"}),
        ([["a", "a"]], {"0/1": "'a' is in 'zip' twice"}),
        ([["a", "two"]], {"0/1": "'two' has 2 options and 'a' has 3."}),
        ([["lr", "a"]], {"0/0": "'lr' is no choice"}),
        ([["a", "net"]], {"0/1": "'net' is a nested choice"}),
        ([["a", "k"]], {"0/1": "'k' is inside the choice 'net'"}),
        ([["a"]], {"0": "needs two parameters or more"}),
        ([[], ["nope", "lr"]], {"0": "two parameters", "1/0": "no parameter 'nope'", "1/1": "no choice"}),
    ],
)
def test_each_mistake_is_said_where_it_stands(zipped, groups, said):
    space, problems = zipped(groups)
    assert space == SPACE
    assert {problem.path.removeprefix("/amlc/zip/"): problem.code for problem in problems} == dict.fromkeys(said, "E-zip")
    assert all(said[problem.path.removeprefix("/amlc/zip/")] in problem.message for problem in problems)


@pytest.mark.parametrize(
    ("tuner", "more"), [("Batch", {}), (None, {"tuner": {"className": "my.Tuner", "codeDirectory": "."}})]
)
def test_whoever_gives_parameter_sets_of_its_own_takes_no_groups(zipped, tuner, more):
    space, [problem] = zipped([["a", "c"]], tuner=tuner, more=more)
    assert (space, problem.code, problem.path) == (SPACE, "E-zip", "/amlc/zip")


def test_a_row_that_comes_twice_is_warned_of(zipped):
    space, [problem] = zipped([["p", "q"]], (Choice("p", (1, 2, 1, 1)), Choice("q", ("x", "y", "x", "y"))))
    assert (problem.code, problem.path, problem.severity.value) == ("W-space-duplicate", "/amlc/zip/0", "warning")
    assert 'row 3, [1, "x"], is the same as row 1' in problem.message
    assert len(space[0].options) == 4
