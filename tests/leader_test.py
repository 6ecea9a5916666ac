"""Which of the trials that ended is the best so far."""

from dataclasses import replace

import pytest

from amlc.leader import Leader
from amlc.model import Status
from tests.display.progress_test import ended


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ([], None, None),
        ([(0, 1.0)], 0, 0),
        ([(0, 2.0), (1, 1.0), (2, 3.0)], 1, 2),
        ([(2, 1.0), (1, 1.0)], 1, 1),
        ([(0, {"default": 2, "loss": 0}), (1, 1)], 1, 0),
        ([(0, float("nan")), (1, "x"), (2, None), (3, 5)], 3, 3),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_best_is_that_of_the_best_number_and_of_equal_ones_the_first(told, least, most, backwards):
    for maximize, expected in ((False, least), (True, most)):
        leader = Leader(maximize=maximize)
        for number, value in reversed(told) if backwards else told:
            leader.take(ended(number, value))
        assert (leader.best and leader.best.trials[0].trial.sequence) == expected


def test_a_trial_that_failed_leads_nothing():
    leader = Leader(maximize=True)
    leader.take(ended(0, 9.0, status=Status.FAILED))
    leader.take(ended(1, 1.0))
    assert leader.best.trials[0].trial.sequence == 1


def told(*trials, replicates=2):
    """Return after each trial (number, x, value, status) which set leads, and by what."""
    leader = Leader(maximize=True, replicates=replicates)
    found = []
    for number, x, value, *status in trials:
        one = ended(number, value, *status)
        leader.take(replace(one, trial=replace(one.trial, parameters={"x": x})))
        best = leader.best
        found.append(best and ([one.trial.sequence for one in best.trials], best.score))
    return found


def test_of_replicates_the_mean_leads_and_a_whole_set_before_one_that_is_not():
    steps = told((0, 1, 5.0), (2, 2, 9.0), (4, 3, 1.0), (1, 1, 3.0), (3, 2, 1.0))
    assert steps == [([0], 5.0), ([2], 9.0), ([2], 9.0), ([0, 1], 4.0), ([2, 3], 5.0)]


def test_a_set_with_a_replicate_that_failed_leads_only_before_any_that_is_whole():
    steps = told((0, 1, 9.0, Status.FAILED), (1, 1, 2.0), (2, 2, 7.0), (3, 2, None, Status.FAILED), (4, 3, 1.0), (5, 3, 1.0))
    assert steps == [None, ([0, 1], 2.0), ([2], 7.0), ([2, 3], 7.0), ([2, 3], 7.0), ([4, 5], 1.0)]


def test_a_set_that_leads_and_is_run_again_may_lead_no_longer():
    assert told((0, 1, 5.0), (1, 1, 5.0), (2, 2, 4.0), (3, 2, 4.0), (0, 1, 1.0))[-1] == ([2, 3], 4.0)


def test_trials_of_equal_parameters_beyond_the_replicates_are_another_set():
    """`amlc.replicates` was 4 when they were made."""
    assert told((0, 1, 1.0), (1, 1, 1.0), (2, 1, 8.0), (3, 1, 8.0))[-1] == ([2, 3], 8.0)
