"""The results as a sequence of rows."""

from dataclasses import replace

import pytest

from amlc.api.results import Results
from amlc.collect.rows import Row
from amlc.collect.verdict import Verdict
from amlc.errors import IncompleteError, NoResultError, UsageError
from amlc.model import Status, Trial
from tests.manifest_test import HEADER


def rows(*finals):
    return [
        Row(Trial(f"{number:016x}", number, {"x": number}), None, (final,), Status.SUCCEEDED)
        for number, final in enumerate(finals)
    ]


def results(*finals, **header):
    verdict = Verdict(len(finals), {Status.SUCCEEDED: len(finals)}, 0)
    return Results(rows(*finals), verdict, HEADER, lambda trial: [{"trial": trial}])


def test_it_is_a_sequence():
    found = results(1.0, {"default": 2.0, "loss": 3})
    assert len(found) == 2
    assert found[1]["metric.loss"] == 3
    assert found[0]["metric.loss"] is None
    assert [row["sequence"] for row in found[::-1]] == [1, 0]
    assert [row.trial.parameters for row in found.trials] == [{"x": 0}, {"x": 1}]


def test_the_best_is_by_the_experiments_order_or_by_the_one_that_is_asked_for():
    found = results(2.0, 1.0, 1.0)
    assert found.best()["sequence"] == 1
    assert found.best("maximize")["sequence"] == 0
    with pytest.raises(UsageError, match="expected 'maximize' or 'minimize'"):
        found.best("max")
    with pytest.raises(NoResultError, match="no trial that succeeded has a numeric final result"):
        results("text").best()
    open_ = Results(rows("text"), Verdict(1, {Status.SUCCEEDED: 1}, 0, to_propose=2), HEADER, lambda _: [])
    with pytest.raises(IncompleteError, match="no trial has a numeric final result yet"):
        open_.best()


def test_the_best_of_replicates_is_the_first_that_succeeded():
    first, second = (replace(row, trial=replace(row.trial, parameters={"x": 1})) for row in rows(9.0, 2.0))
    verdict = Verdict(2, {Status.SUCCEEDED: 1, Status.FAILED: 1}, 0)
    header = replace(HEADER, replicates=2)
    found = Results([replace(first, status=Status.FAILED), second], verdict, header, lambda _: [])
    assert found.best("maximize")["sequence"] == 1


def test_a_history_is_asked_for_by_number_or_id():
    found = results(1.0, 2.0)
    assert found.history(1) == found.history(f"{1:016x}") == [{"trial": f"{1:016x}"}]
    with pytest.raises(UsageError, match="9: no trial has that id or number"):
        found.history(9)


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(UsageError, match="needs polars, which is not installed: pip install polars"):
        results(1.0).to_polars()


def test_a_notebook_sees_a_table_of_what_there_is():
    shown = results("<b>", 0.123456789)._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "0.123457" in shown
    assert "attempt" not in shown


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_half_of_a_surrogate_pair_becomes_its_escape_as_in_every_table(library):
    pytest.importorskip(library)
    frame = getattr(results({"\ud800": "a\udfff"}, {"\ud800": None, "n": 1}), f"to_{library}")()
    assert list(frame.columns)[-2:] == ["metric.n", "metric.\\ud800"]
    assert next(iter(frame["metric.\\ud800"])) == "a\\udfff"
    assert list(frame["param.x"]) == [0, 1]
