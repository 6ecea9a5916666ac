"""Run the job that the environment describes, from its input to the exit code."""

import os

from .job import InputError, read_job, read_run, read_trials
from .loop import Runner
from .results import (
    LOST,
    REFUSED,
    TERMINATED,
    close_trial,
    exit_code_of,
    forget_earlier_life,
    write_missing_results,
)
from .signals import Signals
from .slots import OneAtATime
from .streams import open_missing_streams, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .job import Job, Trial
    from .slots import Slots

EXIT_INPUT = 2
EXIT_STOPPED = 143


def make_slots(job: "Job") -> "Slots":
    """Return what trials wait for. Raises LookupError if no trial can ever have its GPUs."""
    if job.gpus_per_trial is None:
        return OneAtATime(None)
    if job.gpus_per_trial == 0:
        return OneAtATime("")
    from .gpus import share_gpus

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return share_gpus(job, job.gpus_per_trial, visible) or OneAtATime(None)


def _run_job(job: "Job", signals: Signals) -> int:
    """Run all trials and return the exit code; each trial has its end afterwards."""
    try:
        slots = make_slots(job)
    except LookupError as error:
        say(error)
        for trial in job.trials:
            close_trial(trial, REFUSED, str(error))
        return 1
    is_recorded = not any(trial.rank for trial in job.trials)
    runner = Runner(job, slots, signals, read_run(os.environ) if is_recorded else None)
    try:
        runner.run()
    except BaseException:
        runner.kill_all()
        raise
    for trial in job.trials:
        close_trial(trial, TERMINATED, "terminated before it started")
    # Before the last words: what they say holds, though a signal may still come.
    code = EXIT_STOPPED if signals.stopped_by else exit_code_of(job.trials)
    runner.close(code)
    return code


def _run_what_is_asked_for(signals: Signals, trials: "list[Trial]") -> int:
    """Fill `trials`, run them and return the exit code.

    Whatever happens, each of them has its end afterwards.
    """
    try:
        trials.extend(read_trials(os.environb))
        for trial in trials:
            forget_earlier_life(trial)
        return _run_job(read_job(os.environb, trials), signals)
    except InputError as error:
        say(f"the job's input is wrong: {error}")
        for trial in trials:
            close_trial(trial, REFUSED, str(error))
        return EXIT_INPUT
    except BaseException as error:  # noqa: BLE001 - whatever it is, the trials are told apart from failed ones
        for trial in trials:
            close_trial(trial, LOST, f"the runner failed: {error!r}")
        import traceback

        traceback.print_exc()
        say(f"the runner failed: {error!r}")
        return 1


def main() -> int:
    """Run the job that the environment describes and return the exit code."""
    # The last function of this file, so that of one that is cut off there is none.
    open_missing_streams()
    signals = Signals()
    trials: list[Trial] = []
    code = _run_what_is_asked_for(signals, trials)
    is_saved = write_missing_results(trials)
    for trial in trials:
        if trial.rank:
            from .copies import remove_folder

            remove_folder(os.path.dirname(trial.home))
    return code if is_saved else code or 1
