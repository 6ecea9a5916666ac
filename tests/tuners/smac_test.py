"""SMAC proposes every type that NNI's SMAC has, any JSON among the options."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from amlc.model import Record, Status
from amlc.tuners import random, smac

OPTIONS = ["a", 1, True, 1.0, None, [1, 2], {"x": 0}]
SPACE = {
    "kind": {"_type": "choice", "_value": OPTIONS},
    "n": {"_type": "randint", "_value": [1, 5]},
    "u": {"_type": "uniform", "_value": [0, 1]},
    "q": {"_type": "quniform", "_value": [0, 1, 0.3]},
    "lr": {"_type": "loguniform", "_value": [1e-6, 1]},
    "one": {"_type": "choice", "_value": ["only"]},
}
ARGS = {"optimize_mode": "minimize", "config_dedup": False}


def loss(p):
    return 5 * (OPTIONS.index(p["kind"]) != 5) + abs(math.log10(p["lr"]) + 2) + abs(p["q"] - 0.3) + 0.1 * p["n"]


def test_the_best_option_and_order_of_magnitude_are_found(parsed) -> None:
    space = parsed(SPACE, "SMAC")
    sets = list(random.propose(space, (), count=30, seed=1, args={}, allowed=lambda p: True))
    history = [Record(parameters=p, status=Status.SUCCEEDED, value=loss(p), told=told) for told, p in enumerate(sets)]
    for _ in range(20):
        (p,) = smac.propose(space, history, count=1, seed=1, args=ARGS, allowed=lambda p: True)
        assert {p["n"]} <= {1, 2, 3, 4}
        assert p["q"] in {0.0, 0.3, 0.6, 0.8999999999999999}
        assert 1e-6 <= p["lr"] <= 1
        history.append(Record(parameters=p, status=Status.SUCCEEDED, value=loss(p), told=len(history)))
    late = [record.parameters for record in history[35:]]
    assert sum(p["kind"] == [1, 2] for p in late) >= 8
    assert min(loss(p) for p in late) < min(loss(p) for p in sets)


@pytest.mark.parametrize("results", [12, 100, 400])
def test_the_forest_is_that_of_the_smac_package(results, monkeypatch) -> None:
    """With the splits at random that its forest documents, and does not pass on to its trees."""
    from ConfigSpace import ConfigurationSpace, Float
    from sklearn.tree import DecisionTreeRegressor
    from smac.model.random_forest import random_forest

    monkeypatch.setattr(random_forest, "DecisionTreeRegressor", partial(DecisionTreeRegressor, splitter="random"))
    rng = np.random.default_rng(results)
    known, at = rng.random((results, 3)), rng.random((500, 3))
    values = np.log(((known - 0.4) ** 2).sum(axis=1) + 0.01)
    cube = ConfigurationSpace()
    cube.add(Float(name, (0.0, 1.0)) for name in "xyz")
    theirs = random_forest.RandomForest(
        cube,
        n_trees=10,
        ratio_features=1.0,
        min_samples_split=2,
        min_samples_leaf=1,
        max_leaf_nodes=results,
        log_y=True,
        n_jobs=1,
        seed=7,
    )
    theirs.train(known, values[:, None])
    mean, variance = theirs.predict_marginalized(at)
    forest = smac._Forest.fit(known, values, seed=7)
    found_mean, found_variance = forest.predict(at)
    np.testing.assert_allclose(found_mean, mean[:, 0], rtol=1e-12)
    np.testing.assert_allclose(found_variance, variance[:, 0], rtol=1e-9, atol=1e-12)
    assert forest.best == pytest.approx(theirs.predict_marginalized(known)[0].min(), rel=1e-12)
