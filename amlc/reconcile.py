"""Compare what should happen with what happened, and say what to do: pure, and safe to repeat."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from amlc.attempts import Attempt
from amlc.manifest import Entry
from amlc.model import Status, Trial
from amlc.names import attempt_name


class Reason(str, Enum):
    """Why a job is submitted."""

    NEW = "new"
    LOST = (
        "lost"  # it was cut short: the machine went away under it, or its job ended before it began
    )
    RETRY = "retry"  # the user asked for it


@dataclass(frozen=True, slots=True)
class Action:
    """Submit `trials` of `entry`, all of them or what is left to do, as attempt `number`.

    `losses` as in `Attempt`. Of a sweep whose platform draws its trials there are none of them.
    """

    entry: Entry
    trials: tuple[Trial, ...]
    number: int
    losses: int
    reason: Reason

    @property
    def numbers(self) -> Sequence[object]:
        """What stands for its trials where only their number counts."""
        return self.entry.draws or self.trials

    @property
    def name(self) -> str:
        """The job's name: the key by which it is found again."""
        return attempt_name(self.entry.name, self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the user allows beyond submitting what was never submitted.

    retry: (job name, trial id) of ended trials to run again, chosen once at the start, so that one
    that fails again is not retried for ever. losses: how often a trial may be submitted again
    because it was cut short. only: the ids of the trials that count; None is all. sweeps: whether
    the back end runs sweeps; without them each trial of one is a job of its own.
    """

    losses: int = 2
    retry: Collection[tuple[str, str]] = field(default_factory=frozenset)
    only: Collection[str] | None = None
    sweeps: bool = True


def decide(entry: Entry, last: Mapping[str, Attempt], policy: Policy) -> Action | None:
    """Return what to do about one compiled job, given the last attempt of each trial by its id.

    None is nothing. What has ended well, and what a back end may still be at work on, is never
    submitted. A sweep runs what was never submitted; what is to run again does so by itself.
    """
    if entry.draws:
        is_due = policy.sweeps and policy.only is None and entry.id not in last
        return Action(entry, (), 1, 0, Reason.NEW) if is_due else None
    trials: list[Trial] = []
    reasons: list[Reason] = []
    losses = number = 0
    for trial in entry.trials:
        attempt = last.get(trial.id)
        if attempt is not None and (attempt.id == entry.id or attempt.sweep):
            number = max(number, attempt.number)
        reason = _reason(trial, attempt, policy)
        if reason is None or not _is_its(entry, reason, policy):
            continue
        trials.append(trial)
        reasons.append(reason)
        if attempt is not None:
            losses = max(losses, attempt.losses + (reason is Reason.LOST))
    if not trials:
        return None
    return Action(entry, tuple(trials), number + 1, losses, reasons[0])


def _is_its(entry: Entry, reason: Reason, policy: Policy) -> bool:
    """Tell whether a trial that is due for `reason` is this entry's, or another's of its sweep."""
    if entry.sweep:
        return policy.sweeps and reason is Reason.NEW
    return not (entry.alone and policy.sweeps and reason is Reason.NEW)


def _reason(trial: Trial, attempt: Attempt | None, policy: Policy) -> Reason | None:
    """Return why a trial is to be submitted, given its last attempt; None: it is not."""
    if policy.only is not None and trial.id not in policy.only:
        return None
    if attempt is None:
        return Reason.NEW
    if (attempt.job, trial.id) in policy.retry:
        return Reason.RETRY
    if attempt.working or attempt.canceling or attempt.losses >= policy.losses:
        return None
    return Reason.LOST if attempt.status(trial.id) is Status.UNFINISHED else None


def reconcile(
    desired: Iterable[Entry], observed: Mapping[str, Attempt], policy: Policy
) -> Iterator[Action]:
    """Yield lazily, in order, what brings `observed` (last attempts by trial id) to `desired`.

    How many of them run side by side is the caller's business. After all of them were submitted, a
    second call yields nothing.
    """
    for entry in desired:
        yield from decisions(entry, observed, policy)


def decisions(entry: Entry, last: Mapping[str, Attempt], policy: Policy) -> Iterator[Action]:
    """Yield what to do about one compiled job and, of a sweep, about its trials one by one."""
    for one in entry.spread():
        action = decide(one, last, policy)
        if action is not None:
            yield action


def is_retried(
    trial: Trial, attempt: Attempt, statuses: Collection[str], *, has_result: bool, revision: str
) -> bool:
    """Tell whether `statuses` select a trial, of which `attempt` is the last, to be run again.

    statuses: `succeeded`, `failed`, `canceled`, `early_stopped`, `unfinished`, `missing` (no final
    result, or `unknown`) and `changed` (done at another revision). What a back end is at work on is
    never selected.
    """
    if attempt.working and attempt.latest.status is not Status.UNKNOWN:
        return False
    return (
        attempt.status(trial.id).value in statuses
        or ("missing" in statuses and not has_result)
        or ("changed" in statuses and attempt.revision != revision)
    )


def failed(attempt: Attempt) -> Sequence[Trial]:
    """Return the trials of an ended attempt that did not come to a good end.

    An early stop is one.
    """
    good = (Status.SUCCEEDED, Status.EARLY_STOPPED)
    return [trial for trial in attempt.trials if attempt.status(trial.id) not in good]
