"""Say how a job ended.

By what its runner wrote down of its trials and, beyond that, by what its back end knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from amlc.model import End, Observation, Outcome, Status

LATE: Final = "stopped at its time limit (maxTrialDuration)"
_CUT_SHORT: Final = "its job's time limit cut it short"
_OWN: Final = (End.EXITED, End.TIME_LIMIT, End.REFUSED, End.STOPPED, End.CANCELED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a back end knows of a job that is over.

    code: the exit code of its command, None where that is not known. canceled: its end was asked
    for. late: it ran into its own time limit, which stands behind those of its trials. began: its
    runner left something behind. gone: why it is taken to have ended through no fault of the
    user's, or None. said: the back end's words for its failure.
    """

    code: int | None = None
    canceled: bool = False
    late: bool = False
    began: bool = False
    gone: str | None = None
    said: str | None = None


def ended(
    seen: Observation, trials: Sequence[str], outcomes: Iterable[Outcome], known: Known
) -> Observation:
    """Return `seen` with the status, the exit code and the error of a job that is over.

    trials: the ids of all trials of the job, none when they are not known. What each of them says
    of its own end counts before anything else: it was written down last, and a trial that ended is
    never run again.
    """
    by_trial = {outcome.trial: outcome for outcome in outcomes}
    found = [by_trial.get(trial) for trial in trials]
    own = [outcome for outcome in found if outcome is not None and outcome.end in _OWN]
    if trials and len(own) == len(trials):
        return _alone(seen, own[0], known) if len(own) == 1 else _packed(seen, own)
    return _cut_short(replace(seen, exit_code=known.code), found, known)


def _cut_short(seen: Observation, found: Sequence[Outcome | None], known: Known) -> Observation:
    """Return how a job ended of which some trials, or all, did not come to their own end."""
    if known.canceled:
        return replace(seen, status=Status.CANCELED)
    if known.late and len(found) > 1:
        return replace(seen, status=Status.FAILED, error=_CUT_SHORT, infrastructure=True)
    if known.late:
        return replace(seen, status=Status.EARLY_STOPPED, error=LATE)
    bad = [outcome for outcome in found if outcome is not None and outcome.end not in _OWN]
    # Never the runner's when it could not record a trial's end: one cannot be read.
    if known.code == 0 and not bad:
        return replace(seen, status=Status.SUCCEEDED)
    loss = _loss(bad, known)
    if loss is not None:
        return replace(seen, status=Status.FAILED, error=loss, infrastructure=True)
    return replace(seen, status=Status.FAILED, error=known.said or code_text(known.code))


def _alone(seen: Observation, outcome: Outcome, known: Known) -> Observation:
    seen = replace(seen, exit_code=outcome.exit_code)
    if outcome.end is End.TIME_LIMIT:
        return replace(seen, status=Status.EARLY_STOPPED, error=LATE)
    if outcome.exit_code == 0:
        return replace(seen, status=Status.SUCCEEDED)
    error = outcome.error or known.said or code_text(outcome.exit_code)
    return replace(seen, status=Status.FAILED, error=error)


def _packed(seen: Observation, outcomes: Sequence[Outcome]) -> Observation:
    bad = [outcome for outcome in outcomes if outcome.exit_code != 0]
    if not bad:
        return replace(seen, status=Status.SUCCEEDED, exit_code=0)
    why = next((outcome.error for outcome in bad if outcome.error), None)
    error = f"{len(bad)} of {len(outcomes)} trials did not succeed" + (f": {why}" if why else "")
    return replace(seen, status=Status.FAILED, exit_code=1, error=error)


def _loss(bad: Sequence[Outcome], known: Known) -> str | None:
    """Return why a job with trials that came to no end of their own is a loss, or None."""
    lost = [outcome for outcome in bad if outcome.end is End.LOST]
    if lost:
        return lost[0].error or "the machine could not run it, or not record its result"
    if known.gone:
        return known.gone
    if known.code is not None and known.code > 128:
        return f"its runner was {code_text(known.code)}"
    if known.began:
        return "its runner ended before it could record how each trial did"
    return None


def code_text(code: int | None) -> str | None:
    """Return an exit code in words."""
    if code is None:
        return None
    return f"killed by signal {code - 128}" if code > 128 else f"exit code {code}"
