"""Hyperband runs NNI 3.0's brackets, whatever the order of the results and however often it is started again."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, islice, product
from types import ModuleType
from typing import Any

import pytest

from amlc.model import Record, Status
from amlc.tuners import hyperband
from amlc.tuners.random import propose as random_propose
from amlc.tuners.shared import brackets, random_sequence
from amlc.tuners.shared.brackets import BUDGET, Ladder, cycle
from tests.conftest import work

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}, "c": {"_type": "choice", "_value": ["a", 1, True]}}
FINITE = {"c": {"_type": "choice", "_value": list(range(5))}}
NINE = {"optimize_mode": "maximize", "R": 9, "eta": 3, "exec_mode": "parallelism"}
SERIAL = {**NINE, "exec_mode": "serial"}


def yes(parameters: Any) -> bool:
    return True


def propose(space, history, args, *, count=1, seed=0, allowed=yes) -> list[Any]:
    return list(hyperband.propose(space, history, count=count, seed=seed, args=args, allowed=allowed))


def x_value(parameters: Any) -> float:
    return float(parameters["x"])


class Run:
    """An experiment whose running trials end in any order; the history is all that it keeps."""

    def __init__(self, space, args, *, value=x_value, slots=1, order=0, seed=0, tuner=hyperband, allowed=yes) -> None:
        self.space, self.args, self.value, self.slots, self.seed = space, args, value, slots, seed
        self.tuner, self.allowed = tuner, allowed
        self.random = random.Random(order)
        self.history: list[Record] = []
        self.clock = 0

    @property
    def running(self) -> list[int]:
        return [number for number, record in enumerate(self.history) if not record.status.ended]

    def fill(self) -> None:
        room = self.slots - len(self.running)
        proposed = self.tuner.propose(
            self.space, self.history, count=room, seed=self.seed, args=self.args, allowed=self.allowed
        )
        for parameters in list(proposed):
            self.clock += 1
            self.history.append(Record(parameters=parameters, asked=self.clock))

    def end(self, number: int | None = None) -> None:
        number = self.random.choice(self.running) if number is None else number
        self.clock += 1
        value = self.value(self.history[number].parameters)
        status = Status.FAILED if value is None else Status.SUCCEEDED
        self.history[number] = replace(self.history[number], status=status, value=value, told=self.clock)

    def finish(self) -> None:
        """Run all promotions of what has begun, and begin nothing."""
        while self.running:
            while self.running:
                self.end()
            ladder = Ladder(cycle(largest=self.args["R"], smallest=1, eta=self.args["eta"]), self.history)
            self.slots = len(list(ladder.promotions(maximize=True)))
            self.fill()

    def until(self, trials: int) -> list[Any]:
        while len(self.history) < trials:
            self.fill()
            self.end()
        return [record.parameters for record in self.history]


def runs(parameters: list[Any]) -> list[tuple[int, int]]:
    """Return (budget, how many in a row) for each stretch of trials with the same budget."""
    return [(budget, len(list(group))) for budget, group in groupby(p[BUDGET] for p in parameters)]


@pytest.fixture(scope="module")
def nni_hyperband() -> Iterator[ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nni.algorithms.hpo import hyperband_advisor
        from nni.runtime import msg_dispatcher_base
    logging.getLogger("nni").setLevel(logging.CRITICAL)
    logging.getLogger(hyperband_advisor.__name__).setLevel(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch:  # the address with which NNI's own unit tests need no manager
        variables = msg_dispatcher_base.dispatcher_env_vars
        variables = variables._replace(NNI_TUNER_COMMAND_CHANNEL="ws://_unittest_")
        patch.setattr(msg_dispatcher_base, "dispatcher_env_vars", variables)
        yield hyperband_advisor


# --- the tables -------------------------------------------------------------------------------------------------


def tables(largest: int, eta: int) -> list[list[tuple[int, int]]]:
    return [[(rung.count, rung.budget) for rung in table] for table in cycle(largest=largest, smallest=1, eta=eta)]


def test_the_tables_are_those_of_nni_s_code() -> None:
    assert tables(81, 3) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]
    assert tables(60, 3) == [
        [(27, 2), (9, 6), (3, 20), (1, 60)],
        [(12, 6), (4, 20), (1, 60)],
        [(6, 20), (2, 60)],
        [(4, 60)],
    ]


def test_every_table_is_nni_s(nni_hyperband) -> None:
    for largest, eta in product([*range(1, 130), 243, 244, 500, 729, 1000, 1024, 9999], [2, 3, 4, 5, 7, 10]):
        advisor = nni_hyperband.Hyperband(R=largest, eta=eta)
        expected = []
        for s in range(advisor.s_max, -1, -1):
            bracket = nni_hyperband.Bracket("0", s, advisor.s_max, eta, largest, "maximize")
            rows = []
            while not bracket.is_completed():
                rows.append(bracket.get_n_r())
                bracket.increase_i()
            expected.append(rows)
        assert tables(largest, eta) == expected


# --- against the advisor itself ---------------------------------------------------------------------------------


class Nni:
    """NNI's advisor on a manager of ours: which draw runs with which budget, in the order in which trials start."""

    def __init__(self, module: ModuleType, args: dict[str, Any], values: Any) -> None:
        self.advisor = module.Hyperband(**args)
        self.advisor.send = self.receive
        self.advisor.is_created_in_previous_exp = lambda identity: False  # NNI 3.0 compares text with a number here
        self.advisor.handle_initialize(SPACE)
        self.values = values
        self.waiting = 0
        self.draws: dict[str, int] = {}
        self.started: list[tuple[int, int]] = []
        self.running: list[tuple[str, int, int]] = []

    def receive(self, command: Any, data: str) -> None:
        message = json.loads(data) if data else {}
        if not message.get("parameters"):
            return
        identity, budget = message["parameter_id"], message["parameters"][BUDGET]
        draw = self.draws.setdefault(identity.split("_")[-1], len(self.draws))
        self.started.append((draw, budget))
        self.running.append((identity, draw, budget))

    def request(self) -> None:
        self.advisor.handle_request_trial_jobs(1)

    def end(self, position: int) -> None:
        identity, draw, budget = self.running.pop(position)
        data = {"parameter_id": identity, "trial_job_id": identity, "type": "FINAL", "sequence": 0}
        self.advisor.handle_report_metric_data({**data, "value": json.dumps(self.values(draw, budget))})
        parameters = json.dumps({"parameter_id": identity})
        self.advisor.handle_trial_end({"trial_job_id": identity, "hyper_params": parameters})


def noisy(draw: int, budget: int) -> float:
    return random.Random(1000 * draw + budget).random()


@pytest.mark.parametrize(
    ("mode", "largest", "eta", "exec_mode", "slots"),
    [
        ("maximize", 81, 3, "parallelism", 1),
        ("minimize", 60, 3, "parallelism", 1),
        ("maximize", 16, 2, "parallelism", 1),
        ("maximize", 1, 3, "parallelism", 1),
        ("maximize", 9, 3, "serial", 1),
        ("minimize", 60, 3, "serial", 4),
        ("maximize", 16, 2, "serial", 4),
        ("maximize", 9, 3, "serial", 30),
        ("maximize", 1, 3, "serial", 30),
    ],
)
def test_trials_are_those_of_nni_s_advisor(nni_hyperband, parsed, mode, largest, eta, exec_mode, slots) -> None:
    args = {"optimize_mode": mode, "R": largest, "eta": eta, "exec_mode": exec_mode}
    space = parsed(SPACE)
    drawn = [p["x"] for p in random_propose(space, (), count=400, seed=0, args={}, allowed=yes)]
    numbers = {x: number for number, x in enumerate(drawn)}
    ours = Run(space, args, slots=slots, value=lambda p: noisy(numbers[p["x"]], p[BUDGET]))
    nni = Nni(nni_hyperband, args, noisy)
    for _ in range(slots):
        nni.request()
    choose = random.Random(3)
    while len(ours.history) < 180:
        ours.fill()
        found = [(numbers[r.parameters["x"]], r.parameters[BUDGET]) for r in ours.history]
        assert found == nni.started
        position = choose.randrange(len(nni.running))
        draw, budget = nni.running[position][1:]
        ours.end(found.index((draw, budget)))  # the same trial ends in both
        nni.end(position)
        nni.request()


def test_one_slot_finishes_a_bracket_before_the_next(parsed) -> None:
    trials = Run(parsed(SPACE), NINE).until(22)
    assert runs(trials) == [(1, 9), (3, 3), (9, 1), (3, 5), (9, 1 + 3)]


# --- promotions -------------------------------------------------------------------------------------------------


def test_the_best_of_a_rung_go_on_with_a_larger_budget(parsed) -> None:
    for mode, sign in ("maximize", -1), ("minimize", 1):
        trials = Run(parsed(SPACE), {**NINE, "optimize_mode": mode}).until(13)
        best = sorted(trials[:9], key=lambda p: sign * p["x"])
        assert trials[9:12] == [{**p, BUDGET: 3} for p in best[:3]]
        assert trials[12] == {**best[0], BUDGET: 9}
        assert list(trials[12]) == ["x", "c", BUDGET]


def test_nothing_is_promoted_while_a_trial_of_the_rung_runs(parsed) -> None:
    run = Run(parsed(SPACE), NINE, slots=9)
    run.fill()
    for _ in range(8):
        run.end()
    known = {record.parameters["x"] for record in run.history}
    assert not {p["x"] for p in propose(run.space, run.history, NINE, count=8)} & known
    run.end()
    assert {p["x"] for p in propose(run.space, run.history, NINE, count=3)} < known


def test_serial_waits_where_parallel_goes_on(parsed) -> None:
    run = Run(parsed(SPACE), SERIAL, slots=20)
    run.fill()
    assert runs([r.parameters for r in run.history]) == [(1, 9)]
    for _ in range(9):
        run.end()
    run.fill()
    run.end()
    assert runs([r.parameters for r in run.history]) == [(1, 9), (3, 3)]
    run.end()
    run.end()
    run.fill()
    assert runs([r.parameters for r in run.history]) == [(1, 9), (3, 3), (9, 1), (3, 5)]


def test_failed_trials_are_the_worst(parsed) -> None:
    trials = Run(parsed(SPACE), NINE, value=lambda p: p["x"] if p["x"] < 0.5 else None).until(13)
    best = sorted((p["x"] for p in trials[:9] if p["x"] < 0.5), reverse=True)
    assert [p["x"] for p in trials[9:12]] == best[:3]


def test_brackets_go_on_when_every_trial_fails(parsed) -> None:
    trials = Run(parsed(SPACE), NINE, value=lambda p: None).until(22)
    assert runs(trials) == [(1, 9), (3, 3), (9, 1), (3, 5), (9, 4)]
    assert [p["x"] for p in trials[9:12]] == [p["x"] for p in trials[:3]]


def test_a_retry_that_changes_a_result_repeats_nothing(parsed) -> None:
    run = Run(parsed(SPACE), NINE, value=lambda p: None if p["x"] > 0.9 else p["x"])
    run.until(11)  # two of three promotions
    number = next(number for number, record in enumerate(run.history) if record.status is Status.FAILED)
    failed = run.history[number]
    known = {record.parameters["x"] for record in run.history}
    run.history[number] = replace(failed, status=Status.RUNNING, told=None)
    assert not {p["x"] for p in propose(run.space, run.history, NINE, count=6)} & known
    run.history[number] = replace(failed, status=Status.SUCCEEDED, value=1.0, told=99)
    (last, *others) = propose(run.space, run.history, NINE, count=3)
    assert last == {**failed.parameters, BUDGET: 3}
    assert not {p["x"] for p in others} & known


# --- the history is all there is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [NINE, SERIAL, {**NINE, "R": 27}], ids=["parallel", "serial", "27"])
@pytest.mark.parametrize("slots", [1, 3, 8, 40])
def test_whole_cycles_are_run_and_no_trial_is_repeated(args, slots, parsed) -> None:
    tables_ = cycle(largest=args["R"], smallest=1, eta=3)
    rungs = [rung for table in tables_ for rung in table]
    bottoms = 2 * sum(table[0].count for table in tables_)
    for order in range(5):
        run = Run(parsed(SPACE), args, slots=slots, order=order, value=lambda p: hash(p["x"]))
        run.until(3 * sum(rung.count for rung in rungs))
        run.finish()
        trials = [record.parameters for record in run.history]
        assert len({(p["x"], p[BUDGET]) for p in trials}) == len(trials)
        two_cycles = set(islice(dict.fromkeys(p["x"] for p in trials), bottoms))
        found = Counter(p[BUDGET] for p in trials if p["x"] in two_cycles)
        assert found == sum((Counter({rung.budget: 2 * rung.count}) for rung in rungs), Counter())


@pytest.mark.parametrize("args", [NINE, SERIAL], ids=["parallel", "serial"])
@pytest.mark.parametrize("space", [SPACE, FINITE], ids=["endless", "finite"])
def test_one_call_equals_single_calls(args, space, parsed) -> None:
    run = Run(parsed(space), args, slots=5, value=lambda p: p.get("x", p["c"]))
    for _ in range(40):
        run.fill()
        run.end()
        together = propose(run.space, run.history, args, count=12)
        history = list(run.history)
        for parameters in together:
            assert propose(run.space, history, args) == [parameters]
            history.append(Record(parameters=parameters, asked=run.clock))
        if len(together) < 12:
            assert args is SERIAL
            assert not propose(run.space, history, args)


def test_a_trial_that_was_never_submitted_is_proposed_again(parsed) -> None:
    space = parsed(SPACE)
    first = propose(space, (), NINE, count=9)
    history = [Record(parameters=p) for number, p in enumerate(first) if number not in (2, 5)]
    assert propose(space, history, NINE, count=2) == [first[2], first[5]]


def test_first_rungs_submitted_all_at_once_keep_their_brackets(parsed) -> None:
    space = parsed(SPACE)
    run = Run(space, NINE, slots=17)
    run.fill()
    assert runs([r.parameters for r in run.history]) == [(1, 9), (3, 5), (9, 3)]
    for _ in range(17):
        run.end()
    assert runs(propose(space, run.history, NINE, count=6)) == [(3, 3), (9, 1), (1, 2)]


def test_trials_of_other_arguments_are_left_alone(parsed) -> None:
    space = parsed(SPACE)
    old = Run(space, {**NINE, "R": 60}).until(10)  # with a budget of 2, which 9 does not have
    history = [Record(parameters=p, status=Status.SUCCEEDED, value=1.0) for p in old]
    expected = list(random_propose(space, (), count=13, seed=0, args={}, allowed=yes))[10:]
    assert propose(space, history, NINE, count=3) == [{**p, BUDGET: 1} for p in expected]


def test_imported_trials_change_nothing(parsed) -> None:
    space = parsed(SPACE)
    imported = Record(parameters={"x": 0.5, "c": "a", BUDGET: 1}, status=Status.SUCCEEDED, value=9.0, imported=True)
    assert propose(space, [imported] * 9, NINE, count=20) == propose(space, (), NINE, count=20)


def test_another_process_proposes_the_same(parsed) -> None:
    script = (
        "import json, sys; from amlc.tuners import hyperband; from amlc.model import *\n"
        "space = (Real('x', 0.0, 1.0), Choice('c', ('a', 1, True)))\n"
        "given = json.loads(sys.argv[1])\n"
        "history = [Record(parameters=p, status=Status.SUCCEEDED, value=p['x']) for p in given]\n"
        f"proposed = hyperband.propose(space, history, count=7, seed=0, args={NINE!r}, allowed=lambda p: True)\n"
        "print(json.dumps(list(proposed)))"
    )
    run = Run(parsed(SPACE), NINE)
    trials = run.until(11)
    found = subprocess.run(
        [sys.executable, "-c", script, json.dumps(trials)], capture_output=True, check=True, text=True
    )
    assert json.loads(found.stdout) == propose(run.space, run.history, NINE, count=7)


# --- configurations ---------------------------------------------------------------------------------------------


def test_configurations_are_those_of_random(parsed) -> None:
    space = parsed(SPACE)
    expected = random_propose(space, (), count=17, seed=5, args={}, allowed=yes)
    budgets = [1] * 9 + [3] * 5 + [9] * 3
    assert propose(space, (), NINE, count=17, seed=5) == [
        {**p, BUDGET: budget} for p, budget in zip(expected, budgets, strict=True)
    ]


def test_a_finite_space_begins_again(parsed) -> None:
    trials = propose(parsed(FINITE), (), NINE, count=17)
    for lap in range(0, 15, 5):
        assert sorted(p["c"] for p in trials[lap : lap + 5]) == [0, 1, 2, 3, 4]
    assert runs(Run(parsed(FINITE), NINE, slots=4, value=lambda p: p["c"]).until(200))


def test_what_is_not_allowed_is_never_proposed(parsed) -> None:
    asked = []

    def allowed(parameters: Any) -> bool:
        asked.append(parameters)
        return bool(parameters["x"] < 0.5)

    trials = Run(parsed(SPACE), NINE, allowed=allowed).until(50)
    assert all(p["x"] < 0.5 for p in trials)
    assert not any(BUDGET in parameters for parameters in asked)


def test_a_finite_space_without_anything_allowed_ends(parsed) -> None:
    assert not propose(parsed(FINITE), (), NINE, count=3, allowed=lambda parameters: False)


# --- ahead ------------------------------------------------------------------------------------------------------


def test_ahead_is_the_bottom_of_every_bracket_of_the_cycle() -> None:
    assert hyperband.ahead((), args=NINE) == 9 + 5 + 3
    assert hyperband.ahead((), args={**NINE, "R": 81}) == 81 + 34 + 15 + 8 + 5
    assert hyperband.ahead((), args=SERIAL) == 9


@pytest.mark.parametrize("args", [NINE, SERIAL], ids=["parallel", "serial"])
@pytest.mark.parametrize("slots", [1, 4, 20])
def test_what_is_ahead_comes_for_certain(args, slots, parsed) -> None:
    run = Run(parsed(SPACE), args, slots=slots, value=lambda p: hash(p["x"]))
    promised: set[tuple[float, int]] = set()
    for _ in range(120):
        run.fill()
        certain = hyperband.ahead(run.history, args=args)
        coming = propose(run.space, run.history, args, count=certain)
        assert len(coming) == certain
        promised |= {(p["x"], p[BUDGET]) for p in coming}
        run.end()
    started = {(r.parameters["x"], r.parameters[BUDGET]) for r in run.history}
    last = {(p["x"], p[BUDGET]) for p in propose(run.space, run.history, args, count=40)}
    assert promised <= started | last


def test_ahead_counts_promotions_that_are_due(parsed) -> None:
    run = Run(parsed(SPACE), SERIAL, slots=9)
    run.fill()
    assert hyperband.ahead(run.history, args=SERIAL) == 0
    for _ in range(9):
        run.end()
    assert hyperband.ahead(run.history, args=SERIAL) == 3


# --- cost -------------------------------------------------------------------------------------------------------


def test_ten_thousand_trials_are_gone_through_once(parsed) -> None:
    space = parsed(SPACE)
    history: list[Record] = []

    def calls(count: int) -> int:
        while len(history) < count:
            history.extend(
                Record(parameters=p, status=Status.SUCCEEDED, value=p["x"])
                for p in propose(space, history, NINE, count=500)
            )
        propose(space, history, NINE)
        return work(lambda: propose(space, history, NINE))

    few = calls(1000)
    assert calls(10_000) < 12 * few


def test_digests_survive_the_limit_of_the_cache(parsed, monkeypatch) -> None:
    monkeypatch.setattr(brackets, "_MOST_DIGESTS", 3)
    monkeypatch.setattr(random_sequence, "_MOST_KEPT", 1)
    expected = Run(parsed(SPACE), NINE, slots=3).until(40)
    monkeypatch.undo()
    assert list(islice(Run(parsed(SPACE), NINE, slots=3).until(40), 40)) == expected


# --- checkpoints ----------------------------------------------------------------------------------------------------

FOLDERS = {**NINE, "all_checkpoint_dir": "/ckpt"}


def without_folders(parameters: Any) -> Any:
    return {name: value for name, value in parameters.items() if name not in (brackets.LOAD, brackets.SAVE)}


@pytest.mark.parametrize("space", [SPACE, FINITE], ids=["endless", "finite"])
@pytest.mark.parametrize("order", range(3))
def test_a_promotion_loads_what_the_rung_below_saved_and_nothing_else_changes(parsed, space, order) -> None:
    def worth(parameters: Any) -> float:
        return float(parameters.get("x", len(str(parameters["c"]))))

    plain = Run(parsed(space), NINE, slots=4, order=order, value=worth)
    run = Run(parsed(space), FOLDERS, slots=4, order=order, value=worth)
    for _ in range(60):
        plain.fill(), run.fill()
        plain.end(), run.end()
    assert [without_folders(record.parameters) for record in run.history] == [r.parameters for r in plain.history]
    saved: dict[str, Any] = {}
    for record in run.history:
        p = record.parameters
        load, save = p[brackets.LOAD], p[brackets.SAVE]
        assert save not in saved, "no two trials write to one folder"
        assert save.startswith("/ckpt/")
        assert save.endswith(f"/{p[BUDGET]}")
        if load != save:
            below = saved[load]
            assert below[BUDGET] * 3 == p[BUDGET]
            assert {**without_folders(below), BUDGET: 0} == {**without_folders(p), BUDGET: 0}
        saved[save] = p
    assert sum(r.parameters[brackets.LOAD] != r.parameters[brackets.SAVE] for r in run.history) >= 8


def test_what_follows_a_failed_trial_loads_what_that_one_had_loaded(parsed) -> None:
    run = Run(parsed(SPACE), FOLDERS, value=lambda parameters: None if parameters[BUDGET] == 3 else x_value(parameters))
    for _ in range(13):
        run.fill()
        run.end()
    promoted = run.history[9:12]
    assert [record.parameters[BUDGET] for record in promoted] == [3, 3, 3]
    (best,) = (record.parameters for record in run.history[12:])
    first = promoted[0].parameters
    assert (best[BUDGET], best[brackets.LOAD]) == (9, first[brackets.LOAD])
    assert best[brackets.SAVE] == first[brackets.SAVE].removesuffix("3") + "9"
    assert best[brackets.LOAD] == best[brackets.SAVE].removesuffix("9") + "1"


def test_checkpoints_may_be_asked_for_later(parsed) -> None:
    run = Run(parsed(SPACE), NINE)
    for _ in range(9):
        run.fill()
        run.end()
    run.args = FOLDERS
    for _ in range(6):
        run.fill()
        run.end()
    assert [brackets.SAVE in record.parameters for record in run.history] == [False] * 13 + [True] * 2
    assert run.history[13].parameters[brackets.SAVE] == "/ckpt/9/3"
