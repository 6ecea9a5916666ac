"""Which of the trials that ended is the best so far."""

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
        assert (leader.best and leader.best.trial.sequence) == expected


def test_a_trial_that_failed_leads_nothing():
    leader = Leader(maximize=True)
    leader.take(ended(0, 9.0, status=Status.FAILED))
    leader.take(ended(1, 1.0))
    assert leader.best.trial.sequence == 1
