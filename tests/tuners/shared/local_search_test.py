"""Searches go up, stay in the cube, and stop on vectors that stand for what a trial receives."""

from __future__ import annotations

import numpy as np
import pytest

from amlc.space.points import axes
from amlc.tuners.shared.local_search import climb, wander
from amlc.tuners.shared.unit_cube import rounded

SPACE = {
    "c": {"_type": "choice", "_value": ["a", None, 3]},
    "m": {"_type": "choice", "_value": [8, 2, 4]},
    "r": {"_type": "randint", "_value": [-3, 40]},
    "u": {"_type": "uniform", "_value": [-1, 1]},
    "q": {"_type": "quniform", "_value": [0, 1, 0.3]},
    "o": {"_type": "quniform", "_value": [0.05, 0.99, 0.1]},
    "l": {"_type": "loguniform", "_value": [1e-7, 0.1]},
    "p": {"_type": "qloguniform", "_value": [1, 1000, 7]},
}


@pytest.fixture(params=["climb", "climb to any option", "wander"])
def search(request):
    return {
        "climb": lambda *given: climb(*given, steps=40),
        "climb to any option": lambda *given: climb(*given, steps=40, exchange=True),
        "wander": lambda *given: wander(*given, steps=np.geomspace(0.3, 0.003, 200)),
    }[request.param]


def test_a_search_ends_near_the_top(search, parsed) -> None:
    space_axes = axes(parsed(SPACE))
    top = rounded(space_axes, np.full((1, len(SPACE)), 0.7))
    rng = np.random.default_rng(1)
    starts = rounded(space_axes, rng.random((3, len(SPACE))))
    ends = search(space_axes, starts, lambda u: -np.abs(u - top).sum(axis=1), rng)
    assert ends.shape == starts.shape
    assert np.abs(ends[0] - top).max() < 0.05
    assert ends == pytest.approx(rounded(space_axes, ends), abs=1e-12)
    heights = -np.abs(ends - top).sum(axis=1)
    assert list(heights) == sorted(heights, reverse=True)


def test_no_search_leaves_a_top(search, parsed) -> None:
    space_axes = axes(parsed(SPACE))
    top = rounded(space_axes, np.full((1, len(SPACE)), 0.7))
    ends = search(space_axes, top, lambda u: -np.abs(u - top).sum(axis=1), np.random.default_rng(1))
    assert (ends == top).all()
