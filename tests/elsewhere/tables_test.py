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
    (tmp_path / "x").write_text('{"status": "succeeded", "param.momentum": 1, "metric.default": 1}\n{"status": 5}\n')
    one, other = read(tmp_path / "x", space)
    assert (one.parameters, one.place) == (None, f"{tmp_path / 'x'}: item 0: the space has no 'momentum'")
    assert (other.parameters, other.final, other.flaw, other.why) == (None, (), "with an unknown status", "5")


HEADER = "status,param.lr,metric.default\n"


@pytest.mark.parametrize(
    ("text", "flaws"),
    [
        ("succeeded,0.5,1\nsucceeded,0.25,123", ["", "cut short"]),
        ("succeeded,0.5,1\n\n", [""]),
        ('succeeded,0.5,"1\n', ["cut short"]),
        ('failed,0.5,"a\n\nb"\n', [""]),
        ("wonderful,0.5,1\n,0.5,1\n", ["with an unknown status", ""]),
        ("succeeded,0.5,1,2\nsucceeded,0.5,1,\n", ["with more cells than columns", ""]),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_is_not_to_be_taken_says_so(parsed, text, flaws, end):
    found = parsed((HEADER + text).replace("\n", end))
    assert [one.flaw for one in found] == flaws


def test_the_last_line_of_nnis_export_is_cut_and_of_wandbs_it_is_not(parsed):
    nni = table({**FIRST, "reward": 0.5, "trialJobId": "a"})
    assert [one.flaw for text in (nni, nni.rstrip()) for one in parsed(text)] == ["", "cut short"]
    text = table(wandb({**FIRST, "odd": 1}, loss="0.5")).rstrip()
    assert [(one.flaw, one.final) for one in parsed(text)] == [("", (0.5,))]


@pytest.mark.parametrize("header", ["status,param.lr,param.lr", "metric.default,status,status", "Name,State,lr,lr"])
def test_two_columns_of_a_name_are_refused(parsed, header):
    with pytest.raises(UsageError, match=r"two columns are named '(param\.)?(lr|status)'\. Leave one of them out"):
        parsed(f"{header}\n1,2,3,4\n")


def test_a_result_is_a_number_where_a_parameter_is_one(parsed):
    arabic = "\u0660.\u0665"
    texts = ["+1", ".5", "1_000", arabic, "1e3"]
    found = parsed(HEADER + "".join(f"succeeded,{text},{text}\n" for text in texts))
    assert [one.final for one in found] == [(1,), (0.5,), ("1_000",), (arabic,), (1000.0,)]
    assert [found[2].why, found[3].why] == ["'lr' is 1_000", f"'lr' is {arabic}"]


def test_nnis_export_has_null_as_an_empty_cell(tmp_path):
    space = axes((Choice("o", (None, "x")), Choice("p", ("", None, 1))))
    text = table({"o": None, "p": 1, "reward": 0.5, "trialJobId": "a"}, {"o": "x", "p": "", "reward": 1, "trialJobId": "b"})
    one, other = read_table(tmp_path / "t.csv", text, space)
    assert one.parameters == {"o": None, "p": 1}
    assert (other.parameters, other.why) == (None, "'p' is '', and two options are written so")


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "lr,loss\n0.5,1\n"])
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
