"""Small cases of what `make simulate` runs: nothing is lost or run twice, and a throttled service is heeded."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from tests.simulate import Case, outcome_of, table
from tests.simulation.service import WRITES, Bucket

SMALL = Case(experiments=3, trials=150, nodes=330, trial_s=300, start_s=30)
"""More jobs at once than a principal may create in a burst."""
VIRTUAL = ("cpu_s", "wall_s", "megabytes", "idle_megabytes", "ledger_bytes")
"""What differs from run to run."""

pytest.importorskip("azure.storage.blob")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def outcome():
    return outcome_of(SMALL)


def test_each_trial_is_run_once_and_recorded(outcome):
    assert outcome.ran_well == outcome.recorded == 450
    assert outcome.twice == outcome.unfinished == 0
    assert outcome.jobs == 450 + outcome.preempted
    assert outcome.calls["create"] == outcome.jobs + outcome.throttled["create"]


def test_no_more_jobs_are_created_than_the_limit_allows(outcome):
    size, per_second = WRITES
    assert outcome.throttled["create"] > 0
    assert outcome.submit_s >= (outcome.jobs - size) / per_second


def test_the_same_seed_is_the_same_run(outcome):
    again = outcome_of(SMALL)
    same = dict.fromkeys(VIRTUAL, 0)
    assert dataclasses.replace(again, **same) == dataclasses.replace(outcome, **same)


def test_jobs_of_lost_nodes_are_run_again_and_packs_take_fewer_calls():
    packed = Case(trials=100, pack=10, nodes=10, trial_s=3600)
    outcome = outcome_of(packed)
    assert outcome.preempted > 0
    assert outcome.jobs == 10 + outcome.preempted
    assert outcome.ran_well + outcome.unfinished == 100
    assert outcome.recorded == outcome.ran_well
    assert f"| {packed.title} | {outcome.jobs} |" in table({packed: outcome})


def test_a_bucket_gives_its_size_at_once_and_then_so_many_a_second():
    bucket = Bucket(3, 2.0)
    for _ in range(3):
        assert bucket.wait_s(1.0) == 0
        bucket.take()
    assert bucket.wait_s(1.0) == pytest.approx(0.5)
    assert bucket.wait_s(1.5) == 0
