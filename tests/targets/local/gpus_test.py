"""Who gets which GPU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.targets.local.gpus import assign, share, slots


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


@given(st.data(), st.integers(1, 6), st.integers(1, 3), st.integers(1, 4))
def test_packs_and_single_trials_together_never_bring_a_gpu_above_its_share(data, count, per_trial, sharing):
    places = slots(count, per_trial=per_trial, trials_per_gpu=sharing)
    working = []
    for _ in range(25):
        used = sum(map(len, working)) // per_trial
        if used < places and data.draw(st.booleans()):
            load = {gpu: sum(job.count(gpu) for job in working) for gpu in range(count)}
            width = data.draw(st.integers(1, places - used))
            job = share(load, width=width, per_trial=per_trial, trials_per_gpu=sharing)
            assert len(job) % per_trial == 0
            assert 1 <= len(job) // per_trial <= width
            assert per_trial > 1 or len(job) == width, "there is room"
            assert len(set(job)) >= per_trial, "a trial can have them"
            working.append(job)
            assert all(sum(job.count(gpu) for job in working) <= sharing for gpu in range(count)) or width == 1
        elif working:
            working.pop(data.draw(st.integers(0, len(working) - 1)))


def test_a_pack_gets_its_gpus_trial_by_trial():
    assert share({0: 1, 1: 0, 2: 0}, width=4, per_trial=1, trials_per_gpu=2) == (0, 1, 1, 2)
    assert share({0: 0, 1: 0, 2: 0}, width=3, per_trial=2, trials_per_gpu=2) == (0, 0, 1, 1, 2, 2)
    assert share({0: 1, 1: 1}, width=3, per_trial=1, trials_per_gpu=1) == (0,), "one always, whatever is counted wrong"


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
