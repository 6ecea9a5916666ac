"""TPE: NNI's start-up, and behind it Optuna's sampler, from the history alone."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import islice
from statistics import median

import numpy as np
import pytest

from amlc.model import Record, Status
from amlc.space.canonical import canonical
from amlc.tuners import Tuner, random, tpe
from tests.tuners.simulation import bowl, finished, simulate

TPE_ARGS = {
    "constant_liar_type": "best",
    "n_startup_jobs": 20,
    "n_ei_candidates": 24,
    "linear_forgetting": 25,
    "prior_weight": 1.0,
    "gamma": 0.25,
}
PLANE = {"x": {"_type": "uniform", "_value": [0, 1]}, "y": {"_type": "loguniform", "_value": [1e-3, 1]}}
TYPES = {
    "choice": {"_type": "choice", "_value": [1, True, 1.0, "1", None, [1]]},
    "one": {"_type": "choice", "_value": ["only"]},
    "randint": {"_type": "randint", "_value": [-3, 4]},
    "huge": {"_type": "randint", "_value": [0, 2**62]},
    "uniform": {"_type": "uniform", "_value": [-1, 1]},
    "quniform": {"_type": "quniform", "_value": [2, 10, 5]},
    "fine": {"_type": "quniform", "_value": [0, 1, 1e-6]},
    "loguniform": {"_type": "loguniform", "_value": [1e-7, 0.1]},
    "qloguniform": {"_type": "qloguniform", "_value": [1, 1000, 7]},
    "normal": {"_type": "normal", "_value": [3, 0.5]},
    "qnormal": {"_type": "qnormal", "_value": [0, 1, 0.5]},
    "lognormal": {"_type": "lognormal", "_value": [-2, 1.5]},
    "qlognormal": {"_type": "qlognormal", "_value": [1, 1, 0.5]},
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
FINITE = {
    "net": TYPES["net"]
    | {
        "_value": [
            {"_name": "none"},
            {"_name": "deep", "units": {"_type": "randint", "_value": [1, 9]}},
        ]
    },
    "q": {"_type": "quniform", "_value": [0, 1, 0.3]},
}


def arguments(mode="minimize", **tpe_args):
    return {"optimize_mode": mode, "tpe_args": {**TPE_ARGS, **tpe_args}}


def ask(space, history=(), *, count=1, seed=1, allowed=lambda parameters: True, **args):
    return list(tpe.propose(space, history, count=count, seed=seed, args=arguments(**args), allowed=allowed))


def run(space, score, trials, *, at_once=1, seed=1, allowed=lambda parameters: True, **args):
    """Return the history of a run in which trials end in a random order; a score of None is a failure."""
    tuner, given = Tuner(tpe.propose), arguments(**args)
    options = {"concurrency": at_once, "seed": seed, "allowed": allowed, "order": 5}
    return simulate(tuner, space, score, trials=trials, args=given, **options)


# --- the start-up ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_the_first_twenty_are_those_of_nni(seed, parsed) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nni.algorithms.hpo.tpe_tuner import TpeTuner
    logging.getLogger("nni").setLevel(logging.CRITICAL)
    space = {name: spec for name, spec in TYPES.items() if name != "net"}  # NNI ends with a KeyError for its branches
    tuner = TpeTuner(optimize_mode="minimize", seed=seed)
    tuner.update_search_space(space)
    expected = []
    for number in range(20):
        expected.append(tuner.generate_parameters(number))
        tuner.receive_trial_result(number, expected[-1], float(number))
    assert ask(parsed(space), count=20, seed=seed) == expected


def test_the_start_up_is_randoms_sequence_whatever_the_results(parsed) -> None:
    space = parsed(TYPES)
    expected = list(random.propose(space, (), count=20, seed=3, args={}, allowed=lambda parameters: True))
    assert ask(space, count=20, seed=3) == expected
    history = run(space, lambda parameters: None, 13, seed=3)
    assert [record.parameters for record in history] == expected[:13]
    assert ask(space, history, count=7, seed=3) == expected[13:]


@pytest.mark.parametrize(("jobs", "records", "expected"), [(20, 0, 20), (20, 19, 1), (20, 25, 0), (0, 0, 0)])
def test_what_is_left_of_the_start_up_is_certain(jobs, records, expected) -> None:
    history = [Record(parameters={})] * records
    assert tpe.ahead(history, args=arguments(n_startup_jobs=jobs)) == expected


def test_imported_results_shorten_the_start_up(parsed) -> None:
    space = parsed(PLANE)
    imported = [replace(record, imported=True) for record in finished(space, 18)]
    assert tpe.ahead(imported, args=arguments()) == 2
    assert ask(space, imported, count=2) == ask(space, count=2)


def test_an_imported_set_is_not_drawn_again(parsed) -> None:
    space = parsed(FINITE)
    first = ask(space)[0]
    found = ask(space, [Record(parameters=first, value=1.0, status=Status.SUCCEEDED, imported=True)], count=100)
    assert len(found) == 9 * 4 - 1
    assert first not in found


# --- the model ------------------------------------------------------------------------------------------------------


def test_several_at_once_are_those_of_single_calls(parsed) -> None:
    for types in (PLANE, TYPES, FINITE):
        space = parsed(types)
        history = run(space, lambda parameters: len(repr(parameters)) % 7, 23, at_once=4)
        together = ask(space, history, count=4)
        for parameters in together:
            assert ask(space, history) == [parameters]
            history.append(Record(parameters=parameters))


def test_another_process_proposes_the_same(parsed) -> None:
    history = run(parsed(PLANE), bowl, 30, at_once=4)[:28]
    history[25] = Record(parameters=history[25].parameters)
    code = """
import json, sys
from pathlib import Path
from amlc.model import Document, Record, Status
from amlc.space.parse import parse_space
from amlc.tuners import tpe
types, records, args = json.load(sys.stdin)
space, _ = parse_space(Document(Path("s"), types, {}, {}), (), tuner="TPE")
history = [Record(parameters=p, value=v, status=Status(s)) for p, v, s in records]
print(json.dumps(list(tpe.propose(space, history, count=3, seed=1, args=args, allowed=lambda parameters: True))))
"""
    data = [PLANE, [(record.parameters, record.value, record.status.value) for record in history], arguments()]
    output = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(data), capture_output=True, check=True, text=True
    )
    assert json.loads(output.stdout) == ask(parsed(PLANE), history, count=3)
    assert not output.stderr


def test_maximize_is_minimize_of_the_negative(parsed) -> None:
    space = parsed(PLANE)
    down = run(space, bowl, 30)
    up = run(space, lambda parameters: -bowl(parameters), 30, mode="maximize")
    assert [record.parameters for record in down] == [record.parameters for record in up]


def test_it_finds_better_ones_than_random(parsed) -> None:
    space = parsed(PLANE)
    found = [min(record.value for record in run(space, bowl, 40, seed=seed)) for seed in range(5)]
    drawn = [
        min(map(bowl, islice(random.propose(space, (), count=40, seed=seed, args={}, allowed=bool), 40)))
        for seed in range(5)
    ]
    assert median(found) < median(drawn) / 3


def test_every_type_keeps_to_its_bounds_and_branches(parsed) -> None:
    space = parsed(TYPES)
    history = finished(space, 20, score=lambda parameters: -parameters["uniform"])
    for parameters in ask(space, history, count=25):
        assert list(parameters) == list(TYPES)
        assert any(parameters["choice"] is option for option in TYPES["choice"]["_value"])
        assert type(parameters["randint"]) is type(parameters["huge"]) is int
        assert -3 <= parameters["randint"] < 4
        assert 0 <= parameters["huge"] < 2**62
        assert parameters["quniform"] in (2.0, 5.0, 10.0)
        assert 1e-7 <= parameters["loguniform"] <= 0.1000001
        assert 1 <= parameters["qloguniform"] <= 1000
        assert (parameters["qnormal"] / 0.5).is_integer()
        deep = parameters["net"]["_name"] == "deep"
        assert set(parameters["net"]) == ({"_name", "units", "act"} if deep else {"_name"})
        json.dumps(parameters, allow_nan=False)


def test_the_better_branch_is_taken_more_often(parsed) -> None:
    space = parsed({"net": TYPES["net"], "x": {"_type": "uniform", "_value": [0, 1]}})
    history = run(space, lambda parameters: parameters["x"] + 2 * (parameters["net"]["_name"] == "none"), 60)
    names = [record.parameters["net"]["_name"] for record in history[20:]]
    assert names.count("deep") > 28


def test_normal_types_reach_beyond_their_usual_draws(parsed) -> None:
    space = parsed({"x": {"_type": "normal", "_value": [0, 1]}, "y": {"_type": "lognormal", "_value": [0, 1]}})
    history = run(space, lambda parameters: abs(parameters["x"] - 3) + abs(math.log(parameters["y"]) + 3), 60)
    best = min(history, key=lambda record: record.value)
    assert best.parameters["x"] > 2
    assert math.log(best.parameters["y"]) < -2


def test_a_finite_space_is_exhausted_without_repeating(parsed) -> None:
    space = parsed(FINITE)
    history = run(space, lambda parameters: parameters["q"], 100, at_once=3)
    digests = {canonical(record.parameters) for record in history}
    assert len(digests) == len(history) == 9 * 4
    assert ask(space, history) == []


@pytest.mark.parametrize("least", [0.5, 0.99])
def test_nothing_that_is_refused_is_proposed(least, parsed) -> None:
    space = parsed(PLANE)
    history = run(space, bowl, 30, allowed=lambda parameters: parameters["x"] > least)
    assert len(history) == 30
    assert all(record.parameters["x"] > least for record in history)


def test_failures_only_mean_random_draws_that_do_not_repeat(parsed) -> None:
    history = run(parsed(PLANE), lambda parameters: None, 40)
    assert len({canonical(record.parameters) for record in history}) == 40


def test_a_failure_and_what_does_not_fit_teach_nothing(parsed) -> None:
    space = parsed(PLANE)
    history = finished(space, 30)
    without = ask(space, history[:-2] + [Record(parameters={"x": 0.9, "y": 0.9}, status=Status.FAILED)] * 2)
    assert ask(space, history[:-2] + [Record(parameters={"z": 1}, status=Status.SUCCEEDED, value=-1e9)] * 2) == without


def test_running_trials_keep_others_away_unless_told_not_to(parsed) -> None:
    space = parsed(PLANE)
    history = finished(space, 30)

    def spread(liar):
        proposed = ask(space, history, count=12, constant_liar_type=liar)
        return sum(abs(a["x"] - b["x"]) for a in proposed for b in proposed)

    assert ask(space, history, constant_liar_type=None) != ask(
        space, [*history, Record(parameters=history[0].parameters)], constant_liar_type=None
    )
    assert spread("best") == spread("worst") == spread("mean") > spread(None)


def test_settings_are_what_is_documented() -> None:
    from optuna.samplers._tpe.sampler import default_weights

    settings = tpe.Settings.of(arguments())
    assert [settings.good(count) for count in (0, 1, 20, 50, 250, 10_000)] == [0, 1, 2, 5, 25, 25]
    for count in (0, 1, 24, 25, 26, 100):
        assert settings.weights(count) == pytest.approx(default_weights(count))


def test_better_results_count_more_often() -> None:
    assert [tpe._copies(rank, 5) for rank in range(5)] == [12, 8, 4, 2, 1]
    assert [tpe._copies(rank, 25) for rank in (0, 12, 24)] == [4, 1, 1]
    assert [sum(tpe._copies(rank, count) for rank in range(count)) for count in (3, 8, 15, 25)] == [7, 46, 43, 43]


def test_copies_of_whole_numbers_reach_their_neighbours(parsed) -> None:
    space_axes = tpe.axes(parsed({"n": {"_type": "randint", "_value": [0, 20]}, **PLANE, "q": TYPES["quniform"]}))
    scales = {axis.key: tpe._scale(axis, axis.dimension.name) for axis in space_axes}
    point = {("n",): 10, ("x",): 0.3, ("y",): -2.0, ("q",): 5.0}
    copies = [tpe._moved(scales, point, 0.05, np.random.default_rng(seed)) for seed in range(200)]
    assert {copy["n",] for copy in copies} > {8, 9, 10, 11, 12}
    assert {copy["q",] for copy in copies} == {5.0}
    assert {(copy["x",], copy["y",]) for copy in copies} == {(0.3, -2.0)}


@pytest.mark.parametrize(
    "tpe_args",
    [
        {"n_startup_jobs": 0},
        {"gamma": 0.0},
        {"linear_forgetting": 0},
        {"linear_forgetting": 1, "gamma": 3.0},
        {"prior_weight": 0.0},
        {"n_ei_candidates": 1},
    ],
)
def test_unusual_arguments_still_propose(tpe_args, parsed) -> None:
    space = parsed(TYPES)
    found = ask(space, finished(space, 25, lambda parameters: parameters["uniform"]), count=3, **tpe_args)
    assert len(found) == 3
    json.dumps(found, allow_nan=False)


def test_the_time_does_not_grow_with_the_history(parsed) -> None:
    space = parsed(PLANE)
    best, others = tpe._seen(tpe.axes(space), finished(space, 1000), tpe.Settings.of(arguments()))
    assert (len(best), len(others)) == (25, 300)
    assert max(loss for _, _, loss in best) <= min(loss for _, _, loss in others)


def test_optuna_says_nothing_and_is_left_as_it_was(parsed, capfd) -> None:
    from optuna import logging as optuna_logging

    before = optuna_logging.get_verbosity()
    ask(parsed(PLANE), finished(parsed(PLANE), 30), count=2)
    assert optuna_logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_tpe_legacy_has_the_same_start_up_and_lies_only_in_parallel(parsed) -> None:
    space = parsed(PLANE)
    args = {"optimize_mode": "minimize", "parallel_optimize": False, "constant_liar_type": "min"}

    def legacy(history, parallel, count):
        given = {**args, "parallel_optimize": parallel}
        return list(tpe.propose(space, history, count=count, seed=1, args=given, allowed=lambda parameters: True))

    assert legacy([], parallel=False, count=20) == ask(space, count=20)
    assert tpe.ahead([], args=args) == 20
    history = finished(space, 30)
    assert legacy(history, parallel=True, count=4) == ask(space, history, count=4)
    assert legacy(history, parallel=False, count=4) == ask(space, history, count=4, constant_liar_type=None)


def test_when_the_best_is_old_every_other_trial_belongs_to_a_search_that_starts_anew(parsed) -> None:
    """So a local optimum is left; docs/quality.md has what that gains."""
    losses = [1.0 + n for n in range(400)]
    losses[3] = 0.0
    history = [replace(record, value=x) for record, x in zip(finished(parsed(PLANE), 400), losses, strict=True)]
    settings = tpe.Settings.of(arguments())

    def told(count):
        return tpe._told(history[:count], settings)

    for count in [*range(53), *range(54, 400, 2)]:
        assert told(count) == history[:count]
    assert told(53) == []
    assert told(151) == history[53:151:2]
    assert told(251) == history[53:251:2]  # 99 of its own
    assert told(253) == []
    assert told(353) == history[253:353:2]
    history[200] = replace(history[200], value=-1.0)  # whoever finds what is better, all go on from there
    assert told(249) == history[:249]
    assert told(252) == history[250:252:2]


def test_a_search_that_starts_anew_begins_at_random_and_repeats_nothing(parsed) -> None:
    space = parsed({"x": {"_type": "randint", "_value": [0, 130]}})
    history = [replace(record, value=float(n)) for n, record in enumerate(finished(space, 100, lambda parameters: 0.0))]
    found = ask(space, history, count=30, n_startup_jobs=10)
    every = [record.parameters["x"] for record in history] + [parameters["x"] for parameters in found]
    assert sorted(every) == list(range(130))
