"""The bench's own parts: problems, tables of real trainings, and the tests by which tuners are judged."""

from __future__ import annotations

import math

import pytest

from amlc.space.points import axes
from amlc.tuners import random
from tests.quality.failures import SCENARIOS, Found, _again, ideal_stop, median_stop
from tests.quality.failures import table as failures_table
from tests.quality.problems import BENCH, FAILING, FAMILIES, TUNING, Problem, uniform
from tests.quality.run import CHANCE, LIBRARY, Task, behind, experiment, holm
from tests.quality.run import Found as Best
from tests.quality.run import table as quality_table
from tests.quality.tables import TABLES
from tests.tuners.simulation import End

PROBLEMS = [problem for family in FAMILIES.values() for problem in family]


def drawn(problem, count=50):
    return random.propose(problem.parsed(), (), count=count, seed=1, args={}, allowed=lambda parameters: True)


@pytest.mark.parametrize("family", [TUNING, FAILING], ids=["tuning", "failing"])
def test_the_bench_has_nothing_in_common_with_what_constants_are_chosen_on(family) -> None:
    assert not {problem.name for problem in BENCH} & {problem.name for problem in family}
    assert not {problem.value for problem in BENCH} & {problem.value for problem in family}


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_a_problem_has_many_values_and_as_many_failures_as_it_should(problem) -> None:
    values = [problem.value(parameters) for parameters in drawn(problem)]
    numbers = [value for value in values if value is not None]
    if problem in FAILING:
        assert 15 <= len(numbers) < 50
    else:
        assert len(numbers) >= 25
    assert all(math.isfinite(value) for value in numbers)
    assert len(set(numbers)) >= 5


@pytest.mark.parametrize(("name", "tuner", "suits"), [
    ("Levy-4", "Metis", True),
    ("memory, failures", "Metis", False),
    ("memory, failures", "GP", True),
    ("network, mixed", "GP", False),
    ("pipeline, nested", "BOHB", False),
    ("pipeline, nested", "TPE", True),
    ("pipeline, nested", LIBRARY, True),
])  # fmt: skip
def test_a_tuner_gets_the_problems_that_it_can_search(name, tuner, suits) -> None:
    assert next(problem for problem in BENCH if problem.name == name).suits(tuner) is suits


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_has_an_entry_for_each_point_and_the_nearest_one_between(table) -> None:
    flat = "" in table.branches
    points = list(table.points())
    for branch, settings in points[:: len(points) // 50]:
        exact = table.value(settings if flat else {"model": {"_name": branch, **settings}})
        moved = dict(settings)
        for name, axis in table.branches[branch].items():
            if axis.spec["_type"] == "uniform":
                low, high = axis.spec["_value"]
                moved[name] = min(max(settings[name] + 0.3 * (high - low) / (len(axis.levels) - 1), low), high)
        assert table.value(moved if flat else {"model": {"_name": branch, **moved}}) == exact
        assert 0 <= exact <= 10


def test_a_table_agrees_with_a_training_of_today() -> None:
    blobs = next(table for table in TABLES if table.name == "blobs")
    settings = {"n_neighbors": 7, "weights": "uniform", "p": 2.0}
    assert blobs.train("neighbours", settings) == pytest.approx(
        blobs.value({"model": {"_name": "neighbours", **settings}}), abs=0.01
    )


def test_what_is_found_does_not_depend_on_the_length() -> None:
    short = experiment(Task("Evolution", "bench", "Levy-4", 3, 25, 1))
    long = experiment(Task("Evolution", "bench", "Levy-4", 3, 50, 1))
    assert short.best[25] == long.best[25] >= long.best[50]


@pytest.mark.parametrize("name", ["Levy-4", "Hartmann-3 with noise"])
def test_a_budget_is_no_parameter_of_a_problem(name) -> None:
    problem = next(problem for problem in BENCH if problem.name == name)
    best = experiment(Task("Hyperband", "bench", name, 1, 25, 1)).best[25]
    assert best in [problem.value(parameters) for parameters in drawn(problem)], "it draws what Random does"


def test_optunas_loop_repeats_and_survives_failures() -> None:
    task = Task(LIBRARY, "bench", "memory, failures", 1, 25, 8)
    assert experiment(task).best == experiment(task).best


def test_ranks_decide_who_is_behind() -> None:
    low, high = list(range(20)), list(range(15, 35))
    assert behind(high, low) < 1e-4
    assert behind(low, high) > 0.99
    assert behind([1, 1], [1, 1]) == 1


def test_holm_rejects_from_the_smallest_on() -> None:
    assert holm({"a": 0.001, "b": 0.024, "c": 0.04}) == {"a", "b", "c"}
    assert holm({"a": 0.001, "b": 0.026, "c": 0.04}) == {"a"}
    assert holm({"a": 0.02, "b": 0.5, "c": 0.5}) == frozenset()


def test_what_is_ahead_of_random_by_the_test_has_a_star() -> None:
    values = {(CHANCE, "a"): 5.0, (CHANCE, "b"): 5.0, ("TPE", "a"): 1.0, ("TPE", "b"): 5.0}
    found = {
        Task(tuner, "bench", problem, seed, 25, 1): Best({25: value + seed / 100}, 1.0)
        for (tuner, problem), value in values.items()
        for seed in range(5)
    }
    _, _, random_row, tpe_row = quality_table(found, 25, 1)
    assert random_row == "| Random | 5.02 | 5.02 | 5 | 40 |  |  |"
    assert tpe_row == "| TPE | 1.02 * | 5.02 | 5 | 40 | 1 of 2 | met |"


@pytest.mark.parametrize(("index", "low", "high"), [(0, 0.25, 0.45), (1, 0.12, 0.3), (2, 0.4, 0.6)])
def test_random_loses_what_a_scenario_says(index, low, high) -> None:
    scenario = SCENARIOS[index]
    ends = [scenario.begin()(p) for p in drawn(Problem("", scenario.space, lambda p: None), 300)]
    assert low < sum(end is None for end in ends) / len(ends) < high


@pytest.mark.parametrize("begin", [ideal_stop, median_stop])
def test_a_stop_takes_the_worse_half(begin) -> None:
    end, stopped, completed = begin(), [], []
    for parameters in drawn(BENCH[0], 200):
        ending = end(parameters)
        assert isinstance(ending, End)
        (stopped if ending.value is None else completed).append(BENCH[0].value(parameters))
    assert 50 < len(stopped) < 180
    assert sum(completed) / len(completed) < sum(stopped) / len(stopped)


def test_the_table_of_failures_says_of_how_many_seeds_it_is() -> None:
    found = {("Random", 0): [Found(0.5, 0.2, 0)] * 4, ("TPE", 0): [Found(0.25, 0.1, 1), Found(0.75, 0.5, 0)]}
    head, _, chance, tpe = failures_table(["Random", "TPE"], found)
    assert "| seeds | again | behind Random |" in head
    assert chance == "| Random | 0.5; 20% |  |  |  |  | 4 | 0 |  |"
    assert tpe == f"| TPE | 0.5; 30% |  |  |  |  | 2 | 1 | {SCENARIOS[0].name} (lost) |"


def test_again_is_a_failed_point_within_a_thousandth() -> None:
    space_axes = axes(Problem("", {"x": uniform(0, 10)}, lambda p: None).parsed())
    trials = [({"x": 1.0}, True), ({"x": 1.005}, False), ({"x": 1.02}, False), ({"x": 5.0}, False), ({"x": 5.0}, True)]
    assert _again(space_axes, trials) == 1
