"""Trial code that is kept by its content."""

import hashlib
import os

import pytest

from amlc.errors import UsageError
from amlc.kept import KeptCode
from amlc.revision import file_mark

NAMES = {"train.py": (b"print(1)\n", False), "lib/run me.sh": (b"#!/bin/sh\n", True), "lib/same.sh": (b"#!/bin/sh\n", False)}


@pytest.fixture
def code(tmp_path):
    for name, (content, executable) in NAMES.items():
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o644)
    return tmp_path / "code"


MARKS = {
    name: file_mark(hashlib.sha256(content).hexdigest(), executable=executable)
    for name, (content, executable) in NAMES.items()
}


def test_what_is_kept_comes_back_as_it_was(code, tmp_path):
    kept = KeptCode(tmp_path / "kept")
    kept.keep(MARKS, code)
    assert len(list(kept.folder.iterdir())) == 2  # once by content
    kept.check_out(MARKS, tmp_path / "out")
    for name, (content, executable) in NAMES.items():
        path = tmp_path / "out" / name
        assert path.read_bytes() == content
        assert os.access(path, os.X_OK) == executable


def test_a_file_that_somebody_changed_in_the_snapshot_is_not_kept_for_what_it_was(code, tmp_path):
    kept = KeptCode(tmp_path / "kept")
    (code / "train.py").write_bytes(b"print(2)\n")
    kept.keep(MARKS, code)
    assert kept.content(MARKS["train.py"]) is None
    with pytest.raises(UsageError, match=r"train\.py of this revision is not kept"):
        kept.check_out(MARKS, tmp_path / "out")


def test_what_is_damaged_counts_as_not_kept(code, tmp_path):
    kept = KeptCode(tmp_path / "kept")
    kept.keep(MARKS, code)
    (kept.folder / MARKS["train.py"]).write_bytes(b"print(3)\n")
    assert kept.content(MARKS["train.py"]) is None


@pytest.mark.parametrize("needed", [[], ["train.py"], ["lib/run me.sh"], list(NAMES)])
def test_what_is_needed_by_any_name_stays(code, tmp_path, needed):
    kept = KeptCode(tmp_path / "kept")
    kept.keep(MARKS, code)
    marks = {MARKS[name] for name in needed}
    sizes = list(kept.prune(marks))
    contents = {content for content, _ in NAMES.values()}
    left = {NAMES[name][0] for name in needed}
    assert sorted(sizes) == sorted(len(content) for content in contents - left)
    assert {path.read_bytes() for path in kept.folder.iterdir()} == left


def test_where_nothing_was_kept_there_is_nothing_to_remove(tmp_path):
    assert list(KeptCode(tmp_path / "kept").prune(())) == []
