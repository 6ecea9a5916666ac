"""`amlc save` and `amlc load`: an experiment with all that it has, as one file for another machine.

In the archive, a gzipped tar: `amlc.json` (what it is), `build/` and `state/` (the experiment's own
of the two folders), and `files/` (its file and all that this names, as they lie in the folder).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from amlc import files
from amlc.checkpoints import folder_of
from amlc.collect.verdict import Verdict, verdict
from amlc.commands.observe import up_to_date
from amlc.errors import UsageError
from amlc.folders import PATIENCE_S, Folders
from amlc.ledger import FILE_NAME
from amlc.manifest import Manifest, read_manifest
from amlc.model import Experiment
from amlc.names import slug
from amlc.plural import plural
from amlc.render.snapshot import snapshot
from amlc.render.written import ARCHIVE

MOST_BYTES: Final = 20_000_000_000
"""How much an archive may unpack to, unless its user says more."""

_MOST_MEMBERS = 2_000_000
_MOST_HEAD = 1_000_000
_HEAD = "amlc.json"
_FORMAT = 1
_LOCKS = frozenset({"lock", ".lock", FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What went into an archive. outside: what lies in other folders, and so was left out."""

    experiment: str
    files: int
    outside: Sequence[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came out of one. source: the experiment's file, None if it was not in there."""

    manifest: Manifest
    verdict: Verdict
    source: Path | None


# --- save -----------------------------------------------------------------------------------------


def save(
    manifest: Manifest, experiment: Experiment | None, path: Path, *, folders: Folders
) -> Saved:
    """Write the archive: build folder, ledger, run folders, and of this folder what it is made of.

    experiment: what the manifest was compiled of, None if that is not here. Raises UsageError while
    jobs are at work or when `path` is there, LockedError while a submit is at work.
    """
    if files.is_there(path):
        raise UsageError(f"{path} is there already, and nothing was written. Name another file.")
    name, base = manifest.header.experiment, Path.cwd()
    folders.prepare_state()
    with files.lock(folders.lock(name), patience_s=PATIENCE_S):
        with up_to_date(manifest, folders) as results:
            working = len(results.ledger.working())
        if working:
            raise UsageError(
                f"{name}: {plural(working, 'job is', 'jobs are')} at work. Wait, or end all: "
                f"{folders.advice('cancel', name, '--all')}."
            )
        own, outside = _own_files(experiment, folders, base)
        source = _below(manifest.source, base) if manifest.source else None
        head = {"format": _FORMAT, "experiment": name, "source": source}
        with files.replacing(files.followed(path)) as temporary, _archive(temporary) as archive:
            _put(archive, _HEAD, io.BytesIO(json.dumps(head).encode()))
            count = _put_folder(archive, "build", manifest.folder)
            count += _put_folder(archive, "state", folders.ledger(name).parent)
            if files.is_there(folders.ledger(name)):
                with _copied(folders.ledger(name)) as copy, copy.open("rb") as stream:
                    _put(archive, f"state/{FILE_NAME}", stream)
            for inside, file in own.items():
                with file.open("rb") as stream:
                    _put(archive, f"files/{inside}", stream)
    return Saved(experiment=name, files=count + len(own), outside=outside)


@contextmanager
def _archive(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a new archive, whose first bytes say that it is no trial code (`render/written`)."""
    with (
        path.open("wb") as out,
        gzip.GzipFile(ARCHIVE, "wb", fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        yield archive


def _own_files(
    experiment: Experiment | None, folders: Folders, base: Path
) -> tuple[Mapping[str, Path], Sequence[Path]]:
    """Return what the experiment is made of, by its place below `base`; and what lies elsewhere."""
    own: dict[str, Path] = {}
    outside: list[Path] = []
    made_of = [] if experiment is None else [*_made_of(experiment, folders)]
    if experiment is not None:
        made_of += _checkpoints(experiment, folders, base)
    for path in made_of:
        place = _below(path, base)
        if place is None:
            outside.append(path)
        else:
            own[place] = path
    return dict(sorted(own.items())), outside


def _made_of(experiment: Experiment, folders: Folders) -> Iterator[Path]:
    yield from experiment.inputs
    code = snapshot(experiment.code, leave_out=[folders.state, folders.build])
    # Among them are those of the runner, which any amlc has.
    yield from (file.source for file in code.files if _below(file.source, experiment.code))
    own = (experiment.tuner, experiment.assessor)
    for folder in (experiment.templates, *(one.code_directory for one in own if one)):
        if folder is not None:
            yield from filter(_is_kept, sorted(folder.rglob("*")))


def _checkpoints(experiment: Experiment, folders: Folders, base: Path) -> Iterator[Path]:
    """Yield the checkpoints that do not lie among the state; the folder if that lies elsewhere."""
    folder = Path(folder_of(experiment) or "")
    state = folders.ledger(experiment.name).parent
    if not folder.is_absolute() or _below(folder, state) is not None:
        return
    if _below(folder, base) is None:
        yield from [folder] if folder.is_dir() else ()
    else:
        yield from filter(Path.is_file, sorted(folder.rglob("*")))


def _is_kept(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _below(path: Path, folder: Path) -> str | None:
    """Return where a file lies in a folder, `/` between names; None: not in it."""
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return None


def _put(archive: tarfile.TarFile, name: str, stream: IO[bytes], mode: int = 0o644) -> None:
    """Put a file into the archive: whose it was and when it was written stays here."""
    member = tarfile.TarInfo(name)
    member.size = stream.seek(0, os.SEEK_END)
    member.mode = mode
    stream.seek(0)
    archive.addfile(member, stream)


def _put_folder(archive: tarfile.TarFile, place: str, folder: Path) -> int:
    """Put the files of a folder into the archive, and the links that stay in it; return how many.

    Locks, sockets and pipes are of this machine. The ledger is copied by itself.
    """
    count = 0
    for parent, names, found in os.walk(folder):
        inside = PurePosixPath(place, Path(parent).relative_to(folder).as_posix())
        names.sort()
        for name in sorted([*found, *(one for one in names if Path(parent, one).is_symlink())]):
            path = Path(parent, name)
            if Path(parent) == folder and name in _LOCKS:
                continue
            member = str(inside / name)
            if path.is_symlink():
                _put_link(archive, member, path, folder)
                continue
            mode = path.stat().st_mode
            if stat.S_ISREG(mode):
                with path.open("rb") as stream:
                    _put(archive, member, stream, 0o755 if mode & stat.S_IXUSR else 0o644)
                count += 1
        if not names and not found:
            _put_empty(archive, str(inside))
    return count


def _put_empty(archive: tarfile.TarFile, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(member)


def _put_link(archive: tarfile.TarFile, name: str, path: Path, folder: Path) -> None:
    target = path.resolve()
    if target.is_relative_to(folder.resolve()):
        member = tarfile.TarInfo(name)
        member.type = tarfile.SYMTYPE
        member.linkname = os.path.relpath(target, path.parent.resolve())
        archive.addfile(member)


@contextmanager
def _copied(ledger: Path) -> Iterator[Path]:
    """Give a copy of the ledger in one file, whatever is in its log."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, FILE_NAME)
        with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        yield copy


# --- load -----------------------------------------------------------------------------------------


def load(path: Path, *, folders: Folders, most_bytes: int = MOST_BYTES) -> Loaded:
    """Unpack an archive into the build folder, the state folder and this folder.

    All or nothing, and nothing that is there is replaced. Raises UsageError for what `save` did not
    write, for names or links that lead out of those folders, and for more than `most_bytes`.
    """
    base = Path.cwd()
    try:
        with tarfile.open(path, mode="r:gz") as archive:
            return _unpacked(path, archive, base, folders, most_bytes)
    except (tarfile.TarError, EOFError, OSError) as err:
        if isinstance(err, OSError) and err.errno is not None and err.filename != str(path):
            raise  # a full disk, say
        raise UsageError(f"{path}: no archive that can be read ({err}). Save it again.") from err


def _unpacked(
    path: Path, archive: tarfile.TarFile, base: Path, folders: Folders, most_bytes: int
) -> Loaded:
    members = _Members(path, archive, most_bytes)
    head = _head(path, archive, members)
    name = str(head["experiment"])
    targets = {"build": folders.build / slug(name), "state": folders.ledger(name).parent}
    for folder in targets.values():
        if files.is_there(folder):
            raise UsageError(
                f"{folder}/ is there already, and nothing was written. Move it, or load the "
                "archive elsewhere: --build, --state."
            )
    folders.prepare_state()
    folders.build.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        places = {}
        for part, folder in {**targets, "files": base / "files"}.items():
            made = tempfile.mkdtemp(prefix=".loading-", dir=folder.parent)
            stack.callback(shutil.rmtree, made, ignore_errors=True)
            places[part] = Path(made, "in")
            places[part].mkdir()
        for member in members:
            part, _, inside = member.name.partition("/")
            if part not in places or {"", ".", ".."} & set(inside.split("/")):
                raise UsageError(f"{path}: {member.name!r} belongs nowhere. Save it again.")
            _unpack(path, archive, member, inside, places[part])
        if read_manifest(places["build"]).header.experiment != name:
            raise UsageError(f"{path}: its manifest is of another experiment. Save it again.")
        _place(path, places["files"], base)
        for part, folder in targets.items():
            os.rename(places[part], folder)
    manifest = read_manifest(targets["build"])
    with up_to_date(manifest, folders) as results:
        end = verdict(results)
    source = base / str(head["source"]) if head["source"] else None
    return Loaded(
        manifest=manifest,
        verdict=end,
        source=source if source is not None and source.is_file() else None,
    )


class _Members:
    """The members of an archive one after the other, as long as they are within bounds."""

    def __init__(self, path: Path, archive: tarfile.TarFile, most_bytes: int) -> None:
        self._path = path
        self._archive = archive
        self._most_bytes = most_bytes
        self._bytes = 0
        self._names: set[str] = set()

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        while (member := self._archive.next()) is not None:
            self._archive.members = []  # type: ignore[attr-defined]  # a million would stay in memory
            self._bytes += member.size
            if member.name in self._names:
                raise UsageError(f"{self._path}: {member.name!r} is there twice. Save it again.")
            self._names.add(member.name)
            if self._bytes > self._most_bytes or len(self._names) > _MOST_MEMBERS:
                raise UsageError(
                    f"{self._path}: it unpacks to more than {self._most_bytes / 1e9:g} GB or "
                    f"{_MOST_MEMBERS:,} files, and nothing was written. If you trust it, allow "
                    "more: --max-gb."
                )
            yield member


def _head(path: Path, archive: tarfile.TarFile, members: Iterable[tarfile.TarInfo]) -> Any:
    first = next(iter(members), None)
    stream = None
    if first is not None and first.name == _HEAD and first.size <= _MOST_HEAD:
        stream = archive.extractfile(first)
    try:
        head = json.loads(stream.read()) if stream is not None else {}
        is_ours = head["format"] == _FORMAT and isinstance(head["experiment"], str)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise UsageError(f"{path}: no archive of amlc's. Expected what amlc save wrote.")
    return head


def _unpack(
    path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, inside: str, folder: Path
) -> None:
    """Unpack a member into a folder, in which it and what it links to have to lie."""
    try:
        kept = tarfile.data_filter(member.replace(name=inside, deep=False), str(folder))
    except AttributeError as err:
        raise UsageError(
            "this Python cannot unpack archives safely. Use 3.10.12, 3.11.4, or a later one."
        ) from err
    except tarfile.FilterError as err:
        raise UsageError(f"{path}: {err}. Nothing was written.") from err
    if kept.islnk():
        raise UsageError(f"{path}: {member.name!r} is a hard link. Nothing was written.")
    archive.extract(kept, folder, set_attrs=True, filter=lambda same, _: same)


def _place(path: Path, source: Path, base: Path) -> None:
    """Move the experiment's own files to where they belong.

    One that is there already has to be the same.
    """
    found = [file for file in sorted(source.rglob("*")) if file.is_file()]
    for file in found:
        target = base / file.relative_to(source)
        if not target.resolve().is_relative_to(base.resolve()):
            raise UsageError(f"{path}: {target} leads out of this folder. Nothing was written.")
        if target.exists() and target.read_bytes() != file.read_bytes():
            raise UsageError(
                f"{target} is there already and is another file. Nothing was written. "
                "Load the archive in another folder."
            )
    for file in found:
        target = base / file.relative_to(source)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(file, target)
