"""Tables in all formats come back as they were."""

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc.collect.tables import Table
from amlc.report.tables import WRITERS

CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.integers() | st.text(), max_size=2)
)


def written(format_, columns, rows):
    out = io.BytesIO()
    WRITERS[format_](Table(tuple(columns), iter(rows)), out)
    assert not out.closed
    return out.getvalue()


def parquet(columns, rows):
    from pyarrow import parquet

    return parquet.read_table(io.BytesIO(written("parquet", columns, rows)))


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=5))
def test_csv_is_read_back_by_the_csv_module(rows):
    columns = ["a", 'b "c", d', "e\nü"]
    data = written("csv", columns, [dict(zip(columns, row, strict=True)) for row in rows])
    read = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert read[0] == columns
    assert len(read) == len(rows) + 1
    for cells, row in zip(read[1:], rows, strict=True):
        for cell, value in zip(cells, row, strict=True):
            if value is None:
                assert cell == ""
            elif isinstance(value, str):
                assert cell == value.encode("utf-8", "backslashreplace").decode()
            elif isinstance(value, float):
                assert float(cell) == value or math.isnan(value)
            else:
                assert json.loads(cell) == json.loads(json.dumps(value).encode("utf-8", "backslashreplace"))


def test_csv_is_that_of_rfc_4180():
    assert written("csv", ["a", "b"], [{"a": 1, "b": 'x "y"'}, {"b": "1,2"}, {"a": "\r"}]) == (
        b'a,b\r\n1,"x ""y"""\r\n,"1,2"\r\n"\r",\r\n'
    )


@given(st.lists(st.dictionaries(st.sampled_from("ab"), CELLS), max_size=5))
def test_json_and_json_lines_hold_the_same_and_are_strict(rows):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    whole = json.loads(written("json", "ab", rows), parse_constant=refuse)
    lines = [json.loads(line, parse_constant=refuse) for line in written("jsonl", "ab", rows).splitlines()]
    assert whole == lines
    assert [set(row) for row in whole] == [{name for name, value in row.items() if value is not None} for row in rows]


def test_json_writes_what_it_has_no_number_for_as_text():
    (row,) = json.loads(written("json", "ab", [{"a": math.nan, "b": [math.inf, {"c": -math.inf}]}]))
    assert row == {"a": "NaN", "b": ["Infinity", {"c": "-Infinity"}]}


def test_an_empty_table_is_a_header_or_an_empty_list():
    assert written("csv", ["a", "b"], []) == b"a,b\r\n"
    assert json.loads(written("json", "ab", [])) == []
    assert written("jsonl", "ab", []) == b""
    assert parquet(["a", "b"], []).column_names == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        pytest.param([1, None, 3], "int64", [1, None, 3], id="whole-numbers"),
        pytest.param([1, 0.5, None], "double", [1.0, 0.5, None], id="numbers"),
        pytest.param([True, False, None], "bool", [True, False, None], id="truth-values"),
        pytest.param(["a", "ü\n", None], "string", ["a", "ü\n", None], id="texts"),
        pytest.param([1, "a", None, True], "string", ["1", "a", None, "true"], id="mixed"),
        pytest.param([[1], {"a": 2}], "string", ["[1]", '{"a": 2}'], id="nested"),
        pytest.param([1, 2**64, -(2**70)], "string", ["1", str(2**64), str(-(2**70))], id="beyond-64-bit"),
        pytest.param([0.5, 10**400], "string", ["0.5", str(10**400)], id="beyond-floats"),
        pytest.param([2**63 - 1, -(2**63)], "int64", [2**63 - 1, -(2**63)], id="just-64-bit"),
        pytest.param([math.inf, 1], "double", [math.inf, 1.0], id="infinity"),
        pytest.param([None, None], "null", [None, None], id="absent"),
        pytest.param(["\ud800"], "string", ["\\ud800"], id="surrogate"),
    ],
)
def test_a_parquet_column_keeps_its_type_or_becomes_text(values, kind, expected):
    column = parquet(["a"], [{"a": value} for value in values]).column("a")
    assert str(column.type) == kind
    assert column.to_pylist() == expected


@given(st.lists(st.dictionaries(st.sampled_from("ab"), CELLS), max_size=5))
def test_parquet_takes_everything(rows):
    table = parquet("ab", rows)
    assert table.num_rows == len(rows)
    assert [value is None for value in table.column("a").to_pylist()] == [row.get("a") is None for row in rows]
