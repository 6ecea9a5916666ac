"""Settle how each trial ended, and write it down."""

import json
import os
import time

from .last_words import printable
from .streams import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .job import Trial

# The ends of a trial.
EXITED, TIME_LIMIT, TERMINATED = "exited", "time_limit", "terminated"
LOST, REFUSED = "lost", "refused"

RESULT_WAIT_S = 1.0


def forget_earlier_life(trial: "Trial") -> None:
    """Remove what says how the trial ended when the job ran before: a job may be killed and started again."""
    for name in ("result.json", "metrics.jsonl"):
        try:
            os.remove(os.path.join(trial.home, name))
        except OSError:
            pass  # it is not there; or else the new one cannot be written either, which the exit code tells


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
    """Try for a moment to write what could not be written before; return whether all results are there."""
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
    """Return the exit code of a job that nobody stopped: its only trial's, or else whether any did not succeed."""
    codes = []
    for trial in trials:
        has_succeeded = trial.end == EXITED and trial.exit_code == 0
        codes.append(0 if has_succeeded else trial.exit_code or 1)
    return codes[0] if len(codes) == 1 else int(any(codes))


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
    os.makedirs(trial.home, exist_ok=True)
    with open(path + ".part", "w") as file:
        file.write(json.dumps(record) + "\n")
    os.replace(path + ".part", path)
    trial.is_saved = True
