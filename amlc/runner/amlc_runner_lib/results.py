"""Settle how each trial ended, and write it down."""

import json
import os
import time

from .last_words import printable
from .ranks import is_awaited
from .streams import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .job import Trial

# The ends of a trial.
EXITED, TIME_LIMIT, TERMINATED = "exited", "time_limit", "terminated"
LOST, REFUSED = "lost", "refused"

RESULT_WAIT_S = 1.0


def forget_earlier_life(trial: "Trial") -> None:
    """Remove what says how the trial ended when the job ran before.

    A job may be killed and started again.
    """
    paths = [os.path.join(trial.home, name) for name in ("result.json", "metrics.jsonl", "log.txt")]
    for path in [_rank_path(trial)] if trial.rank else paths:
        try:
            os.remove(path)
        except OSError:
            pass  # it is not there; or the new one cannot be written either, as the exit code tells


def close_trial(trial: "Trial", end: str, error: "str | None") -> None:
    """Settle how the trial ended, once, and write it down."""
    if trial.end is not None:
        return
    trial.end, trial.error = end, error and printable(error)
    try:
        _write_result(trial)
    except OSError as problem:
        say(f"trial {trial.id}: cannot write its result.json: {problem}")


def write_missing_results(trials: "list[Trial]") -> bool:
    """Try for a moment to write what could not be written; return whether all results are there."""
    last = time.monotonic() + RESULT_WAIT_S
    while True:
        for trial in trials:
            try:
                if not trial.is_saved:
                    _write_result(trial)
            except OSError:
                pass
        if all(trial.is_saved for trial in trials) or time.monotonic() > last:
            return all(trial.is_saved for trial in trials)
        time.sleep(RESULT_WAIT_S / 10)


def exit_code_of(trials: "list[Trial]") -> int:
    """Return the exit code of a job that nobody stopped.

    It is its only trial's, or else whether any did not succeed.
    """
    codes = [0 if _has_succeeded(trial) else trial.exit_code or 1 for trial in trials]
    return codes[0] if len(codes) == 1 else int(any(codes))


def _has_succeeded(trial: "Trial") -> bool:
    return trial.end == EXITED and trial.exit_code == 0


def _rank_path(trial: "Trial") -> str:
    return os.path.join(trial.records, f"rank-{trial.rank}.json")


def _write_result(trial: "Trial") -> None:
    """Write the trial's result.json in one step."""
    record = {
        "trial": trial.id,
        "end": trial.end,
        "exit_code": trial.exit_code,
        "signal": trial.signal,
        "started": trial.started,
        "ended": trial.ended,
        "intermediate": trial.counts["intermediate"],
        "final": trial.counts["final"],
        "error": trial.error,
    }
    path = os.path.join(trial.home, "result.json")
    if trial.rank:  # the trial's result is another's to write, unless this one is why it failed
        if _has_succeeded(trial) or not is_awaited(trial.rank):
            trial.is_saved = True
            return
        path = _rank_path(trial)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".part", "w") as file:
        file.write(json.dumps(record) + "\n")
    os.replace(path + ".part", path)
    trial.is_saved = True
