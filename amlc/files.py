"""Write files so that a crash leaves the old or the new content, and lock folders."""

from __future__ import annotations

import errno
import fcntl
import filecmp
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from amlc.errors import LockedError, UsageError, printable

NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system without locks answers."""


def write_if_changed(path: Path, content: bytes, *, mode: int = 0o644) -> bool:
    """Make `path` hold `content`; tell whether it did not already.

    The folder must exist; nothing is half written.
    """
    if read_or_none(path) == content:
        return False
    replace(path, content, mode=mode)
    return True


def create(path: str, content: bytes, *, mode: int = 0o644) -> None:
    """Make the new file `path`, at a third of what `replace` costs. Raises FileExistsError.

    A kill or a power cut may leave it empty or in part, so whoever reads it has to know its digest.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        _write(descriptor, content, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def replace(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by a file with `content`, atomically for every reader."""
    with replacing(path) as temporary:
        _write(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), content, path)


def _write(descriptor: int, content: bytes, path: str | Path) -> None:
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as err:  # of a full disk, for example, which names no file
        raise OSError(err.errno, err.strerror, str(path)) from err
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`.

    What is written there takes its place in the end, or is gone on an error. Only a killed process
    leaves such a file behind: `.*.tmp`.
    """
    name = (
        path.name if len(path.name) < 50 else os.fsdecode(os.fsencode(path.name)[:200])
    )  # 255 bytes have room
    temporary = path.parent / f".{name}.{os.getpid()}.tmp"
    try:
        try:
            yield temporary
        except FileNotFoundError as err:  # its folder; who is told of it knows the other name
            if err.filename != str(temporary):
                raise
            raise FileNotFoundError(err.errno, err.strerror, str(path)) from err
        try:
            os.replace(temporary, path)
        # Such as of a folder that is there; it would name the temporary file.
        except OSError as err:
            raise OSError(err.errno, err.strerror, str(path)) from err
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed left of making or replacing `path`."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        pid = left.name.split(".")[-2]
        with suppress(OSError):
            if pid.isdigit() and not _is_alive(int(pid)):
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def write_out(path: Path, content: bytes) -> None:
    """Write `content` to where the user said.

    A link is followed, a FIFO or a device written into. A file there is replaced, as by `replace`;
    who may not do that looks before.
    """
    mode = mode_of(path)
    if mode and not stat.S_ISREG(mode):
        _write(os.open(path, os.O_WRONLY), content, path)
    else:
        replace(followed(path), content, mode=stat.S_IMODE(mode) or 0o644)


def followed(path: Path) -> Path:
    """Return what a link leads to, there or not; anything else as it is called."""
    return path.resolve() if path.is_symlink() else path


def mode_of(path: Path | str) -> int:
    """Return the mode of what is at `path`, 0 if nothing is; a link to nothing is nothing.

    Raises OSError where nobody can tell, as in a folder that cannot be looked into. The functions
    of pathlib, by its version, and its globs take that for nothing.
    """
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def is_there(path: Path | str) -> bool:
    """Tell whether there is something at `path`. Raises OSError as `mode_of` does."""
    return mode_of(path) != 0


def folders_with(name: str, parent: Path) -> list[Path]:
    """Return the folders in `parent` that have something called `name` in them, in order.

    One that cannot be looked into is among them: who does says what is wrong with it. Raises
    OSError where `parent` cannot be.
    """
    try:
        return [parent / one for one in sorted(os.listdir(parent)) if _may_have(parent / one, name)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def folders_in(parent: Path) -> list[Path]:
    """Return the folders in `parent`, in order; raises OSError as `folders_with` does."""
    return folders_with(".", parent)


def _may_have(folder: Path, name: str) -> bool:
    try:
        return is_there(os.path.join(folder, name))
    except OSError as err:
        return err.errno != errno.ELOOP


def read_or_none(path: Path) -> bytes | None:
    """Return the content of `path`, or None if there is no such file."""
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def read_bounded(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most so many bytes.

    Raises OSError for anything else; what is longer is not read to its end.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(most + 1) if size <= most else b""
    if size > most or len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises OSError for anything else: a FIFO is not waited for, nor a device read, which may have no
    end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as err:
        raise OSError(errno.EINVAL, "no path has a NUL in it", printable(str(path))) from err
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def _locked(descriptor: int, path: Path, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as err:
        if err.errno not in NO_LOCKS:
            raise OSError(err.errno, err.strerror, str(path)) from err
        raise UsageError(
            f"{path}: this file system has no locks ({err.strerror}), without which two processes "
            "would run the same trials. Put the folders on another one: --build, --state."
        ) from err
    return True


def check_locks(path: Path) -> None:
    """Raise UsageError if the lock file `path` is there, on a file system that has no locks.

    SQLite would take that for a lock of somebody else's, and wait.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        _locked(descriptor, path, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


_locks: set[int] = set()


def _leave_locks() -> None:
    """Close what a forked process inherits: a lock is its parent's, and has to end with that."""
    for descriptor in _locks:
        os.close(descriptor)
    _locks.clear()


os.register_at_fork(after_in_child=_leave_locks)


@contextmanager
def lock(path: Path, *, patience_s: float = 0) -> Iterator[None]:
    """Hold the lock file `path` for this process; the folder is made.

    Raises LockedError, naming the holder, when another process has it for longer than `patience_s`.
    The lock ends with the process, however that ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    _locks.add(descriptor)
    try:
        deadline = time.monotonic() + patience_s
        while not _locked(descriptor, path):
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
                raise LockedError(
                    f"{path}: {holder or 'another process'} is working on this experiment. "
                    "Wait for its end, or end it."
                )
            time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
        yield
    finally:
        _locks.discard(descriptor)
        os.close(descriptor)


def is_program(path: Path) -> bool:
    """Tell whether a file may be executed: all of its mode that counts, as with git."""
    return bool(path.stat().st_mode & stat.S_IXUSR)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder to where nothing is. Raises OSError for the first file that cannot be copied.

    `shutil.copytree` goes on, and its error has the texts of all of them and the number of none.
    """
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            path = target / entry.name
            if entry.is_dir():
                copy_tree(source / entry.name, path)
                continue
            try:
                shutil.copy2(entry.path, path)
            except OSError as err:
                where = err.filename2 or err.filename or str(path)
                raise OSError(err.errno, err.strerror or str(err), where) from err
    shutil.copystat(source, target)


def copy_if_changed(source: Path, path: Path, *, mode: int) -> bool:
    """Make `path` a copy of `source`; tell whether it was not one already.

    Large files are not held in memory.
    """
    same = path.is_file() and filecmp.cmp(source, path, shallow=False)
    if same and is_program(path) == bool(mode & stat.S_IXUSR):
        return False
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)
        os.chmod(temporary, mode)
    return True
