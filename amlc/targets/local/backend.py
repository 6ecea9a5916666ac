"""The local back end: runs compiled job files as process trees on this machine.

Each job has a run folder (see `amlc.backends.run_folder`), and the files of `supervise.sh` in it
are the only truth about the job: nothing here depends on the process that submitted it being alive.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import queue
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from amlc.backends import Check, Fetched, Submission, Submitted, run_folder
from amlc.backends.printed import shown
from amlc.backends.trials import trials_in
from amlc.errors import BackendError, os_text
from amlc.files import NO_LOCKS
from amlc.manifest import Header
from amlc.model import Observation, Status
from amlc.plural import plural
from amlc.render.readback import read_job
from amlc.targets.local import gpus, origin, processes
from amlc.targets.local.shared_runner import shared_runner
from amlc.targets.local.start import Job, ServerLostError, Starter, Supervisor

_BEING_WRITTEN = ("supervisor.tmp", "exit_code.tmp")  # a supervisor that was killed leaves them
_ADOPTED_INTERVAL_S = 0.25  # how often to look at jobs that are not our children
_COPY = (
    "it was at work when its run folder was copied; the original, made on {host}, may go on there"
)
_LOOK_S = 0.1  # between two looks at a log that is followed
_GRACE_S = 10.0  # between asking a job to end and killing it; the runner itself takes 5 s
# What every other job would meet too; anything else is the damage of one run folder.
_SHARED_TROUBLE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EAGAIN,
        *NO_LOCKS,
        None,
    }
)


class LocalBackend:
    """Runs jobs below `runs`, one folder each.

    POSIX only: it stands on process groups and file locks.
    """

    def __init__(self, runs: Path, header: Header, environ: Mapping[str, str]) -> None:
        self._runs = runs
        self._environ = dict(environ)
        self._header = header
        # None for an experiment of another platform, which runs here too.
        self._told = header.target.get("local", {})
        self._per_trial = header.gpus_per_trial or 0
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._children: dict[str, int] = {}
        self._canceled: set[str] = set()
        self._unstarted: dict[str, str] = {}
        self._seen: dict[str, Observation] = {}
        self._cleared: set[str] = set()
        self._runner_copy: Path | None = None
        self._starter = Starter(environ.get("PATH"))

    @cached_property
    def slots(self) -> int | None:
        """How many trials the GPUs have room for; None without any.

        Raises BackendError when not one fits.
        """
        if self._gpus is None:
            return None
        usable = len(self._gpus)
        found = gpus.slots(
            usable, per_trial=self._per_trial, trials_per_gpu=self._header.trials_per_gpu
        )
        if not found:
            raise BackendError(
                f"a trial needs {plural(self._per_trial, 'GPU')}, and {usable} can be used here."
            )
        return found

    @cached_property
    def _gpus(self) -> tuple[int, ...] | None:
        if not self._per_trial:
            return None
        held = set(chain(*self._held().values()))
        use_active = self._told.get("use_active_gpu", False)
        return gpus.usable_gpus(self._told.get("gpu_indices"), use_active=use_active, ours=held)

    @property
    def has_gpus(self) -> bool:
        return self.slots is not None

    def submit(self, batch: Sequence[Submission]) -> Iterator[Submitted]:
        for submission in batch:
            try:
                self._start(submission)
            except OSError as err:
                is_everyones = self._is_everyones(err, submission)
                err.filename = _place(err) or self._runs / submission.job
                said = os_text(err)
                if is_everyones:
                    raise BackendError(said) from err
                self._unstarted[submission.job] = said
            yield Submitted(submission.job)

    def _is_everyones(self, err: OSError, submission: Submission) -> bool:
        """Tell whether every other job would meet it too: what is compiled all of them share."""
        of_build = os.fspath(submission.folder) in str(err.filename)
        is_shut = not os.access(self._runs, os.W_OK | os.X_OK)
        return err.errno in _SHARED_TROUBLE or of_build or is_shut

    def adopt(self, jobs: Mapping[str, str | None]) -> Iterator[Submitted]:
        # Nobody else makes run folders.
        return (Submitted(job) for job in jobs if self._observe(job) is not None)

    def poll(self, jobs: Collection[str], *, timeout_s: float) -> list[Observation]:
        deadline = time.monotonic() + timeout_s
        while True:
            found = [seen for job in jobs if (seen := self._observe(job)) is not None]
            remaining = deadline - time.monotonic()
            if (
                remaining <= 0
                or any(self._seen.get(seen.job) != seen for seen in found)
                or len(found) < len(jobs)
            ):
                self._seen = {seen.job: seen for seen in found}
                return found
            adopted = any(job not in self._children for job in jobs)
            with suppress(queue.Empty):
                self._ended.get(
                    timeout=min(remaining, _ADOPTED_INTERVAL_S) if adopted else remaining
                )

    def cancel(self, jobs: Collection[str]) -> None:
        supervisors, elsewhere = {}, []
        for job in jobs:
            pid = self._supervisor(job)
            if pid and not self._is_here(job, pid):
                elsewhere.append(job)
            elif pid:
                self._canceled.add(job)
                # Then only this process knows; the end of the job is what matters.
                with suppress(OSError):
                    (self._runs / job / "canceled").touch()
                supervisors[job] = pid
                processes.signal_group(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while any(map(self._alive, supervisors)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for job, pid in supervisors.items():
            is_there = self._is_here(job, pid)
            processes.end(self._mark(job), session=pid if is_there else None)
        if elsewhere := [job for job in elsewhere if self._alive(job)]:
            raise BackendError(_runs_elsewhere(self._runs / elsewhere[0]))

    def fetch(self, job: str) -> Fetched:
        return run_folder.fetched(self._runs / job)

    def log(self, job: str, *, follow: bool) -> Iterator[bytes]:
        path = self._runs / job / run_folder.LOG
        if not path.exists():
            raise BackendError(f"{path}: there is no such log; its run folder was removed.")
        return shown(self._printed(path, follow=follow, ended=lambda: not self._alive(job)))

    def trial_log(self, job: str, trial: str, *, follow: bool) -> Iterator[bytes]:
        run = self._runs / job
        path = run_folder.trial_log(run, trial)

        def ended() -> bool:
            return run_folder.is_over(run, trial) or not self._alive(job)

        while not path.exists():
            if ended():  # it never began, or its runner is of before there were such logs
                return self.log(job, follow=follow)
            if not follow:
                return iter(())
            time.sleep(_LOOK_S)
        return shown(self._printed(path, follow=follow, ended=ended))

    def outputs(self, job: str) -> Mapping[str, int]:
        if not (self._runs / job).is_dir():
            raise BackendError(f"{self._runs / job}: there is no such folder; it was removed.")
        return run_folder.outputs(self._runs / job)

    def output(self, job: str, name: str, *, start: int) -> Iterator[bytes]:
        return run_folder.output(self._runs / job, name, start=start)

    def examine(self, _build: Path, /) -> Iterator[Check]:
        yield Check("local", is_well=True, text="nothing is needed but this machine")

    def _printed(self, path: Path, *, follow: bool, ended: Callable[[], bool]) -> Iterator[bytes]:
        try:
            with path.open("rb") as stream:
                while True:
                    # Asked before reading, so that the last words are not missed.
                    is_over = ended()
                    while chunk := stream.read(1 << 16):
                        yield chunk
                    if not follow or is_over:
                        return
                    time.sleep(_LOOK_S)
        except OSError as err:
            raise BackendError(f"{path}: {err.strerror or err}.") from err

    def _start(self, submission: Submission) -> None:
        try:
            self._start_unless_it_runs(submission)
        except ServerLostError:  # once at the most
            self._start_unless_it_runs(submission)

    def _start_unless_it_runs(self, submission: Submission) -> None:
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
        job = read_job(submission.content.decode())
        snapshot = submission.folder / str(job["code"])
        code = self._code(snapshot)
        runner = None if code is None else self._runner(snapshot)
        run_folder.prepare(run, submission, job, runner=runner)
        mark = origin.note(run)
        command = str(job["command"])
        command = run_folder.resolved(command, job, submission.folder, self._environ)
        timeout_s = int((job.get("limits") or {}).get("timeout") or 0)
        with (run / run_folder.LOG).open("wb") as log:
            environment = self._environment(job, run, code, mark)
            child = self._starter.start(
                Job(run, runner, command, timeout_s, environment, lock, log.fileno())
            )
        self._children[submission.job] = child.pid
        self._cleared.discard(submission.job)
        try:
            waiter = (submission.job, child, mark)
            threading.Thread(target=self._wait, args=waiter, daemon=True).start()
        # No more threads; the lock tells its end, as it does to every other process.
        except RuntimeError:
            del self._children[submission.job]

    def _code(self, snapshot: Path) -> Path | None:
        """Return the folder that the trials run in; None: in the run folder, if it is not there."""
        code = (
            None if self._header.code is None else (snapshot.parent / self._header.code).resolve()
        )
        return code if code is None or code.is_dir() else None

    def _runner(self, snapshot: Path) -> Path:
        if self._runner_copy is None or not self._runner_copy.is_dir():
            self._runner_copy = shared_runner(snapshot, self._runs.parent)
        return self._runner_copy

    def _environment(
        self, job: Mapping[str, Any], run: Path, code: Path | None, mark: str
    ) -> dict[bytes, bytes]:
        # What the job file says is UTF-8 for the runner and on Azure, whatever the locale is here.
        environment = {
            os.fsencode(name): os.fsencode(value) for name, value in self._environ.items()
        }
        variables = job.get("environment_variables") or {}
        for name, value in variables.items():
            environment[name.encode()] = str(value).encode()
        # What runs inside a trial ends with that.
        around = self._environ.get(processes.MARK)
        environment[processes.MARK.encode()] = (f"{around}:{mark}" if around else mark).encode()
        if code is not None:
            # Whatever the locale makes of it here, the runner takes it for UTF-8.
            environment[b"AMLC_WORKDIR"] = json.dumps(
                os.fsencode(code).decode("utf-8", "surrogateescape")
            ).encode()
        if self._gpus:
            trials = len(trials_in(variables))
            shares = self._shared(trials, run)
            environment[b"CUDA_VISIBLE_DEVICES"] = ",".join(map(str, shares)).encode()
            if trials > 1:
                environment[b"AMLC_GPU_SHARES"] = json.dumps(
                    {str(gpu): n for gpu, n in shares.items()}
                ).encode()
        return environment

    def _shared(self, trials: int, run: Path) -> Counter[int]:
        """Return which GPUs a job gets, and for how many trials each.

        That is known of it until it ends.
        """
        held = Counter(chain(*self._held().values()))
        chosen = gpus.share(
            {gpu: held[gpu] for gpu in self._gpus or ()},
            width=min(
                max(trials, 1),
                self._header.concurrency,
                self._header.abreast or trials,
                self.slots or 1,
            ),
            per_trial=self._per_trial,
            trials_per_gpu=self._header.trials_per_gpu,
        )
        (run / "gpus").write_text(",".join(map(str, chosen)))
        self._held_by_job[run.name] = chosen
        return Counter(chosen)

    def _held(self) -> Mapping[str, tuple[int, ...]]:
        """Return the GPUs of our jobs at work, each as often as it may take a trial."""
        for job in [job for job in self._held_by_job if not self._works(job)]:
            del self._held_by_job[job]
        return self._held_by_job

    @cached_property
    def _held_by_job(self) -> dict[str, tuple[int, ...]]:
        """The GPUs of jobs that were at work when somebody last looked.

        All run folders are looked through once.
        """
        files = (path for path in self._runs.glob("*/gpus") if self._alive(path.parent.name))
        return {path.parent.name: run_folder.numbers(path) for path in files}

    def _wait(self, job: str, child: Supervisor, mark: str) -> None:
        try:
            # Not released yet, so that its number, which is the session's, cannot be another's when
            # the rest is killed.
            child.wait()
            with suppress(OSError):
                processes.end(mark, session=child.pid)
            child.release()
            self._cleared.add(job)
            with suppress(OSError, BackendError):  # whoever looks next does it
                if run_folder.exit_code(self._runs / job) == 0:
                    run_folder.tidy(self._runs / job)
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
        except OSError:
            return self._seems_alive(job)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return self._seems_alive(job)
        finally:
            os.close(descriptor)
        return False

    def _seems_alive(self, job: str) -> bool:
        """Tell whether a job whose lock cannot be asked has a supervisor."""
        pid = run_folder.number(self._runs / job / "supervisor")
        if pid is None or not _exists(pid):
            return False
        made = origin.read(self._runs / job)
        return self._is_here(job, pid) and not (made and made.is_copy)

    def _mark(self, job: str) -> str | None:
        """Return the mark of a job's processes; None if they are another folder's, or unknown."""
        made = origin.read(self._runs / job)
        return None if made is None or made.is_copy else made.mark

    def _is_here(self, job: str, pid: int) -> bool:
        """Tell whether a process is the job's: the number may be another machine's."""
        if job in self._children:
            return True
        made = origin.read(self._runs / job)
        return made is None or processes.is_marked(pid, made.mark) is not False

    def _supervisor(self, job: str) -> int | None:
        deadline = time.monotonic() + _GRACE_S
        # At its very start it has not written it down yet.
        while self._alive(job) and time.monotonic() < deadline:
            if pid := run_folder.number(self._runs / job / "supervisor"):
                return pid
            time.sleep(0.005)
        return self._children.get(job)  # it never could write it down

    def _observe(self, job: str) -> Observation | None:
        run = self._runs / job
        works = self._works(job)  # asked first: the lock falls after the exit code is written
        if works:
            started = run_folder.started(run)
            if started is None:
                return Observation(job=job, status=Status.WAITING)
            begun = run_folder.begun(run)
            over = sum(run_folder.is_over(run, trial) for trial in begun) or None
            return Observation(
                job=job,
                status=Status.RUNNING,
                started=started,
                begun=begun,
                over=over if len(begun) > 1 else None,
            )
        self._clear(job)
        for name in _BEING_WRITTEN:
            with suppress(OSError):
                (run / name).unlink(missing_ok=True)
        seen = run_folder.how_it_ended(run, canceled=job in self._canceled)
        if seen is None:
            run_folder.abandon(run)
            return self._never_started(job)
        if seen.status is not Status.FAILED or seen.infrastructure:  # else it is to be looked into
            with suppress(OSError):
                run_folder.tidy(run)
        if seen.infrastructure and (made := origin.read(run)) and made.is_copy:
            return replace(seen, error=_COPY.format(host=made.host))
        return seen

    def _clear(self, job: str) -> None:
        """End what is left of a job that is over, before anybody says how it ended.

        Without its supervisor a trial goes on, beside its own next attempt if nobody ends it.
        """
        if job in self._cleared:
            return
        self._cleared.add(job)
        if mark := self._mark(job):
            processes.end(mark)

    def _never_started(self, job: str) -> Observation | None:
        if job not in self._unstarted:
            return None
        return Observation(
            job=job, status=Status.FAILED, error=self._unstarted[job], infrastructure=True
        )


def _place(err: OSError) -> str | None:
    """Return what an error is about: of what could not be made, the folder that is in the way."""
    named: str | None = err.filename
    place = named
    if err.errno in (errno.EACCES, errno.EPERM):
        while place and not os.path.exists(place):
            place = os.path.dirname(place)
    return place or named


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _runs_elsewhere(run: Path) -> str:
    made = origin.read(run)
    where = made.host if made else "another machine"
    return f"{run}: its job runs on {where}, or in another container. Cancel it there."
