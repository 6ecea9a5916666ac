"""The code snapshot that all jobs of an experiment share.

Which files it has, their digest, and its copy.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amlc.bindings import local_paths
from amlc.config.spelling import expanded
from amlc.errors import RefusedError, Sentence, TemplateError
from amlc.files import read_bounded
from amlc.model import Experiment
from amlc.plural import plural
from amlc.render.written import is_own_folder, output_finder
from amlc.resources import runner_dir

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# NNI's limits for the Azure back end (`ts/nni_manager/.../environmentService`), which AML users
# know.
MOST_FILES = 2_000
MOST_BYTES = 300_000_000
_MOST_IGNORE_BYTES = 1_000_000
_IGNORE_FILES = (".gitignore", ".amlignore", ".nniignore")
# What no trial needs, and keys and what programs keep their passwords and tokens in, by the name.
_FOLDERS = frozenset(
    (
        "__pycache__",
        *(".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", ".amlc"),
        *(".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    )
)
_SECRET_FOLDERS = frozenset((".azure", ".aws", ".ssh", ".gnupg", ".kube", ".docker"))
_SECRETS = frozenset((".env", ".env.local", ".netrc", "_netrc", ".pypirc", ".git-credentials"))
_SECRET_STARTS = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519")
_SECRET_ENDS = (".pem", ".key", ".p12", ".pfx", ".ppk")


class SnapshotError(RefusedError):
    """The trial code cannot be taken along as it is."""

    code = "E-snapshot"
    path = ("trialCodeDirectory",)


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One file of a snapshot.

    Its place in it (`/` between folders), where it comes from, and its size in bytes.
    """

    name: str
    source: Path
    size: int
    executable: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a snapshot, sorted by name, and the folders that were searched for them."""

    files: tuple[SnapshotFile, ...]
    folders: tuple[Path, ...]
    secrets: tuple[str, ...] = ()


def snapshot(
    code: Path,
    *,
    leave_out: Sequence[Path] = (),
    limited: bool = True,
    within: Path | None = None,
) -> Snapshot:
    """Return the trial code below `code`, less what is ignored or in `leave_out`, and the runner.

    `.gitignore`, `.amlignore` and `.nniignore` work as git's do, in every folder; a later one of
    the three wins, and all of them win over the defaults, of which one is that amlc's own output is
    no trial code, and another that secrets are none. Links are followed, but none that leads out of
    `within`. Raises SnapshotError beyond NNI's limits, for a broken link, and for a file in the
    runner's place.
    """
    folders: list[Path] = []
    excluded = frozenset(os.path.realpath(path) for path in leave_out)
    own = _runner_files()
    secrets: list[str] = []
    walk = _Walk(excluded, output_finder(), folders, secrets, within)
    found = _walk(walk, code, "", [], ())
    files = {file.name: file for file in found}
    tops = {name.partition("/")[0] for name in own}
    clash = next((name for name in files if name.partition("/")[0] in tops), None)
    if clash is not None:
        raise SnapshotError(
            Sentence(
                f"{code / clash}: amlc puts its own files of this name beside the trial.",
                hint="Rename yours.",
            )
        )
    if limited:
        _check_limits(code, list(files.values()))
    everything = sorted((files | own).values(), key=lambda file: file.name)
    return Snapshot(tuple(everything), tuple(folders), tuple(secrets))


def local_inputs(experiment: Experiment) -> list[Path]:
    """Return the data of this machine that the jobs get as inputs, so never with the code too."""
    base = experiment.source.parent
    return [
        base / expanded(path) for place, path in local_paths(experiment.job) if place[0] == "inputs"
    ]


def counted(
    files: Sequence[SnapshotFile], *, without: Sequence[Path] = ()
) -> list[tuple[SnapshotFile, str]]:
    """Return the user's files but those in `without`, each with its content's SHA-256 (hex)."""
    skipped = {os.path.realpath(path) for path in without}
    own = _runner_files()
    users = [file for file in files if file.name not in own]
    kept = [file for file in users if os.path.realpath(file.source) not in skipped]
    return [(file, _content_digest(file.source)) for file in kept]


def digest(counted_files: Iterable[tuple[SnapshotFile, str]]) -> str:
    """Return the SHA-256 (hex) of names, modes and contents of what `counted` returns."""
    total = hashlib.sha256()
    for file, content in counted_files:
        length = len(file.name.encode())  # so that no other name and content give the same text
        line = f"{length}:{file.name}:{int(file.executable)}:{content}\n"
        total.update(line.encode())
    return total.hexdigest()


def _content_digest(path: Path) -> str:
    total = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                total.update(chunk)
    except OSError as err:
        raise _unreadable(path, err.strerror) from err
    return total.hexdigest()


def _unreadable(path: Path, reason: str | None) -> SnapshotError:
    return SnapshotError(
        Sentence(f"{path}: cannot be read: {reason}.", hint="Mend it, or list it in .amlignore.")
    )


def _runner_files() -> dict[str, SnapshotFile]:
    root = runner_dir()
    paths = root.rglob("*.py")
    files = (
        SnapshotFile(path.relative_to(root).as_posix(), path, path.stat().st_size, False)
        for path in paths
    )
    return {file.name: file for file in files}


@dataclass(frozen=True, slots=True)
class _Walk:
    """What holds for all folders of a snapshot.

    folders: those that were looked into, so far. secrets: what was left out as one, so far.
    """

    excluded: frozenset[str]
    is_output: Callable[[os.DirEntry[str]], bool]
    folders: list[Path]
    secrets: list[str]
    within: Path | None


def _walk(
    walk: _Walk,
    folder: Path,
    prefix: str,
    specs: list[tuple[str, GitIgnoreSpec]],
    above: tuple[str, ...],
) -> Iterator[SnapshotFile]:
    walk.folders.append(folder)
    here = [*specs, *_specs_of(folder, prefix, walk.within)]
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as err:
        raise _unreadable(folder, err.strerror) from err
    for entry in entries:
        name = prefix + entry.name
        is_folder = os.path.isdir(entry.path)  # entry.is_dir() raises for a link to itself
        path = name + "/" if is_folder else name
        needless = _is_needless(entry.name, is_folder=is_folder, is_top=not prefix)
        ignored = _verdict(here, path, otherwise=needless or None)
        if ignored or os.path.realpath(entry.path) in walk.excluded:
            continue
        if ignored is None and _is_secret(entry.name, is_folder=is_folder):
            walk.secrets.append(path)
            continue
        _refuse_link_out(entry.path, walk.within)
        if is_folder:
            # An ignore file that says so brings back even what looks like our own output.
            is_output = ignored is None and is_own_folder(entry.path)
            if not (is_output or _is_environment(entry.path)):
                real = _real_folder(entry.path, above)
                yield from _walk(walk, Path(entry.path), name + "/", here, (*above, real))
        elif os.path.isfile(entry.path):
            if ignored is not None or not walk.is_output(entry):
                yield _file(Path(entry.path), name)
        elif entry.is_symlink():
            raise SnapshotError(
                Sentence(
                    f"{entry.path}: this link leads nowhere.",
                    hint="Mend it, or list it in .amlignore.",
                )
            )


def refuse_links_out(folder: Path, within: Path) -> None:
    """Raise TemplateError if a template file, or a folder of them, is a link out of `within`."""
    for root, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(root, name)
            if not Path(os.path.realpath(path)).is_relative_to(within):
                raise TemplateError(f"{path}: this link leads out of the experiment's folder.")


def _refuse_link_out(path: str | Path, within: Path | None) -> None:
    if within is not None and not Path(os.path.realpath(path)).is_relative_to(within):
        raise SnapshotError(
            Sentence(
                f"{path}: this link leads out of the experiment's folder.",
                hint="List it in .amlignore.",
            )
        )


def _is_environment(folder: str) -> bool:
    """Tell whether it is a virtual environment, whatever its name."""
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def _real_folder(folder: str, above: tuple[str, ...]) -> str:
    """Return where a folder really is. Raises SnapshotError when that is one of those above it."""
    real = os.path.realpath(folder)
    if real in above:
        raise SnapshotError(
            Sentence(f"{folder}: this link leads into itself.", hint="List it in .amlignore.")
        )
    return real


def _file(path: Path, name: str) -> SnapshotFile:
    try:
        name.encode()
    except UnicodeEncodeError as err:
        raise SnapshotError(
            Sentence(
                f"{name!r}: this file name is not UTF-8.",
                hint="Rename it, or list it in .amlignore.",
            )
        ) from err
    if not os.access(path, os.R_OK):
        raise _unreadable(path, os.strerror(errno.EACCES))
    status = path.stat()
    return SnapshotFile(name, path, status.st_size, bool(status.st_mode & 0o100))


def _specs_of(folder: Path, prefix: str, within: Path | None) -> list[tuple[str, GitIgnoreSpec]]:
    specs = []
    for name in _IGNORE_FILES:
        path = folder / name
        if path.is_file():
            _refuse_link_out(path, within)
            try:
                text = read_bounded(path, _MOST_IGNORE_BYTES).decode("utf-8", "replace")
            except OSError as err:
                raise _unreadable(path, err.strerror) from err
            specs.append(_spec(text.splitlines(), prefix))
    return specs


def _spec(lines: Sequence[str], prefix: str) -> tuple[str, GitIgnoreSpec]:
    from pathspec import GitIgnoreSpec  # here: without an ignore file nobody needs it

    return prefix, GitIgnoreSpec.from_lines(lines)


def _is_needless(name: str, *, is_folder: bool, is_top: bool) -> bool:
    """Tell whether what has this name is left out unless an ignore file brings it back."""
    if is_folder and name in _FOLDERS:
        return True
    return name.endswith(".pyc") or name == ".DS_Store" or (is_top and name == "results.csv")


def _is_secret(name: str, *, is_folder: bool) -> bool:
    """Tell whether what has this name is likely to be a key, a password or a token."""
    if name in _SECRETS or (is_folder and name in _SECRET_FOLDERS):
        return True
    is_env = name.startswith(".env.") and name.endswith(".local")
    return is_env or name.startswith(_SECRET_STARTS) or name.endswith(_SECRET_ENDS)


def _verdict(
    specs: Sequence[tuple[str, GitIgnoreSpec]], name: str, *, otherwise: bool | None
) -> bool | None:
    """Return whether ignore files leave `name` out (True) or bring it back (False).

    otherwise: what holds if they say neither.
    """
    for prefix, spec in reversed(specs):
        verdict = spec.check_file(name[len(prefix) :]).include
        if verdict is not None:
            return verdict
    return otherwise


def _check_limits(code: Path, files: Sequence[SnapshotFile]) -> None:
    size = sum(file.size for file in files)
    if len(files) <= MOST_FILES and size <= MOST_BYTES:
        return
    largest = sorted(files, key=lambda file: (-file.size, file.name))[:10]
    rows = ", ".join(f"{file.name} ({file.size:,})" for file in largest)
    found = f"{plural(len(files), 'file')} with {plural(size, 'byte')}"
    most = f"{MOST_FILES:,} files and {MOST_BYTES:,} bytes"
    raise SnapshotError(
        Sentence(
            f"{code}: {found}; a snapshot holds at most {most}.",
            hint="List what the trial does not need in .amlignore. The largest, with their bytes: "
            f"{rows}.",
            found=found,
            expected=f"at most {most}",
        )
    )
