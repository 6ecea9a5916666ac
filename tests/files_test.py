"""Files are replaced whole or not at all, and a lock has one holder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from amlc import files
from amlc.errors import LockedError, UsageError
from amlc.folders import Folders


def test_content_is_written_only_if_it_changes(tmp_path) -> None:
    path = tmp_path / "a"
    assert files.write_if_changed(path, b"1")
    before = path.stat()
    assert not files.write_if_changed(path, b"1")
    assert path.stat().st_ino == before.st_ino
    assert files.write_if_changed(path, b"2")
    assert path.read_bytes() == b"2"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "🙂" * 63, "a b", "a\nb", "-rf", ".hidden"])
def test_any_file_name_can_be_written(tmp_path, name) -> None:
    path = tmp_path / name
    files.replace(path, b"x")
    (tmp_path / "source").write_bytes(b"y")
    assert files.copy_if_changed(tmp_path / "source", path, mode=0o644)
    assert path.read_bytes() == b"y"
    assert len(os.listdir(tmp_path)) == 2


def test_of_a_mode_only_counts_whether_it_is_a_program(tmp_path) -> None:
    path, source = tmp_path / "a", tmp_path / "source"
    source.write_bytes(b"y")
    assert files.copy_if_changed(source, path, mode=0o644)
    path.chmod(0o600)
    assert not files.copy_if_changed(source, path, mode=0o644)
    assert files.copy_if_changed(source, path, mode=0o755)
    assert path.stat().st_mode & 0o777 == 0o755
    path.chmod(0o700)
    assert not files.copy_if_changed(source, path, mode=0o755)


def test_what_was_there_survives_a_full_disk(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a"
    files.replace(path, b"old")
    write = os.write

    def full(descriptor: int, data: memoryview) -> int:
        if len(data) <= 50:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:50])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        files.replace(path, b"n" * 120)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_new_file_is_created_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a"
    files.create(str(path), b"1")
    with pytest.raises(FileExistsError):
        files.create(str(path), b"2")
    assert path.read_bytes() == b"1"

    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        files.create(str(tmp_path / "b"), b"3")
    assert os.listdir(tmp_path) == ["a"]


def test_short_writes_are_finished(tmp_path, monkeypatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    files.replace(tmp_path / "a", bytes(range(256)))
    files.create(str(tmp_path / "b"), bytes(range(256)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == bytes(range(256))


def test_a_link_is_replaced_and_not_written_through(tmp_path) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    (tmp_path / "a").symlink_to(tmp_path / "outside")
    files.replace(tmp_path / "a", b"new")
    assert (tmp_path / "outside").read_bytes() == b"mine"
    assert not (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("name", ["missing", "a/below a file"])
def test_reading_what_is_not_there_gives_none(tmp_path, name) -> None:
    (tmp_path / "a").touch()
    assert files.read_or_none(tmp_path / name) is None


@pytest.mark.parametrize(
    ("old", "mode", "changed"),
    [
        pytest.param(None, 0o644, True, id="new"),
        pytest.param(b"x", 0o644, False, id="the same"),
        pytest.param(b"x", 0o755, True, id="another mode"),
        pytest.param(b"y", 0o644, True, id="another content of the same length"),
    ],
)
def test_copies_follow_content_and_mode(tmp_path, old, mode, changed) -> None:
    (tmp_path / "source").write_bytes(b"x")
    path = tmp_path / "copy"
    if old is not None:
        path.write_bytes(old)
        path.chmod(0o644)
    assert files.copy_if_changed(tmp_path / "source", path, mode=mode) is changed
    assert path.read_bytes() == b"x"
    assert path.stat().st_mode & 0o777 == mode


def test_a_lock_has_one_holder_and_says_who(tmp_path) -> None:
    path = tmp_path / "deep" / "lock"
    code = (
        "import sys; from pathlib import Path; from amlc.files import lock\n"
        f"with lock(Path({str(path)!r})): print('held', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(LockedError, match=f"lock: process {holder.pid} on .* is working on this experiment"),
            files.lock(path),
        ):
            pass
        holder.kill()
        holder.wait()
    with files.lock(path):
        pass


def test_a_file_within_the_limit_is_read_whole_and_another_not(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert files.read_bounded(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        files.read_bounded(tmp_path / "a", 4)


def test_what_says_that_it_is_empty_and_is_not_has_the_limit_too() -> None:
    with pytest.raises(OSError, match="more than 10 bytes"):
        files.read_bounded(Path("/proc/self/maps"), 10)


@pytest.mark.parametrize("name", ["fifo", "folder", "/dev/zero", "a\0b", "gone"])
def test_what_is_no_regular_file_is_neither_waited_for_nor_read(tmp_path, name) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"no regular file|directory|NUL|No such file"):
        files.open_regular(tmp_path / name)


def test_what_a_killed_process_left_is_removed_and_what_another_is_writing_is_not(tmp_path) -> None:
    path = tmp_path / "file"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left, beside, other = (tmp_path / f".{name}.tmp" for name in (f"file.{gone.pid}", f"file.{os.getpid()}", "other.1"))
    for one in (left, beside, other):
        one.touch()
    files.remove_leftovers(path)
    assert sorted(tmp_path.iterdir()) == sorted([beside, other])


def test_a_state_folder_is_made_with_its_ignore_file_at_once_or_not(tmp_path, monkeypatch) -> None:
    def fail(one: Path, other: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    folders = Folders(state=tmp_path / ".amlc")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="gitignore"):
            folders.prepare_state()
    assert list(folders.state.iterdir()) == []
    folders.prepare_state()
    assert (folders.state / ".gitignore").read_text() == "*\n"


def test_a_lock_is_asked_for_without_being_taken(tmp_path, monkeypatch) -> None:
    files.check_locks(tmp_path / "missing")
    with files.lock(tmp_path / "lock"):
        files.check_locks(tmp_path / "lock")
    monkeypatch.setattr(files.fcntl, "flock", _no_locks)
    with pytest.raises(UsageError, match="has no locks"):
        files.check_locks(tmp_path / "lock")


def _no_locks(descriptor: int, operation: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused_in_a_sentence(tmp_path, monkeypatch, number) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.fcntl, "flock", flock)
    says = r"lock: this file system has no locks \(.*\), .*: --build, --state\."
    with pytest.raises(UsageError, match=says), files.lock(tmp_path / "lock"):
        pass


def test_what_nobody_can_look_into_is_not_taken_for_absent(tmp_path) -> None:
    (tmp_path / "a" / "has").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "c").touch()
    assert files.folders_with("has", tmp_path) == [tmp_path / "a"]
    assert files.folders_in(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert files.folders_with("x" * 256, tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert files.folders_with("has", tmp_path / "c") == files.folders_with("has", tmp_path / "gone") == []
    assert not files.is_there(tmp_path / "c" / "below a file")
    with pytest.raises(OSError, match="name too long"):
        files.is_there(tmp_path / ("x" * 256))


def test_a_folder_is_copied_whole_or_the_first_file_is_named_that_is_not(tmp_path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "program").write_bytes(b"x")
    (source / "sub" / "program").chmod(0o750)
    (source / "link").symlink_to("sub")
    files.copy_tree(source, tmp_path / "copy")
    for name in ("sub", "link"):
        copied = tmp_path / "copy" / name / "program"
        assert (copied.read_bytes(), copied.stat().st_mode & 0o777) == (b"x", 0o750)
    assert not (tmp_path / "copy" / "link").is_symlink()
    (source / "sub" / "gone").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError) as error:
        files.copy_tree(source, tmp_path / "another")
    assert error.value.filename in {str(source / name / "gone") for name in ("sub", "link")}
