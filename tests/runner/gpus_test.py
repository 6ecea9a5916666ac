"""Which GPUs there are for trials, and which of them a trial gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.runner.amlc_runner_lib.gpus import Gpus, share_gpus, visible_gpus
from amlc.runner.amlc_runner_lib.job import read_job
from amlc.runner.amlc_runner_lib.slots import OneAtATime

VISIBLE = {
    "": [],
    "0": ["0"],
    "3, GPU-ab ,1": ["3", "GPU-ab", "1"],
    "0,0,1": ["0", "1"],
    "0,-1,1": ["0"],
    "0,,1": ["0"],
    "none": [],
    "void": [],
    "NoDevFiles": [],
}


def job(*, shares=None, per_gpu=1):
    needed = {b"AMLC_EXPERIMENT": b'"e"', b"AMLC_COMMAND": b'"c"', b"AMLC_TRIALS_PER_GPU": b"%d" % per_gpu}
    found = read_job(needed, [])
    found.gpu_shares = shares
    return found


def taken(slots, count):
    """The values for CUDA_VISIBLE_DEVICES of so many trials side by side; None for one that has to wait."""
    found = [slots.take() for _ in range(count)]
    return [slot and slot.visible for slot in found]


@pytest.mark.parametrize(("variable", "expected"), VISIBLE.items(), ids=lambda value: str(value) or "empty")
def test_gpus_that_a_variable_names(variable, expected):
    assert visible_gpus(variable) == expected


def test_a_trial_gets_the_least_loaded_gpus():
    assert taken(Gpus({"0": 2, "1": 1}, 1), 4) == ["0", "1", "0", None]
    assert taken(Gpus({"0": 2, "1": 2, "2": 2}, 2), 4) == ["0,1", "2,0", "1,2", None]


def test_what_is_given_back_can_be_taken_again():
    gpus = Gpus({"0": 1, "1": 1}, 1)
    first, second = gpus.take(), gpus.take()
    gpus.give_back(first)
    assert gpus.take().visible == first.visible
    gpus.give_back(second)
    assert gpus.take().visible == second.visible


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3), min_size=1), st.integers(1, 4), st.data())
def test_no_gpu_has_more_trials_than_it_has_room_for(room, per_trial, data):
    gpus, held = Gpus(room, per_trial), []
    for _ in range(12):
        if held and data.draw(st.booleans()):
            gpus.give_back(held.pop(data.draw(st.integers(0, len(held) - 1))))
        elif slot := gpus.take():
            held.append(slot)
            assert len(set(slot.gpus)) == per_trial
        used = [name for slot in held for name in slot.gpus]
        assert all(used.count(name) <= room[name] for name in used)


def test_one_at_a_time():
    slots = OneAtATime("")
    slot = slots.take()
    assert (slot.visible, slots.take()) == ("", None)
    slots.give_back(slot)
    assert slots.take() is slot


def test_gpus_are_those_of_the_variable_and_shared_as_the_job_says():
    assert taken(share_gpus(job(per_gpu=2), 1, "7,8"), 5) == ["7", "8", "7", "8", None]


def test_shares_come_before_everything_else():
    assert taken(share_gpus(job(shares={"1": 2}, per_gpu=9), 1, "7,8"), 3) == ["1", "1", None]


def test_no_gpu_is_said(capfd):
    assert share_gpus(job(), 2, "") is None
    assert capfd.readouterr().err.startswith("amlc: no GPU found (2 per trial wanted)")


@pytest.mark.parametrize(("shares", "who"), [(None, "this machine offers 1"), ({}, "AMLC_GPU_SHARES offers 0")])
def test_too_few_gpus_are_an_error(shares, who):
    with pytest.raises(LookupError, match=f"a trial needs 2 GPUs, {who}"):
        share_gpus(job(shares=shares), 2, "7")
