"""Which kind of file it is, the file itself says."""

import json
import os
import sqlite3
from contextlib import closing

import pytest

from amlc.elsewhere import MOST_BYTES, read
from amlc.errors import UsageError
from tests.conftest import Project


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "not text in UTF-8, and no database"),
        (b"SQLite format 3\0 and no more", "file is not a database"),
        (b"[{", "not JSON"),
        (b'{"a": 1}\n\n{"b', r"x:3: not JSON \(.*\)\. Is the line whole\?"),
        (b'[{"a": 1},\n{"b', "x: not JSON .*line 2 column 2"),
        (b"5", "it is JSON, but item 0 is no object"),
        (b'[{"value": 1}, 2]', "it is JSON, but item 1 is no object"),
        (b" \n", r"it is empty\. Expected NNI's"),
        (b"PAR1\x15\x04", r"it is Parquet\. Collect it as CSV or JSON"),
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
    "deep-option.json": '{"status": "succeeded", "param.x": ' + '{"a":' * 900 + "1" + "}" * 901,
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


def choice(*options):
    return {"_type": "choice", "_value": list(options)}


TOLD = [1, 0.5, "x", None, True, [1, 2], {"a": 1}, {"a": {"b": None}, "c": 2}, "a,b", "one\r\nother", 'quo"te', " ", "é"]
SPACES = {
    "options": {"c": choice(*TOLD)},
    "types": {"c": choice(1, "1", 1.0, None, "", True, "true", "null", "None", [1, 2], "[1, 2]", [[1, 2], [3]], [])},
    "nested": {"n": choice({"_name": "a", "k": choice(None, "", 1, "1")}, {"_name": "b", "m": choice({"_name": "c"})})},
    "together": {"a": choice(1, "1", None), "b": choice(None, "", "x")},
    "ranges": {"i": {"_type": "randint", "_value": [2**60, 2**60 + 3]}, "q": {"_type": "quniform", "_value": [0, 1, 0.3]}},
}
TOGETHER = {"together": {"zip": [["a", "b"]]}}
BY = {
    "csv": ("collect", "--format", "csv"),
    "json": ("collect", "--format", "json"),
    "jsonl": ("collect", "--format", "jsonl"),
    "nni-json": ("collect", "--as", "nni-json"),
    "ledger": (),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Each space as a project whose trials all have another result, and the table of that."""
    made = {}

    def of(kind):
        if kind not in made:
            project = Project(tmp_path_factory.mktemp(kind) / "project")
            keys = {"searchSpace": SPACES[kind], "amlc": TOGETHER.get(kind, {}), "trialConcurrency": 4}
            project.write("final $NNI_TRIAL_SEQ_ID\nexit 0", **keys)
            project.amlc("run", "experiment.yml")
            made[kind] = keys, project, results(project)
        return made[kind]

    return of


def results(project, code=0):
    rows = json.loads(project.amlc("collect", "--format", "json", code=code).stdout)
    return {row["trial"]: row["metric.default"] for row in rows if "metric.default" in row}


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("kind", SPACES)
def test_what_was_exported_is_imported_whole_and_under_the_same_ids(make_project, exported, kind, by):
    """A table of texts cannot tell all of them apart: what it cannot is not taken, never for another one."""
    keys, source, expected = exported(kind)
    assert len(set(expected.values())) == len(expected) > 2
    path = source.folders.ledger("probe")
    if BY[by]:
        path = source.root / by
        path.write_bytes(source.amlc(*BY[by]).stdout)
    project = make_project("other").write(**keys)
    said = project.amlc("import", str(path), "experiment.yml").stderr
    is_told = by != "csv" or kind not in ("types", "nested", "together")
    found = results(project, code=0 if is_told else 4)
    assert found.items() <= expected.items()
    assert (found == expected) == is_told
    assert ("two options are written so" in said) != is_told
