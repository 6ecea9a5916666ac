"""Which kind of file it is, the file itself says."""

import sqlite3
from contextlib import closing

import pytest

from amlc.elsewhere import read
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
