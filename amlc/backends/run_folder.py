"""A job's run folder, for back ends that run jobs on a disk which this machine sees.

How it is made, and what it says. It holds `work/` (a fresh copy of the code snapshot, the job's
working directory, or links to the runner where the trials run elsewhere; of a job that ended, other
than by a failure of its own, what its trials wrote there), `copied` (what the copy had at first,
until it is removed), `outputs/` and `user_logs/std_log.txt` as on AML, and `job.yml`. What
runs the job adds `started` (empty, made when it begins), `exit_code`, `canceled` (its end was asked
for) and `timed_out` (at the job's own limit). Nothing here depends on who runs it, and a file that
cannot be read, now or in a moment, counts as one that is not there.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from amlc.backends import Fetched, Submission
from amlc.backends.ends import Known, code_text, ended
from amlc.backends.trials import trials_in
from amlc.bindings import EXPRESSION, is_local, literal, variable
from amlc.errors import BackendError
from amlc.files import copy_tree, open_regular, read_bounded
from amlc.model import Metric, Observation, Outcome, Status
from amlc.render.scalars import from_yaml
from amlc.runner_files import (
    LONGEST_RESULT,
    lines_of,
    read_metrics,
    read_outcome,
    reports_counted,
)

RUNNER = ("amlc_runner", "amlc_standin")
LOG = Path("user_logs", "std_log.txt")
Content = TypeVar("Content")
_RECORDS = Path("outputs", "amlc")
_CACHE = Path("amlc_standin", "nni", "__pycache__")
_COPIED = "copied"
# In double quotes of its own, or not.
_EXPRESSION = re.compile(rf'("?)({EXPRESSION.pattern})\1')
_GONE = "its processes are gone without a word: killed, or the machine went down"
_MOST_BYTES = 10_000_000  # of a job's file
_FOR_GOOD = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.EFBIG}
)
_OUR_TROUBLE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_PAUSES_S = (0.01, 0.1)
_LONGEST_ERROR = 300  # characters
_TAIL = 4096  # bytes of a log, in which its last line is looked for


def prepare(
    run: Path, submission: Submission, job: Mapping[str, Any], *, runner: Path | None = None
) -> None:
    """Make the folder `run` as a job finds it when it begins.

    job: the values of the job's file. runner: where the runner lies, if that is all the job needs,
    and not the trial code. Leftovers of a start that was cut short are replaced. Raises OSError.
    """
    for name in ("work", "outputs", "user_logs"):
        shutil.rmtree(run / name, ignore_errors=True)
    if runner is None:
        copy_tree(submission.folder / str(job["code"]), run / "work")
        keep_from_caching(run / "work")
    else:
        (run / "work").mkdir()
        for path in runner.iterdir():
            (run / "work" / path.name).symlink_to(os.path.relpath(path, run / "work"))
    # They outlive the working copy, with what the snapshot has in them.
    for name in ("outputs", "user_logs"):
        if (run / "work" / name).is_dir():
            (run / "work" / name).rename(run / name)
        (run / name).mkdir(exist_ok=True)
        (run / "work" / name).symlink_to(Path("..", name))
    for name, output in (job.get("outputs") or {}).items():
        if not (isinstance(output, Mapping) and output.get("type") == "uri_file"):
            (run / "outputs" / str(name)).mkdir(exist_ok=True)
    # Of the snapshot: an old result must not speak for this run.
    shutil.rmtree(run / _RECORDS, ignore_errors=True)
    (run / "job.yml").write_bytes(submission.content)
    _note_copies(run)


def keep_from_caching(folder: Path) -> None:
    """Let no trial's Python keep the bytecode of the runner in `folder`.

    On a full disk Python leaves such a file cut short, and every later trial that reads it fails.
    Where a file has the name of its folder it keeps none, and says nothing. Raises OSError.
    """
    if (folder / _CACHE).parent.is_dir():
        (folder / _CACHE).touch()


def is_kept_from_caching(folder: Path) -> bool:
    """Tell whether `keep_from_caching` was done in `folder`."""
    return (folder / _CACHE).is_file()


def tidy(run: Path) -> None:
    """Remove from the working directory what was copied into it, unless it was changed.

    Killed half way, it can be called again. Raises OSError.
    """
    copied = _copies(run)
    if copied is not None:
        _patiently(lambda: _remove(run, copied))


def _remove(run: Path, copied: Mapping[str, list[int]]) -> None:
    work = run / "work"
    for root, folders, names in os.walk(work, topdown=False, onerror=_unless_gone):
        for name in (*names, *folders):
            path = Path(root, name)
            if path.is_symlink() and path.parent == work and name in ("outputs", "user_logs"):
                path.unlink()
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path) if name == "__pycache__" else _remove_if_empty(path)
            elif _state(path) == copied.get(path.relative_to(work).as_posix()):
                path.unlink()
    _remove_if_empty(work)
    (run / _COPIED).unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as err:
        if err.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def abandon(run: Path) -> None:
    """Remove the working directory of a job that never began."""
    try:
        (run / "started").lstat()
    except FileNotFoundError:
        shutil.rmtree(run / "work", ignore_errors=True)
    except OSError:
        return  # nobody knows whether it began


def _note_copies(run: Path) -> None:
    """Write down what the working directory has at first; `tidy` removes that later."""
    work = run / "work"
    copied = {
        path.relative_to(work).as_posix(): _state(path)
        for path in work.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    (run / _COPIED).write_text(json.dumps(copied), encoding="ascii")


def _copies(run: Path) -> Mapping[str, list[int]] | None:
    try:
        copied = json.loads(_patiently((run / _COPIED).read_bytes))
    except (OSError, ValueError, RecursionError):
        return None
    return copied if isinstance(copied, dict) else None


def _state(path: Path) -> list[int]:
    """Return what tells a file from one that was changed."""
    found = path.lstat()
    return [found.st_size, found.st_mtime_ns]


def _unless_gone(err: OSError) -> None:
    if not isinstance(err, FileNotFoundError):
        raise err


def resolved(
    command: str,
    job: Mapping[str, Any],
    folder: Path = Path(),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the command with AML's expressions for inputs and outputs filled in.

    As AML does, but that one which stands in double quotes by itself is quoted for good. folder:
    where relative paths count from. environ: may say where data of Azure lies here.
    """

    def filled(match: re.Match[str]) -> str:
        quote, text, section, name = match.groups()
        known = job.get(section) or {}
        if name not in known:
            raise BackendError(
                f"the job's command names {text}, and the job has no such {section[:-1]}."
            )
        if section == "outputs":
            return shlex.quote(f"outputs/{name}")
        value = _input(name, known[name], folder, environ)
        return shlex.quote(value) if quote else value

    return _EXPRESSION.sub(filled, command)


def _input(name: str, given: Any, folder: Path, environ: Mapping[str, str]) -> str:
    """Return what an input is on this machine. Raises BackendError."""
    if (text := literal(given)) is not None:
        return text
    stand_in = variable("inputs", name)
    path = environ.get(stand_in) or str(given.get("path") or "")
    if not is_local(path):
        raise BackendError(
            f"the input '{name}' is data on Azure ({path}), which the local back end cannot reach. "
            f"Set the variable {stand_in} to the place of a copy on this machine."
        )
    place = path if os.path.isabs(path) else str((folder / path).resolve())
    if stand_in in environ:
        place = os.path.abspath(path)
    if not os.path.exists(place):
        raise BackendError(f"the input '{name}': {place} does not exist.")
    return place


def started(run: Path) -> float | None:
    """Return when the job began, in seconds since the epoch, None if it did not."""
    return _time_of(run / "started")


def how_it_ended(run: Path, *, canceled: bool) -> Observation | None:
    """Return what the files say of a job that is no longer at work, None if it never began.

    canceled: whether its end is known to have been asked for, whatever the files say.
    """
    trials = _trials(run)
    outcomes = _outcomes(run, trials)
    began_at = started(run)
    if began_at is None and not outcomes:
        return None
    code = exit_code(run)
    began = bool(begun(run))
    known = Known(
        code=code,
        canceled=canceled or is_canceled(run),
        late=_is_there(run / "timed_out"),
        began=began,
        gone=_GONE if code is None else None,
        said=None if began or not code else _said(run, code),
    )
    times = [outcome.ended for outcome in outcomes if outcome.ended is not None]
    end = _time_of(run / "exit_code") or max(times, default=None) or _time_of(run / LOG)
    seen = Observation(job=run.name, status=Status.FAILED, started=began_at, ended=end)
    return ended(seen, trials, outcomes, known)


def is_canceled(run: Path) -> bool:
    """Return whether somebody asked for the job's end."""
    return _is_there(run / "canceled")


def fetched(run: Path) -> Fetched:
    """Return what the job's trials reported so far, and how those ended that did."""
    # The ends first: whoever wrote one down had recorded all reports before.
    results = {trial: _result(run, trial) for trial in _trials(run)}
    metrics: list[Metric] = []
    for trial, result in results.items():
        metrics += _metrics(run, trial, reports_counted(result))
    ends = [read_outcome(trial, result) for trial, result in results.items()]
    return Fetched(metrics, [end for end in ends if end is not None])


def outputs(run: Path) -> dict[str, int]:
    """Return the files in the job's `outputs/` by their paths there, with their sizes in bytes.

    A link counts as what it leads to, unless that lies outside of the run folder. Within a folder
    that is a link, no further one is followed: they may lead to each other without an end.
    """
    found = {}
    root = run / "outputs"
    folders = [(root, False)]
    while folders:
        folder, is_linked = folders.pop()
        paths: list[Path] = []
        with suppress(OSError):  # it may not be read, or is gone
            paths = list(folder.iterdir())
        for path in paths:
            is_link = path.is_symlink()
            if is_link and not _is_within(path, run):
                continue
            if path.is_file():
                found[path.relative_to(root).as_posix()] = path.stat().st_size
            elif path.is_dir() and not (is_link and is_linked):
                folders.append((path, is_linked or is_link))
    return dict(sorted(found.items()))


def _is_within(path: Path, run: Path) -> bool:
    """Tell whether what a path leads to lies in the run folder."""
    real = os.path.realpath(path)
    return real.startswith(os.path.join(os.path.realpath(run), ""))


def output(run: Path, name: str, *, start: int) -> Iterator[bytes]:
    """Yield the content of a file in the job's `outputs/` from byte `start` on.

    Raises BackendError.
    """
    path = run / "outputs" / name
    if not _is_within(path, run):
        raise BackendError(f"{path}: this link leads out of the run folder.")
    try:
        with path.open("rb") as file:
            file.seek(start)
            while chunk := file.read(1 << 20):
                yield chunk
    except OSError as err:
        raise BackendError(f"{path}: {err.strerror or err}.") from err


def exit_code(run: Path) -> int | None:
    """Return the exit code of the job's command, None while it is not known."""
    text = content(run / "exit_code", 5).removesuffix(b"\n")
    return int(text) if len(text) <= 3 and text.isdigit() else None


def number(path: Path) -> int | None:
    """Return the number that a file holds; None if that is anything else."""
    text = content(path, 20).strip()
    return int(text) if text.isdigit() else None


def numbers(path: Path) -> tuple[int, ...]:
    """Return the numbers of a file such as `0,1,1`; what is none is left out."""
    words = content(path, _TAIL).decode("ascii", "replace").split(",")
    return tuple(int(word) for word in words if word.isdecimal())


def _trials(run: Path) -> tuple[str, ...]:
    """Return the ids of a job's trials, in order.

    Where its file cannot be read, or does not say, of those that its runner began.
    """
    try:
        job = from_yaml(_patiently(lambda: read_bounded(run / "job.yml", _MOST_BYTES)))
        found = trials_in(job.get("environment_variables") or {})
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError, AttributeError):
        found = ()
    return tuple(trial.id for trial in found) or begun(run)


def begun(run: Path) -> tuple[str, ...]:
    """Return the ids of the trials with which the job's runner began, ordered by name."""
    try:
        found = _patiently(lambda: list((run / _RECORDS).iterdir()))
        return tuple(sorted(path.name for path in found if path.is_dir()))
    except OSError:
        return ()


def _outcomes(run: Path, trials: Sequence[str]) -> list[Outcome]:
    ends = [read_outcome(trial, _result(run, trial)) for trial in trials]
    return [end for end in ends if end is not None]


def trial_log(run: Path, trial: str) -> Path:
    """Return where the runner keeps what one of several trials printed."""
    return run / _RECORDS / trial / "log.txt"


def is_over(run: Path, trial: str) -> bool:
    """Tell whether the runner has written down how a trial ended."""
    return (run / _RECORDS / trial / "result.json").exists()


def _result(run: Path, trial: str) -> str:
    text = content(run / _RECORDS / trial / "result.json", LONGEST_RESULT)
    return text.decode("utf-8", "replace")


def _metrics(run: Path, trial: str, counted: int | None) -> list[Metric]:
    path = run / _RECORDS / trial / "metrics.jsonl"

    def read() -> list[Metric]:
        with open_regular(path) as file:
            return list(read_metrics(trial, lines_of(file), counted=counted))

    try:
        return _patiently(read)
    except FileNotFoundError:
        return list(read_metrics(trial, (), counted=counted))
    except OSError as err:
        warnings.warn(
            f"{path}: {err.strerror}; its reports are left out.", RuntimeWarning, stacklevel=2
        )
        return []


def _said(run: Path, code: int) -> str:
    """Return why a command failed that never came as far as running a trial.

    The last that it printed.
    """
    lines = content(run / LOG, _TAIL, last=True).decode("utf-8", "replace").splitlines()
    words = [line.strip() for line in lines if line.strip()]
    return f"{code_text(code)}: {words[-1][:_LONGEST_ERROR]}" if words else str(code_text(code))


def content(path: Path, most: int, *, last: bool = False) -> bytes:
    """Return the first bytes of a file, or the last ones; of one that cannot be read, nothing."""

    def read() -> bytes:
        with open_regular(path) as file:
            if last:
                file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read(most)

    try:
        return _patiently(read)
    except OSError:
        return b""


def _patiently(read: Callable[[], Content]) -> Content:
    """Return what `read` returns; if it fails, which may be for a moment only, try again.

    Or a trial that ended would be run again, a result left out, a copy never removed. Raises
    OSError; BackendError when not the file is to blame.
    """
    for pause_s in _PAUSES_S:
        try:
            return read()
        except OSError as err:
            if err.errno in _FOR_GOOD:
                raise
            time.sleep(pause_s)
    try:
        return read()
    except OSError as err:
        if err.errno in _OUR_TROUBLE:
            raise BackendError(f"{err.filename}: {err.strerror}. Do it again later.") from err
        raise


def _is_there(path: Path) -> bool:
    return _time_of(path) is not None


def _time_of(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
