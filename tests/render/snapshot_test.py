"""The snapshot: which files of the trial code go along, and what stops it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from amlc.render.snapshot import SnapshotError, counted, digest, snapshot

PARTS = (
    *("__init__", "bindings", "children", "copies", "fork", "gpus", "job", "last_words", "latent", "loop", "main", "metric_log"),
    *("metrics", "mlflow", "own_log", "process", "ranks", "results", "run_token", "signals", "slots", "streams", "sweep"),
    *("tracking", "workdir"),
)
STANDIN = ("__init__", "_absent", "_decode", "_encode", "_serialize", "_trial", "trial", "utils")
RUNNER = {
    "amlc_runner.py",
    *(f"amlc_runner_lib/{name}.py" for name in PARTS),
    *(f"amlc_standin/nni/{name}.py" for name in STANDIN),
}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    return folder


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def names(code: Path, **options) -> set[str]:
    return {file.name for file in snapshot(code, **options).files} - RUNNER


def test_the_runner_its_parts_and_its_stand_in_go_along(code) -> None:
    assert {file.name for file in snapshot(code).files} == RUNNER


def test_files_are_sorted_and_folders_listed(code) -> None:
    for name in ("b.py", "a/z.py", "a.py", "a/b/c.py"):
        put(code / name)
    found = snapshot(code)
    assert [file.name for file in found.files] == sorted(file.name for file in found.files)
    assert set(found.folders) == {code, code / "a", code / "a" / "b"}


@pytest.mark.parametrize(
    "name",
    [
        *["__pycache__/a.pyc", "x.pyc", ".git/config", ".venv/bin/python", "venv/x", ".amlc/x/ledger.db", ".tox/x"],
        *["deep/er/__pycache__/a.pyc", ".ipynb_checkpoints/a", ".mypy_cache/a", ".DS_Store", "results.csv"],
    ],
)
def test_what_never_belongs_to_a_trial_is_left_out_by_default(code, name) -> None:
    put(code / name)
    assert names(code) == set()


def test_an_ignore_file_can_bring_a_default_back(code) -> None:
    put(code / "venv" / "x")
    put(code / ".amlignore", "!venv/\n")
    assert names(code) == {".amlignore", "venv/x"}


PATTERNS = [
    pytest.param({".gitignore": "*.bin\n"}, {".gitignore", "keep.py", "a/keep.py", "a/b/deep.py"}, id="gitignore"),
    pytest.param({".nniignore": "a/\n"}, {".nniignore", "keep.py", "x.bin"}, id="nniignore, a folder"),
    pytest.param(
        {".amlignore": "/keep.py\n"}, {".amlignore", "a/keep.py", "x.bin", "a/y.bin", "a/b/deep.py"}, id="anchored"
    ),
    pytest.param(
        {".gitignore": "*.bin\n!x.bin\n"}, {".gitignore", "keep.py", "x.bin", "a/keep.py", "a/b/deep.py"}, id="negation"
    ),
    pytest.param(
        {".gitignore": "*.bin\n", ".amlignore": "!y.bin\n"},
        {".gitignore", ".amlignore", "keep.py", "a/y.bin", "a/keep.py", "a/b/deep.py"},
        id="amlignore wins over gitignore",
    ),
    pytest.param(
        {".amlignore": "!*.bin\n", ".nniignore": "*.bin\n"},
        {".amlignore", ".nniignore", "keep.py", "a/keep.py", "a/b/deep.py"},
        id="nniignore wins over amlignore",
    ),
    pytest.param(
        {".gitignore": "*.bin\n", "a/.gitignore": "!y.bin\n/keep.py\n"},
        {".gitignore", "a/.gitignore", "keep.py", "a/y.bin", "a/b/deep.py"},
        id="a nested file counts from its own folder and wins",
    ),
    pytest.param(
        {".gitignore": "a/**/deep.py\n**/y.bin\n"}, {".gitignore", "keep.py", "x.bin", "a/keep.py"}, id="double star"
    ),
    pytest.param(
        {".gitignore": "# keep.py\n\nkeep.py \n\\#x\n"},
        {".gitignore", "x.bin", "a/y.bin", "a/b/deep.py"},
        id="comment and blank",
    ),
    pytest.param({".gitignore": "a\n"}, {".gitignore", "keep.py", "x.bin"}, id="a folder without a slash"),
    pytest.param({".gitignore": "*.bin\r\n"}, {".gitignore", "keep.py", "a/keep.py", "a/b/deep.py"}, id="CRLF"),
]


@pytest.mark.parametrize(("ignores", "expected"), PATTERNS)
def test_ignore_files_work_as_gits_do(code, ignores, expected) -> None:
    for name in ("keep.py", "x.bin", "a/y.bin", "a/keep.py", "a/b/deep.py"):
        put(code / name)
    for name, text in ignores.items():
        (code / name).write_bytes(text.encode())
    assert names(code) == expected


def test_leave_out_excludes_folders_wherever_they_are(code) -> None:
    put(code / "build" / "x" / "manifest.json")
    put(code / "keep")
    assert names(code, leave_out=[code / "build"]) == {"keep"}


@pytest.mark.parametrize(
    "name",
    [
        "a b.py",
        "it's.py",
        'say "x".py',
        "$(touch x).py",
        "ünï.py",
        "🙂.py",
        "a\nb.py",
        "-rf",
        "#1",
        "back\\slash",
        "é" * 127,
    ],
)
def test_any_utf8_name_goes_along(code, name) -> None:
    put(code / name, "x")
    assert names(code) == {name}


def test_a_name_that_is_not_utf8_is_an_error(code) -> None:
    with open(os.fsencode(code) + b"/\xff.py", "wb"):
        pass
    with pytest.raises(SnapshotError, match="not UTF-8"):
        snapshot(code)


# --- links, modes, clashes ---------------------------------------------------------------------------------------------


def test_links_to_files_and_folders_are_followed(code, tmp_path) -> None:
    put(tmp_path / "data" / "train.csv", "1,2")
    (code / "data").symlink_to(tmp_path / "data")
    (code / "one.csv").symlink_to(tmp_path / "data" / "train.csv")
    found = {file.name: file for file in snapshot(code).files}
    assert {"data/train.csv", "one.csv"} <= found.keys()
    assert found["one.csv"].size == 3


@pytest.mark.parametrize(
    ("target", "message"),
    [
        pytest.param(".", "leads into itself", id="its own folder"),
        pytest.param("..", "leads into itself", id="a folder above"),
        pytest.param("nowhere", "leads nowhere", id="broken"),
        pytest.param("link", "leads nowhere", id="itself"),
    ],
)
def test_a_link_without_an_end_is_an_error_that_names_it(code, target, message) -> None:
    put(code / "sub" / "a.py")
    (code / "sub" / "link").symlink_to(target)
    with pytest.raises(SnapshotError, match=rf"{re.escape(str(code))}/sub/link.*: this link {message}.*\.amlignore"):
        snapshot(code)


def test_an_ignored_broken_link_is_no_matter(code) -> None:
    (code / "link").symlink_to("nowhere")
    put(code / ".amlignore", "link\n")
    assert names(code) == {".amlignore"}


def test_an_executable_file_stays_one(code) -> None:
    put(code / "run.sh").chmod(0o755)
    put(code / "data.csv").chmod(0o640)
    found = {file.name: file.executable for file in snapshot(code).files}
    assert (found["run.sh"], found["data.csv"]) == (True, False)


@pytest.mark.parametrize(
    "name",
    [
        *["amlc_runner.py", "amlc_runner.py/x", "amlc_standin", "amlc_standin/nni/__init__.py", "amlc_standin/mine.py"],
        *["amlc_runner_lib", "amlc_runner_lib/job.py", "amlc_runner_lib/mine.txt"],
    ],
)
def test_a_file_in_the_runners_place_is_an_error(code, name) -> None:
    put(code / name)
    with pytest.raises(SnapshotError, match=r"code/amlc_(runner\.py|runner_lib|standin).*Rename yours"):
        snapshot(code)


def test_sockets_and_pipes_are_left_out(code) -> None:
    os.mkfifo(code / "pipe")
    assert names(code) == set()


def test_a_folder_that_cannot_be_read_is_an_error_that_names_it(code) -> None:
    with pytest.raises(SnapshotError, match=r"code/gone: cannot be read: No such file.*\.amlignore"):
        snapshot(code / "gone")


def test_a_file_that_vanishes_meanwhile_is_an_error_that_names_it(code) -> None:
    put(code / "gone.txt")
    files = snapshot(code).files
    (code / "gone.txt").unlink()
    with pytest.raises(SnapshotError, match=r"gone\.txt: cannot be read"):
        counted(files)


# --- limits -------------------------------------------------------------------------------------------------------------


def test_two_thousand_files_are_taken_and_one_more_is_an_error(code) -> None:
    for number in range(2000):
        (code / f"{number:04d}").touch()
    assert len(names(code)) == 2000
    put(code / "last", "x" * 10)
    with pytest.raises(SnapshotError, match=r"2,001 files with 10 bytes; .* at most 2,000 files") as caught:
        snapshot(code)
    assert len(snapshot(code, limited=False).files) == 2001 + len(RUNNER)
    assert "The largest, with their bytes: last (10), 0000 (0), " in str(caught.value)
    assert str(caught.value).endswith(" 0008 (0).")


def test_too_many_bytes_are_an_error_that_lists_the_ten_largest(code) -> None:
    for number in range(12):
        with (code / f"{number:02d}.bin").open("wb") as stream:
            stream.truncate(30_000_000 + number)  # sparse: takes no space
    with pytest.raises(SnapshotError, match=r"at most .* 300,000,000 bytes") as caught:
        snapshot(code)
    rows = ", ".join(f"{number:02d}.bin (30,000,0{number:02d})" for number in range(11, 1, -1))
    assert str(caught.value).endswith(f"The largest, with their bytes: {rows}.")
    put(code / ".amlignore", "0*.bin\n")
    assert len(names(code)) == 3


# --- the digest ---------------------------------------------------------------------------------------------------------


def test_the_digest_changes_with_names_modes_and_contents_only(code, tmp_path) -> None:
    put(code / "a.py", "1")
    put(code / "experiment.yml", "x")
    without = [code / "experiment.yml"]
    before = digest(counted(snapshot(code).files, without=without))
    put(code / "experiment.yml", "y")
    os.utime(code / "a.py", (1, 1))
    assert digest(counted(snapshot(code).files, without=without)) == before
    moved = tmp_path / "moved"
    shutil.copytree(code, moved)
    assert digest(counted(snapshot(moved).files, without=[moved / "experiment.yml"])) == before
    digests = {before}
    (code / "a.py").chmod(0o755)
    digests.add(digest(counted(snapshot(code).files, without=without)))
    put(code / "a.py", "2")
    digests.add(digest(counted(snapshot(code).files, without=without)))
    (code / "a.py").rename(code / "b.py")
    digests.add(digest(counted(snapshot(code).files, without=without)))
    put(code / "empty")
    digests.add(digest(counted(snapshot(code).files, without=without)))
    assert len(digests) == 5


SECRETS = [".env", "id_rsa", "id_rsa.pub", "sub/id_ed25519_work", "tls/server.pem", "private.key", ".azure/msal.json"]
SECRETS += [".aws/credentials", ".ssh/config", ".netrc", ".git-credentials", "cert.pfx"]


def test_what_looks_like_a_secret_is_left_out_and_named(code) -> None:
    for name in (*SECRETS, "train.py", ".env.example", "keys.py", "environment"):
        put(code / name)
    found = snapshot(code)
    assert {file.name for file in found.files} - RUNNER == {"train.py", ".env.example", "keys.py", "environment"}
    left_out = {name if not name.startswith((".azure", ".aws", ".ssh")) else name.split("/")[0] + "/" for name in SECRETS}
    assert set(found.secrets) == left_out


@pytest.mark.parametrize("file", [".gitignore", ".amlignore", ".nniignore"])
def test_an_ignore_file_brings_a_secret_back(code, file) -> None:
    put(code / ".env")
    put(code / "ca" / "root.pem")
    put(code / "other.pem")
    put(code / file, "!.env\n!ca/*.pem\n")
    found = snapshot(code)
    assert {file.name for file in found.files} - RUNNER == {".env", "ca/root.pem", file}
    assert found.secrets == ("other.pem",)


def test_what_an_ignore_file_leaves_out_is_not_named_again(code) -> None:
    put(code / ".env")
    put(code / ".gitignore", ".env\n")
    assert snapshot(code).secrets == ()


def test_a_link_out_of_the_folder_is_refused_where_none_may_be(code, tmp_path) -> None:
    put(tmp_path / "outside.py")
    (code / "link.py").symlink_to("../outside.py")
    assert names(code) == {"link.py"}
    with pytest.raises(SnapshotError, match=r"link\.py: this link leads out"):
        snapshot(code, within=code)
