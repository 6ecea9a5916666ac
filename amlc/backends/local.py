"""The local back end: runs compiled job files as process trees on this machine.

Each job has a run folder: `work/` (a fresh copy of the code snapshot, the job's working directory), `outputs/` and
`user_logs/std_log.txt` as on AML, and the files of `supervise.sh`, which is the only truth about the job: nothing here
depends on the process that submitted it being alive.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from amlc.backends import Fetched, Submission, Submitted, gpus
from amlc.backends.ends import Known, code_text, ended
from amlc.backends.printed import shown
from amlc.backends.trials import trials_in
from amlc.errors import BackendError
from amlc.manifest import Header
from amlc.model import Metric, Observation, Outcome, Status
from amlc.records import LONGEST_RESULT, lines_of, read_metrics, read_outcome
from amlc.render.scalars import from_yaml

_SUPERVISOR = Path(__file__).with_name("supervise.sh")
_LOG = Path("user_logs", "std_log.txt")
_RECORDS = Path("outputs", "amlc")
_ADOPTED_INTERVAL_S = 0.25  # how often to look at jobs that are not our children
_GRACE_S = 10.0  # between asking a job to end and killing it; the runner itself takes 5 s
_EXPRESSION = re.compile(r"\$\{\{\s*(inputs|outputs)\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_GONE = "its processes are gone without a word: killed, or the machine went down"
_LONGEST_ERROR = 300  # characters
_TAIL = 4096  # bytes of a log, in which its last line is looked for
# What every other job would meet too; anything else is the damage of one run folder.
_SHARED_TROUBLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, None}
)


class LocalBackend:
    """Runs jobs below `runs`, one folder each. POSIX only: it stands on process groups and file locks."""

    def __init__(self, runs: Path, header: Header, environ: Mapping[str, str]) -> None:
        self._runs = runs
        self._environ = dict(environ)
        self._header = header
        self._per_trial = header.gpus_per_trial or 0
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._children: dict[str, int] = {}
        self._canceled: set[str] = set()
        self._unstarted: dict[str, str] = {}
        self._seen: dict[str, Observation] = {}

    @cached_property
    def slots(self) -> int | None:
        """How many trials the GPUs have room for; None without any. Raises BackendError when not one fits."""
        if self._gpus is None:
            return None
        usable = len(self._gpus)
        found = gpus.slots(usable, per_trial=self._per_trial, trials_per_gpu=self._header.trials_per_gpu)
        if not found:
            raise BackendError(f"a trial needs {self._per_trial} GPUs, and {usable} can be used here.")
        return found

    @cached_property
    def _gpus(self) -> tuple[int, ...] | None:
        if not self._per_trial:
            return None
        header, held = self._header, set(chain(*self._held().values()))
        return gpus.usable_gpus(header.gpu_indices, use_active=header.use_active_gpu, ours=held)

    def submit(self, batch: Sequence[Submission]) -> Iterator[Submitted]:
        for submission in batch:
            try:
                self._start(submission)
            except OSError as err:
                said = f"{self._runs / submission.job}: {err.strerror or err}."
                if err.errno in _SHARED_TROUBLE or not os.access(self._runs, os.W_OK | os.X_OK):
                    raise BackendError(said) from err
                self._unstarted[submission.job] = said
            yield Submitted(submission.job)

    def adopt(self, jobs: Mapping[str, str | None]) -> Iterator[Submitted]:
        return (Submitted(job) for job in jobs if self._observe(job) is not None)  # nobody else makes run folders

    def poll(self, jobs: Collection[str], *, timeout_s: float) -> list[Observation]:
        deadline = time.monotonic() + timeout_s
        while True:
            found = [seen for job in jobs if (seen := self._observe(job)) is not None]
            remaining = deadline - time.monotonic()
            if remaining <= 0 or any(self._seen.get(seen.job) != seen for seen in found) or len(found) < len(jobs):
                self._seen = {seen.job: seen for seen in found}
                return found
            adopted = any(job not in self._children for job in jobs)
            with suppress(queue.Empty):
                self._ended.get(timeout=min(remaining, _ADOPTED_INTERVAL_S) if adopted else remaining)

    def cancel(self, jobs: Collection[str]) -> None:
        supervisors = {}
        for job in jobs:
            if pid := self._supervisor(job):
                self._canceled.add(job)
                with suppress(OSError):  # then only this process knows; the end of the job is what matters
                    (self._runs / job / "canceled").touch()
                supervisors[job] = pid
                _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while any(map(self._alive, supervisors)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in supervisors.values():
            _kill_session(pid)

    def fetch(self, job: str) -> Fetched:
        run = self._runs / job
        metrics: list[Metric] = []
        trials = _trials(run)
        for trial in trials:
            metrics += _metrics(run, trial)
        return Fetched(metrics, _outcomes(run, trials))

    def log(self, job: str, *, follow: bool) -> Iterator[bytes]:
        path = self._runs / job / _LOG
        if not path.exists():
            raise BackendError(f"{path}: there is no such log; its run folder was removed.")
        return shown(self._printed(job, path, follow=follow))

    def _printed(self, job: str, path: Path, *, follow: bool) -> Iterator[bytes]:
        try:
            with path.open("rb") as stream:
                while True:
                    alive = self._alive(job)  # asked before reading, so that the last words are not missed
                    while chunk := stream.read(1 << 16):
                        yield chunk
                    if not follow or not alive:
                        return
                    time.sleep(0.1)
        except OSError as err:
            raise BackendError(f"{path}: {err.strerror or err}.") from err

    def _start(self, submission: Submission) -> None:
        run = self._runs / submission.job
        run.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(run / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (run / "started").exists():
                self._spawn(submission, run, descriptor)
        except BlockingIOError:
            return  # it is running
        finally:
            os.close(descriptor)

    def _spawn(self, submission: Submission, run: Path, lock: int) -> None:
        job: dict[str, Any] = from_yaml(submission.content)
        for name in ("work", "outputs", "user_logs"):  # leftovers of a start that was cut short
            shutil.rmtree(run / name, ignore_errors=True)
        shutil.copytree(submission.folder / str(job["code"]), run / "work")
        for name in ("outputs", "user_logs"):  # they outlive the working copy, with what the snapshot has in them
            if (run / "work" / name).is_dir():
                (run / "work" / name).rename(run / name)
            (run / name).mkdir(exist_ok=True)
            (run / "work" / name).symlink_to(Path("..", name))
        shutil.rmtree(run / _RECORDS, ignore_errors=True)  # of the snapshot: an old result must not speak for this run
        (run / "job.yml").write_bytes(submission.content)
        shell = shutil.which("bash", path=self._environ.get("PATH")) or "/bin/sh"
        command = _resolved(str(job["command"]), job)
        timeout_s = int((job.get("limits") or {}).get("timeout") or 0)
        with (run / _LOG).open("wb") as log:
            child = subprocess.Popen(
                ["/bin/sh", str(_SUPERVISOR), shell, command.encode(), str(timeout_s)],
                stdin=lock,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=run,
                env=self._environment(job, run),
                start_new_session=True,
            )
        self._children[submission.job] = child.pid
        try:
            threading.Thread(target=self._wait, args=(submission.job, child), daemon=True).start()
        except RuntimeError:  # no more threads; the lock tells its end, as it does to every other process
            del self._children[submission.job]

    def _environment(self, job: Mapping[str, Any], run: Path) -> dict[bytes, bytes]:
        # What the job file says is UTF-8 for the runner and on Azure, whatever the locale is here.
        environment = {os.fsencode(name): os.fsencode(value) for name, value in self._environ.items()}
        variables = job.get("environment_variables") or {}
        for name, value in variables.items():
            environment[name.encode()] = str(value).encode()
        if self._gpus:
            trials = len(trials_in(variables))
            shares = self._shared(trials, run)
            environment[b"CUDA_VISIBLE_DEVICES"] = ",".join(map(str, shares)).encode()
            if trials > 1:
                environment[b"AMLC_GPU_SHARES"] = json.dumps({str(gpu): n for gpu, n in shares.items()}).encode()
        return environment

    def _shared(self, trials: int, run: Path) -> Counter[int]:
        """Return which GPUs a job gets, and for how many trials each; that is known of it until it ends."""
        held = Counter(chain(*self._held().values()))
        chosen = gpus.share(
            {gpu: held[gpu] for gpu in self._gpus or ()},
            width=min(max(trials, 1), self._header.concurrency, self.slots or 1),
            per_trial=self._per_trial,
            trials_per_gpu=self._header.trials_per_gpu,
        )
        (run / "gpus").write_text(",".join(map(str, chosen)))
        self._held_by_job[run.name] = chosen
        return Counter(chosen)

    def _held(self) -> Mapping[str, tuple[int, ...]]:
        """Return the GPUs of our own jobs that are at work, each as often as it may take a trial of the job."""
        for job in [job for job in self._held_by_job if not self._works(job)]:
            del self._held_by_job[job]
        return self._held_by_job

    @cached_property
    def _held_by_job(self) -> dict[str, tuple[int, ...]]:
        """The GPUs of jobs that were at work when somebody last looked; all run folders are looked through once."""
        files = (path for path in self._runs.glob("*/gpus") if self._alive(path.parent.name))
        return {path.parent.name: _numbers(path) for path in files}

    def _wait(self, job: str, child: subprocess.Popen[bytes]) -> None:
        try:
            # Not reaped yet, so that its number, which is the session's, cannot be another's when the rest is killed.
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            with suppress(OSError):
                _kill_session(child.pid)
            child.wait()
            if _exit_code(self._runs / job) == 0:
                shutil.rmtree(self._runs / job / "work", ignore_errors=True)
        finally:
            self._children.pop(job, None)
            self._ended.put(job)

    def _works(self, job: str) -> bool:
        """Tell whether a job is at work. A child is so until its leftovers are killed."""
        return job in self._children or self._alive(job)

    def _alive(self, job: str) -> bool:
        try:
            descriptor = os.open(self._runs / job / "lock", os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # a damaged run folder: its process can still be looked for
            pid = _number(self._runs / job / "supervisor")
            return pid is not None and _exists(pid)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False

    def _supervisor(self, job: str) -> int | None:
        deadline = time.monotonic() + _GRACE_S
        while self._alive(job) and time.monotonic() < deadline:  # at its very start it has not written it down yet
            if pid := _number(self._runs / job / "supervisor"):
                return pid
            time.sleep(0.005)
        return self._children.get(job)  # it never could write it down

    def _observe(self, job: str) -> Observation | None:
        run = self._runs / job
        works = self._works(job)  # asked first: the lock falls after the exit code is written
        started = _time_of(run / "started")
        if works:
            status = Status.WAITING if started is None else Status.RUNNING
            return Observation(job=job, status=status, started=started)
        trials = _trials(run)
        outcomes = _outcomes(run, trials)
        if started is None and not outcomes:
            return self._never_started(job)
        code = _exit_code(run)
        began = bool(_reporting(run))
        known = Known(
            code=code,
            canceled=job in self._canceled or _is_there(run / "canceled"),
            late=_is_there(run / "timed_out"),
            began=began,
            gone=_GONE if code is None else None,
            said=None if began or not code else _said(run, code),
        )
        times = [outcome.ended for outcome in outcomes if outcome.ended is not None]
        end = _time_of(run / "exit_code") or max(times, default=None) or _time_of(run / _LOG)
        seen = Observation(job=job, status=Status.FAILED, started=started, ended=end)
        return ended(seen, trials, outcomes, known)

    def _never_started(self, job: str) -> Observation | None:
        if job not in self._unstarted:
            return None
        return Observation(job=job, status=Status.FAILED, error=self._unstarted[job], infrastructure=True)


def _trials(run: Path) -> tuple[str, ...]:
    """Return the ids of a job's trials, in order; where its file cannot be read, of those that its runner began."""
    try:
        job = from_yaml((run / "job.yml").read_bytes())
        return tuple(trial.id for trial in trials_in(job.get("environment_variables") or {}))
    except (OSError, yaml.YAMLError, AttributeError):
        return _reporting(run)


def _reporting(run: Path) -> tuple[str, ...]:
    """Return the ids of the trials that the job's runner began with, in the order of their names."""
    try:
        return tuple(sorted(path.name for path in (run / _RECORDS).iterdir() if path.is_dir()))
    except OSError:
        return ()


def _outcomes(run: Path, trials: Sequence[str]) -> list[Outcome]:
    return [outcome for trial in trials if (outcome := _outcome(run, trial)) is not None]


def _outcome(run: Path, trial: str) -> Outcome | None:
    content = _read(run / _RECORDS / trial / "result.json", LONGEST_RESULT)
    return read_outcome(trial, content.decode("utf-8", "replace"))


def _metrics(run: Path, trial: str) -> Iterator[Metric]:
    path = run / _RECORDS / trial / "metrics.jsonl"
    try:
        with path.open("rb") as file:
            yield from read_metrics(trial, lines_of(file))
    except FileNotFoundError:
        return
    except OSError as err:
        warnings.warn(f"{path}: {err.strerror}; its reports are left out.", RuntimeWarning, stacklevel=2)


def _exit_code(run: Path) -> int | None:
    content = _read(run / "exit_code", 5).removesuffix(b"\n")
    return int(content) if len(content) <= 3 and content.isdigit() else None


def _said(run: Path, code: int) -> str:
    """Return why a command failed that never came as far as running a trial: the last that it printed."""
    lines = _read(run / _LOG, _TAIL, last=True).decode("utf-8", "replace").splitlines()
    words = [line.strip() for line in lines if line.strip()]
    return f"{code_text(code)}: {words[-1][:_LONGEST_ERROR]}" if words else str(code_text(code))


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(int(text) for text in _read(path, _TAIL).decode("ascii", "replace").split(",") if text.isdecimal())


def _number(path: Path) -> int | None:
    """Return the number that a file of the supervisor's holds; None if that is anything else."""
    content = _read(path, 20).strip()
    return int(content) if content.isdigit() else None


def _read(path: Path, most: int, *, last: bool = False) -> bytes:
    """Return the first bytes of a file, or the last ones; of one that cannot be read, nothing."""
    try:
        with path.open("rb") as file:
            if last:
                file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read(most)
    except OSError:
        return b""


def _is_there(path: Path) -> bool:
    return _time_of(path) is not None


def _time_of(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _resolved(command: str, job: Mapping[str, Any]) -> str:
    """Return the command with AML's expressions for literal inputs and for outputs filled in, as AML does."""

    def value(match: re.Match[str]) -> str:
        section, name = match.groups()
        known = job.get(section) or {}
        if name not in known:
            raise BackendError(f"the job's command names {match[0]}, and the job has no such {section[:-1]}.")
        if section == "outputs":
            return shlex.quote(f"outputs/{name}")
        literal = known[name]
        path = literal.get("path") if isinstance(literal, Mapping) else literal
        if isinstance(literal, Mapping) and (path is None or str(path).startswith("azureml:")):
            raise BackendError(f"{match[0]} is data on Azure, which the local back end cannot reach.")
        return str(path)

    return _EXPRESSION.sub(value, command)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _kill_session(leader: int) -> None:
    """Kill every process of the session: a trial has a process group of its own, but not a session."""
    for pid in _processes():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)


def _processes() -> list[int]:
    if os.path.isdir("/proc/self"):
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    listing = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in listing.split()]
