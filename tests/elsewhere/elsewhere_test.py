"""Which kind of file it is, the file itself says."""

import json
import os
import sqlite3
from contextlib import closing

import pytest

from amlc.elsewhere import MOST_BYTES, read
from amlc.errors import UsageError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "not text in UTF-8, and no database"),
        (b"SQLite format 3\0 and no more", "file is not a database"),
        (b"[{", "not JSON"),
        (b"a,b\n", "no column 'metric.default'"),
    ],
)
def test_what_is_none_of_the_formats_is_refused(tmp_path, space, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        list(read(tmp_path / "x", space))
    assert str(caught.value).startswith(str(tmp_path / "x"))


def test_a_database_without_trials(tmp_path, space):
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE mine (a)")
    with pytest.raises(UsageError, match=r"a database that has no trials\. Expected"):
        list(read(tmp_path / "x.db", space))


def test_a_folder_without_any(tmp_path, space):
    with pytest.raises(UsageError, match=r"there is no ledger\.db\. Expected"):
        list(read(tmp_path, space))


def test_a_metric_is_for_tables_alone(tmp_path, space):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(UsageError, match=r"--metric acc: .* says itself"):
        list(read(tmp_path / "x.json", space, metric="acc"))


NESTED = "[" * 100_000
HOSTILE = {
    "long.csv": "sequence,param.x,metric.default\n0,1,1\n1," + "9" * 200_000 + ",1\n",
    "long-header.csv": "metric.default," + "9" * 200_000 + "\n",
    "deep.json": NESTED,
    "deep-value.json": json.dumps([{"parameter": "[" * 100_000, "value": "[" * 100_000}]),
    "year.csv": "param.x,metric.default,started,budget\n1,2,0001-01-01T00:00:00,inf\n",
    "nothing.csv": "",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_sentence_or_no_trial(tmp_path, name) -> None:
    path = tmp_path / name
    path.write_text(HOSTILE[name])
    said = ""
    try:
        assert all(one.where.startswith(str(path)) for one in read(path, ()))
    except UsageError as error:
        said = str(error)
    assert not said or said.startswith(str(path))
    assert "\n" not in said
    assert len(said) < 1_000


@pytest.mark.parametrize("name", ["fifo", "/dev/zero", "large"])
def test_what_is_no_file_or_too_large_is_not_read(tmp_path, name) -> None:
    os.mkfifo(tmp_path / "fifo")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(UsageError, match=r"cannot be read: it (is no regular file|has more than)"):
        list(read(tmp_path / name, ()))
