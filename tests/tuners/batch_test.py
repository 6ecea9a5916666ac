"""Batch delivers the parameter sets as they were written, in order."""

from __future__ import annotations

import sys
from functools import partial

import pytest

from amlc.tuners import batch

propose = partial(batch.propose, history=(), count=sys.maxsize, allowed=lambda parameters: True)

ROWS = [
    pytest.param([{"x": 0, "y": 1}, {"x": 1, "y": 2}, {"x": 1, "y": 3}], id="NNI's own example"),
    pytest.param([{"x": 1}, {"x": 1}], id="equal rows stay two trials"),
    pytest.param([{"x": 1}, {"y": {"z": [None, True, 1e-5]}}, {}], id="rows of different shapes"),
]


@pytest.mark.parametrize("rows", ROWS)
def test_rows_are_delivered_as_by_nni(rows, nni_trials, parsed) -> None:
    space = {"combine": {"_type": "choice", "_value": rows}}
    assert list(propose(parsed(space, "Batch"), seed=0, args={})) == list(nni_trials("Batch", space)) == rows
