"""Kernel densities are densities, and their draws come from them."""

from __future__ import annotations

import numpy as np
import pytest

from amlc.tuners.shared.densities import kernels

MIXED = np.array([[0.05, 2.0], [0.5, 0.0], [0.98, 2.0]])


def grid(steps: int) -> np.ndarray:
    middles = (np.arange(steps) + 0.5) / steps
    return np.array([[x, c] for x in middles for c in range(3)])


@pytest.mark.parametrize("width", [0.01, 0.1, 5.0])
@pytest.mark.parametrize("weights", [None, np.array([3.0, 2.0, 1.0])])
def test_the_density_is_one_in_all(width, weights) -> None:
    density = np.exp(kernels(MIXED, [0, 3], width=width, weights=weights).log_density(grid(2000)))
    assert density.mean() == pytest.approx(1.0, abs=1e-3)  # relative to the uniform density


def test_draws_follow_the_density() -> None:
    model = kernels(MIXED, [0, 3], width=0.1)
    drawn = model.sample(20_000, np.random.default_rng(0), factor=1.0)
    assert ((drawn[:, 0] >= 0) & (drawn[:, 0] <= 1)).all()
    assert set(drawn[:, 1]) == {0.0, 1.0, 2.0}
    for index, expected in enumerate([1 / 3, 0.0, 2 / 3]):  # each option's share of the points, drawn to the mean
        share = (drawn[:, 1] == index).mean()
        assert share == pytest.approx(2 / 3 * expected + 1 / 3 * (1 - expected) / 2, abs=0.02)


def test_a_larger_factor_draws_farther_away() -> None:
    model = kernels(np.full((4, 3), 0.5), [0, 0, 0], width=0.02)
    spread = [model.sample(2000, np.random.default_rng(0), factor=factor).std() for factor in (1.0, 3.0, 10.0)]
    assert spread[0] == pytest.approx(0.02, rel=0.1)
    assert spread[0] < spread[1] < spread[2]


def test_far_from_all_points_the_density_stays_above_nothing() -> None:
    model = kernels(np.full((9, 2), 0.01), [0, 0], width=1e-3)
    assert np.exp(model.log_density(np.array([[0.9, 0.9]])))[0] == pytest.approx(0.3 / 9.3)  # the uniform density's


def test_a_single_option_is_certain() -> None:
    model = kernels(np.zeros((2, 1)), [1], width=0.1)
    assert (model.sample(50, np.random.default_rng(0), factor=3.0) == 0).all()
    assert model.log_density(np.zeros((1, 1)))[0] == pytest.approx(0.0)
