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

from amlc.space.canonical import canonical

KERNELS = ("Haswell", "Nehalem")
"""Two of OpenBLAS's kernels, with and without fused multiplication and addition, for processors since 2013 and 2008."""
NAMES = ("TPE", "GP", "Metis", "SMAC", "BOHB", "Anneal")
"""DNGO trains its networks for hundreds of steps, each of which enlarges the difference: docs/tuners.md says so."""
PROPOSALS = 20
SPACES: Mapping[str, Mapping[str, Any]] = {
    "square": {"x": {"_type": "uniform", "_value": [0, 1]}, "y": {"_type": "uniform", "_value": [-1, 2]}},
    "mixed": {
        "x": {"_type": "uniform", "_value": [0.1, 2]},
        "y": {"_type": "quniform", "_value": [0, 1, 0.1]},
        "n": {"_type": "randint", "_value": [1, 9]},
        "c": {"_type": "choice", "_value": [16, 32, 64]},
    },
}
RUN = """
import json, sys
from math import cos
from pathlib import Path
import scipy.linalg
from threadpoolctl import threadpool_info
from amlc.model import Document
from amlc.space.parse import parse_space
from amlc.tuners import built_in
from tests.tuners.simulation import arguments, simulate
names, spaces, proposals, seed = json.loads(sys.argv[1])
kernels = {library["architecture"] for library in threadpool_info() if library["internal_api"] == "openblas"}
found = {}
for name in names:
    for kind, raw in spaces.items():
        def loss(p):
            x, y, *others = (float(p[key]) for key in raw)
            return round((x - 0.3) ** 2 + (y - 0.6) ** 2 + 0.1 * x * y + 0.1 * cos(7 * x) + sum(others) / 50, 9)
        space, _ = parse_space(Document(Path("space.json"), raw, {}, {}), (), tuner="Random")
        tuner, args = built_in(name), arguments(name, optimize_mode="minimize")
        trials = tuner.ahead((), args=args) + proposals
        records = simulate(tuner, space, loss, trials=trials, seed=seed, args=args)
        found[f"{name}, {kind}"] = [dict(record.parameters) for record in records]
print(json.dumps([sorted(kernels), found]))
"""


def proposed(kernel: str, names: Sequence[str] = NAMES, *, seed: int = 1) -> tuple[list[str], dict[str, list[Any]]]:
    """Return the kernels that a new process has, and all that each tuner proposes in it."""
    environ = {**os.environ, "OPENBLAS_CORETYPE": kernel, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-W", "ignore", "-c", RUN, json.dumps([names, SPACES, PROPOSALS, seed])]
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    kernels, found = json.loads(done.stdout)
    return kernels, found


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    (first, one), (second, other) = map(proposed, KERNELS)
    if first == second:
        assert "CI" not in os.environ, f"OpenBLAS has but one kernel here: {first}"
        pytest.skip(f"numpy and scipy have no OpenBLAS that takes another kernel: {first}")
    return one, other


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_two_kernels_of_linear_algebra_propose_the_same(name, kind, both) -> None:
    one, other = (found[f"{name}, {kind}"] for found in both)
    assert len(one) >= PROPOSALS
    assert list(map(canonical, one)) == list(map(canonical, other))
