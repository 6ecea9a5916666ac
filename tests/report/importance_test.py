"""Importance: Optuna's numbers, the parameter that decides comes first, and what cannot be told is left out."""

import math
import random
import sys
import warnings

import pytest

from amlc.report.importance import importances
from amlc.report.overview import OverviewRow
from tests.conftest import work


def rows(count, value, **more):
    draws = random.Random(0)
    for sequence in range(count):
        parameters = {"a": draws.random(), "b": 10 ** -draws.uniform(0, 5), "c": draws.choice(["x", "y", "z"]), **more}
        score = value(parameters)
        yield OverviewRow(sequence=sequence, parameters=parameters, metrics={"default": score, "other": -score}, score=score)


def by_optuna(some, names, *, maximize):
    """Return what Optuna's own evaluator says."""
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    def distribution(name):
        values = [row.parameters[name] for row in some if name in row.parameters]
        if isinstance(values[0], str):
            return CategoricalDistribution(sorted(set(values)))
        return FloatDistribution(min(values), max(values), log=name == "b")

    distributions = {name: distribution(name) for name in names}
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    for row in some:
        present = {name: row.parameters[name] for name in names if name in row.parameters}
        study.add_trial(optuna.trial.create_trial(
            params=present, distributions={name: distributions[name] for name in present}, value=row.score))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())


@pytest.mark.parametrize("maximize", [True, False])
@pytest.mark.parametrize("count", [10, 37, 400])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda p: (p["a"] - 0.3) ** 2, id="one decides"),
        pytest.param(lambda p: math.log10(p["b"]) + 2 * (p["c"] == "x"), id="two decide"),
        pytest.param(lambda p: round(p["a"]), id="many are equal"),
    ],
)
def test_the_numbers_are_those_of_optuna(count, value, maximize):
    some = list(rows(count, value))
    expected = by_optuna(some, ["a", "b", "c"], maximize=maximize)
    (found,) = importances(some, ["a", "b", "c"], ["default"], maximize=maximize)
    assert dict(found["shares"]) == pytest.approx(expected, abs=2e-3)


def test_the_numbers_are_those_of_optuna_where_some_trials_lack_a_parameter():
    some = list(rows(200, lambda p: p["a"]))
    for row in some[::3]:
        del row.parameters["a"]
    (found,) = importances(some, ["a", "b", "c"], ["default"], maximize=True)
    assert dict(found["shares"]) == pytest.approx(by_optuna(some, ["a", "b", "c"], maximize=True), abs=2e-3)


def test_every_metric_has_its_own_and_the_largest_share_comes_first():
    found = importances(list(rows(60, lambda p: p["a"])), ["b", "a"], ["default", "other"], maximize=False)
    assert [(entry["metric"], entry["shares"][0][0]) for entry in found] == [("default", "a"), ("other", "a")]


@pytest.mark.parametrize(
    ("some", "names"),
    [
        pytest.param(list(rows(9, lambda p: p["a"])), ["a", "b"], id="too few"),
        pytest.param(list(rows(30, lambda p: 1.0)), ["a", "b"], id="all results alike"),
        pytest.param(list(rows(30, lambda p: p["a"], z=1)), ["z"], id="a parameter with one value"),
        pytest.param(list(rows(30, lambda p: p["a"])), [], id="no parameter"),
        pytest.param([], ["a"], id="no trial"),
        pytest.param(list(rows(30, lambda p: p["a"], z=float("nan"))), ["z"], id="not a number"),
        pytest.param([OverviewRow(sequence=n, parameters={"z": f"t{n}"}, metrics={"default": n}, score=n) for n in range(60)], ["z"], id="a text of its own for each"),
        pytest.param([OverviewRow(sequence=n, parameters={"z": (-1) ** n * 1e308}, metrics={"default": n}, score=n) for n in range(60)], ["z"], id="too far apart for a difference"),
    ],
)  # fmt: skip
def test_where_there_is_no_answer_there_is_none(some, names):
    assert importances(some, names, ["default"], maximize=True) == ()


def test_it_needs_no_library_and_little_work(monkeypatch):
    for name in ("optuna", "sklearn", "numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    some = list(rows(1_000, lambda p: p["a"], **{f"p{n}": n / 7 for n in range(20)}))
    for row in some:
        row.parameters.update({f"p{n}": math.sin(row.sequence * n) for n in range(20)})
    assert work(lambda: importances(some, list(some[0].parameters), ["default"], maximize=True)) < 1_000_000
