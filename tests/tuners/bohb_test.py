"""BOHB runs NNI 3.0's brackets, learns from what has ended, and is a pure function of the history."""

from __future__ import annotations

import json
import logging
import math
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from statistics import median
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from amlc.model import Record, Status
from amlc.tuners import bohb
from amlc.tuners.random import propose as random_propose
from amlc.tuners.shared.brackets import BUDGET, cycle
from tests.conftest import work

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}, "y": {"_type": "uniform", "_value": [0, 1]}}
ALL_TYPES = {
    "choice": {"_type": "choice", "_value": ["a", 1, 1.0, True, None, [1], {"b": 2}]},
    "randint": {"_type": "randint", "_value": [-3, 40]},
    "uniform": {"_type": "uniform", "_value": [-1, 1]},
    "quniform": {"_type": "quniform", "_value": [0, 1, 0.3]},
    "loguniform": {"_type": "loguniform", "_value": [1e-7, 0.1]},
    "qloguniform": {"_type": "qloguniform", "_value": [1, 1000, 7]},
    "normal": {"_type": "normal", "_value": [3, 0.5]},
    "qnormal": {"_type": "qnormal", "_value": [0, 1, 0.01]},
    "lognormal": {"_type": "lognormal", "_value": [-2, 1.5]},
    "qlognormal": {"_type": "qlognormal", "_value": [1, 1, 0.5]},
}
FINITE = {"c": {"_type": "choice", "_value": list(range(7))}}
ARGS: dict[str, Any] = {
    "optimize_mode": "minimize",
    "min_budget": 1,
    "max_budget": 3,
    "eta": 3,
    "min_points_in_model": None,
    "top_n_percent": 15,
    "num_samples": 64,
    "random_fraction": 1 / 3,
    "bandwidth_factor": 3.0,
    "min_bandwidth": 1e-3,
}


def yes(parameters: Any) -> bool:
    return True


def bowl(parameters: Any) -> float:
    return float((parameters["x"] - 0.3) ** 2 + (parameters["y"] - 0.7) ** 2)


def propose(space, history, args=ARGS, *, count=1, seed=0, allowed=yes) -> list[Any]:
    return list(bohb.propose(space, history, count=count, seed=seed, args=args, allowed=allowed))


def ran(parameters: Any, value: float | None, **fields: Any) -> Record:
    return Record(
        parameters=parameters, status=Status.SUCCEEDED if value is not None else Status.FAILED, value=value, **fields
    )


def run(space, trials, value=bowl, args=ARGS, *, seed=0, slots=1, allowed=yes) -> list[Record]:
    """Return the history of an experiment in which `slots` trials run side by side and end together."""
    history: list[Record] = []
    while len(history) < trials:
        proposed = propose(space, history, args, count=min(slots, trials - len(history)), seed=seed, allowed=allowed)
        clock = 2 * len(history)
        history += [ran(parameters, value(parameters), asked=clock, told=clock + 1) for parameters in proposed]
    return history


# --- brackets ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nni_bohb() -> Iterator[ModuleType]:
    """NNI's advisor, whose imports that fail on this machine are not needed for its brackets."""
    hollow = {
        name: ModuleType(name)
        for name in (
            *("statsmodels", "statsmodels.api", "ConfigSpace", "ConfigSpace.hyperparameters", "ConfigSpace.util"),
            "ConfigSpace.read_and_write",
        )
    }
    hollow["ConfigSpace.read_and_write"].pcs_new = None
    for name, module in hollow.items():
        if "." in name:
            setattr(hollow[name.split(".")[0]], name.split(".")[1], module)
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        for name, module in hollow.items():
            patch.setitem(sys.modules, name, module)
        from nni.algorithms.hpo.bohb_advisor import bohb_advisor
        from nni.runtime import msg_dispatcher_base

        logging.getLogger("BOHB_Advisor").setLevel(logging.CRITICAL)
        variables = msg_dispatcher_base.dispatcher_env_vars
        variables = variables._replace(NNI_TUNER_COMMAND_CHANNEL="ws://_unittest_")
        patch.setattr(msg_dispatcher_base, "dispatcher_env_vars", variables)
        yield bohb_advisor
        for name in [name for name in sys.modules if name.startswith("nni.algorithms.hpo.bohb_advisor")]:
            patch.delitem(sys.modules, name)


def test_every_table_is_nni_s(nni_bohb) -> None:
    for least, largest, eta in product([1, 2, 3, 5], [5, 9, 27, 81, 100, 243, 1000], [2, 3, 4, 7]):
        advisor = nni_bohb.BOHB(min_budget=least, max_budget=largest, eta=eta)
        expected = []
        for s in range(advisor.s_max, -1, -1):
            bracket = nni_bohb.Bracket(s, advisor.s_max, eta, largest, "maximize")
            rows = []
            for bracket.i in range(s + 1):
                rows.append(bracket.get_n_r())
            expected.append(rows)
        tables = cycle(largest=largest, smallest=least, eta=eta)
        assert [[(rung.count, rung.budget) for rung in table] for table in tables] == expected


class Nni:
    """NNI's advisor with one slot: (draw, budget) of each trial, for draws that are only numbered."""

    def __init__(self, module: ModuleType, args: dict[str, Any]) -> None:
        self.advisor = module.BOHB(**args)
        self.advisor.send = self.receive
        self.advisor.is_created_in_previous_exp = lambda identity: False  # NNI 3.0 compares text with a number here
        self.advisor.handle_update_search_space = lambda data: None
        self.advisor.search_space = None
        self.advisor.cg = SimpleNamespace(get_config=self.draw, new_result=lambda **given: None)
        self.drawn = 0
        self.trials: list[tuple[int, int]] = []
        self.identity = ""
        self.advisor.generate_new_bracket()

    def draw(self, budget: int) -> dict[str, int]:
        self.drawn += 1
        return {"draw": self.drawn - 1}

    def receive(self, command: Any, data: str) -> None:
        message = json.loads(data)
        if message["parameters"]:
            self.identity = message["parameter_id"]
            self.trials.append((message["parameters"]["draw"], message["parameters"][BUDGET]))

    def step(self, value: Any) -> None:
        self.advisor.handle_request_trial_jobs(1)
        identity, number = self.identity, len(self.trials)
        data = {"parameter_id": identity, "trial_job_id": identity, "type": "FINAL", "sequence": 0}
        self.advisor.handle_report_metric_data({**data, "value": json.dumps(value(*self.trials[-1]))})
        self.advisor.handle_trial_end(
            {"trial_job_id": identity, "hyper_params": json.dumps({"parameter_id": identity})}
        )
        assert len(self.trials) == number


@pytest.mark.parametrize("mode", ["maximize", "minimize"])
@pytest.mark.parametrize(("least", "largest"), [(1, 3), (1, 27), (2, 9), (1, 1)])
def test_with_one_slot_budgets_and_promotions_are_those_of_nni_s_advisor(
    nni_bohb, parsed, mode, least, largest
) -> None:
    def value(draw: int, budget: int) -> float:
        return random.Random(1000 * draw + budget).random()

    scale = {"optimize_mode": mode, "min_budget": least, "max_budget": largest, "eta": 3}
    nni = Nni(nni_bohb, scale)
    space = parsed(SPACE)
    numbers: dict[float, int] = {}
    history = run(space, 120, lambda p: value(numbers.setdefault(p["x"], len(numbers)), p[BUDGET]), {**ARGS, **scale})
    for _ in range(120):
        nni.step(value)
    assert [(numbers[r.parameters["x"]], r.parameters[BUDGET]) for r in history] == nni.trials


def test_a_free_slot_begins_the_next_bracket(parsed) -> None:
    assert [p[BUDGET] for p in propose(parsed(SPACE), (), count=10)] == [1] * 3 + [3] * 2 + [1] * 3 + [3] * 2


# --- what is random ---------------------------------------------------------------------------------------------


def configurations(history: list[Record]) -> list[tuple[float, float]]:
    return list(dict.fromkeys((r.parameters["x"], r.parameters["y"]) for r in history))


def test_the_first_bracket_and_a_third_of_all_are_those_of_random(parsed) -> None:
    space = parsed(SPACE)
    sequence = [(p["x"], p["y"]) for p in random_propose(space, (), count=200, seed=0, args={}, allowed=yes)]
    for largest, first in (3, 3), (27, 27):
        found = configurations(run(space, 150, args={**ARGS, "max_budget": largest}))
        assert found[:first] == sequence[:first]
        at_random = [configuration for configuration in found if configuration in sequence]
        assert at_random == sequence[: len(at_random)]
        assert len(at_random) == max(first, len(found) // 3)


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 3), (1.0, 84)])
def test_the_random_fraction_may_be_none_or_all(fraction, expected, parsed) -> None:
    space = parsed(SPACE)
    sequence = {(p["x"], p["y"]) for p in random_propose(space, (), count=200, seed=0, args={}, allowed=yes)}
    found = configurations(run(space, 101, args={**ARGS, "random_fraction": fraction}))
    assert sum(configuration in sequence for configuration in found) == expected


def test_there_is_no_model_with_too_few_results(parsed) -> None:
    space = parsed(SPACE)
    args = {**ARGS, "min_points_in_model": 20, "random_fraction": 0.0}
    sequence = [(p["x"], p["y"]) for p in random_propose(space, (), count=30, seed=0, args={}, allowed=yes)]
    found = configurations(run(space, 40, args=args))
    assert found[:20] == sequence[:20]
    assert found[20:][0] not in sequence


def test_random_goes_on_when_every_trial_fails(parsed) -> None:
    space = parsed(SPACE)
    sequence = [(p["x"], p["y"]) for p in random_propose(space, (), count=80, seed=0, args={}, allowed=yes)]
    found = configurations(run(space, 60, lambda p: None))
    assert found == sequence[: len(found)]


# --- what it learns ---------------------------------------------------------------------------------------------


def test_it_is_better_than_random(parsed) -> None:
    space = parsed(SPACE)
    ours, drawn = [], []
    for seed in range(7):
        ours.append(min(r.value or 0.0 for r in run(space, 40, seed=seed)))
        drawn.append(min(map(bowl, random_propose(space, (), count=40, seed=seed, args={}, allowed=yes))))
    assert median(ours) < median(drawn) / 3


def test_maximize_mirrors_minimize(parsed) -> None:
    space = parsed(SPACE)
    mirrored = run(space, 40, lambda p: -bowl(p), {**ARGS, "optimize_mode": "maximize"})
    assert [r.parameters for r in mirrored] == [r.parameters for r in run(space, 40)]


def model_based(space, history) -> list[Any]:
    return propose(space, history, {**ARGS, "random_fraction": 0.0}, count=40)


def near(parameters: list[Any], x: float) -> float:
    """Return the part of the new configurations within 0.25 of x."""
    return sum(abs(p["x"] - x) < 0.25 for p in parameters) / len(parameters)


def test_imported_trials_teach(parsed) -> None:
    space = parsed(SPACE)
    points = random_propose(space, (), count=60, seed=9, args={}, allowed=yes)
    imported = [ran(p, (p["x"] - 0.9) ** 2, imported=True) for p in points]
    own = [ran(p, None) for p in propose(space, (), count=3)]
    assert near(model_based(space, [*imported, *own]), 0.9) > 0.8
    assert near(model_based(space, own), 0.9) < 0.5
    assert [p[BUDGET] for p in propose(space, imported, count=5)] == [1, 1, 1, 3, 3]


def test_where_trials_fail_is_left_alone(parsed) -> None:
    space = parsed(SPACE)
    points = list(random_propose(space, (), count=60, seed=9, args={}, allowed=yes))
    imported = [ran(p, None if p["x"] > 0.5 else 1.0 + 0.01 * p["y"], imported=True) for p in points]
    own = [ran(p, None) for p in propose(space, (), count=3)]
    assert sum(p["x"] < 0.55 for p in model_based(space, [*imported, *own])) >= 36


def test_results_of_other_budgets_are_shifted_by_what_promotions_changed(parsed) -> None:
    history = [
        ran({"x": 0.1, "y": 0.1, BUDGET: 1}, 10.0),
        ran({"x": 0.2, "y": 0.1, BUDGET: 1}, 11.0),
        ran({"x": 0.3, "y": 0.1, BUDGET: 1}, 12.5),
        ran({"x": 0.1, "y": 0.1, BUDGET: 3}, 5.0),
        ran({"x": 0.5, "y": 0.1, BUDGET: 3}, 7.0),
    ]
    ranking = bohb._ranking(history, 100, ARGS)
    assert [(loss, p["x"]) for loss, p in ranking] == [(5.0, 0.1), (6.0, 0.2), (7.0, 0.5), (7.5, 0.3)]
    assert [p["x"] for _, p in bohb._ranking(history, 2, ARGS)] == [0.1, 0.5]  # enough without the small budget


def test_records_that_do_not_fit_the_space_teach_nothing(parsed) -> None:
    space = parsed(SPACE)
    strangers = [ran({"z": 0.1 * n, BUDGET: 3}, float(n)) for n in range(10)]
    outside = [ran({"x": 2.0 + n, "y": 0.5, BUDGET: 3}, float(n)) for n in range(10)]
    for history in strangers, outside:
        expected = list(random_propose(space, (), count=3, seed=0, args={}, allowed=yes))
        found = propose(space, history, {**ARGS, "random_fraction": 0.0}, count=3)
        assert [{k: v for k, v in p.items() if k != BUDGET} for p in found] == expected


def test_every_type_is_searched(parsed) -> None:
    space = parsed(ALL_TYPES, tuner="BOHB")
    history = run(
        space, 60, lambda p: abs(p["uniform"]) + abs(math.log10(p["loguniform"]) + 4) + 3 * (p["choice"] is not True)
    )
    for record in history:
        assert list(record.parameters) == [*ALL_TYPES, BUDGET]
        assert record.parameters["randint"] in range(-3, 40)
        assert record.parameters["quniform"] in (0.0, 0.3, 0.6, 0.8999999999999999)
        assert 1e-7 * 0.999 <= record.parameters["loguniform"] <= 0.1001
    late = [r.parameters for r in history[30:]]
    assert sum(p["choice"] is True for p in late) > len(late) / 4  # of seven options


def test_a_single_option_and_a_single_number_are_no_trouble(parsed) -> None:
    space = parsed({"c": {"_type": "choice", "_value": ["only"]}, "n": {"_type": "randint", "_value": [3, 4]}, **SPACE})
    assert len(run(space, 40)) == 40


# --- the history is all there is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("largest", [3, 27])
def test_one_call_equals_single_calls(largest, parsed) -> None:
    args = {**ARGS, "max_budget": largest}
    for space, value in (parsed(SPACE), bowl), (parsed(FINITE), lambda p: float(p["c"])):
        complete = run(space, 60, value, args, slots=4)
        for length in (0, 5, 31, 60):
            history = [
                record if number < length - 2 else replace(record, status=Status.RUNNING, value=None, told=None)
                for number, record in enumerate(complete[:length])
            ]
            for parameters in propose(space, history, args, count=9):
                assert propose(space, history, args) == [parameters]
                history.append(Record(parameters=parameters, asked=999))


def test_another_process_proposes_the_same(parsed) -> None:
    script = (
        "import json, sys; from amlc.tuners import bohb; from amlc.model import *\n"
        "space = (Real('x', 0.0, 1.0), Real('y', 0.0, 1.0))\n"
        "history = [Record(parameters=p, status=Status.SUCCEEDED, value=v) for p, v in json.loads(sys.argv[1])]\n"
        f"proposed = bohb.propose(space, history, count=7, seed=0, args={ARGS!r}, allowed=lambda p: True)\n"
        "print(json.dumps(list(proposed)))"
    )
    history = run(parsed(SPACE), 30)
    given = json.dumps([(r.parameters, r.value) for r in history])
    found = subprocess.run([sys.executable, "-c", script, given], capture_output=True, check=True, text=True)
    assert json.loads(found.stdout) == propose(parsed(SPACE), history, count=7)


def test_seeds_differ(parsed) -> None:
    space = parsed(SPACE)
    assert not {*configurations(run(space, 30, seed=1))} & {*configurations(run(space, 30, seed=2))}


def test_a_finite_space_repeats_nothing_before_it_must(parsed) -> None:
    space = parsed(FINITE)
    history = run(space, 60, lambda p: float(p["c"]))
    bottoms = [p["c"] for n, p in enumerate(r.parameters for r in history) if n % 6 != 3]
    assert sorted(bottoms[:7]) == list(range(7))


def test_what_is_not_allowed_is_never_proposed(parsed) -> None:
    asked = []

    def allowed(parameters: Any) -> bool:
        asked.append(parameters)
        return bool(parameters["x"] > 0.6)  # the best ones are excluded

    history = run(parsed(SPACE), 60, allowed=allowed)
    assert all(r.parameters["x"] > 0.6 for r in history)
    assert not any(BUDGET in parameters for parameters in asked)


# --- ahead and cost ---------------------------------------------------------------------------------------------


def test_ahead_is_the_bottom_of_the_first_bracket_and_what_is_due(parsed) -> None:
    space = parsed(SPACE)
    args = {**ARGS, "max_budget": 27}
    assert bohb.ahead((), args=ARGS) == 3
    assert bohb.ahead((), args=args) == 27
    bottom = propose(space, (), args, count=27)
    history = [Record(parameters=p) for p in bottom[:10]]
    assert bohb.ahead(history, args=args) == 17
    assert propose(space, [ran(p, bowl(p)) for p in bottom[:10]], args, count=17) == bottom[10:]
    history = [ran(p, bowl(p)) for p in bottom]
    assert bohb.ahead(history, args=args) == 9
    assert {p[BUDGET] for p in propose(space, history, args, count=9)} == {3}


def test_ten_thousand_trials_are_gone_through_once(parsed) -> None:
    space = parsed(SPACE)
    points = random_propose(space, (), count=10_000, seed=4, args={}, allowed=yes)
    budgets = [1, 1, 1, 3, 3]
    history = [ran({**p, BUDGET: budgets[n % 5]}, bowl(p)) for n, p in enumerate(points)]
    args = {**ARGS, "random_fraction": 0.0}

    def calls(count: int) -> int:
        propose(space, history[:count], args)
        return work(lambda: propose(space, history[:count], args))

    assert calls(10_000) < 20 * calls(1000)  # 100 times, were it the square


def test_checkpoints_add_two_folders_and_change_nothing_else(parsed) -> None:
    space = parsed(SPACE)
    plain = run(space, 60, slots=3)
    found = run(space, 60, args={**ARGS, "all_checkpoint_dir": "/ckpt"}, slots=3)
    folders = [(r.parameters["load_checkpoint_dir"], r.parameters["save_checkpoint_dir"]) for r in found]
    added = ("load_checkpoint_dir", "save_checkpoint_dir")
    assert [{n: v for n, v in r.parameters.items() if n not in added} for r in found] == [r.parameters for r in plain]
    assert len({save for _, save in folders}) == 60
    number = 0
    for record, (load, save) in zip(found, folders, strict=True):
        if load == save:
            assert save == f"/ckpt/{number}/{record.parameters[BUDGET]}"
            number += 1
        else:
            assert load in {other for _, other in folders}
            assert load.split("/")[2] == save.split("/")[2]
    assert 30 < number < 60
