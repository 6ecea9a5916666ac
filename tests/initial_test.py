"""`amlc.initial`: what the user wants to see first runs first, whatever the tuner."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice

import pytest

from amlc.catalogue import names
from amlc.errors import PlanError
from amlc.initial import before, first, leading
from amlc.model import Algorithm, Choice, Integer, Real, Record, Status, Trial
from amlc.plan import plan, proposed, upcoming
from tests.plan_test import experiment
from tests.tuners.simulation import arguments

FLAT = (Real("lr", 1e-4, 1.0, log=True), Integer("n", 1, 9), Choice("size", (16, 32)))
NUMBERS = (Real("u", 0.0, 1.0), Integer("n", 1, 9), Choice("size", (16, 32)))
NESTED = (
    Choice(
        "optimizer",
        ("sgd", "adam"),
        ((Real("lr", 0.0, 1.0), Real("momentum", 0.0, 1.0)), (Real("beta", 0.0, 1.0), Integer("k", 0, 5))),
    ),
    Choice("size", (16, 32)),
)
OWN = ("TRIAL_BUDGET", "load_checkpoint_dir", "save_checkpoint_dir")


def begun(name, space, initial, count=6, **changes):
    """Return the parameters of the first trials, without what the tuner adds."""
    given = {"all_checkpoint_dir": "/c"} if name == "PBT" else {}
    one = experiment(space, tuner=name, initial=tuple(initial), max_trials=count, concurrency=count, **changes)
    one = replace(one, tuner=Algorithm(name=name, class_args=arguments(name, **given)))
    trials = [trial for job in islice(plan(one), count) for trial in job.trials]
    return [{k: v for k, v in trial.parameters.items() if k not in OWN} for trial in trials]


@pytest.mark.parametrize("name", [name for name in names("tuner") if name != "Batch"])
def test_every_tuner_runs_them_first_and_completes_what_they_leave_open(name):
    space = NUMBERS if name == "Metis" else FLAT
    first = {space[0].name: 1, "n": 8, "size": 32}
    trials = begun(name, space, [first, {"size": 16}, {"n": 3}])
    assert trials[0] == first
    assert json.dumps(trials[0][space[0].name]) == "1.0"  # as the space delivers it
    assert trials[1]["size"] == 16
    assert trials[2]["n"] == 3
    assert all(trial.keys() == first.keys() for trial in trials)
    assert list(trials[1]) == [dimension.name for dimension in space]
    assert len(trials) == 6 or name == "Anneal"


def test_an_open_loop_loses_none_of_its_own():
    without = begun("GridSearch", (Choice("a", (1, 2, 3)), Choice("b", ("x", "y"))), [])
    first = [{"a": 3, "b": "x"}, {"b": "y"}]
    with_them = begun("GridSearch", (Choice("a", (1, 2, 3)), Choice("b", ("x", "y"))), first)
    assert with_them[0] == {"a": 3, "b": "x"}
    assert with_them[1]["b"] == "y"
    assert sorted(map(str, with_them)) == sorted(map(str, without))


def test_with_an_initial_one_every_other_trial_of_random_keeps_its_id():
    one = experiment(FLAT, tuner="Random", max_trials=5)
    ids = [trial.id for trial in proposed(one)]
    more = experiment(FLAT, tuner="Random", max_trials=6, initial=({"lr": 0.5, "n": 2, "size": 16},))
    assert [trial.id for trial in proposed(more)][1:] == ids


def test_the_branch_that_is_named_is_completed():
    trials = begun("TPE", NESTED, [{"optimizer": {"_name": "adam", "k": 2}}, {"optimizer": {"_name": "sgd"}}])
    assert trials[0]["optimizer"].keys() == {"_name", "beta", "k"}
    assert (trials[0]["optimizer"]["_name"], trials[0]["optimizer"]["k"]) == ("adam", 2)
    assert trials[1]["optimizer"].keys() == {"_name", "lr", "momentum"}
    assert trials == begun("TPE", NESTED, [{"optimizer": {"_name": "adam", "k": 2}}, {"optimizer": {"_name": "sgd"}}])


@pytest.mark.parametrize("name", ["Random", "TPE"])
def test_the_constraints_hold_for_what_completes_them(name):
    for trial in begun(name, FLAT, [{"size": 16}, {"size": 32}], constraints=("n > 6",)):
        assert trial["n"] > 6
    with pytest.raises(PlanError, match="hold for none of 10,000 ways") as caught:
        begun(name, FLAT, [{"size": 16}, {"n": 2}], constraints=("n > 6",))
    assert caught.value.path == ("amlc", "initial", 1)


def test_a_finite_space_does_not_repeat_them():
    space = (Choice("a", (1, 2, 3)), Choice("b", ("x", "y")))
    for name in ("TPE", "GridSearch", "Random"):
        trials = begun(name, space, [{"a": 2, "b": "y"}])
        assert trials[0] == {"a": 2, "b": "y"}
        assert len({json.dumps(trial) for trial in trials}) == len(trials)


@pytest.mark.parametrize("name", ["GridSearch", "Random", "TPE", "Evolution", "GP", "Optuna", "Anneal"])
@pytest.mark.parametrize("replicates", [1, 2])
def test_a_number_is_the_one_that_the_space_delivers(name, replicates):
    """0.3 of a file and 0.30000000000000004 of the space would be two trials, and so would 1 and 1.0."""
    given = [{"y": 1, "z": 0.3, "c": 1}, {"y": 2, "z": 0}]
    space = (Real("y", 0.0, 2.0, q=1.0), Real("z", 0.0, 0.3, q=0.1), Choice("c", (1, 1.5)))
    trials = begun(name, space, given, 60 * replicates, replicates=replicates)
    assert json.dumps(trials[0]) == '{"y": 1.0, "z": 0.3, "c": 1}'  # 0.30000000000000004, cut off at the bound
    assert len(trials) == 24 * replicates
    assert len({tuple(trial.items()) for trial in trials}) == len({json.dumps(trial) for trial in trials}) == 24


def test_one_of_a_branch_is_the_one_that_the_space_delivers():
    space = (Choice("net", ("conv",), ((Real("k", 0.0, 1.0, q=0.1),),)),)
    trials = begun("GridSearch", space, [{"net": {"_name": "conv", "k": 0.3}}, {"net": {"_name": "conv", "k": 1}}], 60)
    assert json.dumps([trial["net"]["k"] for trial in trials[:2]]) == "[0.30000000000000004, 1.0]"
    assert len({json.dumps(trial) for trial in trials}) == len(trials) == 11


def test_the_trial_that_is_one_counts_however_its_number_is_written():
    one = experiment(NUMBERS, tuner="TPE", initial=({"u": 1, "n": 2},))
    one = replace(one, tuner=Algorithm(name="TPE", class_args=arguments("TPE")))
    ran = [Record(parameters={"u": u, "n": 2, "size": 16}, asked=1) for u in (1, 1.0)]
    for record in ran:
        assert [*before(one, [record], lambda *_: [{"next": 1}], count=1, allowed=bool)] == [{"next": 1}]


def test_they_are_certain_at_once_only_if_nothing_is_left_open():
    whole = {"lr": 0.5, "n": 2, "size": 16}
    for initial, count in (([whole] * 3, 3), ([whole, {"n": 2}, whole], 1)):
        one = experiment(FLAT, tuner="TPE", initial=tuple(initial))
        args = arguments("TPE", tpe_args={"n_startup_jobs": 1})
        one = replace(one, tuner=Algorithm(name="TPE", class_args=args), concurrency=1)
        assert len(list(plan(one))) == count


def test_those_of_an_experiment_count_from_where_it_stands():
    args = arguments("TPE", tpe_args={"n_startup_jobs": 0})
    initial = ({"lr": 0.5, "n": 2, "size": 16}, {"lr": 0.25, "n": 3, "size": 32})
    one = replace(experiment(FLAT, tuner="TPE", initial=initial), tuner=Algorithm(name="TPE", class_args=args))
    imported = Record(
        parameters={"lr": 0.1, "n": 1, "size": 16}, status=Status.SUCCEEDED, value=1.0, told=0, imported=True
    )
    ran = Record(parameters=initial[0], status=Status.SUCCEEDED, value=1.0, asked=1, told=2)
    known = [Trial("0" * 16, 0, initial[0])]
    (following,) = upcoming(one, known, [imported, ran], room=1)
    assert following.parameters == initial[1]
    assert following.sequence == 1


@pytest.mark.parametrize("name", ["TPE", "Anneal", "Evolution", "ASHA"])
def test_one_that_is_added_while_the_experiment_runs_comes_next_and_once(name):
    one = replace(experiment(FLAT, tuner=name), tuner=Algorithm(name=name, class_args=arguments(name)))
    ran = list(upcoming(one, [], [], room=5))
    history = [
        Record(parameters=trial.parameters, status=Status.SUCCEEDED, value=float(n), asked=2 * n, told=2 * n + 1)
        for n, trial in enumerate(ran)
    ]
    added = replace(one, initial=({"lr": 0.5, "n": 2, "size": 16}, {"lr": 0.25}))
    following = list(upcoming(added, ran, history, room=3))
    assert following[0].parameters == {"lr": 0.5, "n": 2, "size": 16}
    assert following[1].parameters["lr"] == 0.25
    assert following[2].parameters["lr"] not in (0.5, 0.25)
    known = [*ran, *following[:1]]
    again = [*history, Record(parameters=following[0].parameters, asked=100)]
    assert next(trial.parameters for trial in upcoming(added, known, again, room=1))["lr"] == 0.25


@pytest.mark.parametrize("name", ["TPE", "Anneal", "Evolution"])
def test_in_a_finite_space_single_calls_give_what_one_call_gives(name):
    space = (Choice("a", (1, 2, 3, 4)), Choice("b", ("x", "y", "z")))
    initial = ({"b": "y"}, {"a": 2, "b": "y"})
    one = replace(
        experiment(space, tuner=name, initial=initial), tuner=Algorithm(name=name, class_args=arguments(name))
    )
    known, history = [], []
    for n in range(12):
        (trial,) = upcoming(one, known, history, room=1)
        known.append(trial)
        history.append(Record(parameters=trial.parameters, asked=n + 1))
    at_once = list(upcoming(one, [], [], room=12))
    if name != "Anneal":  # with no result it draws, and the draws know what runs
        assert [trial.parameters for trial in at_once] == [trial.parameters for trial in known]
    assert len({json.dumps(trial.parameters) for trial in known}) == 12
    assert list(upcoming(one, known, history, room=1)) == []


WHOLE, PART = {"lr": 0.5, "n": 1, "size": 16}, {"lr": 0.5}
OTHER = {"lr": 0.25, "n": 2, "size": 32}


def had(*past, imported=False):
    return [Record(parameters=one, imported=imported) for one in past]


@pytest.mark.parametrize(
    ("given", "past", "imported", "certain"),
    [
        pytest.param([WHOLE, OTHER], [], False, 2, id="all of their values"),
        pytest.param([WHOLE, PART, OTHER], [], False, 1, id="up to the first that leaves one open"),
        pytest.param([PART, WHOLE], [], False, 0, id="the first leaves one open"),
        pytest.param([WHOLE, OTHER], [WHOLE], False, 1, id="one is begun"),
        pytest.param([WHOLE, OTHER], [WHOLE], True, 2, id="one was imported, which is no trial"),
        pytest.param([PART, OTHER], [WHOLE], False, 1, id="a trial that fits one which leaves some open"),
        pytest.param([WHOLE, WHOLE], [WHOLE], False, 1, id="one trial stands for one"),
        pytest.param([], [], False, 0, id="none"),
    ],
)
def test_whole_parameter_sets_are_certain(given, past, imported, certain):
    one = experiment(FLAT, tuner="TPE", initial=tuple(given))
    assert leading(one, had(*past, imported=imported)) == certain


def test_what_is_begun_already_does_not_come_again():
    one = experiment(FLAT, tuner="TPE", initial=(WHOLE, OTHER))
    tuner = iter([{"lr": 0.125, "n": 3, "size": 16}] * 9)
    found = before(
        one, had(WHOLE), lambda history, count, allowed: islice(tuner, count), count=2, allowed=lambda p: True
    )
    assert [parameters["lr"] for parameters in found] == [0.25, 0.125]


def test_an_open_loop_loses_none_but_equal_ones():
    one = experiment(FLAT, tuner="Random", initial=(OTHER,))
    drawn = [{"lr": 0.125, "n": 3, "size": 16}, OTHER, WHOLE]
    found = list(first(one, drawn, allowed=lambda parameters: True))
    assert [parameters["lr"] for parameters in found] == [0.25, 0.125, 0.5]
