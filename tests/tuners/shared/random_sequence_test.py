"""Random's configurations, drawn once and handed out again to each call."""

from collections import Counter
from itertools import islice, permutations

import pytest

from amlc.model import Integer, Real
from amlc.space.canonical import canonical
from amlc.tuners.random import propose
from amlc.tuners.shared import random_sequence
from amlc.tuners.shared.random_sequence import fresh, sequence

X = (Real("x", 0.0, 1.0),)
FIVE = (Integer("i", 0, 5),)


def yes(parameters):
    return True


def taken(space, count, *, drawn=(), allowed=yes, seed=3):
    digests = Counter(canonical(parameters) for parameters in drawn)
    return list(islice(fresh(space, seed, digests, allowed), count))


@pytest.mark.parametrize(("space", "count"), [(X, 40), (FIVE, 5)], ids=["endless", "finite"])
def test_they_are_those_of_random(space, count):
    expected = list(propose(space, (), count=count, seed=3, args={}, allowed=yes))
    assert taken(space, count) == expected
    assert [parameters for _, parameters in islice(sequence(space, 3), count)] == expected
    assert all(digest == canonical(parameters) for digest, parameters in islice(sequence(space, 3), count))


def test_what_was_drawn_is_passed_over_in_whatever_order():
    first = taken(X, 6)
    for drawn in permutations(first[:3]):
        assert taken(X, 3, drawn=drawn) == first[3:]
    assert taken(X, 2, drawn=first[1:3]) == [first[0], first[3]]


def test_a_finite_space_begins_again_in_another_order():
    twice = [one["i"] for one in taken(FIVE, 10)]
    assert sorted(twice[:5]) == sorted(twice[5:]) == [0, 1, 2, 3, 4]
    assert twice[:5] != twice[5:]
    assert taken(FIVE, 5, drawn=[{"i": n} for n in twice[:5]]) == [{"i": n} for n in twice[5:]]


def test_what_is_not_allowed_is_left_out():
    assert {one["i"] for one in taken(FIVE, 4, allowed=lambda one: one["i"] > 2)} == {3, 4}
    assert taken(FIVE, 4, allowed=lambda one: False) == []


def test_what_was_drawn_does_not_change_the_callers_count():
    drawn = Counter([canonical(taken(X, 1)[0])])
    next(fresh(X, 3, drawn, yes))
    assert drawn.total() == 1


def test_a_sequence_is_drawn_no_further_than_somebody_asked(monkeypatch):
    monkeypatch.setattr(random_sequence, "_KEPT", {})
    drawn = []
    real = random_sequence.draws
    monkeypatch.setattr(random_sequence, "draws", lambda *args: (drawn.append(1) or one for one in real(*args)))
    first = list(islice(sequence(X, 0), 3))
    assert list(islice(sequence(X, 0), 3)) == first
    assert len(drawn) == 3
    assert len(list(islice(sequence(X, 0), 5))) == 5
    assert len(drawn) == 5


def test_only_so_many_sequences_are_kept(monkeypatch):
    monkeypatch.setattr(random_sequence, "_KEPT", {})
    monkeypatch.setattr(random_sequence, "_MOST_KEPT", 2)
    found = [next(sequence(X, seed)) for seed in (0, 1, 2)]
    assert len(random_sequence._KEPT) == 2
    assert [next(sequence(X, seed)) for seed in (0, 1, 2)] == found
