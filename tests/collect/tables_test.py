"""One row for each compiled trial, whatever became of it."""

import json
import math

import pytest

from amlc.collect.results import Results
from amlc.collect.tables import trials_table
from amlc.events import Event, observed
from amlc.model import Observation, Outcome, Status

FIXED = ["sequence", "trial", "status", "attempt", "job", "revision", "started", "ended", "duration_s", "error"]
HISTORY = ["sequence", "trial", "attempt", "job", "step", "at"]


def test_every_compiled_trial_has_a_row_in_order_whatever_became_of_it(story):
    ends = [Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EARLY_STOPPED, Status.RUNNING, Status.UNKNOWN]
    s = story(values=range(8))
    for number, status in reversed(list(enumerate(ends))):
        s.tell(number, status)
    s.tell(6, Status.WAITING)
    rows = s.rows()
    assert [row["trial"] for row in rows] == s.project.trials
    assert [row["sequence"] for row in rows] == [str(n) for n in range(8)]
    assert [row["status"] for row in rows] == [*(status.value for status in ends), "waiting", "pending"]
    assert [row["param.x"] for row in rows] == [str(n) for n in range(8)]
    pending = rows[-1]
    assert {name for name, cell in pending.items() if cell} == {"sequence", "trial", "status", "param.x"}


def test_before_anything_was_submitted_every_trial_is_pending(story):
    rows = story().rows()
    assert [row["status"] for row in rows] == ["pending"] * 4
    assert list(rows[0]) == [*FIXED, "param.x"]


def test_the_columns_are_in_a_fixed_order_whoever_ended_first(story):
    space = {"b": {"_type": "choice", "_value": [1, 2]}, "a": {"_type": "choice", "_value": ["x"]}}
    s = story(searchSpace=space)
    s.tell(1, Status.SUCCEEDED, {"zeta": 1, "default": 2, "alpha": 3}).tell(0, Status.SUCCEEDED, {"beta": 4})
    header = s.table().split(b"\r\n")[0].decode().split(",")
    metrics = ["metric.default", "metric.alpha", "metric.beta", "metric.zeta"]
    assert header == [*FIXED, "param.b", "param.a", *metrics]


def test_times_are_utc_and_the_duration_is_seconds(story):
    row = story().tell(0, Status.SUCCEEDED, 1, started=1_700_000_000.25, ended=1_700_000_061.5).rows()[0]
    assert (row["started"], row["ended"]) == ("2023-11-14T22:13:20.250Z", "2023-11-14T22:14:21.500Z")
    assert float(row["duration_s"]) == 61.25
    assert row["revision"] == "a1b2c3"


def test_a_duration_is_that_of_the_times_beside_it(story):
    """So it is the same once the table was imported, which has milliseconds."""
    row = story().tell(0, Status.SUCCEEDED, 1, started=1_700_000_000.0004, ended=1_700_000_003.1296).rows()[0]
    assert (row["started"][-5:], row["ended"][-5:], row["duration_s"]) == (".000Z", ".130Z", "3.13")


def test_only_the_last_attempt_counts(story):
    s = story().tell(0, Status.SUCCEEDED, 0.5).tell(0, Status.FAILED, attempt=2)
    row = s.rows()[0]
    assert (row["status"], row["attempt"], row.get("metric.default", "")) == ("failed", "2", "")
    assert row["job"].endswith("-2")
    s.tell(0, Status.SUCCEEDED, 0.75, attempt=3)
    assert s.rows()[0]["metric.default"] == "0.75"


def test_results_of_a_trial_that_failed_afterwards_are_there(story):
    row = story().tell(0, Status.FAILED, 0.25).rows()[0]
    assert (row["status"], row["metric.default"]) == ("failed", "0.25")


@pytest.mark.parametrize(
    ("final", "cells"),
    [
        pytest.param(0, {"default": "0"}, id="zero"),
        pytest.param(0.0, {"default": "0.0"}, id="zero-float"),
        pytest.param(False, {"default": "false"}, id="false"),
        pytest.param("", {"default": ""}, id="empty-text"),
        pytest.param(1e-05, {"default": "1e-05"}, id="small"),
        pytest.param(0.1 + 0.2, {"default": "0.30000000000000004"}, id="all-digits"),
        pytest.param(10**30, {"default": str(10**30)}, id="beyond-64-bit"),
        pytest.param(math.nan, {"default": "nan"}, id="nan"),
        pytest.param(-math.inf, {"default": "-inf"}, id="inf"),
        pytest.param('a, "b"\r\nü ✓', {"default": 'a, "b"\r\nü ✓'}, id="text"),
        pytest.param("half of a pair: \ud800", {"default": "half of a pair: \\ud800"}, id="surrogate"),
        pytest.param([1, "ü", None], {"default": '[1, "ü", null]'}, id="list"),
        pytest.param({"default": 1, "f1": 0.5}, {"default": "1", "f1": "0.5"}, id="mapping"),
        pytest.param({"a": {"b": 1}, "c,d": 2, "e\n": 3}, {"a": '{"b": 1}', "c,d": "2", "e\n": "3"}, id="odd-names"),
        pytest.param({}, {}, id="empty-mapping"),
    ],
)  # fmt: skip
def test_a_final_result_comes_back_from_the_csv(story, final, cells):
    row = story().tell(0, Status.SUCCEEDED, final).rows()[0]
    assert {name.removeprefix("metric."): cell for name, cell in row.items() if name.startswith("metric.")} == cells


def test_an_absent_value_is_an_empty_cell_and_a_left_out_key_and_0_is_neither(story):
    s = story(values=range(3)).tell(0, Status.SUCCEEDED, 0).tell(1, Status.SUCCEEDED)
    assert [row["metric.default"] for row in s.rows()] == ["0", "", ""]
    records = [json.loads(line) for line in s.table(format_="jsonl").splitlines()]
    assert [record.get("metric.default", "absent") for record in records] == [0, "absent", "absent"]


def test_nested_choices_are_flattened_with_dots(story):
    space = {"layer": {"_type": "choice", "_value": [
        {"_name": "conv", "size": {"_type": "choice", "_value": [3]}},
        {"_name": "none"},
    ]}, "opt": {"_type": "choice", "_value": [{"a": {"b": [1, "x"]}}, 'ad"am,\n']}}  # fmt: skip
    rows = story(searchSpace=space).rows()
    assert list(rows[0])[len(FIXED) :] == ["param.layer._name", "param.layer.size", "param.opt.a.b", "param.opt"]
    assert {row["param.layer._name"] for row in rows} == {"conv", "none"}
    assert {row["param.layer.size"] for row in rows} == {"3", ""}
    assert {row["param.opt.a.b"] for row in rows} == {'[1, "x"]', ""}
    assert {row["param.opt"] for row in rows} == {"", 'ad"am,\n'}


# --- the history -----------------------------------------------------------------------------------------------------


def test_the_history_is_in_the_order_of_the_trials_and_their_steps(story):
    s = story(values=range(5))
    for number in (3, 0, 4, 1):
        s.tell(number, Status.SUCCEEDED, 9, history=[number + step / 10 for step in range(12)])
    rows = s.rows(history=True)
    assert list(rows[0]) == [*HISTORY, "metric.default"]
    assert [(int(r["sequence"]), int(r["step"])) for r in rows] == [
        (n, step) for n in (0, 1, 3, 4) for step in range(12)
    ]
    assert [float(row["metric.default"]) for row in rows[:3]] == [0.0, 0.1, 0.2]


def test_the_history_has_the_last_attempt_only_and_every_key(story):
    s = story().tell(0, Status.FAILED, history=[1, 2, 3]).tell(0, Status.SUCCEEDED, 1, attempt=2,
                                                              history=[{"loss": 5}, {"acc": 6}, "text"])  # fmt: skip
    rows = s.rows(history=True)
    assert [(row["attempt"], row["metric.loss"], row["metric.acc"], row["metric.default"]) for row in rows] == [
        ("2", "5", "", ""), ("2", "", "6", ""), ("2", "", "", "text")]  # fmt: skip


def test_the_history_of_nothing_is_a_header(story):
    assert story().table(history=True) == ",".join(HISTORY).encode() + b"\r\n"


# --- packs ------------------------------------------------------------------------------------------------------------


def test_each_trial_of_a_packed_job_has_its_own_end(project):
    project.write(values=range(3), amlc={"trialsPerJob": 3}).compile()
    (entry,) = project.manifest.entries()
    trials = [{"id": t.id, "sequence": t.sequence, "parameters": t.parameters} for t in entry.trials]
    data = {"id": entry.id, "attempt": 1, "revision": "a1b2c3", "backend": "local", "losses": 0, "trials": trials}
    seen = Observation(job=entry.name, status=Status.FAILED, started=0.0, ended=100.0, exit_code=1)
    codes = [0, 3, 0]
    outcomes = [Outcome(trial=t["id"], exit_code=c, started=10.0 * n, ended=10.0 * n + 5)
                for n, (t, c) in enumerate(zip(trials, codes, strict=True))]  # fmt: skip
    with project.ledger() as ledger:
        ledger.append([Event(kind="intent", at=1, job=entry.name, data=data), observed(seen, at=2, outcomes=outcomes)])
        with trials_table(Results(project.manifest, ledger).rows()) as table:
            rows = list(table.rows)
    assert [row["status"] for row in rows] == ["succeeded", "failed", "succeeded"]
    assert [row["duration_s"] for row in rows] == [5, 5, 5]
    assert len({row["job"] for row in rows}) == 1
