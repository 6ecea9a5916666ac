"""The table of trials on the report's page: bounded, and each cell as it sorts."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from amlc.collect.results import Results
from amlc.ledger import read_ledger
from amlc.model import Status
from amlc.report import page
from amlc.report.overview import read_overview
from amlc.report.page import Cell, Column, trial_table
from tests.report.report_test import experiment, trial


@pytest.fixture
def table(tmp_path):
    def make(trials):
        folders = experiment(tmp_path, trials)
        with read_ledger(folders.ledger("tiny")) as ledger:
            return trial_table(read_overview(Results(folders.manifest(None), ledger)))

    return make


def test_columns_are_grouped_and_numbers_are_known(table):
    found = table(
        [trial({"lr": 0.1, "net": "a"}, {"default": 1, "word": "x"}), trial({"lr": 0.2, "net": "b"}, {"default": 2})]
    )
    assert found.groups == (("", 6), ("metrics", 2), ("parameters", 2), ("", 1))
    assert found.columns[6:] == (
        Column("default", "first number"),
        Column("word"),
        Column("lr", "first number"),
        Column("net"),
        Column("error", "first"),
    )
    assert [column.name for column in found.columns if "number" in column.kind] == [
        "#",
        "attempt",
        "duration",
        "default",
        "lr",
    ]
    assert found.note == ""


def test_a_cell_has_what_it_sorts_by(table):
    (line,) = table([trial({"lr": 0.5}, 1.5, seconds=90.0)]).rows
    sequence, name, status, attempt, started, duration, metric, parameter, error = line.cells
    assert (line.sequence, sequence) == (0, Cell("#0", 0))
    assert len(name.text) == 8
    assert (status.text, bool(status.colour)) == ("succeeded", True)
    assert (attempt, started.text, duration) == (Cell("1", 1), "2023-11-14 22:13:20", Cell("90.0 s", 90.0))
    assert (metric, parameter, error) == (Cell("1.5", 1.5, "first"), Cell("0.5", 0.5, "first"), Cell("", kind="first"))


def test_what_a_trial_has_not_is_an_empty_cell(table):
    _, second = table([trial({"x": 1}, {"a": 1}), trial({"y": 1}, status=Status.EARLY_STOPPED, error="KeyError")]).rows
    assert second.cells[2].text == "early stopped"
    assert [cell.text for cell in second.cells[-4:]] == ["", "", "1", "KeyError"]
    assert [cell.kind for cell in second.cells[-4:]] == ["first", "first", "", "first text"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (119.9, "119.9 s"), (120, "2.0 min"), (7_199, "120.0 min"), (7_200, "2.0 h"), (172_800, "2.0 d")],
)
def test_a_duration_has_the_unit_in_which_it_is_at_least_two(table, seconds, text):
    (line,) = table([trial({"x": 1}, 1, seconds=seconds)]).rows
    assert line.cells[5].text == text


def test_too_many_columns_are_left_out_with_a_note(table):
    found = table([trial({f"p{n:02}": n for n in range(45)}, {f"m{n:02}": n for n in range(33)})])
    assert found.groups == (("", 6), ("metrics", 30), ("parameters", 40), ("", 1))
    assert found.note == "8 more columns are in amlc collect."


def test_too_many_rows_are_left_out_with_a_note(table, monkeypatch):
    monkeypatch.setattr(page, "MOST_ROWS", 20)
    found = table([trial({"x": n}, n) for n in range(1_030)])
    assert found.note == "20 of 1,030 trials: half of them the best, the others evenly spaced."
    assert sum(1 for _ in found.rows) == 20


def test_what_it_cost_is_a_fact_where_it_costs(tmp_path):
    folders = experiment(tmp_path, [trial({"lr": 0.1}, 1.0, seconds=3600.0)])
    with read_ledger(folders.ledger("tiny")) as ledger:
        here = read_overview(Results(folders.manifest(None), ledger))
        assert "cost" not in dict(page._facts(here))
        with closing(sqlite3.connect(folders.ledger("tiny"))) as writing, writing:
            writing.execute("UPDATE events SET data = replace(data, '\"local\"', '\"aml\"'), sum = NULL")
        manifest = folders.manifest(None)
        there = replace(manifest, header=replace(manifest.header, backend="aml", price=3.0))
        overview = read_overview(Results(there, ledger))
    assert dict(page._facts(overview))["cost"] == "1.00 node-hours, 3.00 at amlc.prices"
