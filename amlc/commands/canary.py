"""`amlc submit --canary`: which trials come first, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from amlc.collect.results import Results
from amlc.collect.rows import Row
from amlc.covering import covering
from amlc.model import Status, Trial
from amlc.reconcile import Policy, decisions

_MOST_JOBS: Final = 20_000  # are looked at
_GOOD: Final = (Status.SUCCEEDED, Status.EARLY_STOPPED)


@dataclass(frozen=True, slots=True)
class Canary:
    """The trials that come first: their ids, and their numbers.

    is_all: whether no others follow.
    """

    trials: frozenset[str]
    numbers: tuple[int, ...]
    is_all: bool = False


def covered(results: Results, policy: Policy) -> Canary:
    """Return a few whole jobs that cover the trials which are due or had a turn at this revision.

    So a submit that was cut short has the same ones again, and those that are done well are run no
    more.
    """
    revision = results.manifest.header.revision
    jobs: list[Sequence[Trial]] = []
    is_due = False
    for entry, rows in islice(results.jobs(), _MOST_JOBS):
        last = results.last(entry, rows)
        actions = decisions(entry, last, policy)
        due = {trial.id for action in actions for trial in action.trials}
        trials = [row.trial for row in rows if row.trial.id in due or _is_of(row, revision)]
        is_due = is_due or bool(due)
        if trials:
            jobs += [[trial] for trial in trials] if entry.sweep else [trials]
    chosen = covering(jobs) if is_due else []
    trials = [trial for place in chosen for trial in jobs[place]]
    numbers = sorted(trial.sequence for trial in trials)
    is_all = is_due and len(chosen) == len(jobs)
    return Canary(frozenset(trial.id for trial in trials), tuple(numbers), is_all)


def _is_of(row: Row, revision: str) -> bool:
    attempt = row.attempt
    return attempt is not None and attempt.revision == revision and attempt.number > 0


def what_failed(results: Results, canary: Canary, *, stopped: bool = False) -> str | None:
    """Return which of the trials did not come to a good end, and why the first of them; or None.

    stopped: those that have not ended are none of them, for the run that was to end them stopped.
    """
    bad = [
        row
        for row in results.rows()
        if row.trial.id in canary.trials and row.status not in _GOOD
        if row.status.ended or not stopped
    ]
    if not bad:
        return None
    first = bad[0]
    why = " ".join((first.error or first.status.value).split())
    more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
    return f"of those that came first, trial {first.trial.sequence}{more} failed: {why}"
