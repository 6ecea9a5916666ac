"""Anneal: hyperopt's own search, from the history alone."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from statistics import median

import pytest

from amlc.errors import AmlcError
from amlc.model import Record, Status
from amlc.tuners import Tuner, anneal, random
from tests.tuners.simulation import bowl, ended, finished, simulate

ARGS = {"optimize_mode": "minimize", "parallel_optimize": False, "constant_liar_type": "min"}
PLANE = {"x": {"_type": "uniform", "_value": [0, 1]}, "y": {"_type": "loguniform", "_value": [1e-3, 1]}}
MIXED = {
    "c": {"_type": "choice", "_value": [1, True, 1.0, "1", None, [1]]},
    "i": {"_type": "randint", "_value": [-3, 4]},
    "huge": {"_type": "randint", "_value": [0, 2**62]},
    "q": {"_type": "quniform", "_value": [0, 1, 0.3]},
    "ql": {"_type": "qloguniform", "_value": [1, 100, 5]},
    "n": {"_type": "normal", "_value": [3, 0.5]},
    "qn": {"_type": "qnormal", "_value": [0, 1, 0.5]},
    "ln": {"_type": "lognormal", "_value": [0, 1]},
    "qln": {"_type": "qlognormal", "_value": [1, 1, 0.5]},
    "net": {
        "_type": "choice",
        "_value": [
            {"_name": "none"},
            {
                "_name": "deep",
                "units": {"_type": "randint", "_value": [1, 9]},
                "act": {
                    "_type": "choice",
                    "_value": [{"_name": "relu"}, {"_name": "leaky", "slope": {"_type": "uniform", "_value": [0, 1]}}],
                },
            },
        ],
    },
}


def ask(space, history=(), *, count=1, seed=1, allowed=lambda parameters: True, **args):
    return list(anneal.propose(space, history, count=count, seed=seed, args={**ARGS, **args}, allowed=allowed))


def run(space, score, trials, *, at_once=1, seed=1, allowed=lambda parameters: True, **args):
    """Return the history of a run in which trials end in a random order; a score of None is a failure."""
    tuner, given = Tuner(anneal.propose), {**ARGS, **args}
    options = {"concurrency": at_once, "seed": seed, "allowed": allowed, "order": 5}
    return simulate(tuner, space, score, trials=trials, args=given, **options)


def test_before_there_is_a_result_the_draws_are_randoms(parsed) -> None:
    space = parsed(PLANE)
    expected = list(random.propose(space, (), count=6, seed=1, args={}, allowed=lambda p: True))
    assert ask(space, count=6) == expected
    failed = [ended(Record(parameters=expected[0]), None, 1), Record(parameters=expected[1])]
    assert ask(space, failed, count=4) == expected[2:]
    assert [anneal.ahead(failed[:n], args=ARGS) for n in range(3)] == [1, 0, 0]


def test_it_draws_near_the_best_ever_nearer(parsed) -> None:
    space = parsed({"x": {"_type": "uniform", "_value": [0, 1]}})
    distances = []
    for trials in (20, 200):
        history = finished(space, trials, lambda parameters: abs(parameters["x"] - 0.5))
        draws = [ask(space, history, seed=seed)[0]["x"] for seed in range(40)]
        distances.append(max(abs(x - 0.5) for x in draws))
        # the width is 1 / (1 + T / 10) around one of the best
        assert distances[-1] < 0.5 / (1 + trials / 10) + 10 / trials
    assert distances == sorted(distances, reverse=True)


def test_the_suggestion_is_hyperopts_own_while_it_sees_every_result(parsed) -> None:
    """With no more results than hyperopt is given, the narrowing is its own too."""
    from hyperopt.anneal import AnnealingAlgo

    space = parsed(PLANE)
    results = [(record.value, record.parameters) for record in finished(space, 60)]
    model = anneal._Model.of(space, anneal.Unseen(space, (), allowed=bool).axes, results, maximize=False)
    theirs = AnnealingAlgo(model.domain, model.trials, 3)
    assert [theirs.shrinking(label) for label in "01"] == [model._shrinking(label) for label in "01"]
    x_of = {value: parameters["x"] for value, parameters in results}
    assert [x_of[value] for value in sorted(x_of)] == theirs.node_vals["0"], "best first"


@pytest.mark.parametrize("spec", [PLANE, MIXED], ids=["plane", "mixed"])
@pytest.mark.parametrize("options", [{}, {"parallel_optimize": True, "constant_liar_type": "mean"}], ids=["", "lies"])
@pytest.mark.parametrize("known", [0, 1, 30])
def test_several_at_once_are_those_that_single_calls_give(spec, options, known, parsed) -> None:
    space = parsed(spec)
    history = run(space, lambda parameters: float(len(repr(parameters)) % 7), known, at_once=3, **options)
    one_by_one = list(history)
    for step in range(6):
        one_by_one += [Record(parameters=p, asked=10_000 + step) for p in ask(space, one_by_one, **options)]
    assert ask(space, history, count=6, **options) == [record.parameters for record in one_by_one[known:]]


def test_minimize_is_maximize_of_the_negative(parsed) -> None:
    space = parsed(MIXED)
    score = lambda parameters: parameters["n"] + parameters["q"]  # noqa: E731
    down = run(space, score, 40, at_once=2)
    up = run(space, lambda parameters: -score(parameters), 40, at_once=2, optimize_mode="maximize")
    assert [record.parameters for record in up] == [record.parameters for record in down]


def test_every_type_and_branch_is_delivered_as_the_space_has_it(parsed) -> None:
    history = run(parsed(MIXED), lambda parameters: parameters["n"], 80, at_once=3)
    seen = Counter()
    for parameters in (record.parameters for record in history):
        assert list(parameters) == list(MIXED)
        assert repr(parameters["c"]) in {repr(option) for option in MIXED["c"]["_value"]}
        assert {type(parameters[name]) for name in ("i", "huge")} == {int}
        assert -3 <= parameters["i"] < 4
        assert 0 <= parameters["huge"] < 2**62
        assert parameters["q"] in {0.0, 0.3, 0.6, 0.8999999999999999}
        assert {type(parameters[name]) for name in ("q", "ql", "n", "qn", "ln", "qln")} == {float}
        net = parameters["net"]
        assert net.keys() == {"none": {"_name"}, "deep": {"_name", "units", "act"}}[net["_name"]]
        if "act" in net:
            assert net["act"].keys() == {"relu": {"_name"}, "leaky": {"_name", "slope"}}[net["act"]["_name"]]
            seen[net["act"]["_name"]] += 1
        seen[net["_name"]] += 1
        seen[repr(parameters["c"])] += 1
    assert seen.keys() >= {"none", "deep", "relu", "leaky", "1", "True", "1.0", "'1'", "None", "[1]"}


def test_the_better_branch_and_option_are_found(parsed) -> None:
    space = parsed(MIXED)

    def score(parameters):
        return (parameters["net"].get("act", {}).get("slope", 2) - 0.5) ** 2 + (parameters["c"] != "1")

    history = run(space, score, 80)
    late = [record.parameters for record in history[50:]]
    assert sum(p["net"].get("act", {}).get("_name") == "leaky" for p in late) > 20
    assert sum(p["c"] == "1" for p in late) > 20


def test_running_trials_count_only_with_parallel_optimize(parsed) -> None:
    space = parsed(PLANE)
    history = finished(space, 30)
    near = dict(history[0].parameters, x=0.3, y=0.01)
    running = [*history, *(Record(parameters=near, asked=100 + i) for i in range(3))]
    same_number = [*history, *(ended(Record(parameters=near, asked=100 + i), None, 200 + i) for i in range(3))]

    def draws(history, **options):
        return [ask(space, history, seed=seed, **options) for seed in range(12)]

    assert draws(running) == draws(same_number)
    lies = {"parallel_optimize": True}
    assert draws(running, **lies) != draws(same_number, **lies)
    assert draws(running, **lies, constant_liar_type="max") != draws(running, **lies)
    early = [*history[:10], *running[30:]]
    assert draws(early, **lies) == draws(early), "NNI lies from the 21st trial on"


def test_a_choice_of_nothing_but_names_works(parsed) -> None:
    space = parsed({"net": {"_type": "choice", "_value": [{"_name": "a"}, {"_name": "b"}]}})
    history = run(space, lambda parameters: 1.0, 5)
    assert sorted(record.parameters["net"]["_name"] for record in history) == ["a", "b"]


@pytest.mark.parametrize("at_once", [1, 5])
def test_a_finite_space_gives_each_trial_once_and_ends(at_once, parsed) -> None:
    space = parsed({"a": {"_type": "choice", "_value": list(range(6))}, "b": {"_type": "randint", "_value": [0, 5]}})
    history = run(space, lambda parameters: float(parameters["a"]), 100, at_once=at_once)
    assert len({repr(record.parameters) for record in history}) == len(history) == 30
    assert ask(space, history, count=3) == []
    assert ask(parsed({}), count=3) == [{}]
    assert ask(parsed({}), finished(parsed({}), 1, lambda parameters: 1.0), count=3) == []


def test_constraints_hold(parsed) -> None:
    allowed = lambda parameters: parameters["x"] > 0.6  # noqa: E731
    history = run(parsed(PLANE), bowl, 60, at_once=2, allowed=allowed)
    assert len(history) == 60
    assert all(allowed(record.parameters) for record in history)


def test_failures_only_are_draws_that_do_not_repeat(parsed) -> None:
    history = run(parsed(PLANE), lambda parameters: None, 20, at_once=3)
    assert len({repr(record.parameters) for record in history}) == 20


def test_imported_results_count_from_the_start_and_alien_ones_do_not(parsed) -> None:
    space = parsed({"x": {"_type": "uniform", "_value": [0, 1]}})
    imported = [replace(r, imported=True) for r in finished(space, 100, lambda p: abs(p["x"] - 0.5))]
    assert all(abs(p["x"] - 0.5) < 0.2 for p in ask(space, imported, count=10))
    alien = Record(parameters={"z": 1}, value=-1e9, told=1, status=Status.SUCCEEDED)
    assert all(abs(p["x"] - 0.5) < 0.2 for p in ask(space, [*imported, alien], count=10))
    assert len(ask(space, [alien], count=3)) == 3


def test_it_beats_random(parsed) -> None:
    space = parsed({name: {"_type": "uniform", "_value": [0, 1]} for name in "abcdef"})
    score = lambda parameters: sum((x - 0.7) ** 2 for x in parameters.values())  # noqa: E731
    found, floor = [], []
    for seed in range(5):
        found.append(min(record.value for record in run(space, score, 50, at_once=2, seed=seed)))
        floor.append(min(map(score, random.propose(space, (), count=50, seed=seed, args={}, allowed=lambda p: True))))
    assert median(found) < median(floor) / 2


def test_without_hyperopt_it_says_what_to_install(parsed, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperopt.base", None)
    with pytest.raises(AmlcError, match=r"Anneal needs 'hyperopt.*pip install cmaes hyperopt"):
        ask(parsed(PLANE), finished(parsed(PLANE), 3))


def test_a_count_of_zero_yields_nothing(parsed) -> None:
    assert ask(parsed(PLANE), count=0) == []
    assert ask(parsed(PLANE), finished(parsed(PLANE), 3), count=0) == []
