"""amlc's own output is no trial code: which files are known as such, and which are not."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import Any

import pytest

from amlc import nni_export
from amlc.collect.tables import Table
from amlc.render.snapshot import snapshot
from amlc.render.written import ARCHIVE, output_finder
from amlc.report.tables import WRITERS
from amlc.revision import Contents, contents_text

ROWS = [
    {"sequence": 0, "trial": "3f9c1a2b4d5e6f70", "status": "succeeded", "attempt": 1, "param.x": 1, "metric.default": 2.5},
    {"sequence": 1, "trial": "4f9c1a2b4d5e6f70", "status": "pending", "param.x": 2},
]  # fmt: skip
SETS = [{"sequence": 0, "trials": 2, "param.x": 1, "metric.default.mean": 2.5}]
STEPS = [{"sequence": 0, "trial": "3f9c1a2b4d5e6f70", "attempt": 1, "job": "x", "step": 0, "at": 0.0}]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    return folder


def names(code: Path) -> set[str]:
    return {file.name for file in snapshot(code).files if not file.name.startswith("amlc_")}


def table(rows: list[dict[str, Any]], format_: str) -> bytes:
    stream = io.BytesIO()
    WRITERS[format_](Table(tuple(rows[0]), rows), stream)
    return stream.getvalue()


@pytest.mark.parametrize("format_", WRITERS)
@pytest.mark.parametrize("rows", [ROWS, STEPS, SETS, ROWS * 500], ids=["trials", "history", "sets", "many trials"])
@pytest.mark.parametrize("name", ["out.{}", "sub/all.results.{}", "results", "results.{}.tmp", "OUT.TXT"])
def test_tables_that_amlc_wrote_are_left_out(code, format_, rows, name) -> None:
    path = code / name.format(format_)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(table(rows, format_))
    assert names(code) == {"train.py"}


OWN = {
    "a table with other columns": ("data.csv", "sequence,label\n1,2\n2,3\n3,4\n"),
    "a table of proteins": ("data.csv", "sequence,trial,outcome\nACGT,1,good\n"),
    "our columns, not at the beginning": ("data.csv", "# my results\nsequence,trial,status,attempt\n0,a,b,1\n"),
    "JSON": ("data.json", '[\n{"sequence": "ACGT", "trial": "first", "status": "good"}\n]\n'),
    "JSON lines": ("data.jsonl", '{"sequence": 1, "trial": "x", "attempt": 2}\n'),
    "a page": ("page.html", '<!DOCTYPE html>\n<html lang="en">\n<title>amlc report</title>\n'),
    "a text": ("notes.txt", "The first run had:\nprobe: 4 of 4 trials done\n"),
    "a script that makes such a table": ("make.py", "sequence,trial,status,attempt = 0, 1, 2, 3\n"),
    "an empty file": ("empty.csv", ""),
    "PAR1 and nothing else": ("x.parquet", "PAR1" * 10),
    "an archive of somebody else's": ("x.tar", "\x1f\x8b\x08\x08" + "\0" * 6 + "experiment\0" + "x" * 100),
    "a command of theirs": ("jobs.json", '{\n "command": "python3 train.py",\n "queue": "long"\n}\n'),
    "a schema of theirs": ("s.json", '{\n  "$schema": "http://json-schema.org/draft-07/schema#",\n  "title": "x"\n}\n'),
    "a list of their experiments": ("list.json", '[\n  {\n    "experiment": "x",\n    "seed": 1\n  }\n]\n'),
    "another Parquet file": ("x.parquet", "PAR1" + "\0" * 30 + "\x04schema\x08feature\x05label" + "\x17\0\0\0PAR1"),
}


@pytest.mark.parametrize(("name", "text"), OWN.values(), ids=OWN)
def test_a_file_of_the_users_own_is_trial_code(code, name, text) -> None:
    (code / name).write_bytes(text.encode())
    assert names(code) == {"train.py", name}


def test_a_table_of_the_users_own_by_the_name_of_the_default_is_left_out_as_ever(code) -> None:
    (code / "results.csv").write_text("a,b\n1,2\n")
    (code / "sub").mkdir()
    (code / "sub" / "results.csv").write_text("a,b\n1,2\n")
    assert names(code) == {"train.py", "sub/results.csv"}


@pytest.mark.parametrize("ignores", ["!earlier.csv\n", "*.csv\n!earlier.csv\n", "!*.csv\n"])
@pytest.mark.parametrize("file", [".amlignore", ".gitignore", ".nniignore"])
def test_an_ignore_file_can_bring_it_back(code, file, ignores) -> None:
    (code / "earlier.csv").write_bytes(table(ROWS, "csv"))
    (code / file).write_text(ignores)
    assert names(code) == {file, "train.py", "earlier.csv"}


@pytest.mark.parametrize("descriptor", [1, 2])
def test_what_stdout_and_stderr_go_to_is_left_out(code, descriptor) -> None:
    saved = os.dup(descriptor)
    try:
        with (code / "anything.py").open("wb") as stream:
            os.dup2(stream.fileno(), descriptor)
        found = names(code)
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)
    assert found == {"train.py"}
    assert names(code) == {"train.py", "anything.py"}


def test_a_link_to_what_stdout_goes_to_is_left_out_too(code, tmp_path) -> None:
    saved = os.dup(1)
    (code / "link.txt").symlink_to(tmp_path / "out.txt")
    try:
        with (tmp_path / "out.txt").open("wb") as stream:
            os.dup2(stream.fileno(), 1)
        found = names(code)
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    assert found == {"train.py"}


def test_closed_streams_are_no_matter(code) -> None:
    saved = os.dup(2)
    os.close(2)
    try:
        assert names(code) == {"train.py"}
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def test_each_file_is_opened_once(code, monkeypatch) -> None:
    for name in ("a.py", "b.bin", "c.csv", "d.txt"):
        (code / name).write_bytes(b"x" * 100_000)
    read = []
    original = open

    def noting(path, *arguments, **options):
        read.append(os.path.basename(path))
        return original(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", noting)
    snapshot(code)
    assert sorted(read) == ["a.py", "b.bin", "c.csv", "d.txt"]


SEAL = '{\n "schema_version": 1,\n "command": "plan",\n "x": 1\n}\n'
SAID = {
    "progress": "#7 succeeded: 1.5; 1 of 9 done\n",
    "progress of several metrics": "#7 early_stopped; 12 ended; best 3 (#2)\n",
    "that all are at work": "3 running, 12 done, 0 failed\n",
    "a canary": "trials 0, 4, 5, … of 9 first: they cover the others\n",
    "a canary of one": "trial 0 of 9 first: they cover the others\n",
    "why it stopped": "stopped: maxExperimentDuration (25 s) is over\n",
    "that the canary failed": "nothing more is submitted: trial 0 failed\n",
    "a warning": "warning: smaller was taken for better\n",
    "an error": "error: build/: nothing is compiled yet.\n",
    "how it is called": "Usage: amlc [OPTIONS] COMMAND\n",
    "an outage": "The workspace does not answer. The jobs run on meanwhile; waiting until it answers.\n",
    "a problem": "experiment.yml:7:23 /x: this is wrong. [E-snapshot]\n  7 | x\n",
    "a long problem": f"experiment.yml:7:23 /x: {'x' * 600}. [E-snapshot]\n",
    "what was learnt": "old.csv: 12 results learnt from\n",
    "a cancel": "probe: canceling 2 jobs with trials 1, 2\n",
    "an import": "probe: 12 trials imported\n",
    "doctor": "ok      python: 3.12\n",
}


@pytest.mark.parametrize("name", ["log.txt", "log", "o1", "x.LOG", "x.err", "x.out"])
@pytest.mark.parametrize("text", SAID.values(), ids=SAID)
def test_what_a_command_says_is_known_in_logs_alone(code, text, name) -> None:
    (code / name).write_text(text, encoding="utf-8")
    (code / "data.csv").write_text(text, encoding="utf-8")
    (code / "mine.py").write_text(text, encoding="utf-8")
    (code / "later.txt").write_text(f"My notes\n{text}", encoding="utf-8")
    assert names(code) == {"train.py", "data.csv", "mine.py", "later.txt"}


@pytest.mark.parametrize("name", ["p.seal", "plan", "p.json", "a.b.c", "p.py", "p.1"])
def test_a_sealed_plan_is_known_whatever_it_is_called(code, name) -> None:
    (code / name).write_text(SEAL)
    assert names(code) == {"train.py"}


@pytest.mark.parametrize("name", ["a.tgz", "a.tar", "a.tar.gz", "a.bak", "a", "a.amlc"])
def test_an_archive_is_known_whatever_it_is_called(code, name) -> None:
    with (code / name).open("wb") as out, gzip.GzipFile(ARCHIVE, "wb", fileobj=out) as file:
        file.write(b"x" * 100)
    assert names(code) == {"train.py"}


@pytest.mark.parametrize("command", ["sh x.sh", 'say "é\\n"', "python3 train.py" + " --option value" * 100])
@pytest.mark.parametrize("environment", [None, "azureml:my-env@latest"])
@pytest.mark.parametrize("name", ["then.json", "then.txt", "then"])
def test_what_a_revision_is_made_of_is_known(code, command, environment, name) -> None:
    (code / name).write_text(contents_text(Contents(command=command, environment=environment, files={"a.py": "0" * 16})))
    assert names(code) == {"train.py"}


@pytest.mark.parametrize("place", ["best", "a/b/best"])
def test_a_download_is_left_out_wherever_it_lies(code, place) -> None:
    folder = code / place
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights.py").write_text("x = 1\n")
    assert names(code) == {"train.py", f"{place}/model/weights.py"}
    (folder / ".amlc-download").write_text('{"job": "x", "trial": "3f9c1a2b4d5e6f70"}\n')
    assert names(code) == {"train.py"}
    (code / ".amlignore").write_text(f"!{place}\n")
    assert f"{place}/model/weights.py" in names(code)


def test_an_empty_file_is_the_users(code) -> None:
    (code / "__init__.py").write_text("")
    (code / "o1").write_text("")
    assert names(code) == {"train.py", "__init__.py", "o1"}


@pytest.mark.parametrize(
    ("name", "text", "is_output"),
    [
        ("r.csv", "sequence,trial,status,attempt", True),
        ("r.CSV", "sequence,trial,attempt,status", True),
        ("r.py", "sequence,trial,status,attempt", False),
        ("r", "sequence,trial,status,attempt", True),
        ("r.csv", "sequence,trial,x,attempt,status", False),
        ("r.csv", "sequence,trial,stat", False),
        ("r.csv", " sequence,trial,status,attempt", False),
        ("r.json", '[\n{"sequence": 0, "trial": "3f9c1a2b4d5e6f70", "status": 1}', True),
        ("r.jsonl", '{"sequence": 0, "trial": "3f9c1a2b4d5e6f70", "attempt": 1}', True),
        ("r.json", '{"sequence": 0, "trial": "3f9c1a2b4d5e6f7", "status": 1}', False),
        ("r.html", "<!DOCTYPE html>\n<!-- written by amlc report -->", True),
        ("r.html", "<!DOCTYPE html>\n<html>x</html>", False),
        ("r.txt", "mnist: 3 of 1,200 trials done", True),
        ("r.txt", "one line\nmnist: 3 of 4 trials done", False),
        ("r.log", "mnist: 12 trials in 4 jobs, revision 9e7a6c, 3 files changed", True),
        ("r.log", "mnist: 1 trial in 1 job, revision 9e7a6c, 3 files changed", True),
        ("r.log", "mnist: 12 trials in 4 jobs, revision 9e7a6, 3 files changed", False),
        ("r.log", "mnist: the tuner is asked for trials as it runs, revision 9e7a6c, 3 files changed", True),
        ("r.txt", "mnist: 1 of 1 trial done", True),
        ("r.log", "1,000 submitted, x", True),
        ("r.log", "mnist: 1 trial imported", True),
        ("r.log", "x.csv: 1,000 results learnt from", True),
        ("r.log", "mnist: 1 job in the workspace, 1 of them new here", True),
        ("r.log", "x.tgz: mnist, 1 file\n", True),
        ("r.txt", "1 of 1 trial done"[:16], False),
    ],
)
def test_a_file_is_known_by_how_it_begins(tmp_path, name, text, is_output):
    (tmp_path / name).write_text(text)
    with os.scandir(tmp_path) as entries:
        assert [output_finder()(one) for one in entries] == [is_output]


HEAD = '{\n "format": 4,\n "experiment": "mnist",\n'
BUILDS = {
    "whole": {"manifest.json": HEAD, "jobs/00000-a.yml": "command: x\n", "code/train.py": "", "revision.json": "{}"},
    "of an older amlc": {"manifest.json": HEAD.replace("4", "1")},
    "cut short": {"code/amlc_runner.py": "x", "jobs/00000-a.yml": "command: x\n"},
    "without its code": {"manifest.json": HEAD, "depend.mk": "x:"},
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
@pytest.mark.parametrize("place", ["build/mnist", "out/mnist", "mnist", "a/b/mnist"])
def test_a_build_folder_is_left_out_wherever_it_lies(code, place, build) -> None:
    for name, text in build.items():
        path = code / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (code / place).with_name(".mnist.lock").write_text("process 27224 on vm\n")
    assert names(code) == {"train.py"}
    (code / place).with_name("mine.py").write_text("")
    assert names(code) == {"train.py", (Path(place).parent / "mine.py").as_posix()}
    (code / ".amlignore").write_text(f"!{place}\n")
    assert {f"{place}/{name}" for name in build} <= {file.name for file in snapshot(code).files}


@pytest.mark.parametrize("text", ["{}", '{"format": 4, "experiment": "mnist"}', '{\n "name": "x",\n "format": 4\n}', ""])
def test_another_manifest_is_trial_code(code, text) -> None:
    (code / "app" / "code").mkdir(parents=True)
    (code / "app" / "manifest.json").write_text(text)
    (code / "app" / "code" / "main.py").write_text("")
    assert names(code) == {"train.py", "app/manifest.json", "app/code/main.py"}


@pytest.mark.parametrize("text", ["process 1 on a\nand more\n", "lock of mine\n", "x process 1 on a\n"])
def test_another_lock_is_trial_code(code, text) -> None:
    (code / "poetry.lock").write_text(text)
    assert names(code) == {"train.py", "poetry.lock"}


def test_what_nni_would_export_is_left_out(code) -> None:
    exported = {"parameter": {"x": 1}, "value": "0.5", "trialJobId": "3f9c1a2b4d5e6f70"}
    for kind, write in nni_export.WRITERS.items():
        out = io.BytesIO()
        write([exported], out)
        (code / f"export.{kind[4:]}").write_bytes(out.getvalue())
    (code / "mine.json").write_text('[{"parameter": {"x": 1}, "value": "0.5", "trialJobId": "FnXtG"}]')
    assert names(code) == {"train.py", "mine.json"}
