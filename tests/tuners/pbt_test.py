"""PBT: generations, checkpoints and perturbations as NNI has them, from the history alone."""

from __future__ import annotations

import itertools
import math
import random as stdlib_random
import warnings
from dataclasses import replace

import pytest

from amlc.model import Record, Status
from amlc.tuners import pbt, random
from amlc.tuners.shared.brackets import ADDED

ARGS = {
    "optimize_mode": "maximize",
    "all_checkpoint_dir": "/ckpt",
    "population_size": 10,
    "factor": 0.2,
    "resample_probability": 0.25,
    "fraction": 0.2,
}
RATE = {"lr": {"_type": "loguniform", "_value": [1e-4, 1e-1]}, "units": {"_type": "choice", "_value": [16, 32, 64]}}


def ask(space, history=(), *, count=100, seed=1, allowed=lambda parameters: True, **args):
    return list(pbt.propose(space, history, count=count, seed=seed, args={**ARGS, **args}, allowed=allowed))


def proposed(parameter_sets, *, after=()):
    """Return the history with these running trials behind it."""
    return [*after, *(Record(parameters=p, asked=len(after) + i) for i, p in enumerate(parameter_sets))]


def told(history, values):
    """Return the history with the end of its last trials: a value, or None for a failure."""
    kept, last = history[: len(history) - len(values)], history[len(history) - len(values) :]
    ends = (Status.FAILED if value is None else Status.SUCCEEDED for value in values)
    return [*kept, *(replace(r, value=v, status=s, told=1) for r, v, s in zip(last, values, ends, strict=True))]


def generations(space, count, score, **options):
    """Return the history of so many generations that ran to their end."""
    history = []
    for _ in range(count):
        fresh = ask(space, history, **options)
        history = told(proposed(fresh, after=history), [score(parameters) for parameters in fresh])
    return history


def folders(parameters):
    return parameters["load_checkpoint_dir"], parameters["save_checkpoint_dir"]


def test_the_first_generation_are_randoms_draws_each_with_its_own_folder(parsed) -> None:
    space = parsed(RATE)
    first = ask(space)
    expected = itertools.islice(random.propose(space, (), count=10, seed=1, args={}, allowed=lambda p: True), 10)
    assert [pbt.stripped(parameters) for parameters in first] == list(expected)
    assert [folders(parameters) for parameters in first] == [(f"/ckpt/{i}/0",) * 2 for i in range(10)]
    assert [list(parameters) for parameters in first] == [
        ["lr", "units", "load_checkpoint_dir", "save_checkpoint_dir"]
    ] * 10


def test_individuals_may_be_alike_where_the_space_is_small(parsed) -> None:
    first = ask(parsed({"units": {"_type": "choice", "_value": [16, 32]}}))
    assert len(first) == 10
    assert len({repr(parameters) for parameters in first}) == 10


def test_nothing_is_proposed_until_the_whole_generation_has_ended(parsed) -> None:
    space = parsed(RATE)
    history = proposed(ask(space))
    assert ask(space, history) == []
    assert pbt.ahead(history, args=ARGS) == 0
    ends = [*told(history[:9], [0.5] * 9), history[9]]
    assert ask(space, ends) == []
    assert pbt.ahead(ends, args=ARGS) == 0
    ends = told(ends, [None])
    assert pbt.ahead(ends, args=ARGS) == 10
    assert len(ask(space, ends)) == 10


def test_ahead_is_what_is_left_of_the_generation(parsed) -> None:
    space = parsed(RATE)
    assert [pbt.ahead(proposed(ask(space, count=n)), args=ARGS) for n in (0, 1, 9)] == [10, 9, 1]
    second = ask(space, generations(space, 1, len))
    history = proposed(second[:4], after=generations(space, 1, len))
    assert pbt.ahead(history, args=ARGS) == 6
    assert ask(space, history) == second[4:]


@pytest.mark.parametrize("complete", [0, 1, 3])
def test_single_calls_in_any_state_of_the_running_trials_give_the_same_generation(complete, parsed) -> None:
    space = parsed(RATE)
    history = generations(space, complete, lambda parameters: parameters["lr"])
    whole = ask(space, history)
    order = stdlib_random.Random(3)
    for number, expected in enumerate(whole):
        assert ask(space, history, count=1) == [expected]
        history = proposed([expected], after=history)
        place = order.randrange(complete * 10, len(history))
        history[place] = replace(history[place], value=0.1 * number, status=Status.SUCCEEDED, told=number)
    assert ask(space, history) == []


@pytest.mark.parametrize("mode", ["maximize", "minimize"])
@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.25, 0.5, 1.0])
def test_who_goes_on_from_which_checkpoint_is_as_in_nni(mode, fraction, parsed) -> None:
    """NNI's own tuner, told the same scores; it deals individuals in another order."""
    warnings.simplefilter("ignore")
    tuner = pytest.importorskip("nni.algorithms.hpo.pbt_tuner").PBTTuner(mode, "/ckpt", 10, fraction=fraction)
    tuner.update_search_space(RATE)
    space, scores = parsed(RATE), [0.3, 0.9, None, 0.1, 0.8, 0.2, 0.7, 0.4, 0.6, 0.5]
    callback = {"st_callback": lambda *_: None}
    theirs = [dict(p) for p in tuner.generate_multiple_parameters(list(range(10)), **callback)]
    assert [folders(parameters) for parameters in theirs] == [folders(parameters) for parameters in ask(space)]
    for number, score in enumerate(scores):
        if score is None:
            tuner.trial_end(number, success=False)
        else:
            tuner.receive_trial_result(number, theirs[number], score)
    following = {
        save: load for load, save in map(folders, tuner.generate_multiple_parameters(list(range(10)), **callback))
    }
    copies = {save for save, load in following.items() if load != save[:-1] + "0"}

    options = {"optimize_mode": mode, "fraction": fraction}
    ours = [
        {
            save: load
            for load, save in map(folders, ask(space, told(proposed(ask(space)), scores), seed=seed, **options))
        }
        for seed in range(1, 40)
    ]
    assert all(found.keys() == following.keys() == {f"/ckpt/{i}/1" for i in range(10)} for found in ours)
    count = math.ceil(fraction * 10)
    ranking = sorted(
        range(10), key=lambda i: -1 if scores[i] is None else scores[i] * (1 if mode == "maximize" else -1) + 1
    )
    worst, best = ranking[:count], [i for i in ranking[10 - count :] if scores[i] is not None]
    if fraction <= 0.5:
        assert copies == {f"/ckpt/{i}/1" for i in worst}
    for found in ours:
        for i in range(10):
            sources = best if i in worst else [i]
            assert found[f"/ckpt/{i}/1"] in {f"/ckpt/{k}/0" for k in sources}


def test_all_of_the_best_are_copied_at_times(parsed) -> None:
    space = parsed(RATE)
    history = told(proposed(ask(space)), range(10))
    loads = {ask(space, history, seed=seed)[0]["load_checkpoint_dir"] for seed in range(40)}
    assert loads == {"/ckpt/8/0", "/ckpt/9/0"}


def test_the_others_keep_their_parameters(parsed) -> None:
    space = parsed(RATE)
    history = told(proposed(ask(space)), range(10))
    second = ask(space, history)
    assert [pbt.stripped(p) for p in second[2:]] == [pbt.stripped(r.parameters) for r in history[2:]]
    third = ask(space, told(proposed(second, after=history), range(10)))
    assert [folders(p) for p in third[2:]] == [(f"/ckpt/{i}/1", f"/ckpt/{i}/2") for i in range(2, 10)]


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ({"_type": "choice", "_value": ["a", "b", "c", "d"]}, "b"),
        ({"_type": "choice", "_value": ["a", "b", "c", "d"]}, "a"),
        ({"_type": "choice", "_value": ["a", "b", "c", "d"]}, "d"),
        ({"_type": "choice", "_value": ["a"]}, "a"),
        ({"_type": "randint", "_value": [3, 9]}, 5),
        ({"_type": "randint", "_value": [3, 9]}, 3),
        ({"_type": "randint", "_value": [3, 9]}, 8),
        ({"_type": "uniform", "_value": [-1, 1]}, 0.25),
        ({"_type": "uniform", "_value": [-1, 1]}, 0.9),
        ({"_type": "uniform", "_value": [-1, 1]}, -1.0),
        ({"_type": "quniform", "_value": [0, 10, 2.5]}, 5.0),
        ({"_type": "quniform", "_value": [0, 10, 2.5]}, 0.0),
        ({"_type": "quniform", "_value": [0, 10, 2.5]}, 10.0),
        ({"_type": "loguniform", "_value": [0.0001, 0.1]}, 0.01),
        ({"_type": "loguniform", "_value": [0.0001, 0.1]}, 0.05),
        ({"_type": "loguniform", "_value": [0.0001, 0.1]}, 0.00011),
        ({"_type": "qloguniform", "_value": [1, 64, 1]}, 8.0),
        ({"_type": "qloguniform", "_value": [1, 64, 1]}, 1.0),
        ({"_type": "qloguniform", "_value": [1, 64, 1]}, 64.0),
        ({"_type": "normal", "_value": [3, 0.5]}, 3.3),
        ({"_type": "qnormal", "_value": [0, 1, 0.5]}, -1.5),
        ({"_type": "lognormal", "_value": [0, 1]}, 2.5),
        ({"_type": "qlognormal", "_value": [0, 1, 0.25]}, 1.25),
        pytest.param({"_type": "qlognormal", "_value": [0, 1, 0.25]}, 0.25, id="qlognormal at its lower end"),
    ],
)
def test_a_step_is_the_one_of_nni(spec, value, parsed) -> None:
    nni = pytest.importorskip("nni.algorithms.hpo.pbt_tuner")
    expected = set()
    for _ in range(50):
        bottom = nni.TrialInfo("/ckpt/0", {})
        nni.exploit_and_explore(
            bottom, nni.TrialInfo("/ckpt/1", {"x": value, "save_checkpoint_dir": "/ckpt/1/0"}), 0.2, 0.0, 1, {"x": spec}
        )
        expected.add(bottom.hyper_parameters["x"])
    space = parsed({"x": spec})
    history = told(
        proposed([{"x": value, "load_checkpoint_dir": f"/ckpt/{i}/0", "save_checkpoint_dir": f"/ckpt/{i}/0"} for i in (0, 1)]), [0, 1]
    )  # fmt: skip
    found = {ask(space, history, seed=seed, population_size=2, resample_probability=0.0)[0]["x"] for seed in range(50)}
    expected = {0.0 if x == 1e-10 else x for x in expected}  # NNI's stand-in for zero; amlc delivers multiples of q
    if spec["_type"] == "choice":
        assert found == expected
        return
    assert sorted(found) == pytest.approx(sorted(expected), rel=1e-12)
    low, high = (-math.inf, math.inf) if "normal" in spec["_type"] else spec["_value"][:2]
    assert all(low <= x <= high for x in found)


def test_resampling_reaches_the_whole_space(parsed) -> None:
    space = parsed({"x": {"_type": "randint", "_value": [0, 20]}})
    history = told(proposed(ask(space)), range(10))
    always = {ask(space, history, seed=seed, resample_probability=1.0)[0]["x"] for seed in range(300)}
    assert always == set(range(20))
    near = {r.parameters["x"] + step for r in history[8:] for step in (-1, 1)}
    found = [ask(space, history, seed=seed)[0]["x"] in near for seed in range(300)]
    assert 0.7 < sum(found) / 300 < 0.88  # 3/4, and what resampling happens to hit


def test_minimize_is_maximize_of_the_negative(parsed) -> None:
    space = parsed(RATE)
    up = generations(space, 4, lambda parameters: parameters["lr"])
    down = generations(space, 4, lambda parameters: -parameters["lr"], optimize_mode="minimize")
    assert [record.parameters for record in up] == [record.parameters for record in down]


def test_what_follows_a_failure_loads_what_it_had_loaded(parsed) -> None:
    space = parsed(RATE)
    history = generations(space, 1, lambda parameters: parameters["lr"])
    second = ask(space, history)
    ends = told(proposed(second, after=history), [None] * 5 + [1, 2, 3, 4, 5])
    third = ask(space, ends)
    for individual, (parameters, before) in enumerate(zip(third, second, strict=True)):
        if individual in (3, 4):  # the two of all five that failed which the ranking has last
            assert parameters["load_checkpoint_dir"] in {"/ckpt/8/1", "/ckpt/9/1"}
        elif individual < 5:
            assert parameters["load_checkpoint_dir"] == before["load_checkpoint_dir"]
            assert pbt.stripped(parameters) == pbt.stripped(before)
        else:
            assert parameters["load_checkpoint_dir"] == f"/ckpt/{individual}/1"
        assert parameters["save_checkpoint_dir"] == f"/ckpt/{individual}/2"


def test_failures_only_go_on_as_well(parsed) -> None:
    space = parsed(RATE)
    history = generations(space, 5, lambda parameters: None)
    assert len(history) == 50
    assert {record.parameters["load_checkpoint_dir"][-2:] for record in history} == {"/0"}
    assert [r.parameters["save_checkpoint_dir"] for r in history[40:]] == [f"/ckpt/{i}/4" for i in range(10)]


def test_every_checkpoint_that_is_loaded_was_saved_by_a_trial_that_succeeded(parsed) -> None:
    space, order = parsed(RATE), stdlib_random.Random(7)
    history = generations(space, 12, lambda parameters: None if order.random() < 0.3 else order.random())
    saved = {f"/ckpt/{i}/0" for i in range(10)}
    for record in history:
        assert record.parameters["load_checkpoint_dir"] in saved
        if record.value is not None:
            saved.add(record.parameters["save_checkpoint_dir"])


def test_constraints_hold_for_draws_and_perturbations_without_the_folders(parsed) -> None:
    space = parsed(RATE)

    def allowed(parameters):
        assert parameters.keys() == {"lr", "units"}
        return parameters["lr"] * parameters["units"] < 0.5

    history = generations(space, 6, lambda parameters: parameters["lr"], allowed=allowed)
    assert all(r.parameters["lr"] * r.parameters["units"] < 0.5 for r in history)
    assert all(1e-4 <= r.parameters["lr"] <= 0.1 for r in history)


def test_the_path_is_taken_as_it_is(parsed) -> None:
    (first,) = ask(parsed(RATE), count=1, all_checkpoint_dir="$AMLC_MOUNT/exp 1/")
    assert folders(first) == ("$AMLC_MOUNT/exp 1/0/0",) * 2


def test_it_goes_on_from_imported_generations(parsed) -> None:
    space = parsed(RATE)
    past = generations(space, 3, lambda parameters: parameters["lr"], all_checkpoint_dir="/old")
    imported = [replace(record, imported=True) for record in past]
    incomplete = imported[:25]
    following = ask(space, imported)
    assert {load.rpartition("/")[2] for load, _ in map(folders, following)} == {"2"}
    assert [save for _, save in map(folders, following)] == [f"/ckpt/{i}/3" for i in range(10)]
    assert all(load.startswith("/old/") for load, _ in map(folders, following))
    assert [save for _, save in map(folders, ask(space, incomplete))] == [f"/ckpt/{i}/2" for i in range(10)]
    best = sorted(past[20:], key=lambda record: -record.value)[:4]
    smaller = ask(space, imported, population_size=4)
    assert {p["load_checkpoint_dir"] for p in smaller[:3]} == {r.parameters["save_checkpoint_dir"] for r in best[:3]}
    assert pbt.ahead(imported, args=ARGS) == 10
    without = [Record(parameters={"lr": 0.01, "units": 16}, value=1.0, told=1, status=Status.SUCCEEDED, imported=True)]
    assert ask(space, without * 20) == ask(space)


def test_what_another_tuner_proposed_is_no_generation(parsed) -> None:
    space = parsed(RATE)
    before = [
        Record(parameters={"lr": 0.01 * (1 + i), "units": 16}, status=Status.SUCCEEDED, value=i, told=i) for i in range(10)
    ]
    assert ask(space, before) == ask(space)
    assert pbt.ahead(before[:4], args=ARGS) == 10
    first = told(proposed(ask(space), after=before), range(10))
    assert [load for load, _ in map(folders, ask(space, first))][2:] == [f"/ckpt/{i}/0" for i in range(2, 10)]


def test_the_checkpoints_of_rungs_are_not_saved_over(parsed) -> None:
    """Hyperband's lie in folders of the same shape, whose last part is a budget."""
    rungs = [
        Record(
            parameters={"lr": 0.01, "units": 16, "TRIAL_BUDGET": 3, **dict.fromkeys(ADDED[1:], f"/ckpt/{i}/3")},
            status=Status.SUCCEEDED,
            value=i,
            told=i,
        )
        for i in range(10)
    ]
    first = ask(parsed(RATE), rungs)
    assert [folders(parameters) for parameters in first] == [(f"/ckpt/{i}/4",) * 2 for i in range(10)]
    second = ask(parsed(RATE), told(proposed(first, after=rungs), range(10)))
    assert [save for _, save in map(folders, second)] == [f"/ckpt/{i}/5" for i in range(10)]
    assert {load.rpartition("/")[2] for load, _ in map(folders, second)} == {"4"}


@pytest.mark.parametrize("fraction", [0.0, 0.2])
@pytest.mark.parametrize("steps", [(8, 4), (6, 6), (5, 9), (3, 1, 7)])
@pytest.mark.parametrize("sizes", [(4, 6), (6, 4), (4, 6, 3), (3, 8, 5)])
def test_another_population_size_goes_on_and_saves_over_no_checkpoint(sizes, steps, fraction, parsed) -> None:
    space, history, order = parsed(RATE), [], stdlib_random.Random(1)
    for size, step in zip(sizes, itertools.chain(steps, itertools.repeat(20)), strict=False):
        args = {"population_size": size, "fraction": fraction}
        for _ in range(step):
            assert pbt.ahead(history, args={**ARGS, **args}) >= 1
            (one,) = ask(space, history, count=1, **args)
            history = told(proposed([one], after=history), [None if order.random() < 0.2 else order.random()])
    loads, saves = zip(*(folders(record.parameters) for record in history), strict=True)
    assert len({*saves}) == len(saves)
    saved = {save for load, save in zip(loads, saves, strict=True) if load == save}
    for record in history:
        load, save = folders(record.parameters)
        assert load in saved
        saved |= {save} if record.value is not None else set()


def test_a_larger_population_has_copies_of_the_best(parsed) -> None:
    space = parsed(RATE)
    history = generations(space, 2, lambda parameters: parameters["lr"], population_size=4)
    rest = ask(space, history, population_size=6)
    assert [save for _, save in map(folders, rest)] == ["/ckpt/4/1", "/ckpt/5/1"]
    best = max(history[:4], key=lambda record: record.value)
    assert {load for load, _ in map(folders, rest)} == {best.parameters["save_checkpoint_dir"]}
    history = told(proposed(rest, after=history), [1, 2])
    third = ask(space, history, population_size=6)
    assert [save for _, save in map(folders, third)] == [f"/ckpt/{i}/2" for i in range(6)]


def test_an_edited_space_draws_what_it_added(parsed) -> None:
    history = generations(parsed(RATE), 2, lambda parameters: parameters["lr"])
    space = parsed({"lr": RATE["lr"], "depth": {"_type": "randint", "_value": [1, 4]}})
    for parameters in ask(space, history):
        assert parameters.keys() == {"lr", "depth", "load_checkpoint_dir", "save_checkpoint_dir"}
        assert parameters["depth"] in {1, 2, 3}
