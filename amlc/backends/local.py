"""The local back end: runs compiled job files as process trees on this machine.

Each job has a run folder: `work/` (a fresh copy of the code snapshot, the job's working directory), `outputs/` and
`user_logs/std_log.txt` as on AML, and the files of `supervise.sh`, which is the only truth about the job: nothing here
depends on the process that submitted it being alive.
"""

from __future__ import annotations

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
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from amlc.backends import Fetched, Submission, Submitted, gpus
from amlc.errors import BackendError
from amlc.manifest import Header
from amlc.model import Metric, Observation, Outcome, Status
from amlc.render.scalars import from_yaml

_SUPERVISOR = Path(__file__).with_name("supervise.sh")
_LOG = Path("user_logs", "std_log.txt")
_ADOPTED_INTERVAL_S = 0.25  # how often to look at jobs that are not our children
_GRACE_S = 10.0  # between asking a job to end and killing it; the runner itself takes 5 s
_EXPRESSION = re.compile(r"\$\{\{\s*(inputs|outputs)\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


class LocalBackend:
    """Runs jobs below `runs`, one folder each. POSIX only: it stands on process groups and file locks."""

    def __init__(self, runs: Path, header: Header, environ: Mapping[str, str]) -> None:
        self._runs = runs
        self._environ = dict(environ)
        self._header = header
        self._per_trial = header.gpus_per_trial or 0
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._children: set[str] = set()
        self._seen: dict[str, Observation] = {}

    @cached_property
    def slots(self) -> int | None:
        """How many jobs the GPUs have room for; None without any. Raises BackendError when not one fits."""
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
        header = self._header
        return gpus.usable_gpus(header.gpu_indices, use_active=header.use_active_gpu, ours=self._held())

    def submit(self, batch: Sequence[Submission]) -> Iterator[Submitted]:
        for submission in batch:
            try:
                self._start(submission)
            except OSError as err:
                raise BackendError(f"{self._runs / submission.job}: {err.strerror or err}.") from err
            yield Submitted(submission.job)

    def adopt(self, jobs: Mapping[str, str | None]) -> Iterator[Submitted]:
        return (Submitted(job) for job in jobs if self._observe(job) is not None)  # nobody else makes run folders

    def poll(self, jobs: Collection[str], *, timeout_s: float) -> list[Observation]:
        deadline = time.monotonic() + timeout_s
        while True:
            found = [seen for job in jobs if (seen := self._observe(job)) is not None]
            remaining = deadline - time.monotonic()
            if remaining <= 0 or any(self._seen.get(seen.job) != seen for seen in found) or len(found) < len(jobs):
                self._seen.update((seen.job, seen) for seen in found)
                return found
            adopted = any(job not in self._children for job in jobs)
            with suppress(queue.Empty):
                self._ended.get(timeout=min(remaining, _ADOPTED_INTERVAL_S) if adopted else remaining)

    def cancel(self, jobs: Collection[str]) -> None:
        supervisors = {}
        for job in jobs:
            if pid := self._supervisor(job):
                (self._runs / job / "canceled").touch()
                supervisors[job] = pid
                _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while any(map(self._alive, supervisors)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in supervisors.values():
            _kill_session(pid)

    def fetch(self, job: str) -> Fetched:
        metrics: list[Metric] = []
        outcomes: list[Outcome] = []
        root = self._runs / job / "outputs" / "amlc"
        for folder in sorted(path for path in root.glob("*") if path.is_dir()):
            metrics += _metrics(folder)
            outcomes += _outcome(folder)
        return Fetched(metrics, outcomes)

    def log(self, job: str, *, follow: bool) -> Iterator[bytes]:
        path = self._runs / job / _LOG
        if not path.exists():
            raise BackendError(f"{path}: there is no such log; its run folder was removed.")
        with path.open("rb") as stream:
            while True:
                alive = self._alive(job)  # asked before reading, so that the last words are not missed
                while chunk := stream.read(1 << 16):
                    yield chunk
                if not follow or not alive:
                    return
                time.sleep(0.1)

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
        self._children.add(submission.job)
        threading.Thread(target=self._wait, args=(submission.job, child), daemon=True).start()

    def _environment(self, job: Mapping[str, Any], run: Path) -> dict[bytes, bytes]:
        # What the job file says is UTF-8 for the runner and on Azure, whatever the locale is here.
        environment = {os.fsencode(name): os.fsencode(value) for name, value in self._environ.items()}
        for name, value in (job.get("environment_variables") or {}).items():
            environment[name.encode()] = str(value).encode()
        if self._gpus:
            held = self._held()
            chosen = ",".join(map(str, gpus.assign({gpu: held[gpu] for gpu in self._gpus}, self._per_trial)))
            (run / "gpus").write_text(chosen)
            environment[b"CUDA_VISIBLE_DEVICES"] = chosen.encode()
        return environment

    def _held(self) -> Counter[int]:
        """Return how many of our own jobs are at work on each GPU."""
        files = (path for path in self._runs.glob("*/gpus") if self._alive(path.parent.name))
        return Counter(int(gpu) for path in files for gpu in path.read_text().split(",") if gpu.isdigit())

    def _wait(self, job: str, child: subprocess.Popen[bytes]) -> None:
        # Not reaped yet, so that its number, which is the session's, cannot be another's when the rest is killed.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        _kill_session(child.pid)
        child.wait()
        run = self._runs / job
        with suppress(OSError):
            if (run / "exit_code").read_text().strip() == "0":
                shutil.rmtree(run / "work", ignore_errors=True)
        self._children.discard(job)
        self._ended.put(job)

    def _alive(self, job: str) -> bool:
        try:
            descriptor = os.open(self._runs / job / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _supervisor(self, job: str) -> int | None:
        deadline = time.monotonic() + _GRACE_S
        while self._alive(job) and time.monotonic() < deadline:  # at its very start it has not written it down yet
            with suppress(OSError, ValueError):
                return int((self._runs / job / "supervisor").read_text())
            time.sleep(0.005)
        return None

    def _observe(self, job: str) -> Observation | None:
        run = self._runs / job
        # Asked first: the lock falls after the exit code is written. A child counts until its leftovers are killed.
        alive = job in self._children or self._alive(job)
        started = _time_of(run / "started")
        if started is None:
            return Observation(job=job, status=Status.WAITING) if alive else None
        if alive:
            return Observation(job=job, status=Status.RUNNING, started=started)
        ended = _time_of(run / "exit_code")
        code = int((run / "exit_code").read_text()) if ended is not None else None
        status, error = _end(run, code)
        return Observation(
            job=job,
            status=status,
            started=started,
            ended=ended if ended is not None else _time_of(run / _LOG),
            exit_code=code,
            error=error,
            infrastructure=code is None and status is Status.FAILED,
        )


def _end(run: Path, code: int | None) -> tuple[Status, str | None]:
    if code == 0:
        return Status.SUCCEEDED, None
    if (run / "canceled").exists():
        return Status.CANCELED, None
    if (run / "timed_out").exists():
        return Status.EARLY_STOPPED, "stopped at its time limit (maxTrialDuration)"
    if code is None:
        return Status.FAILED, "its processes are gone without a word: killed, or the machine went down"
    return Status.FAILED, f"killed by signal {code - 128}" if code > 128 else f"exit code {code}"


def _time_of(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def _metrics(folder: Path) -> Iterator[Metric]:
    with suppress(FileNotFoundError), (folder / "metrics.jsonl").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            with suppress(ValueError, LookupError, TypeError):  # a line that was cut short by a kill or a full disk
                record = json.loads(line)
                yield Metric(
                    trial=folder.name,
                    kind=record["type"],
                    sequence=record["sequence"],
                    value=record["value"],
                    at=record["at"],
                )


def _outcome(folder: Path) -> Iterator[Outcome]:
    with suppress(OSError, ValueError, LookupError, TypeError):
        record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        yield Outcome(
            trial=folder.name, exit_code=record["exit_code"], started=record["started"], ended=record["ended"]
        )


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
