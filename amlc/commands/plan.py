"""`amlc plan`: what submit would do, and what it may cost."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

from amlc.collect.nodes import nodes
from amlc.collect.results import Results
from amlc.collect.rows import Row
from amlc.collect.verdict import Tally, Verdict
from amlc.commands.canary import covered
from amlc.commands.options import Options, check_drawn, policy
from amlc.commands.seal import Seal, sealed
from amlc.cost import worst_hours
from amlc.errors import DamageWarning, UsageError
from amlc.events import EventKind
from amlc.folders import Folders
from amlc.ledger import Ledger, check_not_lost, read_ledger
from amlc.manifest import Header, Manifest
from amlc.model import Status
from amlc.reconcile import Action, Reason, decisions
from amlc.revision import differences, parse_contents, read_contents
from amlc.targets import target

_MOST_SHOWN = 20


class State(str, Enum):
    """How a compiled trial stands, seen from a submit that is to come."""

    NEW = "new"
    AGAIN = "again"  # it was submitted before, and is to be once more
    RUNNING = "running"
    ELSEWHERE = "running_elsewhere"  # on a back end that is not the one of this submit
    DONE = "done"
    OLDER = "done_at_older_revision"
    FAILED = "failed"  # or canceled, or left unfinished: it stays so unless the user asks for it


@dataclass(slots=True)
class Due:
    """The submissions for one reason: how many there are, and the first of them.

    largest: trials of the largest job. sweeps: how many of the jobs are sweeps.
    """

    jobs: int = 0
    trials: int = 0
    largest: int = 0
    sweeps: int = 0
    first: list[Action] = field(default_factory=list)

    def count(self, action: Action) -> None:
        """Count one submission."""
        self.jobs += 1
        self.trials += len(action.numbers)
        self.largest = max(self.largest, len(action.numbers))
        self.sweeps += action.entry.sweep
        if len(self.first) < _MOST_SHOWN:
            self.first.append(action)


@dataclass(frozen=True, slots=True)
class Older:
    """How many trials ended at an older revision, and what changed since, if that is known."""

    revision: str
    trials: int
    changes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expense:
    """What it may cost, in node-hours: each trial at its time limit, on all nodes of its job.

    spent: by all trials so far. worst: by those to come, each run again as often as `retries` allow
    where it is cut short; once: without that. Both are None where nothing bounds them. price: of a
    node-hour, None if nobody says. budget_trials, budget: what the experiment allows itself.
    trials: compiled and to be proposed but for imported ones, None: nobody knows.
    """

    spent: float
    worst: float | None
    once: float | None
    retries: int
    price: float | None
    trials: int | None
    budget_trials: int | None
    budget: float | None

    @property
    def exceeded(self) -> tuple[str, ...]:
        """What is above the budget, a sentence each."""
        found = []
        if self.budget_trials is not None and (self.trials or 0) > self.budget_trials:
            found.append(
                f"{self.trials:,} trials are more than amlc.budget.trials, {self.budget_trials:,}."
            )
        if self.budget is not None:
            hours = self.spent + (self.worst or 0)
            if hours > self.budget * (1 + 1e-9):
                found.append(
                    f"{self.spent:,.4g} node-hours are spent and {self.worst or 0:,.4g} may follow,"
                    f" more than amlc.budget.nodeHours, {self.budget:,g}. Lower maxTrialDuration,"
                    " maxTrialNumber or amlc.retries, or raise the budget."
                )
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What submit would do, as things stand.

    due: of each reason for which there is something to submit. states: how many compiled trials
    stand how. at_once: how many trials of a tuner that learns are in jobs at the same time, at the
    most; None: no more than run side by side. canary: the numbers of the trials that come first,
    with --canary. is_canary_all: whether no others follow. seal: what it takes to do exactly this
    later; None: it was not asked for. counts_no_gpus: whether jobs that were packed by themselves
    run on this machine, of which nobody has asked how many GPUs it has.
    """

    header: Header
    verdict: Verdict
    older: Sequence[Older]
    due: Mapping[Reason, Due]
    states: Mapping[State, int]
    expense: Expense
    at_once: int | None = None
    canary: Sequence[int] = ()
    is_canary_all: bool = False
    seal: Seal | None = None
    counts_no_gpus: bool = False


def plan(
    manifest: Manifest,
    options: Options,
    *,
    folders: Folders,
    price: float | None = None,
    seal: bool = False,
) -> Plan:
    """Return what submit would do, and do nothing.

    price: of a node-hour, instead of what `amlc.prices` says.
    """
    backend = options.backend or manifest.header.backend
    header = manifest.header
    check_drawn(manifest, options, folders)
    seen = _Seen(header.revision, backend, retries=header.retries, keep=seal)
    path = folders.ledger(manifest.header.experiment)
    check_not_lost(path)
    with read_ledger(path) as ledger, ledger.snapshot():
        results = Results(manifest, ledger)
        allowed = policy(results, options)
        tally, is_over = Tally(results), results.out_of_time
        for entry, found in results.jobs():
            rows = tuple(tally.counted(found))
            due = () if is_over else decisions(entry, results.last(entry, rows), allowed)
            seen.take(list(due), rows)
        end = tally.verdict
        for text in results.damage:
            warnings.warn(text, DamageWarning, stacklevel=2)
        made_of = _made_of(ledger)
        chosen = covered(results, allowed) if options.canary and not is_over else None
        mark = sealed(manifest, ledger, options, seen.submissions) if seal else None
    older = []
    for revision, count in seen.revisions.items():
        older.append(Older(revision, count, _changes(made_of.get(revision), manifest)))
    return Plan(
        header=manifest.header,
        verdict=end,
        older=older,
        due={reason: due for reason, due in seen.due.items() if due.jobs},
        states={state: seen.states[state] for state in State},
        expense=_expense(manifest, end, seen, spent=tally.node_hours, price=price),
        at_once=_at_once(header, backend, end.to_propose),
        canary=chosen.numbers if chosen else (),
        is_canary_all=chosen is not None and chosen.is_all and header.search is None,
        seal=mark,
        counts_no_gpus=header.job_start is not None and target(backend).RUNS_ANY,
    )


def _expense(
    manifest: Manifest, end: Verdict, seen: _Seen, *, spent: float, price: float | None
) -> Expense:
    header = manifest.header
    worst = once = None
    if header.trial_seconds is not None and end.to_propose is not None:
        hours = partial(
            worst_hours,
            trial_seconds=header.trial_seconds,
            nodes=nodes(manifest) if manifest.jobs else header.nodes or 1,
        )
        further = max(end.to_propose - seen.draws, 0)
        once = hours(seen.runs[0] + further)
        worst = hours(seen.runs[1] + further * (1 + header.retries))
    return Expense(
        spent=spent,
        worst=worst,
        once=once,
        retries=header.retries,
        price=header.price if price is None else price,
        trials=None if end.to_propose is None else end.trials + end.to_propose - seen.imported,
        budget_trials=header.budget_trials,
        budget=header.budget_node_hours,
    )


def _at_once(header: Header, backend: str, to_propose: int | None) -> int | None:
    """Return how many of the trials to come are in jobs at once, if more than run side by side.

    On this machine nobody knows before it begins whether there are GPUs to run them side by side.
    """
    size = header.trials_per_job
    if header.search is None or size is None:
        return None
    has_gpus = header.gpus_per_trial and not target(backend).RUNS_ANY
    width = min(header.concurrency, header.abreast or header.concurrency) if has_gpus else 1
    found = header.concurrency // min(size, width) * size
    found = found if to_propose is None else min(found, to_propose)
    return found if found > header.concurrency else None


class _Seen:
    """What is counted on the way.

    revisions: the others at which trials ended, and how many did. runs: of the trials that are due
    or at work, each once, and with all that may follow where they are cut short. keep: all
    submissions are wanted.
    """

    def __init__(self, revision: str, backend: str, *, retries: int, keep: bool) -> None:
        self.due = {reason: Due() for reason in Reason}
        self.revisions: Counter[str] = Counter()
        self.runs = (0, 0)
        self.states: Counter[State] = Counter()
        self.submissions: list[Action] = []
        self.draws = 0  # trials that a sweep which is due is to draw
        self._revision = revision
        self._backend = backend
        self._retries = retries
        self._keep = keep

    def take(self, actions: Sequence[Action], rows: Sequence[Row]) -> None:
        """Count what is to be done about a job, and how its trials stand."""
        due: set[str] = set()
        for action in actions:
            self.due[action.reason].count(action)
            self.draws += len(action.entry.draws)
            self._count_runs(len(action.numbers), action.losses)
            due.update(trial.id for trial in action.trials)
        if self._keep:
            self.submissions += actions
        for row in rows:
            attempt = row.attempt
            if attempt is not None and attempt.revision != self._revision and row.status.ended:
                self.revisions[attempt.revision] += 1
            is_here = attempt is not None and attempt.backend == self._backend
            if attempt is not None and is_here and not row.status.ended and row.trial.id not in due:
                self._count_runs(1, attempt.losses)  # what they have used counts as spent, too
        self.states.update(self._states(rows, due))

    @property
    def imported(self) -> int:
        """How many trials were run elsewhere, and have no revision."""
        return self.revisions[""]

    def _count_runs(self, trials: int, losses: int) -> None:
        once, all_ = self.runs
        most = 1 + max(self._retries - losses, 0)
        self.runs = once + trials, all_ + trials * most

    def _states(self, rows: Sequence[Row], due: Collection[str]) -> Iterator[State]:
        for row in rows:
            attempt = row.attempt
            if attempt is None:
                yield State.NEW
            elif row.trial.id in due:
                yield State.AGAIN
            elif row.status in (Status.SUCCEEDED, Status.EARLY_STOPPED):
                yield State.DONE if attempt.revision == self._revision else State.OLDER
            elif not row.status.ended:
                yield State.RUNNING if attempt.backend == self._backend else State.ELSEWHERE
            else:
                yield State.FAILED


def _made_of(ledger: Ledger) -> Mapping[str, Mapping[str, Any]]:
    """Return what each revision on record is made of."""
    return {
        event.data["revision"]: event.data["contents"]
        for event in ledger.events(kind=EventKind.REVISION)
    }


def _changes(old: Mapping[str, Any] | None, manifest: Manifest) -> Sequence[str]:
    """Return what became different since an older revision, as far as that is known."""
    if old is None:
        return ()
    try:
        return differences(parse_contents(json.dumps(old)), read_contents(manifest.folder))
    except (UsageError, ValueError):
        return ()
