"""What NNI left: the database as its own replay of the events reads it, and its exports."""

import json
import sqlite3
from contextlib import closing

import pytest

from amlc.elsewhere import read
from amlc.elsewhere.nni import read_database, read_export
from amlc.errors import UsageError
from amlc.model import Status

TABLES = """
CREATE TABLE TrialJobEvent (timestamp integer, trialJobId text, event text, data text, logPath text,
    sequenceId integer, message text, environmentId text);
CREATE TABLE MetricData (timestamp integer, trialJobId text, parameterId text, type text, sequence integer, data text);
"""


def write(path, events=(), metrics=()):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
        for at, trial, event, made in events:
            data = None if made is None else json.dumps({"parameter_id": made[0], "parameters": made[1]})
            row = (at, trial, event, data, None, 0, "why" if event == "FAILED" else None, None)
            connection.execute("INSERT INTO TrialJobEvent VALUES (?,?,?,?,?,?,?,?)", row)
        for trial, parameters, kind, sequence, value in metrics:
            data = json.dumps(json.dumps(value))
            row = (9000, trial, parameters, kind, sequence, data)
            connection.execute("INSERT INTO MetricData VALUES (?,?,?,?,?,?)", row)
        connection.commit()
    return path


def by_trial(path):
    return {one.where.rpartition(" ")[2]: one for one in read_database(path)}


def test_a_trial_has_its_parameters_its_reports_and_its_times(tmp_path):
    path = write(
        tmp_path / "nni.sqlite",
        [(1000, "a", "WAITING", (0, {"x": 1})), (2000, "a", "RUNNING", None), (5000, "a", "SUCCEEDED", None)],
        [("a", "0", "PERIODICAL", 1, 0.2), ("a", "0", "FINAL", 0, {"default": 3, "b": [1]}),
         ("a", "0", "FINAL", 1, 4), ("a", "0", "PERIODICAL", 0, 0.1)],
    )  # fmt: skip
    (one,) = read_database(path)
    assert one.parameters == {"x": 1}
    assert (one.status, one.started, one.ended) == (Status.SUCCEEDED, 2.0, 5.0)
    assert one.history == (0.1, 0.2)  # NNI wrote them down in another order
    assert one.final == ({"default": 3, "b": [1]},)  # the first of two


@pytest.mark.parametrize(
    ("events", "status"),
    [
        (["WAITING", "RUNNING"], Status.RUNNING),
        (["WAITING", "RUNNING", "FAILED"], Status.FAILED),
        (["WAITING", "RUNNING", "EARLY_STOPPED"], Status.EARLY_STOPPED),
        (["WAITING", "USER_TO_CANCEL", "USER_CANCELED"], Status.CANCELED),
        (["RUNNING", "SYS_CANCELED"], Status.UNFINISHED),
        (["ADD_CUSTOMIZED"], Status.UNKNOWN),
    ],
)
def test_the_status_is_what_the_last_event_says(tmp_path, events, status):
    made = [(1000, "a", event, (0, {"x": 1}) if not number else None) for number, event in enumerate(events)]
    (one,) = read_database(write(tmp_path / "nni.sqlite", made))
    assert one.status is status
    assert one.error == ("why" if status is Status.FAILED else None)


def test_the_parameters_are_those_that_the_metrics_are_of(tmp_path):
    made = [(1, name, "RUNNING", (number, {"x": number})) for number, name in enumerate("abcd")]
    ends = [(2, name, end, None) for name, end in zip("abcd", ["SUCCEEDED", "SUCCEEDED", "FAILED", "FAILED"], strict=True)]
    found = by_trial(write(tmp_path / "nni.sqlite", made + ends, [("a", "2", "FINAL", 0, 2), ("b", "1", "FINAL", 0, 1)]))
    assert {name: one.parameters["x"] for name, one in found.items()} == {"a": 2, "b": 1, "c": 0, "d": 3}


def test_a_database_that_is_torn_is_said(tmp_path):
    path = write(tmp_path / "nni.sqlite", [(1, "a", "RUNNING", (0, {}))] * 2000)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(UsageError, match=r"nni\.sqlite: .*Copy it while NNI is stopped"):
        list(read_database(path))


def test_nothing_is_written_into_its_folder(tmp_path, space):
    (tmp_path / "id" / "db").mkdir(parents=True)
    path = write(tmp_path / "id" / "db" / "nni.sqlite", [(1, "a", "RUNNING", (0, {"x": 1}))])
    before = path.read_bytes()
    assert [one.parameters for one in read(tmp_path / "id", space)] == [{"x": 1}]
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before


def test_an_export_with_intermediate_results_has_the_final_one_among_them(tmp_path):
    rows = [
        {"parameter": {"x": 1}, "value": "0.5", "trialJobId": "a", "intermediate": ["0.1", "0.5", "0.5"]},
        {"parameter": {"x": 2}, "value": '{"default": 1}', "trialJobId": "b", "intermediate": ['{"default": 1}', "0.2"]},
        {"parameter": {"x": 3}, "value": "0.5", "trialJobId": "c"},
    ]
    found = list(read_export(tmp_path, rows))
    assert [one.history for one in found] == [(0.1, 0.5), (0.2,), ()]
    assert [one.final for one in found] == [(0.5,), ({"default": 1},), (0.5,)]
