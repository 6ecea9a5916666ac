"""The trials of one parameter set, taken together."""

import math

import pytest

from amlc.collect.rows import Row
from amlc.errors import UsageError
from amlc.model import Status, Trial
from amlc.replicates import AGGREGATES, aggregate_table, best_set, by_set, functions, mean, score

NOTHING = object()


def row(number, final=NOTHING, *, x=1, status=Status.SUCCEEDED):
    return Row(Trial(f"{number:016x}", number, {"x": x}), None, () if final is NOTHING else (final,), status)


@pytest.mark.parametrize(
    ("order", "sets"),
    [
        pytest.param([0, 1, 2, 3], [[0, 1], [2, 3]], id="in order"),
        pytest.param([1, 3, 2, 0], [[2, 3], [0, 1]], id="each when it is whole, in itself in order"),
        pytest.param([1, 2, 3], [[2, 3], [1]], id="one with a gap comes last"),
        pytest.param([], [], id="none"),
    ],
)
def test_a_parameter_set_comes_once_its_last_trial_did(order, sets):
    found = by_set([row(number, x=number // 2) for number in order], 2)
    assert [[one.trial.sequence for one in rows] for rows in found] == sets


def test_a_set_is_together_wherever_its_trials_stand_after_an_edit():
    found = by_set([row(0, x=1), row(1, x=2), row(2, x=1), row(3, x=1)], 2)
    assert [[one.trial.sequence for one in rows] for rows in found] == [[0, 2], [1], [3]]


def test_a_set_that_lacks_a_trial_is_not_the_best_where_another_is_whole():
    sets = [[row(0, 5), row(1, 5)], [row(2, 9)]]
    found = best_set(sets, replicates=2, maximize=True)
    assert found is not None
    assert (found[0], found[1]) == (sets[0], 5.0)


def test_without_replicates_each_trial_is_a_set():
    found = by_set([row(0), row(1, x=1), row(2)], 1)
    assert [[one.trial.sequence for one in rows] for rows in found] == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("finals", "expected"),
    [
        ([1, 2], 1.5),
        ([{"default": 1, "n": 9}, 2], 1.5),
        ([1, NOTHING], 1.0),
        ([1, "x", math.nan, math.inf, None, True, {"n": 9}], 1.0),
        ([True, False, 2, "x"], 1.0),
        ([NOTHING, "x"], None),
        ([], None),
        ([1.7e308, 1.7e308], 1.7e308),
        ([2**2000], None),
    ],
)
def test_a_score_is_the_mean_of_what_is_a_number(finals, expected):
    assert score([row(number, final) for number, final in enumerate(finals)]) == expected


def best(*sets, maximize=True):
    found = best_set(
        [[row(number, final, status=status) for number, final, status in rows] for rows in sets],
        replicates=max(map(len, sets), default=1),
        maximize=maximize,
    )
    return None if found is None else ([one.trial.sequence for one in found[0]], found[1])


S, R = Status.SUCCEEDED, Status.RUNNING


@pytest.mark.parametrize(
    ("sets", "maximize", "expected"),
    [
        pytest.param([[(0, 1, S)], [(1, 3, S)], [(2, 2, S)]], True, ([1], 3.0), id="the largest"),
        pytest.param([[(0, 1, S)], [(1, 3, S)], [(2, 2, S)]], False, ([0], 1.0), id="the smallest"),
        pytest.param([[(3, 1, S)], [(1, 1, S)]], True, ([1], 1.0), id="the first of equals"),
        pytest.param([[(0, 1, S), (1, 9, S)], [(2, 4, S), (3, 5, S)]], True, ([0, 1], 5.0), id="by the mean"),
        pytest.param([[(0, 9, S), (1, NOTHING, R)], [(2, 1, S), (3, 1, S)]], True, ([2, 3], 1.0), id="one that is whole first"),
        pytest.param([[(0, 9, S), (1, NOTHING, R)], [(2, NOTHING, R)]], True, ([0, 1], 9.0), id="an open one where there is no other"),
        pytest.param([[(0, 9, S), (1, NOTHING, Status.FAILED)], [(2, 1, S), (3, 1, S)]], True, ([2, 3], 1.0), id="one that lacks a result"),
        pytest.param([[(0, 9, S), (1, "x", S)], [(2, 1, S), (3, 1, S)]], True, ([2, 3], 1.0), id="or a number"),
        pytest.param([[(0, 9, S), (1, NOTHING, Status.FAILED)], [(2, 1, S)]], True, ([0, 1], 9.0), id="where no set has all"),
        pytest.param([[(0, 9, Status.FAILED), (1, 1, S)], [(2, 3, S), (3, 3, S)]], True, ([2, 3], 3.0), id="what failed counts for nothing"),
        pytest.param([[(0, 9, Status.EARLY_STOPPED)], [(1, 9, Status.CANCELED)]], True, None, id="none that succeeded"),
        pytest.param([[(0, "x", S)], []], True, None, id="none with a number"),
        pytest.param([[(0, "x", S)], [(1, 3, S)]], True, ([1], 3.0), id="one without a number hides no other"),
        pytest.param([], True, None, id="none"),
    ],
)  # fmt: skip
def test_the_best_set_is_whole_and_has_the_best_mean(sets, maximize, expected):
    assert best(*sets, maximize=maximize) == expected


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("mean", [1.0, 2.0], 1.5), ("mean", [], None), ("std", [1.0, 3.0], math.sqrt(2)), ("std", [1.0], None), ("std", [], None),
        ("min", [2.0, 1.0], 1.0), ("min", [], None), ("max", [2.0, 1.0], 2.0), ("max", [], None), ("count", [1.0, 1.0], 2), ("count", [], 0),
    ],
)  # fmt: skip
def test_each_function_is_what_its_name_says(name, values, expected):
    assert AGGREGATES[name](values) == expected


def test_a_mean_is_there_though_the_sum_is_none():
    assert mean([1e308, 1e308, 1e308]) == pytest.approx(1e308)


def test_a_table_has_a_row_for_each_set_and_the_numbers_of_each_metric():
    rows = [row(0, {"default": 1, "z": 4}), row(1, 3), row(2, {"a": 7, "text": "x"}, x=2), row(3, NOTHING, x=2)]
    with aggregate_table(rows, 2, ["mean", "count"]) as table:
        found = [{name: value for name, value in one.items() if value is not None} for one in table.rows]
        columns = table.columns
    assert columns[:3] == ("sequence", "trials", "param.x")
    assert columns[3:] == tuple(f"metric.{name}.{f}" for name in ("default", "a", "z") for f in ("mean", "count"))
    first = {"metric.default.mean": 2.0, "metric.default.count": 2, "metric.z.mean": 4.0, "metric.z.count": 1}
    assert found == [
        {"sequence": 0, "trials": 2, "param.x": 1, **first},
        {"sequence": 2, "trials": 2, "param.x": 2, "metric.a.mean": 7.0, "metric.a.count": 1},
    ]


def test_a_table_counts_the_numbers_of_trials_that_succeeded():
    rows = [row(0, 10, status=Status.FAILED), row(1, 1), row(2, 4, x=2, status=Status.FAILED), row(3, x=2)]
    with aggregate_table(rows, 2, ["mean", "count"]) as table:
        found = [[one.get(f"metric.default.{name}") for name in ("mean", "count")] for one in table.rows]
    assert found == [[1.0, 1], [None, None]]


def test_a_set_that_is_not_whole_and_one_with_other_parameters_are_rows_too():
    rows = [row(0, 1), Row(Trial("2" * 16, 2, {"y": 2}), None, (5,), S)]
    with aggregate_table(rows, 2, ["max"]) as table:
        found = list(table.rows)
    assert table.columns == ("sequence", "trials", "param.x", "param.y", "metric.default.max")
    assert [(one["sequence"], one["trials"], one["metric.default.max"]) for one in found] == [(0, 1, 1.0), (2, 1, 5.0)]


@pytest.mark.parametrize(
    ("text", "names"),
    [("mean", ("mean",)), ("max, min ,count", ("max", "min", "count")), ("mean,max,mean", ("mean", "max"))])
def test_functions_are_a_list_with_commas(text, names):
    assert functions(text) == names


@pytest.mark.parametrize("text", ["", "mean,", "median", "Mean"])
def test_any_other_word_is_refused(text):
    with pytest.raises(UsageError, match="is not one of mean, std, min, max, count"):
        functions(text)
