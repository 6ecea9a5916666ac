"""What every tuner promises, whichever it is: see `Propose` and `Ahead` in amlc/tuners/__init__.py."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import NoneType
from typing import Any

import pytest

from amlc.catalogue import NESTED, NUMERIC, filled, find, names
from amlc.model import Algorithm, Choice, Document, Integer, Real, Record, Space, Status
from amlc.space.canonical import canonical
from amlc.space.parse import parse_space
from amlc.space.points import axes, locate
from amlc.tuners import Tuner, built_in, custom, random
from amlc.checkpoints import LOAD, SAVE
from amlc.tuners.shared.brackets import BUDGET
from tests.tuners.simulation import simulate

# What the user's own classes import of NNI's draws from numpy and json_tricks is theirs.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:json_tricks")

OWN = "the user's own"
OWN_CLASS = """
import random
import numpy
from nni.tuner import Tuner

class Climber(Tuner):
    def update_search_space(self, space):
        self.space, self.best = space, None
    def generate_parameters(self, parameter_id, **kwargs):
        drawn = {name: self.draw(d["_type"], d["_value"]) for name, d in self.space.items()}
        if self.best and random.random() < 0.5:
            drawn["choice"] = self.best[1]["choice"]
        return drawn
    def draw(self, kind, value):
        if kind == "choice":
            return random.choice(value)
        return numpy.random.randint(*value) if kind == "randint" else random.uniform(*value)
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        if not self.best or value > self.best[0]:
            self.best = value, parameters
"""
TUNERS = names("tuner")
EACH = [*TUNERS, OWN]
REPEAT = frozenset({"Hyperband", "BOHB", "PBT", OWN})
"""Those that give a parameter set more than once by design; of the user's own class nobody knows."""
TYPES: Mapping[str, Mapping[str, Any]] = {
    "choice": {"_type": "choice", "_value": ["a", 1, 1.5, True, None, [1, 2]]},
    NUMERIC: {"_type": "choice", "_value": [32, 8, 16.5]},
    "randint": {"_type": "randint", "_value": [1, 9]},
    "uniform": {"_type": "uniform", "_value": [-5, 10]},
    "quniform": {"_type": "quniform", "_value": [0.05, 1, 0.3]},
    "loguniform": {"_type": "loguniform", "_value": [1e-5, 1e-1]},
    "qloguniform": {"_type": "qloguniform", "_value": [1, 1000, 7]},
    "normal": {"_type": "normal", "_value": [3, 2]},
    "qnormal": {"_type": "qnormal", "_value": [0, 5, 0.5]},
    "lognormal": {"_type": "lognormal", "_value": [0, 1]},
    "qlognormal": {"_type": "qlognormal", "_value": [1, 0.5, 0.25]},
    NESTED: {
        "_type": "choice",
        "_value": [
            {"_name": "none"},
            {"_name": "one", "x": {"_type": "uniform", "_value": [0, 1]}},
            {
                "_name": "two",
                "n": {"_type": "randint", "_value": [0, 5]},
                "deeper": {
                    "_type": "choice",
                    "_value": [{"_name": "l", "x": {"_type": "loguniform", "_value": [1, 10]}}, {"_name": "r"}],
                },
            },
        ],
    },
}
SMALL = {"choice": {"_type": "choice", "_value": [1, 2, 4]}, "randint": {"_type": "randint", "_value": [0, 5]}}
SIZE = 15
BATCH = {"choice": {"_type": "choice", "_value": [{"a": n, "b": 1 / (n + 1)} for n in range(60)]}}
QUICK: Mapping[str, Mapping[str, Any]] = {
    "PBT": {"all_checkpoint_dir": "/checkpoints", "population_size": 8},
    "Metis": {"selection_num_starting_points": 50, "cold_start_num": 8},
    "GP": {"selection_num_warm_up": 500, "selection_num_starting_points": 20},
    "DNGO": {"trials_per_update": 10, "num_epochs_per_training": 50, "sample_size": 200},
    "TPE": {"tpe_args": {"n_startup_jobs": 12}},
}
TRIALS: Mapping[str, int] = {"Metis": 20, "GP": 22, "DNGO": 24, "SMAC": 20}
"""How many the longest simulation has: more than the random ones at the start; 36 for those not here."""

each = pytest.mark.parametrize("name", EACH)
any_space = pytest.mark.parametrize("name", [name for name in TUNERS if name != "Batch"])
"""Those that take any results for theirs; a class of the user's own is asked again what it proposed before."""
learning = pytest.mark.parametrize("name", [*(name for name in TUNERS if built_in(name).ahead is not None), OWN])
searching = pytest.mark.parametrize("name", [name for name in EACH if name not in REPEAT])


# --- the tuners, their spaces, and what happened --------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Algorithm:
    folder = tmp_path_factory.mktemp("own")
    (folder / "climber.py").write_text(OWN_CLASS)
    return Algorithm(class_name="climber.Climber", code_directory=folder)


@pytest.fixture
def tuner(name, own) -> Tuner:
    return custom.tuner(own) if name == OWN else built_in(name)


def parse(raw: Mapping[str, Any]) -> Space:
    return parse_space(Document(Path("space.json"), raw, {}, {}), (), tuner="Random")[0]


def raw_space(name: str) -> Mapping[str, Any]:
    """Return a dimension of every type that the tuner can search; Batch knows nothing but one choice."""
    if name == "Batch":
        return BATCH
    if name == OWN:
        return {kind: TYPES[kind] for kind in ("choice", "randint", "uniform")}
    return {kind.replace(" ", "_"): value for kind, value in TYPES.items() if kind in find(name, "tuner").types}


def args_of(name: str, **given: Any) -> Mapping[str, Any]:
    return {} if name == OWN else filled(find(name, "tuner").arguments, {**QUICK.get(name, {}), **given})


def propose(
    tuner: Tuner, name, space, history: Sequence[Record] = (), *, count=3, seed=5, allowed=lambda p: True, **given
) -> list[dict[str, Any]]:
    found = tuner.propose(space, tuple(history), count=count, seed=seed, args=args_of(name, **given), allowed=allowed)
    return [dict(parameters) for parameters in found]


def stripped(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the space alone, as `locate` wants them."""
    return {key: value for key, value in parameters.items() if key not in (BUDGET, LOAD, SAVE)}


def number_of(parameters: Mapping[str, Any]) -> float:
    """Return some result that depends on every parameter, and not on the process."""
    return int.from_bytes(canonical(stripped(parameters))[:4], "big") / 2**32


def simulated(tuner: Tuner, name: str, space: Space, *, trials=0, concurrency=3, seed=5, **options) -> list[Record]:
    options = {"objective": number_of, "trials": trials or TRIALS.get(name, 36), **options}
    return simulate(tuner, space, concurrency=concurrency, seed=seed, args=args_of(name), **options)


_pasts: dict[str, tuple[Record, ...]] = {}


@pytest.fixture
def history(name, tuner) -> list[Record]:
    """Return the first part of an experiment; its last trials are running."""
    if name not in _pasts:
        _pasts[name] = tuple(simulated(tuner, name, parse(raw_space(name)), finish=False))
    return list(_pasts[name])


def ended(history: Sequence[Record]) -> list[Record]:
    """Return the history when its running trials came to an end, too."""
    return [
        record if record.status.ended else replace(record, status=Status.SUCCEEDED, value=0.5, told=1000 + number)
        for number, record in enumerate(history)
    ]


# --- what it proposes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TUNERS)
def test_the_catalogue_knows_whether_results_decide_what_comes_next(name) -> None:
    assert find(name, "tuner").adaptive == (built_in(name).ahead is not None)


@each
def test_every_value_lies_in_the_space_and_is_plain_json(name, tuner, history) -> None:
    space = parse(raw_space(name))
    space_axes = axes(space)
    seen = [stripped(parameters) for parameters in (*sets_of(history), *propose(tuner, name, space, history))]
    assert len(history) == TRIALS.get(name, 36)
    for parameters in seen:
        assert json.loads(json.dumps(parameters, allow_nan=False)) == parameters
        assert_plain(parameters)
        if name == "Batch":  # it delivers the options themselves
            assert parameters in raw_space(name)["choice"]["_value"]
            continue
        assert list(parameters) == [dimension.name for dimension in space]
        point = locate(space_axes, parameters)
        assert point is not None, parameters
        for axis in space_axes:
            if axis.key in point:
                assert_type(axis.dimension, parameters, axis.key)


def sets_of(history: Sequence[Record]) -> list[Mapping[str, Any]]:
    return [record.parameters for record in history]


def assert_plain(value: Any) -> None:
    """A subclass of float, as numpy has one, would be written like one, and differ elsewhere."""
    assert type(value) in (dict, list, str, int, float, bool, NoneType)
    if isinstance(value, float):
        assert math.isfinite(value)
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        assert_plain(part)


def assert_type(dimension: Any, parameters: Any, key: tuple[str | int, ...]) -> None:
    for part in key:
        parameters = parameters[part] if isinstance(part, str) else parameters
    if isinstance(dimension, Integer):
        assert type(parameters) is int
    elif isinstance(dimension, Real):
        assert type(parameters) is float


@learning
def test_it_tries_every_option_and_more_than_one_value_of_each_axis(name, history) -> None:
    space_axes = axes(parse(raw_space(name)))
    points = [locate(space_axes, stripped(parameters)) for parameters in sets_of(history)]
    for axis in space_axes:
        found = {point[axis.key] for point in points if axis.key in point}
        if isinstance(axis.dimension, Choice) and not axis.nested and name not in ("Anneal", "BOHB", "PBT", "SMAC"):
            assert found == set(range(axis.size))
        else:  # these have fewer random draws, or draws of branches are few
            assert len(found) > 1


@each
@pytest.mark.parametrize("count", [0, 1, 4])
def test_it_proposes_as_many_as_it_is_asked_for(name, tuner, history, count) -> None:
    space = parse(raw_space(name))
    assert len(propose(tuner, name, space, count=count)) == count
    found = len(propose(tuner, name, space, history, count=count))
    assert found == count or (name == "PBT" and found < count)  # whose next generation waits for this one


@each
def test_several_at_once_are_those_that_come_one_by_one(name, tuner, history) -> None:
    space = parse(raw_space(name))
    for before in ([], history):
        together = propose(tuner, name, space, before)
        clock = 2 * len(before)
        one_by_one = list(before)
        for parameters in together:
            assert propose(tuner, name, space, one_by_one, count=1) == [parameters]
            clock += 1
            one_by_one.append(Record(parameters=parameters, asked=clock))


@learning
@pytest.mark.parametrize("begun", [0, 4, -1])
def test_no_result_to_come_changes_what_is_ahead(name, tuner, history, begun) -> None:
    space = parse(raw_space(name))
    if begun >= 0:
        history = [Record(parameters=p, asked=n) for n, p in enumerate(propose(tuner, name, space, count=begun), 1)]
    certain = tuner.ahead(history, args=args_of(name))
    expected = propose(tuner, name, space, history, count=certain)
    assert len(expected) == certain
    for value in (-1e3, 1e3, None):
        told = [
            replace(r, status=Status.FAILED if value is None else Status.SUCCEEDED, value=value, told=1000 + number)
            if not r.status.ended
            else r
            for number, r in enumerate(history)
        ]
        assert propose(tuner, name, space, told, count=certain) == expected


# --- what it learns from --------------------------------------------------------------------------------------------


@each
def test_it_goes_on_when_nothing_but_failures_came(name, tuner) -> None:
    space = parse(raw_space(name))
    seen = simulated(tuner, name, space, objective=lambda parameters: None)
    assert len(seen) == TRIALS.get(name, 36)
    assert propose(tuner, name, space, seen)


@any_space
def test_trials_that_ended_without_a_result_do_no_harm(name, tuner, history) -> None:
    statuses = [Status.SUCCEEDED, Status.FAILED, Status.EARLY_STOPPED, Status.CANCELED]
    without = [
        replace(record, value=None, status=statuses[number // 2 % 4]) if number % 2 else record
        for number, record in enumerate(ended(history))
    ]
    assert propose(tuner, name, parse(raw_space(name)), without)


@any_space
@pytest.mark.parametrize("values", [[0.0], [-1e300], [1e-300], [1e300, -1e300, 1e-300, 0.0, 1.0, -3.5, 2.5]], ids=str)
def test_results_of_any_size_do_no_harm(name, tuner, history, values) -> None:
    changed = [replace(record, value=values[n % len(values)]) for n, record in enumerate(ended(history))]
    for parameters in propose(tuner, name, parse(raw_space(name)), changed, count=2):
        assert_plain(parameters)


@any_space
def test_records_of_another_space_do_no_harm(name, tuner, history) -> None:
    if name == "PBT":  # whose individuals go on with what they have
        return
    space = parse(raw_space(name))
    other = [replace(record, parameters={"gone": 1.0}) if n % 2 else record for n, record in enumerate(ended(history))]
    for parameters in propose(tuner, name, space, other):
        assert locate(axes(space), stripped(parameters)) is not None, parameters


@learning
def test_imported_results_may_come_first(name, tuner) -> None:
    space = parse(raw_space(name))
    sets = random.propose(space, (), count=30, seed=99, args={}, allowed=lambda p: True)
    imported = [Record(parameters=p, status=Status.SUCCEEDED, value=number_of(p), told=0, imported=True) for p in sets]
    assert len(propose(tuner, name, space, imported, count=2)) == 2


@any_space
def test_the_largest_of_values_is_the_smallest_of_their_negatives(name, tuner, history) -> None:
    space = parse(raw_space(name))
    mirrored = [record if record.value is None else replace(record, value=-record.value) for record in history]
    largest = propose(tuner, name, space, history, optimize_mode="maximize")
    assert largest == propose(tuner, name, space, mirrored, optimize_mode="minimize")


@any_space
def test_a_thousand_trials_are_not_too_many(name, tuner) -> None:
    space = parse(raw_space(name))
    history: list[Record] = []
    while len(history) < 1000:
        source, whose = (tuner, name) if name in ("Hyperband", "BOHB", "PBT") else (built_in("Random"), "Random")
        sets = propose(source, whose, space, history, count=1000 - len(history))
        history += [
            Record(parameters=p, status=Status.SUCCEEDED, value=number_of(p), asked=2 * n + 1, told=2 * n + 2)
            for n, p in enumerate(sets, start=len(history))
        ]
    assert propose(tuner, name, space, history, count=1)


# --- finite spaces, constraints -------------------------------------------------------------------------------------


def small(name: str) -> Space:
    return parse(
        {"choice": {"_type": "choice", "_value": [{"choice": n} for n in range(SIZE)]}} if name == "Batch" else SMALL
    )


@searching
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_finite_space_is_exhausted_without_a_repetition(name, tuner, concurrency) -> None:
    seen = sets_of(simulated(tuner, name, small(name), trials=SIZE + 5, concurrency=concurrency))
    assert len(seen) == SIZE
    assert len(set(map(canonical, seen))) == SIZE


EDITS = {
    "a value in front": ([1, 2], [0, 1, 2]),
    "more of them": ([3, 1], [1, 2, 3, 4, 5, 6, 7]),
    "another order": ([1, 2, 3], [3, 2, 1]),
    "one for another": ([1, 2, 3], [2, 3, 4]),
    "another type": ([1, 2, 3], [1.0, 2, "3"]),
}


@pytest.mark.parametrize("name", [n for n in TUNERS if n not in REPEAT and built_in(n).ahead is not None])
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("done", [1, None], ids=["one done", "all done"])
def test_an_edited_space_is_exhausted_without_a_repetition(name, tuner, edit, concurrency, done) -> None:
    def space(values: Sequence[Any]) -> Space:
        other = {"_type": "choice", "_value": ["a", "b"]}
        return parse({"other": other, "x": {"_type": "choice", "_value": values}})

    before, after = EDITS[edit]
    history = simulated(tuner, name, space(before), trials=done or 9, concurrency=concurrency)
    if done is None:
        assert len(history) == 2 * len(before)
    seen = sets_of(simulated(tuner, name, space(after), trials=99, concurrency=concurrency, history=history))
    assert len(set(map(canonical, seen))) == len(seen)
    tried = {canonical(parameters) for parameters in seen}
    assert tried >= {canonical({"other": other, "x": x}) for other in "ab" for x in after}


@searching
def test_constraints_make_a_finite_space_smaller(name, tuner) -> None:
    seen = sets_of(simulated(tuner, name, small(name), allowed=lambda p: p["choice"] != 2))
    assert len(seen) == SIZE - (1 if name == "Batch" else 5)


@each
def test_what_is_not_allowed_is_never_proposed(name, tuner) -> None:
    def allowed(parameters: Mapping[str, Any]) -> bool:
        return parameters["a"] % 2 == 0 if name == "Batch" else parameters["randint"] > 4

    trials = TRIALS.get(name, 25)
    seen = sets_of(simulated(tuner, name, parse(raw_space(name)), trials=trials, allowed=allowed))
    assert len(seen) == trials
    assert all(map(allowed, seen))


# --- the same for the same ------------------------------------------------------------------------------------------

FRESH = """
import json, sys
from pathlib import Path
from amlc.model import Algorithm, Document, Record, Status
from amlc.space.parse import parse_space
from amlc.tuners import built_in, custom
for line in sys.stdin:
    name, folder, raw, rows, args = json.loads(line)
    own = Algorithm(class_name="climber.Climber", code_directory=Path(folder))
    tuner = custom.tuner(own) if name == "the user's own" else built_in(name)
    space, _ = parse_space(Document(Path("s"), raw, {}, {}), (), tuner="Random")
    history = tuple(Record(**{**row, "status": Status(row["status"])}) for row in rows)
    found = tuner.propose(space, history, count=3, seed=5, args=args, allowed=lambda p: True)
    print(json.dumps([dict(p) for p in found]), flush=True)
"""


@pytest.fixture
def fresh(own, tmp_path):
    """Return what a process proposes that has seen nothing else, in another order of hashes, and leaves no trace."""
    environ = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": str(Path(__file__).parents[2])}

    def ask(name: str, history: Sequence[Record]) -> list[dict[str, Any]]:
        rows = [asdict(replace(record, parameters=dict(record.parameters))) for record in history]
        message = json.dumps([name, str(own.code_directory), raw_space(name), rows, args_of(name)])
        done = subprocess.run(
            [sys.executable, "-W", "ignore" if name == OWN else "error", "-c", FRESH],  # importing nni warns
            input=message,
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env=environ,
        )
        assert not done.stderr
        assert not list(tmp_path.iterdir())
        return json.loads(done.stdout)

    return ask


@each
def test_the_same_question_has_the_same_answer_here_and_in_a_fresh_process(name, tuner, history, fresh) -> None:
    space = parse(raw_space(name))
    first = propose(tuner, name, space, history)
    assert propose(tuner, name, space, history) == first
    propose(tuner, name, space, seed=6)  # something else comes between
    assert propose(tuner, name, space, history) == first
    assert fresh(name, history) == first


@each
def test_the_seed_decides(name, tuner) -> None:
    space = parse(raw_space(name))
    assert propose(tuner, name, space, seed=1) == propose(tuner, name, space, seed=1)
    drawn = propose(tuner, name, space, seed=1) != propose(tuner, name, space, seed=2)
    assert drawn == (name not in ("GridSearch", "Batch"))
