"""What is proposed does not depend on the processor, whose linear algebra has other last digits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from amlc.tuners.gridsearch import canonical

KERNELS = ("Haswell", "Nehalem")
"""Two of OpenBLAS's kernels: with and without fused multiplication and addition. No machine lacks the second."""
NAMES = ("TPE", "GP", "Metis", "SMAC", "BOHB", "Anneal")
PROPOSALS = 20
RUN = """
import json, sys
from pathlib import Path
from threadpoolctl import threadpool_info
from amlc.model import Document
from amlc.space.parse import parse_space
from amlc.tuners import built_in
from tests.tuners.simulation import arguments, simulate
import scipy.linalg
from math import cos
name, raw, seed, proposals = json.loads(sys.argv[1])
space, _ = parse_space(Document(Path("space.json"), raw, {}, {}), (), tuner="Random")
args = arguments(name, optimize_mode="minimize")
startup = built_in(name).ahead((), args=args)
def objective(p):
    x, y, *rest = (float(p[key]) for key in raw)
    return round((x - 0.3) ** 2 + (y - 0.6) ** 2 + 0.1 * x * y + sum(rest) / 50 + 0.1 * cos(7 * x), 9)
records = simulate(built_in(name), space, objective, trials=startup + proposals, seed=seed, args=args)
kernels = [library["architecture"] for library in threadpool_info() if library["internal_api"] == "openblas"]
print(json.dumps([kernels, [dict(record.parameters) for record in records]]))
"""
SPACES: Mapping[str, Mapping[str, Any]] = {
    "square": {"x": {"_type": "uniform", "_value": [0, 1]}, "y": {"_type": "uniform", "_value": [-1, 2]}},
    "mixed": {
        "x": {"_type": "uniform", "_value": [0.1, 2]},
        "y": {"_type": "quniform", "_value": [0, 1, 0.1]},
        "n": {"_type": "randint", "_value": [1, 9]},
        "c": {"_type": "choice", "_value": [16, 32, 64]},
    },
}


def proposed(name: str, space: str, kernel: str, seed: int) -> tuple[Sequence[str], list[dict[str, Any]]]:
    """Return the kernels that a new process found, and all that the tuner proposed in it."""
    environ = {**os.environ, "OPENBLAS_CORETYPE": kernel, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-W", "ignore", "-c", RUN, json.dumps([name, SPACES[space], seed, PROPOSALS])]
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    kernels, sets = json.loads(done.stdout)
    return kernels, sets


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_two_kernels_of_linear_algebra_propose_the_same(name, space) -> None:
    (first, expected), (second, found) = (proposed(name, space, kernel, seed=1) for kernel in KERNELS)
    if set(first) == set(second):
        assert "CI" not in os.environ, f"OpenBLAS has but one kernel here: {first}"
        pytest.skip(f"numpy and scipy have no OpenBLAS that takes another kernel: {first}")
    assert len(found) >= PROPOSALS
    assert [canonical(p) for p in found] == [canonical(p) for p in expected]
