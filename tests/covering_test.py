"""A few jobs have what all of them have."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from amlc.covering import MOST_PAIRWISE, covering
from amlc.model import Trial
from tests.conftest import work


def jobs(sets, size=1):
    trials = [Trial(f"{number:016x}", number, one) for number, one in enumerate(sets)]
    return [trials[start : start + size] for start in range(0, len(trials), size)]


def grid(**options):
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


def pairs(trials):
    return {pair for one in trials for pair in combinations(sorted(one.parameters.items(), key=str), 2)}


def values(trials):
    return {item for one in trials for item in one.parameters.items()}


@pytest.mark.parametrize("size", [1, 3])
def test_every_pair_of_values_is_covered_where_a_few_jobs_do(size):
    some = jobs(grid(a=(1, 2, 3), b=("x", "y", "z"), c=(0.1, 0.2), d=(True, False), e=(5, 6)), size)
    chosen = covering(some)
    assert len(chosen) <= MOST_PAIRWISE
    assert pairs(one for place in chosen for one in some[place]) == pairs(one for job in some for one in job)


def test_otherwise_every_value_is():
    some = jobs(grid(a=range(6), b="uvwxyz", c=(0, 1)))
    chosen = covering(some)
    assert values(one for place in chosen for one in some[place]) == values(one for job in some for one in job)
    assert len(chosen) == 6


def test_of_many_numbers_the_extremes_stand_for_all():
    some = jobs([{"lr": (number * 7919 % 100) / 100} for number in range(100)])
    assert sorted(some[place][0].parameters["lr"] for place in covering(some)) == [0.0, 0.99]


def test_a_nested_choice_counts_with_what_is_in_it():
    sets = [{"opt": {"_name": "adam"}}] * 5 + [{"opt": {"_name": "sgd", "m": m}} for m in (0, 1)] + [{"opt": {"_name": "adam"}}] * 5
    chosen = covering(jobs(sets))
    assert {5, 6} < set(chosen)
    assert len(chosen) == 3


@pytest.mark.parametrize("sets", [[], [{}], [{}, {}]])
def test_what_has_no_values_has_one_job_at_the_most(sets):
    assert covering(jobs(sets)) == [0][: len(sets)]


def test_of_numbers_that_are_each_trial_s_own_too():
    few = jobs([{"lr": number / 10, "a": number % 2} for number in range(8)])
    assert [few[place][0].parameters["lr"] for place in covering(few)] == [0.0, 0.7]


def test_lists_and_texts_are_values_too():
    sets = [{"layers": [1, 2]}, {"layers": [2, 1]}, {"layers": "1"}, {"layers": 1}, {"layers": None}]
    assert covering(jobs(sets)) == [0, 1, 2, 3, 4]


def test_ten_thousand_trials_are_no_work_beyond_looking_at_each():
    few = work(lambda: covering(jobs(grid(a=range(10), b=range(10), c=range(10)))))
    many = work(lambda: covering(jobs(grid(a=range(10), b=range(10), c=range(10), d=range(4)))))
    assert many < 8 * few
