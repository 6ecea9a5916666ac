"""What a run folder says of its making."""

import json
import os
import shutil

import pytest

from amlc.targets.local import origin


def test_a_folder_says_where_it_was_made_and_a_copy_that_it_is_one(tmp_path):
    (tmp_path / "run").mkdir()
    mark = origin.note(tmp_path / "run")
    assert origin.read(tmp_path / "run") == origin.Origin(mark, os.uname().nodename, is_copy=False)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert origin.read(tmp_path / "copy") == origin.Origin(mark, os.uname().nodename, is_copy=True)
    (tmp_path / "run").rename(tmp_path / "renamed")
    assert origin.read(tmp_path / "renamed").is_copy is False
    assert origin.note(tmp_path / "renamed") != mark, "each start has its own"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "3", "{}", "[" * 100_000, {"mark": "", "host": "h", "inode": 1}, {"mark": 5, "host": "h", "inode": 1}],
)
def test_what_is_damaged_says_nothing(tmp_path, content):
    (tmp_path / "origin").write_text(content if isinstance(content, str) else json.dumps(content))
    assert origin.read(tmp_path) is None
    assert origin.read(tmp_path / "missing") is None
