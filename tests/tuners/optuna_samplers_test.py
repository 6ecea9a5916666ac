"""Optuna's samplers under amlc: the numbers of plain Optuna, the same in every process, whatever happened before."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from numpy.random import default_rng

from amlc.errors import AmlcError
from amlc.model import Record, Status
from amlc.space.canonical import canonical
from amlc.space.points import axes, locate
from amlc.tuners import built_in, optuna_samplers
from tests.tuners.contract_test import SIZE, SMALL, TYPES, assert_plain
from tests.tuners.simulation import arguments, simulate

SAMPLERS: Mapping[str, Mapping[str, Any]] = {
    "CmaEsSampler": {"n_startup_trials": 3},
    "GPSampler": {"n_startup_trials": 4},
    "NSGAIISampler": {"population_size": 6},
    "NSGAIIISampler": {"population_size": 6, "dividing_parameter": 2},
    "QMCSampler": {"scramble": True},
    "RandomSampler": {},
    "TPESampler": {"n_startup_trials": 6},
}
FLAT = {
    "x": {"_type": "uniform", "_value": [-5, 5]},
    "n": {"_type": "randint", "_value": [0, 20]},
    "kind": {"_type": "choice", "_value": ["a", "b", "c"]},
    "y": {"_type": "uniform", "_value": [0, 1]},
}


# GPSampler is tried where torch is, whose wheel is as large as all else that the tests need together: not in CI.
there = [name for name in SAMPLERS if name != "GPSampler" or find_spec("torch")]
each = pytest.mark.parametrize("sampler", there)
quick = pytest.mark.parametrize("sampler", [name for name in there if name != "GPSampler"])
"""GPSampler takes a second for a proposal."""

TUNER = built_in("Optuna")


def args_of(sampler: str, **given: Any) -> dict[str, Any]:
    return {**SAMPLERS.get(sampler, {}), **arguments("Optuna", sampler=sampler), **given}


def bowl(parameters: Mapping[str, Any]) -> float:
    x, n, y = parameters["x"], parameters["n"], parameters["y"]
    return (x - 1) ** 2 + abs(n - 7) / 5 + (y - 0.3) ** 2 + (parameters["kind"] != "b")


def number_of(parameters: Mapping[str, Any]) -> float:
    return int.from_bytes(canonical(parameters)[:4], "big") / 2**32


def propose(space, history: Sequence[Record], args, *, count=1, seed=5, allowed=lambda p: True):
    return [dict(p) for p in TUNER.propose(space, history, count=count, seed=seed, args=args, allowed=allowed)]


def anew(*arguments: Any, **options: Any) -> list[dict[str, Any]]:
    """Return what is proposed by one who remembers nothing."""
    optuna_samplers._kept.clear()
    return propose(*arguments, **options)


def run(space, args, *, trials, concurrency=1, objective=bowl, **options) -> list[Record]:
    return simulate(TUNER, space, objective, trials=trials, concurrency=concurrency, seed=5, args=args, **options)


def trials_of(sampler: str) -> int:
    return 7 if sampler == "GPSampler" else 30


# --- plain Optuna ---------------------------------------------------------------------------------------------------


@each
def test_trials_one_by_one_are_those_of_plain_optuna(sampler, parsed) -> None:
    """Those samplers that are not told the past anew for each trial get a seed for each trial, in Optuna as here."""
    import optuna

    found: list[dict[str, Any]] = []

    class AgainError(Exception):
        """NSGA-II proposes a parent now and then, which here is not run twice."""

    def objective(trial: optuna.Trial) -> float:
        parameters = {
            "x": trial.suggest_float("0", -5, 5),
            "n": trial.suggest_int("1", 0, 19),
            "kind": "abc"[trial.suggest_categorical("2", [0, 1, 2])],
            "y": trial.suggest_float("3", 0, 1),
        }
        if parameters in found:
            raise AgainError
        found.append(parameters)
        return bowl(parameters)

    def seeded(seed: int) -> optuna.samplers.BaseSampler:
        return getattr(optuna.samplers, sampler)(seed=seed, **SAMPLERS[sampler])

    count = trials_of(sampler)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=seeded(5))
        while len(found) < count:
            if sampler in ("GPSampler", "RandomSampler", "TPESampler"):
                study.sampler = seeded(int(default_rng([5, len(found), 1]).integers(2**32)))
            study.optimize(objective, n_trials=1, catch=(AgainError,))
    assert [record.parameters for record in run(parsed(FLAT), args_of(sampler), trials=count)] == found


def test_the_sampler_learns(parsed) -> None:
    best = {
        sampler: min(r.value for r in run(parsed(FLAT), args_of(sampler), trials=60))
        for sampler in ("TPESampler", "RandomSampler")
    }
    assert best["TPESampler"] < best["RandomSampler"]


@pytest.mark.parametrize("sampler", ["CmaEsSampler"])
@pytest.mark.parametrize("margin", [False, True])
def test_what_was_rounded_on_the_way_counts_as_what_the_sampler_proposed(sampler, margin, parsed) -> None:
    space = parsed({f"x{n}": {"_type": "uniform", "_value": [-5, 5]} for n in range(2)})

    def sphere(parameters: Mapping[str, Any]) -> float:
        return sum((x - 1) ** 2 for x in parameters.values())

    def rounded(digits: int) -> float:
        history: list[Record] = []
        for clock in range(1, 80):
            (found,) = propose(space, history, args_of(sampler, with_margin=margin))
            parameters = {name: round(x, digits) for name, x in found.items()}
            value, told = sphere(parameters), 2 * clock + 1
            record = Record(parameters=parameters, status=Status.SUCCEEDED, value=value, asked=2 * clock, told=told)
            history.append(record)
        return min(record.value for record in history)

    assert rounded(17) < 0.01
    if not margin:  # which notes for itself where it was, and goes on from its own points alone
        assert rounded(4) < 0.01


# --- the same in every process --------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("name", ["flat", "all"])
def test_what_is_kept_in_the_process_changes_nothing(sampler, name, parsed) -> None:
    space = parsed(FLAT if name == "flat" else TYPES)
    history: list[Record] = []
    statuses = [Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED, Status.EARLY_STOPPED]
    clock = 0
    for number in range(trials_of(sampler)):
        expected = anew(space, history, args_of(sampler))
        if number % 3:  # now and then what is kept is that of a new process
            optuna_samplers._kept.clear()
            propose(space, history[:-1], args_of(sampler))
        found = propose(space, history, args_of(sampler))
        assert found == expected
        history.append(Record(parameters=found[0], asked=(clock := clock + 1)))
        if number > 1:
            status = statuses[number % 5]
            value = number_of(history[-3].parameters) if status is Status.SUCCEEDED else None
            history[-3] = replace(history[-3], status=status, value=value, told=(clock := clock + 1))


FRESH = """
import json, sys
from pathlib import Path
from amlc.model import Document, Record, Status
from amlc.space.parse import parse_space
from amlc.tuners import built_in
raw, rows, args = json.load(sys.stdin)
space, _ = parse_space(Document(Path("s"), raw, {}, {}), (), tuner="Random")
history = [Record(**{**row, "status": Status(row["status"]), "curve": ()}) for row in rows]
found = built_in("Optuna").propose(space, history, count=2, seed=5, args=args, allowed=lambda p: True)
print(json.dumps([dict(p) for p in found]))
"""


@each
def test_a_fresh_process_goes_on_where_this_one_is(sampler, parsed, tmp_path) -> None:
    history = run(parsed(TYPES), args_of(sampler), trials=trials_of(sampler), objective=number_of, finish=False)
    rows = [asdict(record) for record in history]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FRESH],
        input=json.dumps([TYPES, rows, args_of(sampler)]),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert not done.stderr
    assert json.loads(done.stdout) == propose(parsed(TYPES), history, args_of(sampler), count=2)


@quick
def test_what_another_tuner_proposed_is_learnt_from(sampler, parsed) -> None:
    space = parsed(FLAT)
    past = run(space, args_of("RandomSampler"), trials=trials_of(sampler), concurrency=2)
    other = [replace(record, value=-record.value) for record in past]
    found = anew(space, past, args_of(sampler), count=3)
    assert propose(space, past, args_of(sampler), count=3) == found
    learns = sampler not in ("QMCSampler", "RandomSampler")
    assert (propose(space, other, args_of(sampler), count=3) != found) == learns


@quick
def test_constraints_that_change_are_heeded_as_in_a_new_process(sampler, parsed) -> None:
    space, args = parsed(FLAT), args_of(sampler)
    past = run(space, args, trials=trials_of(sampler), allowed=lambda p: p["n"] % 2 == 0)
    propose(space, past, args, allowed=lambda p: p["n"] % 2 == 0)
    found = propose(space, past, args)
    assert found == anew(space, past, args)
    assert all(record.parameters["n"] % 2 == 0 for record in past)


# --- what it is told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["CmaEsSampler", "NSGAIISampler", "TPESampler"])
def test_a_failed_trial_counts_if_it_has_a_value_that_was_guessed(sampler, parsed) -> None:
    space, args = parsed(FLAT), args_of(sampler)
    past = run(space, args, trials=20)

    def next_after(**changes: Any) -> list[dict[str, Any]]:
        changed = [replace(record, **changes) if number % 3 == 0 else record for number, record in enumerate(past)]
        return propose(space, changed, args, count=4)

    failed = next_after(status=Status.FAILED, value=None)
    assert next_after(status=Status.FAILED, value=9.0) == failed
    guessed = next_after(status=Status.FAILED, value=9.0, guessed=True)
    assert guessed != failed
    assert guessed == next_after(value=9.0)


@quick
def test_imported_results_come_first(sampler, parsed) -> None:
    space, args = parsed(FLAT), args_of(sampler)
    past = run(space, args_of("RandomSampler"), trials=12)
    imported = [replace(record, asked=0, told=0, imported=True) for record in past]
    found = anew(space, imported, args, count=3)
    assert len({*map(canonical, found), *(canonical(record.parameters) for record in past)}) == 15
    begun = [*imported, *(Record(parameters=p, asked=n) for n, p in enumerate(found, 1))]
    assert propose(space, begun, args) == anew(space, begun, args)


@each
def test_no_result_changes_what_is_ahead(sampler, parsed) -> None:
    space, args = parsed(FLAT), args_of(sampler)
    for begun in (0, 2, 8):
        history = [Record(parameters=p, asked=n) for n, p in enumerate(propose(space, [], args, count=begun), 1)]
        certain = TUNER.ahead(history, args=args)
        assert certain == max(
            {**SAMPLERS[sampler]}.get("n_startup_trials", SAMPLERS[sampler].get("population_size", 1)) - begun, 0
        )
        expected = propose(space, history, args, count=certain)
        for value in (-1.0, 1.0, None):
            status = Status.FAILED if value is None else Status.SUCCEEDED
            told = [replace(r, status=status, value=value, told=99 + n) for n, r in enumerate(history)]
            assert propose(space, told, args, count=certain) == expected


def test_the_defaults_of_the_sampler_say_how_it_begins() -> None:
    assert TUNER.ahead((), args=arguments("Optuna")) == 10
    assert TUNER.ahead((), args=arguments("Optuna", sampler="NSGAIISampler")) == 50
    assert TUNER.ahead((), args=arguments("Optuna", sampler="BruteForceSampler")) == 1


# --- spaces ---------------------------------------------------------------------------------------------------------


@quick
def test_every_type_and_nested_spaces(sampler, parsed) -> None:
    space = parsed(TYPES)
    past = run(space, args_of(sampler), trials=trials_of(sampler), concurrency=3, objective=number_of)
    for record in past:
        assert_plain(record.parameters)
        assert locate(axes(space), record.parameters) is not None


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("sampler", ["CmaEsSampler", "NSGAIISampler", "QMCSampler", "BruteForceSampler"])
def test_a_finite_space_is_exhausted_without_a_repetition(sampler, concurrency, parsed) -> None:
    past = run(parsed(SMALL), args_of(sampler), trials=SIZE + 3, concurrency=concurrency, objective=number_of)
    assert len({canonical(record.parameters) for record in past}) == len(past) == SIZE


def test_brute_force_goes_through_a_nested_space(parsed) -> None:
    nested = {
        "q": {"_type": "quniform", "_value": [0, 1, 0.5]},
        "net": {
            "_type": "choice",
            "_value": [{"_name": "none"}, {"_name": "one", "n": {"_type": "randint", "_value": [0, 4]}}],
        },
    }
    past = run(parsed(nested), args_of("BruteForceSampler"), trials=99, objective=number_of)
    assert len({canonical(record.parameters) for record in past}) == len(past) == 3 * 5


def test_values_that_no_model_can_use_do_no_harm(parsed) -> None:
    past = run(parsed(FLAT), args_of("TPESampler"), trials=12)
    huge = [replace(record, value=math.copysign(1e300, n % 2 - 0.5)) for n, record in enumerate(past)]
    assert propose(parsed(FLAT), huge, args_of("TPESampler"))


# --- packages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "missing", "packages"),
    [
        ("CmaEsSampler", ["cmaes"], "'cmaes', which is not installed: pip install cmaes."),
        ("QMCSampler", ["scipy"], "'scipy', which is not installed: pip install scipy."),
        ("GPSampler", ["scipy", "torch"], "'scipy' and 'torch', which are not installed: pip install scipy torch."),
    ],
)
def test_a_missing_package_is_told_before_the_first_trial(sampler, missing, packages, parsed, monkeypatch) -> None:
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(AmlcError) as caught:
        propose(parsed(FLAT), (), args_of(sampler))
    assert str(caught.value) == f"Optuna's {sampler} needs {packages}"
