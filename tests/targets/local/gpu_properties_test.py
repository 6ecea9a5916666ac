"""GPUs, however many there are and however trials fall into jobs: none above its share, none of others', all at work.

First the parts that share them (`targets.local.gpus`, `drive.Limits`, the runner's own) against each other, with
thousands of orders in which trials end; then whole runs, whose trials note what they were given.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amlc.drive import Limits
from amlc.model import Trial
from amlc.runner.amlc_runner_lib.gpus import share_gpus
from amlc.runner.amlc_runner_lib.job import read_job
from amlc.runner.amlc_runner_lib.slots import OneAtATime
from amlc.targets.local.gpus import share, slots, usable_gpus

SMI = """#!/bin/sh
case "$1" in
    --query-gpu=index,uuid) for i in {all}; do echo "$i, GPU-$i"; done;;
    --query-compute-apps*) for i in {foreign}; do echo "GPU-$i"; done;;
    -L) for i in {all}; do echo "GPU $i: fake (UUID: GPU-$i)"; done;;
esac
"""


def write_smi(folder, count, foreign):
    """Put an nvidia-smi into a folder that shows so many GPUs, some of them in use by others."""
    folder.mkdir(exist_ok=True)
    text = SMI.format(all=" ".join(map(str, range(count))), foreign=" ".join(map(str, sorted(foreign))))
    (folder / "nvidia-smi").write_text(text)
    (folder / "nvidia-smi").chmod(0o755)


@pytest.fixture
def smi(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return lambda count, foreign: write_smi(tmp_path / "bin", count, foreign)


class Pack:
    """A job at work: its trials, its share of the GPUs, and the runner's own accounts of them."""

    def __init__(self, trials, chosen, *, per_trial, per_gpu, concurrency):
        self.trials = trials
        self.waiting = list(trials)
        self.running = {}
        self.chosen = chosen
        shares = Counter(chosen)
        environ = {b"AMLC_EXPERIMENT": b'"e"', b"AMLC_COMMAND": b'"c"', b"AMLC_TRIALS_PER_GPU": b"%d" % per_gpu}
        visible = None
        if chosen is not None:
            visible = ",".join(map(str, shares))
        if chosen is not None and len(trials) > 1:
            environ[b"AMLC_GPU_SHARES"] = json.dumps({str(gpu): n for gpu, n in shares.items()}).encode()
        if len(trials) > 1:
            environ[b"AMLC_CONCURRENCY"] = b"%d" % min(len(trials), concurrency)
        job = read_job(environ, [])
        self.most = job.concurrency or 1
        self.slots = share_gpus(job, per_trial, visible) or OneAtATime(None)

    def start_what_fits(self):
        while self.waiting and len(self.running) < self.most and (slot := self.slots.take()):
            self.running[self.waiting.pop(0).sequence] = slot

    def end(self, number):
        self.slots.give_back(self.running.pop(number))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    count=st.sampled_from([0, 1, 4, 8]),
    per_gpu=st.integers(1, 3),
    per_trial=st.sampled_from([1, 2, 3, 4]),
    size=st.sampled_from([1, 1, 2, 3, 7, 16]),
    foreign=st.frozensets(st.integers(0, 7), max_size=4),
    concurrency=st.integers(1, 12),
    trials=st.integers(1, 40),
    order=st.randoms(use_true_random=False),
)
def test_no_order_of_ends_brings_a_gpu_above_its_share_or_leaves_a_trial_behind(
    smi, count, per_gpu, per_trial, size, foreign, concurrency, trials, order: random.Random
):
    foreign = {gpu for gpu in foreign if gpu < count}
    smi(count, foreign)
    usable = usable_gpus(None, use_active=False)
    assert usable == (None if count == 0 else tuple(gpu for gpu in range(count) if gpu not in foreign))
    places = None if usable is None else slots(len(usable), per_trial=per_trial, trials_per_gpu=per_gpu)
    if places == 0:  # `LocalBackend.slots` refuses it
        assert len(usable or ()) < per_trial
        return
    together = concurrency if places is None else min(concurrency, places)
    limits = Limits(concurrency=together, abreast=1 if usable is None else together)
    left = [Trial(f"{number:016x}", number, {}) for number in range(trials)]
    packs: list[Pack] = []
    begun: Counter[int] = Counter()
    most = 0
    while left or packs:
        room = limits.concurrency - sum(limits.width(pack.trials) for pack in packs)
        while left and limits.width(left[:size]) <= room:
            batch, left = left[:size], left[size:]
            room -= limits.width(batch)
            chosen = None
            if usable is not None:
                load = Counter(chain.from_iterable(pack.chosen for pack in packs))
                width = min(len(batch), concurrency, places)
                free = {gpu: load[gpu] for gpu in usable}
                chosen = share(free, width=width, per_trial=per_trial, trials_per_gpu=per_gpu)
            packs.append(Pack(batch, chosen, per_trial=per_trial, per_gpu=per_gpu, concurrency=concurrency))
        for pack in packs:
            before = set(pack.running)
            pack.start_what_fits()
            begun.update(set(pack.running) - before)
        at_work = [slot.gpus for pack in packs for slot in pack.running.values()]
        held = Counter(int(gpu) for names in at_work for gpu in names)
        assert all(n <= per_gpu for n in held.values()), "above its share"
        assert not foreign & held.keys(), "another's"
        assert held.keys() <= set(usable or ())
        if usable is not None:
            assert all(len(set(names)) == per_trial for names in at_work)
        assert 1 <= len(at_work) <= together, "too many at once, or nobody at work"
        most = max(most, len(at_work))
        pack = order.choice([one for one in packs if one.running])
        pack.end(order.choice(list(pack.running)))
        packs = [one for one in packs if one.running or one.waiting]
    assert begun == Counter(range(trials)), "each trial once"
    width = min(size, limits.abreast)
    if trials >= together * size:  # enough of them
        expected = together // width * width
        assert most >= expected if usable is None or per_trial == 1 else most >= 1
        if usable is not None and per_trial == 1 and expected == places:
            assert most == len(usable) * per_gpu, "all GPUs are at work at once, as full as they may be"


# --- whole runs -----------------------------------------------------------------------------------

TRIAL = """
note() { echo "$NNI_TRIAL_SEQ_ID ${CUDA_VISIBLE_DEVICES-none} $1" >> "$PROBE/uses"; }
note start
sleep 0.4
note end
"""


@pytest.mark.parametrize("size", [1, 8], ids=["a job each", "packed"])
@pytest.mark.parametrize(
    ("count", "per_gpu", "per_trial", "foreign"),
    [(0, 2, 1, ""), (1, 2, 1, ""), (4, 1, 1, "1"), (4, 1, 2, ""), (4, 3, 1, "03"), (8, 1, 2, "56"), (8, 1, 1, "")],
)
def test_whole_runs_share_the_gpus_as_they_are_told(project, count, per_gpu, per_trial, foreign, size):
    others = set(map(int, foreign))
    write_smi(project.root / "bin", count, others)
    project.environ["PATH"] = f"{project.root / 'bin'}:{project.environ['PATH']}"
    project.environ.pop("CUDA_VISIBLE_DEVICES", None)
    free = [gpu for gpu in range(count) if gpu not in others]
    together = len(free) * per_gpu // per_trial or 2
    service = {"platform": "local", "maxTrialNumberPerGpu": per_gpu, "useActiveGpu": False}
    project.write(
        TRIAL, values=range(16), trialConcurrency=together, trialGpuNumber=per_trial, trainingService=service,
        amlc={"trialsPerJob": size},
    )  # fmt: skip
    project.compile()
    project.amlc("submit")
    running: dict[str, str] = {}
    most: Counter[str] = Counter()
    used: set[str] = set()
    done: Counter[str] = Counter()
    at_once = 0
    for line in Path(project.root / "uses").read_text().splitlines():
        number, gpus, what = line.split()
        if what == "end":
            running.pop(number)
            done[number] += 1
            continue
        running[number] = gpus
        at_once = max(at_once, len(running))
        names = [name for one in running.values() for name in one.split(",") if name != "none"]
        most |= Counter(names)
        used |= set(names)
    assert done == Counter(map(str, range(16)))
    assert at_once <= together
    if not count:
        assert used == set()
        return
    assert used == {str(gpu) for gpu in free}
    assert max(most.values()) <= per_gpu
    assert all(len(set(gpus.split(","))) == per_trial for gpus in running.values())
