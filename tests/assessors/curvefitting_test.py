"""Curvefitting predicts and decides as NNI 3.0's class does, given the same random numbers."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from amlc.assessors import built_in, curvefitting
from amlc.errors import AmlcError

ARGS = {"epoch_num": 20, "start_step": 6, "threshold": 0.95, "gap": 1}


def curve(limit: float, rate: float, steps: int, *, noise: float = 0.0, seed: int = 0) -> list[float]:
    x = np.arange(1, steps + 1)
    return list(
        map(float, limit * (1 - np.exp(-rate * x)) + noise * np.random.default_rng(seed).standard_normal(steps))
    )


def random_curves(count: int) -> list[list[float]]:
    rng = np.random.default_rng(7)
    return [
        curve(
            rng.uniform(0.05, 1),
            rng.uniform(0.05, 1.5),
            int(rng.integers(4, 16)),
            noise=float(rng.choice([0, 0.005, 0.03])),
            seed=seed,
        )
        for seed in range(count)
    ]


@pytest.fixture
def nni_predict(nni_assessors, monkeypatch):
    """NNI's prediction, with its parameters as they are in a fresh process and with our random numbers."""
    factory = nni_assessors.factory
    for module, name in ((factory, "NUM_OF_SIMULATION_TIME"), (curvefitting, "_STEPS")):
        monkeypatch.setattr(module, name, 3)  # NNI takes half a second for its 20

    def predict(found: list[float], position: int) -> float | None:
        rng = np.random.default_rng(curvefitting._seed(found))
        monkeypatch.setattr(np.random, "randn", lambda *shape: rng.standard_normal(shape))
        monkeypatch.setattr(np.random, "rand", rng.random)
        for name, values in nni_assessors.start.items():
            factory.model_para[name] = list(values)
        with np.errstate(all="ignore"):
            return factory.CurveModel(position).predict(found)

    return predict


@pytest.mark.filterwarnings("ignore")
def test_the_predictions_are_nnis(nni_predict):
    found = [(curvefitting._predict(c, 20), nni_predict(c, 20)) for c in random_curves(16)]
    assert [ours is None for ours, _ in found] == [theirs is None for _, theirs in found]
    numbers = [pair for pair in found if pair[0] is not None]
    assert len(numbers) > 8
    for ours, theirs in numbers:
        assert ours == pytest.approx(theirs, rel=1e-6, nan_ok=True)


@pytest.mark.filterwarnings("ignore")
def test_the_decisions_are_nnis_trial_by_trial(nni_assessors, nni_predict, monkeypatch):
    """Trials one after another, at whose end the result reported last is that of the trial that ended."""
    monkeypatch.setattr(
        sys.modules[nni_assessors.Curvefitting.__module__],
        "CurveModel",
        lambda position: type("Model", (), {"predict": staticmethod(lambda found: nni_predict(found, position))}),
    )
    oracle = nni_assessors.Curvefitting(**{**ARGS, "gap": 2})
    completed: list[list[float]] = []
    stopped = 0
    for number, found in enumerate(random_curves(8)):
        decisions = []
        for step in range(1, len(found) + 1):
            bad = curvefitting.assess(found[:step], completed, args={**ARGS, "gap": 2})
            assert bad is (oracle.assess_trial(number, found[:step]) is nni_assessors.bad), (number, step)
            decisions.append(bad)
        oracle.trial_end(number, not any(decisions))
        stopped += any(decisions)
        if not any(decisions):
            completed.append(found)
    assert 0 < stopped < 8


def test_a_poor_curve_is_stopped_and_a_good_one_is_not():
    """Not every poor one: where the models do not agree, it goes on."""
    completed = [curve(0.9, 0.3, 20)]
    poor = [curvefitting.assess(curve(0.4, 0.3, 10, noise=0.01, seed=n), completed, args=ARGS) for n in range(8)]
    good = [curvefitting.assess(curve(0.95, 0.3, 10, noise=0.01, seed=n), completed, args=ARGS) for n in range(8)]
    assert sum(poor) >= 3
    assert not any(good)


def test_judgement_begins_at_start_step_and_then_at_every_gap(monkeypatch):
    asked = []
    monkeypatch.setattr(curvefitting, "_predict", lambda c, position: asked.append((len(c), position)))
    for step in range(1, 13):
        curvefitting.assess([0.1] * step, [[0.9]], args={"epoch_num": 30, "start_step": 6, "threshold": 1, "gap": 3})
    assert asked == [(6, 30), (9, 30), (12, 30)]


def test_start_step_0_judges_from_the_first_result(monkeypatch):
    asked = []
    monkeypatch.setattr(curvefitting, "_predict", lambda c, position: asked.append(len(c)))
    for step in range(1, 4):
        curvefitting.assess([0.1] * step, [[0.9]], args={**ARGS, "start_step": 0})
    assert asked == [1, 2, 3]


@pytest.mark.parametrize("completed", [[], [[]], [[math.nan]]], ids=["none", "no results", "NaN"])
def test_nothing_is_stopped_before_a_trial_completed(completed):
    assert not curvefitting.assess(curve(0.1, 0.3, 10), completed, args=ARGS)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([0.5] * 8, id="constant"),
        pytest.param([0.0] * 8, id="zeros"),
        pytest.param([math.nan] * 8, id="NaN"),
        pytest.param([1e300, -1e300] * 4, id="huge"),
        pytest.param([0.5, 0.4, math.inf, 0.2, 0.1, 0.05], id="infinite"),
        pytest.param([float(8 - n) for n in range(8)], id="falling"),
    ],
)
def test_odd_curves_give_an_answer(found):
    assert curvefitting.assess(found, [[0.6]], args=ARGS) in (True, False)


def test_the_answer_is_the_same_in_a_fresh_process():
    found = curve(0.85, 0.2, 9, noise=0.01)
    code = f"from amlc.assessors.curvefitting import _predict; print(repr(_predict({found!r}, 20)))"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    curvefitting._predict(curve(0.3, 0.5, 12), 20)  # what was asked before changes nothing
    assert fresh.stdout.strip() == repr(curvefitting._predict(found, 20))


def test_without_scipy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(AmlcError, match=r"Curvefitting needs 'scipy[.a-z]*'.*pip install cmaes hyperopt"):
        curvefitting.assess(curve(0.4, 0.3, 10), [[0.9]], args=ARGS)


def test_it_is_known_by_its_name():
    assert built_in("Curvefitting") is curvefitting.assess
