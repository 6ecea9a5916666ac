"""What a runner wrote down is read within bounds, whatever a trial made it write."""

import io
import json
import warnings

import pytest

from amlc import runner_files
from amlc.model import End
from amlc.runner_files import lines_of, read_metrics, read_outcome, reports_counted

GOOD = {"type": "final", "sequence": 0, "value": 1.5, "at": 1.0}
RESULT = {"trial": "t", "exit_code": 0, "started": 1.0, "ended": 2.0, "end": "exited", "error": None}


def deep(levels):
    return "[" * levels + "]" * levels


BAD_LINES = [
    pytest.param("not json", id="no JSON"),
    pytest.param("[]", id="no object"),
    pytest.param(json.dumps({**GOOD, "sequence": 2**63}), id="a sequence that no database holds"),
    pytest.param(json.dumps({**GOOD, "sequence": -1}), id="a negative sequence"),
    pytest.param(json.dumps({**GOOD, "sequence": True}), id="a sequence that is a truth value"),
    pytest.param(json.dumps({**GOOD, "sequence": "0"}), id="a sequence that is text"),
    pytest.param(json.dumps({**GOOD, "type": "other"}), id="an unknown type"),
    pytest.param(json.dumps({**GOOD, "type": ["final"]}), id="a type that is a list"),
    pytest.param(json.dumps({**GOOD, "at": None}), id="no time"),
    pytest.param(json.dumps({**GOOD, "at": float("nan")}), id="a time that is no number"),
    pytest.param(json.dumps({"type": "final", "sequence": 0, "at": 1.0}), id="no value"),
    pytest.param(f'{{"type": "final", "sequence": 0, "at": 1.0, "value": {deep(101)}}}', id="a deep value"),
    pytest.param(f'{{"type": "final", "sequence": 0, "at": 1.0, "value": {"9" * 5000}}}', id="a number without end"),
    pytest.param(json.dumps({**GOOD, "value": "x" * 4_000_001}), id="a long value"),
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_record_costs_one_note_and_nothing_else(line):
    lines = [json.dumps(GOOD), line, line, json.dumps({**GOOD, "sequence": 1})]
    with pytest.warns(RuntimeWarning, match="trial t: 2 of its reports left out"):
        found = list(read_metrics("t", [f"{text}\n" for text in lines]))
    assert [metric.sequence for metric in found] == [0, 1]


def test_a_last_line_that_was_cut_short_is_not_worth_a_note():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = list(read_metrics("t", [json.dumps(GOOD) + "\n", json.dumps(GOOD)[:-9]]))
    assert [metric.value for metric in found] == [1.5]


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        pytest.param([], 3, id="none is left"),
        pytest.param([json.dumps(GOOD) + "\n"], 2, id="whole lines are gone"),
        pytest.param([json.dumps(GOOD) + "\n"] * 2 + [json.dumps(GOOD)[:-9]], 1, id="the last is cut short"),
        pytest.param([json.dumps(GOOD) + "\n"] * 2 + [json.dumps(GOOD)], 0, id="the end of the last line alone"),
        pytest.param([json.dumps(GOOD) + "\n"] * 4, 0, id="more than there were"),
    ],
)
def test_what_the_runner_counted_and_is_not_there_is_said(lines, missing):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        list(read_metrics("t", lines, counted=3))
        list(read_metrics("t", lines))
    texts = [f"trial t: {missing} of its 3 reports not in its metrics.jsonl, which was cut short or removed."]
    assert [str(one.message) for one in said] == texts[: min(missing, 1)]


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        (json.dumps({**RESULT, "intermediate": 2, "final": 1}), 3),
        (json.dumps(RESULT), None),
        (json.dumps({**RESULT, "intermediate": -1, "final": 1}), None),
        (json.dumps({**RESULT, "intermediate": "2", "final": 1}), None),
        ("[]", None),
        ("", None),
    ],
)
def test_a_result_says_how_many_reports_there_were_or_nothing(text, counted):
    assert reports_counted(text) == counted


@pytest.mark.parametrize("value", [None, True, "x", {"default": 1}, 2**70, 1e400, json.loads(deep(100)), "[" * 300])
def test_every_ordinary_value_comes_back(value):
    (metric,) = read_metrics("t", [json.dumps({**GOOD, "value": value}) + "\n"])
    assert metric.value == value


@pytest.mark.parametrize("end", End)
def test_each_end_is_read(end):
    found = read_outcome("t", json.dumps({**RESULT, "end": end.value, "error": "a\nb"}))
    assert (found.end, found.error) == (end, "a b")


@pytest.mark.parametrize(
    "change",
    [{"exit_code": None}, {"exit_code": "0"}, {"end": "other"}, {"end": None}, {"started": "x"}, {"ended": 1e300}],
    ids=str,
)
def test_an_odd_result_is_none(change):
    assert read_outcome("t", json.dumps({**RESULT, **change})) is None


@pytest.mark.parametrize("text", ["", "null", "[1]", "{", "{}", deep(100_000)], ids=lambda text: text[:9])
def test_no_result_is_none(text):
    assert read_outcome("t", text) is None


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"one\ntwo\n", ["one\n", "two\n"], id="lines"),
        pytest.param(b"one\ntwo", ["one\n", "two"], id="a last line that was cut short"),
        pytest.param(b"x" * 10 + b"\none\n", ["x" * 10 + "\n", "one\n"], id="as long as a line may be"),
        pytest.param(b"x" * 11 + b"\none\n", ["x" * 11 + "\n", "one\n"], id="one longer"),
        pytest.param(b"x" * 99 + b"\none\n", ["x" * 11 + "\n", "one\n"], id="far too long"),
        pytest.param(b"x" * 99, ["x" * 11], id="far too long and cut short"),
        pytest.param(b"\xff\xc3\xa9\n", ["\ufffd\u00e9\n"], id="not all of it text"),
    ],
)
def test_a_line_that_is_too_long_is_read_in_part(monkeypatch, text, lines):
    monkeypatch.setattr(runner_files, "_LONGEST_LINE", 10)
    assert list(lines_of(io.BytesIO(text))) == lines


@pytest.mark.parametrize("kind", ["intermediate", "final"])
@pytest.mark.parametrize(("sequence", "at"), [(0, 0), (2**63 - 1, 1e12 - 1)])
def test_what_is_just_within_its_bounds_comes_back(kind, sequence, at):
    (metric,) = read_metrics("t", [json.dumps({**GOOD, "type": kind, "sequence": sequence, "at": at}) + "\n"])
    assert (metric.trial, metric.kind, metric.sequence, metric.at) == ("t", kind, sequence, at)


@pytest.mark.parametrize("at", [1e12, -1, True])
def test_a_time_beyond_its_bounds_is_none(at):
    assert read_outcome("t", json.dumps({**RESULT, "started": at})) is None


def test_a_long_error_is_cut():
    assert read_outcome("t", json.dumps({**RESULT, "error": "x" * 501})).error == "x" * 500
    assert read_outcome("t", json.dumps({**RESULT, "error": 7})).error is None


def test_a_first_line_that_cannot_be_read_is_worth_a_note():
    with pytest.warns(RuntimeWarning, match="1 of its reports"):
        assert list(read_metrics("t", ["x\n"])) == []
