"""Compare what should happen with what happened, and say what to do: pure, and safe to repeat."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from amlc.ledger import Attempt
from amlc.manifest import Entry
from amlc.model import Status


class Reason(str, Enum):
    """Why a job is submitted."""

    NEW = "new"
    LOST = "lost"  # the machine went away under it
    RETRY = "retry"  # the user asked for it


@dataclass(frozen=True, slots=True)
class Submit:
    """Submit `entry` as attempt `number`; `losses` as in `Attempt`."""

    entry: Entry
    number: int
    losses: int
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the user allows beyond submitting what was never submitted.

    retry: names of ended jobs to try again, chosen once at the start, so that a job that fails again is not retried
    for ever. losses: how often a job may be submitted again because the machine went away. only: the ids of the jobs
    that count; None is all.
    """

    losses: int = 2
    retry: Collection[str] = field(default_factory=frozenset)
    only: Collection[str] | None = None


def decide(entry: Entry, last: Attempt | None, policy: Policy) -> Submit | None:
    """Return what to do about one compiled job, of which `last` is the latest attempt; None is nothing."""
    if last is None:
        return Submit(entry, 1, 0, Reason.NEW)
    if last.job in policy.retry:
        return Submit(entry, last.number + 1, last.losses, Reason.RETRY)
    if last.working:
        return None
    if last.latest.infrastructure and last.losses < policy.losses and not last.canceling:
        return Submit(entry, last.number + 1, last.losses + 1, Reason.LOST)
    return None


def reconcile(desired: Iterable[Entry], observed: Mapping[str, Attempt], policy: Policy) -> Iterator[Submit]:
    """Yield the submissions that bring `observed` (the last attempt by job id) to `desired`, in order, lazily.

    How many of them run side by side is the caller's business. After all of them were submitted, a second call yields
    nothing.
    """
    for entry in desired:
        if policy.only is not None and entry.id not in policy.only:
            continue
        action = decide(entry, observed.get(entry.id), policy)
        if action is not None:
            yield action


def retryable(
    entries: Iterable[Entry],
    observed: Mapping[str, Attempt],
    statuses: Collection[str],
    *,
    with_result: Collection[str],
    revision: str,
) -> frozenset[str]:
    """Return the names of the jobs that `statuses` selects among those that no back end is at work on.

    statuses: `failed`, `canceled`, `early_stopped`, `missing` (no final result, or `unknown`) and `changed` (done at
    another revision). with_result: ids of the trials that have a final result.
    """
    chosen = set()
    for entry in entries:
        last = observed.get(entry.id)
        if last is None or (last.working and last.latest.status is not Status.UNKNOWN):
            continue
        found = {last.status(trial.id).value for trial in last.trials}
        if any(trial.id not in with_result for trial in last.trials):
            found.add("missing")
        if last.revision != revision:
            found.add("changed")
        if found & set(statuses):
            chosen.add(last.job)
    return frozenset(chosen)


def succeeded(attempt: Attempt) -> bool:
    """Tell whether every trial of the attempt ended well; an early stop is a good end."""
    good = (Status.SUCCEEDED, Status.EARLY_STOPPED)
    return all(attempt.status(trial.id) in good for trial in attempt.trials)
