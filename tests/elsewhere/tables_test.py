"""Tables: whose one is, its header says; and each text is the value that the space has."""

import csv
import io
import json
import math

import pytest

from amlc.collect.tables import Table
from amlc.elsewhere import read
from amlc.elsewhere.tables import read_table
from amlc.errors import UsageError
from amlc.model import Choice, Status
from amlc.report.tables import write_csv, write_json, write_jsonl
from amlc.space.points import axes, flattened
from amlc.warm_start import fitting
from tests.elsewhere.conftest import FIRST, SECOND


def table(*rows):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


@pytest.fixture
def parsed(tmp_path, space):
    def parse(text, **options):
        found = read_table(tmp_path / "table.csv", text, axes(space), **options)
        return list(fitting(found, space))

    return parse


def javascript(value):
    """What JavaScript makes of a value: one kind of numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def test_nnis_export(parsed):
    """NNI writes what Python prints, of values that came by way of JavaScript."""
    first = {name: javascript(value) for name, value in FIRST.items()}
    text = table(
        {**first, "reward": 0.5, "trialJobId": "a", "intermediate": "[0.1,0.5]"},
        {**SECOND, "default": 2, "other": [1, "b"], "trialJobId": "b", "intermediate": '[{"a": 1},2]'},
    )
    one, other = parsed(text)
    assert json.dumps(one.parameters) == json.dumps(FIRST)
    assert json.dumps(other.parameters) == json.dumps(SECOND)
    assert (one.final, one.history) == ((0.5,), (0.1,))
    assert other.final == ({"default": 2, "other": [1, "b"]},)


WANDB = {"Name": "brisk-sun-1", "State": "finished", "Created": "2024-05-01T10:00:00.000Z", "Runtime": "90"}


def wandb(parameters, **more):
    flat = {**parameters, "layer._name": parameters["layer"]["_name"], "layer.k": parameters["layer"].get("k", "")}
    del flat["layer"]
    return {**WANDB, **flat, **more}


def test_a_table_of_wandb(parsed):
    text = table(
        wandb({**FIRST, "odd": 1}, loss="0.5", _step="9"),
        wandb(SECOND, loss="", State="crashed"),
        wandb(SECOND, loss="1", State="running"),
    )
    one, other, third = parsed(text)
    assert json.dumps(one.parameters) == json.dumps(FIRST)
    assert json.dumps(other.parameters) == json.dumps(SECOND)
    assert (one.final, one.started, one.ended) == ((0.5,), 1714557600.0, 1714557690.0)
    assert (other.status, other.final) == (Status.FAILED, ())
    assert third.status is Status.RUNNING


def test_the_result_of_wandb_is_named_where_there_are_several(parsed):
    text = table(wandb(FIRST, loss="0.5", acc="0.9", notes="x"))
    with pytest.raises(UsageError, match=r"does not say which column is the result \(loss, acc\)\. Name it: --metric"):
        parsed(text)
    assert [one.final for one in parsed(text, metric="acc")] == [(0.9,)]
    with pytest.raises(UsageError, match=r"--metric f1: .* has no such column"):
        parsed(text, metric="f1")
    with pytest.raises(UsageError, match=r"--metric acc: .* says itself what the results are"):
        parsed("param.lr,metric.default\n1,2\n", metric="acc")


def test_what_collect_wrote_keeps_statuses_and_times(parsed):
    text = "sequence,trial,status,started,ended,error,param.lr,metric.default,metric.b\n"
    text += "0,a,succeeded,1970-01-01T00:00:01.000Z,1970-01-01T00:00:03.000Z,,0.5,1,\n1,b,failed,,,no luck,0.5,,3\n2,c,new,,,,0.5,,\n"
    one, other, third = parsed(text)
    assert (one.status, one.started, one.ended, one.final) == (Status.SUCCEEDED, 1.0, 3.0, (1,))
    assert (other.status, other.error, other.final) == (Status.FAILED, "no luck", ({"b": 3},))
    assert third.status is Status.UNKNOWN


NO_JSON = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", [*NO_JSON, 0.1 + 0.2, 1e22, 2**70, True, [1, *NO_JSON], {"a": NO_JSON}, "Infinite"], ids=repr)
def test_what_collect_wrote_is_the_same_value_again(parsed, value):
    stream = io.BytesIO()
    columns = ("status", "param.lr", "metric.default", "metric.b")
    write_csv(Table(columns, [{"param.lr": 0.5, "metric.default": value, "metric.b": value}]), stream)
    (one,) = parsed(stream.getvalue().decode())
    assert repr(one.final) == repr(({"default": value, "b": value},))


@pytest.mark.parametrize("write", [write_json, write_jsonl])
@pytest.mark.parametrize("value", [*NO_JSON, 0.1 + 0.2, 1e22, True, [1, "x"], "Infinite"], ids=repr)
def test_what_collect_wrote_as_json_is_the_same_value_again(tmp_path, space, value, write):
    """One row or several: a single one of JSON lines is a whole of JSON, too."""
    first = {f"param.{name}": value for name, value in flattened(FIRST).items()}
    values = {"sequence": 0, "status": "succeeded", "started": 1.0, "ended": 3.0, "metric.default": value}
    row = values | {"sequence": 1, "status": "failed", "error": "no luck"} | first
    for rows in ([first | values], [first | values, row]):
        with (tmp_path / "results").open("wb") as out:
            write(Table((*first, *values, "error"), rows), out)
        found = list(fitting(read(tmp_path / "results", space), space))
        assert [one.status.value for one in found] == ["succeeded", "failed"][: len(rows)]
        assert {repr(one.final) for one in found} == {repr((value,))}
        assert {(one.started, one.ended) for one in found} == {(1.0, 3.0)}
        assert [json.dumps(one.parameters) for one in found] == [json.dumps(FIRST)] * len(rows)
        assert [one.error for one in found] == [None, "no luck"][: len(rows)]


def test_a_strange_row_of_json_is_none_of_the_space(tmp_path, space):
    (tmp_path / "x").write_text('{"status": "succeeded", "param.momentum": 1, "metric.default": 1}\n3\n')
    one, other = read(tmp_path / "x", space)
    assert (one.parameters, one.where) == (None, f"{tmp_path / 'x'}: item 0: the space has no 'momentum'")
    assert (other.parameters, other.final) == (None, ())


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "lr,loss\n0.5,1\n"])
def test_a_table_of_nobodys_is_refused(parsed, text):
    with pytest.raises(UsageError, match=r"it has no column 'metric.default'\. Expected NNI's folder"):
        parsed(text)


def test_of_two_equal_options_that_which_is_written_is_meant(tmp_path):
    both = axes((Choice("o", (1.0, 1, "x")),))
    found = read_table(tmp_path / "t.csv", "param.o,metric.default\n1,0\n1.0,0\n", both)
    assert [repr(one.parameters["o"]) for one in found] == ["1", "1.0"]


@pytest.mark.parametrize(
    ("options", "text", "meant"),
    [
        ((1, "1", "x"), "1", None),  # the wrong one would pass for a result, and the right one run again
        ((True, "true"), "true", None),
        ((0.5, "0.5"), "0.5", None),
        (("None", None), "None", "None"),  # null is an empty cell
        ((None, "x"), "", {"o": None}),
        ((True, "yes"), "true", {"o": True}),
    ],
)
def test_a_cell_that_two_options_are_written_as_is_neither(tmp_path, options, text, meant):
    space = axes((Choice("o", options), Choice("other", (1, 2))))
    (found,) = read_table(tmp_path / "t.csv", f"param.o,param.other,metric.default\n{text},1,5\n", space)
    if isinstance(meant, str):
        meant = {"o": meant}
    assert found.parameters == (None if meant is None else {**meant, "other": 1})
