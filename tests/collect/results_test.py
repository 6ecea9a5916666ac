"""Manifest and ledger are read together, and anew each time."""

from dataclasses import replace

import pytest

from amlc.collect import results as module
from amlc.collect.results import Results
from amlc.events import Event, EventKind, exhausted
from amlc.model import Status


def test_pieces_make_no_difference(story, monkeypatch):
    s = story(values=range(7))
    for number in (0, 2, 3, 6):
        s.tell(number, Status.SUCCEEDED, number)
    with s.project.ledger() as ledger:
        whole = list(Results(s.project.manifest, ledger).rows())
        monkeypatch.setattr(module, "_PIECE", 2)
        assert list(Results(s.project.manifest, ledger).rows()) == whole
    assert [row.result.get("default") for row in whole] == [0, None, 2, 3, None, None, 6]


def test_a_row_has_all_attempts_in_order_and_the_result_of_the_last(story):
    s = story().tell(0, Status.FAILED, 1).tell(0, Status.SUCCEEDED, 2, attempt=2)
    with s.project.ledger() as ledger:
        row = next(Results(s.project.manifest, ledger).rows())
    assert [attempt.number for attempt in row.attempts] == [1, 2]
    assert (row.attempt, row.result) == (row.attempts[-1], {"default": 2})


@pytest.mark.parametrize(
    ("header", "events", "left"),
    [
        pytest.param({"search": None}, [], 0, id="all are compiled"),
        pytest.param({"max_trials": 10}, [], 6, id="up to the limit"),
        pytest.param({"max_trials": 4}, [], 0, id="at the limit"),
        pytest.param({"max_trials": None}, [], None, id="nobody knows"),
        pytest.param({"max_trials": 10}, [exhausted(at=1, search="s", trials=4)], 0, id="no more"),
        pytest.param({"max_trials": 10}, [exhausted(at=1, search="s", trials=3)], 6, id="no more once, of fewer"),
        pytest.param({"max_trials": 10}, [exhausted(at=1, search="other", trials=4)], 6, id="no more of another search"),
        pytest.param({"max_trials": 10, "max_seconds": 5},
                     [Event(kind=EventKind.SESSION, at=0), Event(kind=EventKind.TICK, at=5)], 0, id="out of time"),
        pytest.param({"max_trials": 10, "max_seconds": 5},
                     [Event(kind=EventKind.SESSION, at=0), Event(kind=EventKind.TICK, at=4)], 6, id="some time left"),
    ],
)  # fmt: skip
def test_what_is_to_be_proposed(story, header, events, left):
    s = story()
    manifest = replace(s.project.manifest, header=replace(s.project.manifest.header, **{"search": "s", **header}))
    with s.project.ledger() as ledger:
        ledger.append(events)
        assert Results(manifest, ledger).to_propose(4) == left
