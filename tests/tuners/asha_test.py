"""ASHA proposes what Random does; the assessor of its name decides how far each goes."""

import pytest

from amlc.model import Integer, Real, Record, Status
from amlc.tuners.asha import ahead, propose

SPACE = (Real("lr", 0.0, 1.0), Integer("n", 0, 9))


def proposed(*history, count=4, seed=7, allowed=lambda parameters: True):
    return list(propose(SPACE, history, count=count, seed=seed, args={}, allowed=allowed))


def test_the_proposals_are_one_stream_wherever_it_is_cut():
    whole = proposed(count=6)
    past = [Record(parameters=one, status=Status.EARLY_STOPPED) for one in whole[:4]]
    assert proposed(*past, count=2) == whole[4:]
    assert proposed(count=0) == []


def test_no_result_changes_what_comes():
    ones = [Record(parameters={}, value=1.0, status=Status.SUCCEEDED, told=1), Record(parameters={})]
    assert proposed(*ones) == proposed(*ones[::-1]) == proposed(Record(parameters={}), Record(parameters={}))


def test_what_was_imported_is_no_trial_of_this_experiment():
    assert proposed(Record(parameters={}, imported=True)) == proposed()


def test_what_is_not_allowed_is_passed_over():
    kept = [one for one in proposed(count=40) if one["n"] > 4]
    assert proposed(allowed=lambda parameters: parameters["n"] > 4) == kept[:4]


@pytest.mark.parametrize("history", [[], [Record(parameters={})] * 3])
def test_nothing_is_certain_ahead(history):
    assert ahead(history, args={}) == 0


def test_another_seed_is_another_stream():
    assert proposed(seed=8) != proposed()
