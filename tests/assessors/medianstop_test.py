"""Medianstop decides as NNI 3.0's class does, on the same curves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amlc.assessors import built_in, medianstop

ARGS = {"optimize_mode": "maximize", "start_step": 0}

# Few values, so that ties and equal averages come up all the time.
curves = st.lists(st.sampled_from([0, 0.1, 0.2, 0.3, 0.5, 1, -1]) | st.floats(-2, 2), min_size=1, max_size=8)


@settings(max_examples=200)
@given(
    trials=st.lists(st.tuples(curves, st.booleans()), max_size=8),
    running=curves,
    mode=st.sampled_from(["maximize", "minimize"]),
    start=st.integers(0, 5),
)
def test_the_decisions_are_nnis_at_every_step(nni_assessors, trials, running, mode, start):
    oracle = nni_assessors.Medianstop(optimize_mode=mode, start_step=start)
    for number, (curve, success) in enumerate(trials):
        for step in range(1, len(curve) + 1):
            oracle.assess_trial(number, curve[:step])
        oracle.trial_end(number, success)
    completed = [curve for curve, success in trials if success]
    for step in range(1, len(running) + 1):
        expected = oracle.assess_trial("running", running[:step]) is nni_assessors.bad
        args = {"optimize_mode": mode, "start_step": start}
        assert medianstop.assess(running[:step], completed, args=args) is expected


def test_a_trial_as_good_as_the_median_goes_on():
    assert not medianstop.assess([0.5], [[0.4], [0.5], [0.6]], args=ARGS)
    assert medianstop.assess([0.49], [[0.4], [0.5], [0.6]], args=ARGS)


def test_the_best_result_counts_and_not_the_last():
    assert not medianstop.assess([0.9, 0.1], [[0.5, 0.5]], args=ARGS)


@pytest.mark.parametrize(("mode", "middle"), [("maximize", 0.4), ("minimize", 0.6)])
def test_of_two_middle_averages_the_worse_one_is_the_median(mode, middle):
    sign = 1 if mode == "maximize" else -1
    args = {**ARGS, "optimize_mode": mode}
    assert not medianstop.assess([middle], [[0.4], [0.6]], args=args)
    assert medianstop.assess([middle - sign * 0.01], [[0.4], [0.6]], args=args)


def test_nothing_is_stopped_before_a_trial_completed_that_far():
    assert not medianstop.assess([0.0], [], args=ARGS)
    assert not medianstop.assess([0.0, 0.0], [[1.0]], args=ARGS)


def test_nan_neither_stops_a_trial_nor_counts_as_an_average():
    assert not medianstop.assess([math.nan], [[1.0]], args=ARGS)
    assert not medianstop.assess([0.5], [[math.nan], [0.5], [0.1]], args=ARGS)
    assert medianstop.assess([math.nan, 0.2], [[math.nan, 1.0], [0.5, 0.5]], args=ARGS)


def test_it_is_known_by_its_name():
    assert built_in("Medianstop") is medianstop.assess
