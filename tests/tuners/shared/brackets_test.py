"""Which trial stands on which rung, and which places are free; whole runs are in tests/tuners/hyperband_test.py."""

from itertools import islice

import pytest

from amlc.model import Record, Status
from amlc.checkpoints import LOAD, SAVE
from amlc.tuners.shared.brackets import BUDGET, Ladder, Rung, begun, configuration, cycle

NINE = cycle(largest=9, smallest=1, eta=3)


def run(x, budget, value=None, *, asked=0, told=1, status=None, **more):
    """Return a trial; `value`: its result, None while it runs."""
    status = status or (Status.RUNNING if value is None else Status.SUCCEEDED)
    end = told if status.ended else None
    parameters = {"x": x, BUDGET: budget}
    return Record(parameters=parameters, status=status, value=value, asked=asked, told=end, **more)


BOTTOM = [run(x, 1, value=float(x)) for x in range(9)]  # that of the first bracket, which is full and has ended


def promoted(history, *, maximize=True):
    return [(one["x"], one[BUDGET]) for one in Ladder(NINE, history).promotions(maximize=maximize)]


@pytest.mark.parametrize(
    ("largest", "smallest", "eta", "tables"),
    [
        (9, 1, 3, [[(9, 1), (3, 3), (1, 9)], [(5, 3), (1, 9)], [(3, 9)]]),
        (8, 2, 2, [[(4, 2), (2, 4), (1, 8)], [(3, 4), (1, 8)], [(3, 8)]]),
        (1, 1, 3, [[(1, 1)]]),
    ],
)
def test_a_cycle_trades_configurations_for_budget(largest, smallest, eta, tables):
    found = cycle(largest=largest, smallest=smallest, eta=eta)
    assert found == tuple(tuple(Rung(*one) for one in table) for table in tables)


def test_before_anything_has_begun_all_bottoms_of_the_cycle_are_free():
    ladder = Ladder(NINE, [])
    assert list(islice(ladder.vacancies(serial=False), 18)) == [1] * 9 + [3] * 5 + [9] * 3 + [1]
    assert list(ladder.vacancies(serial=True)) == [1] * 9
    assert (ladder.certain(serial=False), ladder.certain(serial=True)) == (17, 9)
    assert not list(ladder.promotions(maximize=True))


def test_the_best_go_on_when_all_of_the_rung_have_ended():
    assert promoted(BOTTOM) == [(8, 3), (7, 3), (6, 3)]
    assert promoted(BOTTOM, maximize=False) == [(0, 3), (1, 3), (2, 3)]
    assert promoted(BOTTOM[:-1]) == promoted([*BOTTOM[:-1], run(8, 1)]) == []


@pytest.mark.parametrize(
    "last",
    [
        run(8, 1, status=Status.FAILED),
        run(8, 1, value=99.0, guessed=True),
    ],
    ids=["no result", "a guessed one"],
)
def test_a_trial_without_a_result_is_the_worst(last):
    assert promoted([*BOTTOM[:8], last]) == [(7, 3), (6, 3), (5, 3)]


def failed(x, budget, **more):
    return run(x, budget, value=-1.0, status=Status.FAILED, guessed=True, **more)


def test_what_has_failed_does_not_go_on_and_nobody_waits_for_it():
    history = [*map(failed, range(7), [1] * 7), *BOTTOM[7:]]
    assert promoted(history) == [(8, 3), (7, 3)]
    up = [run(8, 3, value=8.0, asked=2, told=3), run(7, 3, value=7.0, asked=2, told=3)]
    assert promoted([*history, up[0]]) == [(7, 3)]
    assert promoted([*history, *up]) == [(8, 9)]
    top = run(8, 9, value=8.0, asked=4, told=5)
    assert promoted([*history, *up, top]) == []
    assert Ladder(NINE, [*history, *up, top]).drawn.total() == 9, "all others are promotions"


def test_when_all_have_failed_the_next_bracket_begins():
    history = [failed(x, 1) for x in range(9)]
    assert promoted(history) == []
    assert next(Ladder(NINE, history).vacancies(serial=True)) == 3


def test_of_equal_ones_the_first_is_the_best():
    assert promoted([run(x, 1, value=1.0) for x in range(9)]) == [(0, 3), (1, 3), (2, 3)]


def test_what_goes_on_already_is_not_promoted_again():
    history = [*BOTTOM, run(8, 3, asked=2), run(6, 3, asked=2)]
    assert promoted(history) == [(7, 3)]
    assert Ladder(NINE, history).drawn.total() == 9
    up = [run(x, 3, value=float(-x), asked=2, told=3) for x in (8, 7, 6)]
    assert promoted([*BOTTOM, *up]) == [(6, 9)]


def test_an_equal_configuration_before_the_rung_had_ended_is_one_by_chance():
    early = [run(x, 1, value=float(x), told=5) for x in range(9)]
    ladder = Ladder(NINE, [*early, run(8, 3, asked=4)])
    assert ladder.drawn[configuration({"x": 8})] == 2
    assert Ladder(NINE, [*early, run(8, 3, asked=4)], repeats=False).drawn[configuration({"x": 8})] == 1


def test_imported_and_foreign_trials_have_no_place():
    history = [run(0, 1, value=1.0, imported=True), run(1, 7, value=1.0), Record(parameters={"x": 2})]
    ladder = Ladder(NINE, history)
    assert ladder.certain(serial=False) == 17
    assert ladder.drawn.total() == 2


def test_a_serial_bracket_begins_when_the_last_of_the_one_before_are_sent():
    assert list(Ladder(NINE, BOTTOM).vacancies(serial=True)) == []
    second = [run(x, 3, value=float(x), asked=2, told=3) for x in (8, 7, 6)]
    assert list(Ladder(NINE, [*BOTTOM, *second]).vacancies(serial=True)) == [3] * 5


def test_checkpoints_are_folders_of_configuration_and_budget():
    assert begun({"x": 1}, 3, number=7, checkpoints=None) == {"x": 1, BUDGET: 3}
    assert begun({"x": 1}, 3, number=7, checkpoints="/c") == {"x": 1, BUDGET: 3, LOAD: "/c/7/3", SAVE: "/c/7/3"}


def test_what_is_added_is_no_part_of_the_configuration():
    assert configuration({"x": 1, BUDGET: 3, LOAD: "a", SAVE: "b"}) == configuration({"x": 1})
    assert configuration({"x": 1.0}) != configuration({"x": 1})
