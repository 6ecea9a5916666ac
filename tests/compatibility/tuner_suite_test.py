"""What NNI's own suite of its built-in tuners asserts, of amlc's: an adapter gives them NNI's methods.

Source: NNI, `test/ut/sdk/test_builtin_tuners.py`: the spaces, which types each tuner takes, and what is true of every
parameter set that it generates, before and after results and imported data.
"""

import json
import random
from itertools import islice
from pathlib import Path

import nni
import pytest
from nni.algorithms.hpo.batch_tuner import BatchTuner
from nni.algorithms.hpo.gridsearch_tuner import GridSearchTuner
from nni.algorithms.hpo.random_tuner import RandomTuner

from amlc.catalogue import filled, find
from amlc.config.algorithms import check_types
from amlc.config.load import parse_document
from amlc.config.spelling import Config
from amlc.errors import Severity
from amlc.model import Record, Status
from amlc.space.parse import parse_space
from amlc.tuners import built_in

ROUNDS = 3
SIDE_BY_SIDE = 50
SPACES = {
    "choice_str": ("choice", ["cat", "dog", "elephant", "cow", "sheep", "panda"]),
    "choice_int": ("choice", [42, 43, -1]),
    "choice_mixed": ("choice", [0.3, "cat", 1, None]),
    "choice_float": ("choice", [0.3, 1, 2.0]),
    "choice_single": ("choice", [1]),
    "randint_ok": ("randint", [-2, 3]),
    "randint_single": ("randint", [10, 11]),
    "randint_fail_equal": ("randint", [0, 0]),
    "uniform_ok": ("uniform", [-1.0, 1.5]),
    "uniform_whole": ("uniform", [0, 10]),
    "uniform_equal": ("uniform", [99.9, 99.9]),
    "quniform_ok": ("quniform", [0.0, 10.0, 2.5]),
    "quniform_clip": ("quniform", [2.0, 10.0, 5.0]),
    "quniform_clip_2": ("quniform", [-5.5, -0.5, 6]),
    "quniform_equal": ("quniform", [2, 2, 5]),
    "loguniform_ok": ("loguniform", [0.001, 100]),
    "loguniform_equal": ("loguniform", [1, 1]),
    "qloguniform_ok": ("qloguniform", [0.001, 100, 1]),
    "qloguniform_equal": ("qloguniform", [2, 2, 1]),
    "normal_ok": ("normal", [-1.0, 5.0]),
    "qnormal_ok": ("qnormal", [-1.5, 5.0, 0.1]),
    "lognormal_ok": ("lognormal", [-1.0, 5.0]),
    "qlognormal_ok": ("qlognormal", [-1.5, 5.0, 0.1]),
}
EVERY = ("choice", "randint", "uniform", "quniform", "loguniform", "qloguniform")
EVERY += ("normal", "qnormal", "lognormal", "qlognormal")
NUMERIC = ("choice_int", "choice_float", "choice_single")
# tuner → the types that it takes, the arguments, and how many rounds; those of models take a while.
TUNERS = {
    "GridSearch": (EVERY, {}, ROUNDS),
    "Random": (EVERY, {}, ROUNDS),
    "TPE": (EVERY, {}, ROUNDS),
    "Anneal": (EVERY, {}, 1),
    "Evolution": (EVERY, {"population_size": 100}, ROUNDS),
    "PBT": (EVERY, {"population_size": 12, "all_checkpoint_dir": "/checkpoints"}, ROUNDS),
    "SMAC": (("choice", "randint", "uniform", "quniform", "loguniform"), {}, 1),
    "GP": ((*NUMERIC, "randint", "uniform", "quniform", "loguniform", "qloguniform"), {}, 1),
    "Metis": ((*NUMERIC, "randint", "uniform", "quniform"), {}, 1),
    "DNGO": ((*NUMERIC, "randint", "uniform", "quniform", "loguniform", "qloguniform"), {}, 1),
    "Batch": (("choice",), {}, ROUNDS),
}


class AsNni:
    """One of amlc's tuners with the methods of an NNI one. Raises ValueError for a space that it does not take."""

    def __init__(self, name, arguments):
        known = find(name, "tuner")
        self.name = name
        self.tuner = built_in(name)
        self.args = filled(known.arguments, arguments)
        self.records = []
        self.space = ()

    def update_search_space(self, space):
        document = parse_document(json.dumps({"searchSpace": space}), Path("experiment.json"))
        path = ("searchSpace",)
        self.space, problems = parse_space(document, path, tuner=self.name)
        config = Config(document=document, data={"tuner": {"name": self.name}}, spelling={})
        wrong = [*problems, *check_types(config, self.space, document, path)]
        if any(problem.severity is Severity.ERROR for problem in wrong):
            raise ValueError(wrong)

    def generate_multiple_parameters(self, count):
        found = self.tuner.propose(
            self.space, self.records, count=count, seed=1, args=self.args, allowed=lambda parameters: True
        )
        generated = list(islice(found, count))
        place = len(self.records)
        self.records += [Record(parameters=one, asked=place + n) for n, one in enumerate(generated)]
        return generated

    def receive_trial_result(self, parameters, value):
        place = next(n for n, one in enumerate(self.records) if one.parameters is parameters and one.told is None)
        told = max((record.told or 0 for record in self.records), default=0) + 1
        ended = {"status": Status.SUCCEEDED, "value": value, "reported": value, "told": told + len(self.records)}
        self.records[place] = Record(parameters=parameters, asked=self.records[place].asked, **ended)

    def import_data(self, rows):
        known = [
            Record(parameters=parameters, status=Status.SUCCEEDED, value=value, told=0, imported=True)
            for parameters, value in rows
        ]
        self.records = known + self.records


def spaces(*names):
    return {name: {"_type": SPACES[name][0], "_value": SPACES[name][1]} for name in names}


def taken(tuner):
    found = []
    for name, (kind, _) in SPACES.items():
        if {name, kind} & set(TUNERS[tuner][0]) and "fail" not in name:
            found.append(name)
    return found


def check(parameters, space):
    """Assert what is true of a parameter set of every tuner."""
    for name, value in parameters.items():
        if name in ("load_checkpoint_dir", "save_checkpoint_dir"):
            assert isinstance(value, str)
            continue
        kind, values = space[name]["_type"], space[name]["_value"]
        if kind == "choice":
            assert value in values
        if kind == "randint":
            assert isinstance(value, int)
        if kind == "uniform":
            assert isinstance(value, float)
        if kind in ("randint", "uniform", "quniform", "loguniform", "qloguniform"):
            assert values[0] <= value <= values[1]
        if kind.startswith("q") and ("normal" in kind or values[0] < value < values[1]):
            assert value / values[2] == pytest.approx(round(value / values[2]), abs=1e-6)
        if kind in ("lognormal", "qlognormal"):
            assert value >= 0


def tried(tuner, space):
    """Return how many parameter sets the tuner generates in a space, in rounds, each of which gets its results."""
    _, arguments, rounds = TUNERS[tuner]
    one = AsNni(tuner, arguments)
    one.update_search_space(space)
    rng = random.Random(1)
    total = 0
    for _ in range(rounds):
        found = one.generate_multiple_parameters(SIDE_BY_SIDE)
        total += len(found)
        for parameters in found:
            check(parameters, space)
            one.receive_trial_result(parameters, rng.uniform(-100, 100))
    return total


@pytest.mark.parametrize(("tuner", "name"), [(tuner, name) for tuner in TUNERS for name in taken(tuner)])
def test_a_tuner_searches_each_space_that_it_takes(tuner, name):
    assert tried(tuner, spaces(name)) > 0


@pytest.mark.parametrize("tuner", [tuner for tuner in TUNERS if tuner not in ("Batch", "GridSearch")])
def test_a_tuner_searches_all_of_them_together(tuner):
    least = min(SIDE_BY_SIDE, TUNERS[tuner][1].get("population_size", SIDE_BY_SIDE))
    assert tried(tuner, spaces(*taken(tuner))) >= least


@pytest.mark.parametrize(
    ("tuner", "name"), [(tuner, name) for tuner in TUNERS for name in sorted(SPACES.keys() - set(taken(tuner)))]
)
def test_a_tuner_refuses_every_other_space(tuner, name):
    with pytest.raises(ValueError, match="E-space"):
        tried(tuner, spaces(name))


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_tuner_goes_on_after_data_was_imported(tuner):
    name = "choice_int" if tuner in ("GP", "Metis", "DNGO") else "choice_str"
    options = SPACES[name][1]
    one = AsNni(tuner, TUNERS[tuner][1])
    one.update_search_space(spaces(name))
    one.import_data([({name: options[0]}, 1.1), ({name: options[1]}, 1.2)])
    first = one.generate_multiple_parameters(3)
    for parameters in first:
        check(parameters, spaces(name))
        one.receive_trial_result(parameters, 1.0)
    one.import_data([({name: options[0]}, 1.1), ({name: options[2]}, 1.3)])
    for parameters in one.generate_multiple_parameters(1):
        check(parameters, spaces(name))
    assert first


def test_batch_runs_plain_values_in_their_order():
    one = AsNni("Batch", {})
    one.update_search_space(spaces("choice_mixed"))
    assert one.generate_multiple_parameters(9) == [{"choice_mixed": value} for value in SPACES["choice_mixed"][1]]


def theirs(tuner, space, count):
    """Return what a tuner of the installed NNI generates."""
    tuner.update_search_space(space)
    found = []
    for number in range(count):
        try:
            found.append(tuner.generate_parameters(number))
        except nni.NoMoreTrialError:
            break
    return found


@pytest.mark.parametrize(
    "names",
    [
        ("uniform_equal", "uniform_ok", "quniform_equal", "randint_ok", "loguniform_equal", "choice_str"),
        ("qloguniform_equal", "quniform_ok"),
        ("quniform_equal",),
    ],
    ids=" ".join,
)
def test_between_equal_bounds_random_and_the_grid_are_nni_s(names):
    space = spaces(*names)
    for name, tuner in (("Random", RandomTuner(seed=1)), ("GridSearch", GridSearchTuner())):
        ours = AsNni(name, {})
        ours.update_search_space(space)
        assert ours.generate_multiple_parameters(20) == theirs(tuner, space, 20)


def test_batch_s_plain_values_are_those_that_nni_delivers():
    plain = theirs(BatchTuner(), spaces("choice_mixed"), 9)
    ours = AsNni("Batch", {})
    ours.update_search_space(spaces("choice_mixed"))
    assert [one["choice_mixed"] for one in ours.generate_multiple_parameters(9)] == plain
