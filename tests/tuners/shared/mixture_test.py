"""The mixture of Gaussians is scikit-learn's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.random import default_rng

from amlc.tuners.shared.mixture import fitted

pytest.importorskip("sklearn")


@pytest.mark.parametrize(("count", "width", "components"), [(60, 6, 5), (20, 1, 2), (7, 3, 5), (200, 2, 5)])
def test_it_is_that_of_scikit_learn(count, width, components) -> None:
    from sklearn.mixture import GaussianMixture

    rng = default_rng(count)
    rows = np.vstack([0.3 + 0.05 * rng.standard_normal((count // 2, width)), rng.random((count - count // 2, width))])
    found = fitted(rows, components, ridge=1e-3, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = GaussianMixture(components, reg_covar=1e-3, random_state=4).fit(rows)
    assert found.weights == pytest.approx(known.weights_)
    assert found.means == pytest.approx(known.means_)
    assert found.covariances == pytest.approx(known.covariances_)
    at = rng.random((50, width))
    assert found.log_density(at) == pytest.approx(known.score_samples(at))


def test_rows_may_be_equal() -> None:
    found = fitted(np.full((6, 2), 0.25), 3, ridge=1e-3, seed=1)
    assert np.isfinite(found.log_density(np.array([[0.25, 0.25], [1.0, 0.0]]))).all()


def test_draws_lie_where_the_density_is() -> None:
    rng = default_rng(1)
    rows = np.vstack([0.2 + 0.01 * rng.standard_normal((30, 2)), 0.8 + 0.01 * rng.standard_normal((10, 2))])
    drawn = fitted(rows, 2, ridge=1e-6, seed=1).sample(400, default_rng(2))
    low = (drawn < 0.5).all(axis=1)
    assert low.mean() == pytest.approx(0.75, abs=0.07)
    assert drawn[low].mean(axis=0) == pytest.approx([0.2, 0.2], abs=0.01)
    assert (drawn * 2**20 == np.round(drawn * 2**20)).all()
