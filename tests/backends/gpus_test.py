"""Who gets which GPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.backends.gpus import assign, slots


@given(st.data(), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))
def test_no_gpu_ever_has_more_than_its_share(data, count, per_trial, sharing):
    places = slots(count, per_trial=per_trial, trials_per_gpu=sharing)
    working = []
    for _ in range(25):
        if len(working) < places and data.draw(st.booleans()):
            load = {gpu: sum(gpu in job for job in working) for gpu in range(count)}
            job = assign(load, per_trial)
            assert len(set(job)) == per_trial
            working.append(job)
            assert all(sum(gpu in job for job in working) <= sharing for gpu in range(count))
        elif working:
            working.pop(data.draw(st.integers(0, len(working) - 1)))


@pytest.mark.parametrize(
    ("load", "count", "expected"),
    [
        pytest.param({0: 0, 1: 0}, 1, (0,), id="ties-by-index"),
        pytest.param({0: 1, 1: 0}, 1, (1,), id="the-free-one"),
        pytest.param({2: 1, 5: 0, 7: 0}, 2, (5, 7), id="several"),
    ],
)
def test_assign_takes_the_least_loaded(load, count, expected):
    assert assign(load, count) == expected
