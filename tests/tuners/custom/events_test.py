"""What happened, in its order; that a class is told it so, custom_test.py says."""

from dataclasses import replace

import pytest

from amlc.model import Record, Status
from amlc.space.canonical import canonical
from amlc.tuners.custom.events import Asked, Imported, Reported, Told, happened


def record(x, *, asked, status=Status.SUCCEEDED, **fields):
    return Record(parameters={"x": x}, asked=asked, status=status, **fields)


def test_proposals_reports_and_ends_are_in_the_order_of_their_numbers():
    history = [
        record(1, asked=1, told=6, value=1.5, curve=((3, 0.5), (5, 0.7))),
        record(2, asked=2, status=Status.RUNNING, curve=((4, {"default": 1}),)),
    ]
    assert happened(history, {}) == [
        Asked(0, canonical({"x": 1}), {"x": 1}),
        Asked(1, canonical({"x": 2}), {"x": 2}),
        Reported(0, 0, "0.5"),
        Reported(1, 0, '{"default": 1}'),
        Reported(0, 1, "0.7"),
        Told(0, "SUCCEEDED", "1.5"),
    ]


def test_at_one_number_proposals_come_first_and_ends_last():
    history = [record(1, asked=1, told=2, value=1.0), record(2, asked=2, told=2, value=2.0, curve=((2, 0.5),))]
    assert [type(event) for event in happened(history, {})] == [Asked, Asked, Reported, Told, Told]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"value": 1.5}, ("SUCCEEDED", "1.5")),
        ({"value": 1.5, "reported": {"default": 1.5}}, ("SUCCEEDED", '{"default": 1.5}')),
        ({"value": 9.0, "guessed": True}, ("SUCCEEDED", None)),
        ({"status": Status.FAILED, "value": 9.0}, ("FAILED", None)),
        ({"status": Status.FAILED, "reported": float("nan")}, ("FAILED", "NaN")),
        ({"status": Status.CANCELED}, ("USER_CANCELED", None)),
        ({"status": Status.EARLY_STOPPED, "reported": 0.25}, ("EARLY_STOPPED", "0.25")),
        ({"status": Status.UNFINISHED}, ("SYS_CANCELED", None)),
    ],
)
def test_an_end_has_nnis_word_and_the_result_as_it_was_reported(fields, expected):
    *_, told = happened([record(1, asked=1, told=2, **fields)], {})
    assert (told.event, told.value) == expected


def test_what_runs_has_no_end():
    assert (
        len(happened([record(1, asked=1, status=Status.RUNNING), record(2, asked=2, status=Status.UNKNOWN)], {})) == 2
    )


def test_imported_results_come_first_and_are_no_trials():
    history = [
        record(1, asked=1, told=2, value=1.0),
        record(2, asked=3, value=0.5, imported=True),
        record(3, asked=4, value=None, imported=True),
        record(4, asked=5, told=6, value=2.0),
    ]
    first, *rest = happened(history, {})
    assert isinstance(first, Imported)
    assert first.rows == (({"x": 2}, 0.5),)
    assert [event.index for event in rest] == [0, 0, 1, 1]
    assert happened([history[1]], {})[0] == replace(first, rows=())  # the digest alone tells them apart
    assert happened([replace(history[1], value=0.25)], {})[0] != first


def test_the_encoding_of_a_record_is_kept_until_it_is_another():
    encoded = {}
    running = record(1, asked=1, status=Status.RUNNING)
    first = happened([running], encoded)
    kept = encoded[0]
    assert happened([running], encoded) == first
    assert encoded[0] is kept
    ended = replace(running, status=Status.SUCCEEDED, told=2, value=1.0)
    assert happened([ended], encoded) == happened([ended], {}) == [*first, Told(0, "SUCCEEDED", "1.0")]
    assert happened([ended], encoded)[0] is first[0]
