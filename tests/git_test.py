"""Files as a revision has them: nothing of the work tree is touched, and nothing of the repository is run."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from amlc.errors import UsageError
from amlc.git import commit, extract

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    (root / "a" / "code").mkdir(parents=True)

    def git(*arguments):
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        subprocess.run(["git", "-C", root, *identity, *arguments], check=True, capture_output=True)

    git("init", "-q", "-b", "trunk")
    (root / "a" / "x.yml").write_text("old\n")
    (root / "a" / "code" / "ü b.sh").write_text("#!/bin/sh\n")
    (root / "a" / "code" / "ü b.sh").chmod(0o755)
    (root / "a" / "code" / "inner").symlink_to("../x.yml")
    (root / "a" / "code" / "outer").symlink_to("/etc/passwd")
    (root / "other").write_bytes(b"\0\r\n")
    (root / ".gitattributes").write_text("* filter=mine\n")
    git("config", "filter.mine.smudge", "touch RAN; cat")
    git("add", "-A")
    git("commit", "-qm", "first")
    (root / "a" / "x.yml").write_text("new\n")
    return root


def tree(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def test_what_is_below_the_paths_comes_as_it_was(repository, tmp_path):
    before = subprocess.check_output(["git", "-C", repository, "status", "--porcelain"])
    found = commit("trunk", repository / "a")
    assert (found.top, len(found.name)) == (repository, 40)
    into = tmp_path / "into"
    extract(found, [repository / "a", tmp_path / "elsewhere"], into)
    assert tree(into) == {"a/x.yml", "a/code/ü b.sh", "a/code/inner"}
    assert (into / "a" / "x.yml").read_text() == "old\n"
    assert os.access(into / "a" / "code" / "ü b.sh", os.X_OK)
    assert (into / "a" / "code" / "inner").read_text() == "old\n"
    assert not (repository / "RAN").exists()
    assert subprocess.check_output(["git", "-C", repository, "status", "--porcelain"]) == before
    extract(found, [repository / "other"], into)
    assert (into / "other").read_bytes() == b"\0\r\n"


@pytest.mark.parametrize("revision", ["nope", "--help", "-x", "trunk:a", ""])
def test_what_is_no_commit_is_said(repository, revision):
    with pytest.raises(UsageError, match="git has no revision"):
        commit(revision, repository)


def test_without_a_repository_it_is_said(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="not a git repository"):
        commit("HEAD", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git is not installed"):
        commit("HEAD", tmp_path)
