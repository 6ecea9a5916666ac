"""What is kept of a stream: the best and evenly spaced ones, and the steps of the best so far."""

import itertools
import random

import pytest

from amlc.report.sample import Sampler, Steps


def sampled(scores, *, even, best):
    sampler = Sampler(even=even, best=best)
    for sequence, score in enumerate(scores):
        sampler.offer(sequence, score, sequence)
    return sampler


@pytest.mark.parametrize("count", [0, 1, 9, 10])
def test_few_items_are_all_kept(count):
    assert sampled([None] * count, even=10, best=5).kept == tuple(range(count))


@pytest.mark.parametrize("count", [11, 100, 1_000, 12_345])
def test_many_items_are_kept_at_even_distances_and_the_best_with_them(count):
    scores = [random.Random(index).random() for index in range(count)]
    sampler = sampled(scores, even=10, best=5)
    even = sorted(sampler.even)
    assert 5 <= len(even) <= 10
    assert len({after - before for before, after in itertools.pairwise(even)}) == 1
    best = sorted(range(count), key=scores.__getitem__)[:5]
    assert sampler.kept == tuple(sorted({*even, *best}))
    assert sampler.offered == count


def test_among_equals_the_first_are_the_best():
    assert set(sampled([1.0] * 100, even=1, best=3).kept) == {0, 1, 2}


def test_steps_do_not_depend_on_the_order_in_which_scores_come():
    scores = list(enumerate([5.0, 7.0, 4.0, 4.0, 6.0, 1.0, 2.0]))
    for seed in range(20):
        steps = Steps(100)
        for sequence, score in random.Random(seed).sample(scores, len(scores)):
            steps.offer(sequence, score)
        assert steps.found == ((0, 5.0), (2, 4.0), (5, 1.0))


def test_very_many_steps_are_thinned_evenly_to_true_ones_with_the_last():
    steps = Steps(10)
    for sequence in range(10_000):
        steps.offer(sequence, -float(sequence))
    assert len(steps.found) <= 20
    assert all(score == -sequence for sequence, score in steps.found)
    assert (steps.found[0][0], steps.found[-1][0]) == (0, 9_999)
    sequences = [sequence for sequence, _ in steps.found]
    assert max(after - before for before, after in itertools.pairwise(sequences)) <= 2_048
