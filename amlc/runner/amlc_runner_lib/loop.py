"""Run the trials: start what fits, pass their output on, and see to the end of each."""

import collections
import os
import select
import time

from .last_words import how_it_exited, signal_name
from .metric_log import MetricLog
from .process import LONGEST_WAIT_S, Process
from .results import EXITED, LOST, TERMINATED, TIME_LIMIT, close_trial
from .streams import Echo, say
from .workdir import is_moved, prepare_home, trial_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .job import Job, Run, Trial
    from .metrics import Metric
    from .own_log import OwnLog
    from .signals import Signals
    from .slots import Slot, Slots
    from .streams import Stream
    from .tracking import Tracker


class Runner:
    """The loop: start what fits, pass output on, see to the end of what is over."""

    def __init__(self, job: "Job", slots: "Slots", signals: "Signals", run: "Run | None") -> None:
        self._job, self._slots, self._signals, self._run = job, slots, signals, run
        self._tracker: Tracker | None = None
        self._echoes = [Echo(1, signals), Echo(2, signals)]
        self._waiting = collections.deque(job.trials)
        self._running: list[Process] = []
        self._folder = os.getcwd()

    def run(self) -> None:
        """Run all trials, or until the runner is told to stop, to the end of those that began."""
        while self._running or (self._waiting and not self._signals.stopped_by):
            self._start_what_fits()
            self._pass_on(self._wait())
            # After the reading, which may swallow the news of a child's end, and before the next
            # wait.
            for process in list(self._running):
                if process.advance(time.monotonic(), self._signals.stopped_by):
                    self._finish(process)

    def close(self, exit_code: int) -> None:
        """Pass on what MLflow and the readers of the output were too slow for.

        exit_code: the runner's, unless a result.json has yet to be written.
        """
        if self._tracker:
            is_stopped = bool(self._signals.stopped_by)
            is_certain = not is_stopped and all(trial.is_saved for trial in self._job.trials)
            self._tracker.close(exit_code if is_certain else None, is_hurried=is_stopped)
        for echo in self._echoes:
            echo.close()

    def kill_all(self) -> None:
        """End at once all that runs, for when the runner itself is broken."""
        for process in self._running:
            process.kill()

    def _start_what_fits(self) -> None:
        while self._waiting and not self._signals.stopped_by and self._has_room():
            slot = self._slots.take()
            if slot is None:
                return
            self._start(self._waiting.popleft(), slot)

    def _has_room(self) -> bool:
        # What an ended trial leaves unread is kept: with a reader that is stuck that must not grow
        # trial by trial.
        most = self._job.concurrency
        is_bounded = most is not None and len(self._running) >= most
        return not is_bounded and not any(echo.is_far_behind for echo in self._echoes)

    def _start(self, trial: "Trial", slot: "Slot") -> None:
        try:
            process = self._process(trial, slot)
        except (OSError, RecursionError) as error:
            self._slots.give_back(slot)
            say(f"trial {trial.id} could not be started: {error}")
            close_trial(trial, LOST, f"could not be started: {error}")
            return
        self._running.append(process)
        if self._run and not self._tracker:
            # Only now: the first trial does not wait for it.
            self._tracker = _open_tracker(self._job, self._run)
            if self._job.is_swept:
                self._tracker.log_name(trial)
            if self._job.is_drawn:
                self._tracker.log_drawn(trial)
        if self._tracker:
            self._tracker.log_parameters(trial)

    def _process(self, trial: "Trial", slot: "Slot") -> Process:
        """Start a trial and return its Process. Raises OSError if it cannot be started."""
        output = prepare_home(trial, self._job.output_root)
        folder = _copy() if len(self._job.trials) > 1 and self._job.workdir is None else None
        cwd = self._job.workdir or folder or os.getcwd()
        log = own = None
        try:
            log = MetricLog(trial, self._tell)
            own = _own_log(trial) if len(self._job.trials) > 1 and not trial.rank else None
            process = Process(trial, slot, folder, log, self._echoes, own)
            env = trial_environment(
                os.environb, self._job, trial, output=output, folder=cwd, visible=slot.visible
            )
            started = time.time()
            process.spawn(self._command(trial), env, cwd, self._job.trial_seconds)
        except BaseException:
            for file in (log, own):
                if file:
                    file.close()
            _remove(folder)
            raise
        trial.started = started
        return process

    def _command(self, trial: "Trial") -> bytes:
        if b"${{" not in self._job.command:
            return self._job.command
        from .bindings import bound

        return bound(self._job.command, os.environb, trial.id, is_alone=len(self._job.trials) == 1)

    def _tell(self, trial: "Trial", metric: "Metric", now: float) -> None:
        if self._tracker:
            self._tracker.log_metric(trial, metric, now)

    def _wait(self) -> "set[int]":
        """Wait until there is something to do; return the descriptors that are ready."""
        behind = [echo for echo in self._echoes if echo.is_behind]
        if not self._running and not behind:
            return set()
        poller = select.poll()
        poller.register(self._signals.wake, select.POLLIN)
        for echo in behind:
            poller.register(echo.fd, select.POLLOUT)
        for fd, stream in self._streams():
            if stream.echo.takes_more:
                poller.register(fd, select.POLLIN)
        now = time.monotonic()
        patience_s = min([process.patience_s(now) for process in self._running] or [LONGEST_WAIT_S])
        return {fd for fd, _ in poller.poll(patience_s * 1000)}

    def _streams(self) -> "list[tuple[int, Stream]]":
        """Return the streams that may have more, each with its descriptor."""
        streams = [stream for process in self._running for stream in process.streams]
        return [(stream.fd, stream) for stream in streams if stream.fd is not None]

    def _pass_on(self, ready: "set[int]") -> None:
        if self._signals.wake in ready:
            self._signals.clear()
        for echo in self._echoes:
            if echo.fd in ready:
                echo.flush()
        # One piece of each, so that none that writes much keeps the others waiting.
        for fd, stream in self._streams():
            if fd in ready and not stream.pass_on():
                stream.close()

    def _finish(self, process: Process) -> None:
        for stream in process.streams:
            stream.drain()
        process.log.close()
        if process.own:
            process.own.close()
        trial, code = process.trial, process.status
        trial.ended = time.time()
        if code is not None:
            trial.exit_code = code if code >= 0 else 128 - code
            trial.signal = None if code >= 0 else signal_name(-code)
        end, error = how_it_ended(process, self._signals.stopped_by)
        if end == EXITED and code and is_moved(self._folder):
            end, error = LOST, "the folder of its job was moved or removed while it ran"
        close_trial(trial, end, error)
        if self._tracker:
            self._tracker.end(trial)
        self._running.remove(process)
        self._slots.give_back(process.slot)
        _remove(process.folder)


def _own_log(trial: "Trial") -> "OwnLog":
    from .own_log import OwnLog

    return OwnLog(trial.home)


def _copy() -> str:
    from .copies import make_work_folder

    return make_work_folder()


def _remove(folder: "str | None") -> None:
    if folder:
        from .copies import remove_folder

        remove_folder(folder)


def _open_tracker(job: "Job", run: "Run") -> "Tracker":
    from .mlflow import Sender
    from .tracking import Tracker

    sender = Sender(run)
    if len(job.trials) == 1:
        return Tracker(sender, is_prefixed=False)
    from .children import Children

    return Tracker(sender, is_prefixed=True, children=Children(run, sender.token))


def how_it_ended(process: Process, stopped_by: "str | None") -> "tuple[str, str | None]":
    """Return the end of a trial that is over, and its error.

    stopped_by: the signal by which the runner has to stop.
    """
    if process.trial.loss:
        return LOST, process.trial.loss
    if process.status is None:
        return LOST, "its process does not die"
    if process.asked == TIME_LIMIT:
        return TIME_LIMIT, "stopped at its time limit (maxTrialDuration)"
    # Who ends the runner may send the same signal to everything there is.
    if process.asked == TERMINATED or (stopped_by and process.trial.signal == stopped_by):
        return TERMINATED, f"terminated: the runner got {stopped_by}"
    return EXITED, how_it_exited(process.trial, process.last_words.find())
