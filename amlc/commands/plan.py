"""`amlc plan`: what submit would do."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amlc.attempts import Attempt
from amlc.collect.results import Results
from amlc.collect.verdict import Tally, Verdict
from amlc.commands.options import Options, policy
from amlc.errors import DamageWarning, UsageError
from amlc.events import EventKind
from amlc.folders import Folders
from amlc.ledger import Ledger, check_not_lost, read_ledger
from amlc.manifest import Manifest
from amlc.reconcile import Action, Reason, decide
from amlc.revision import differences, parse_contents, read_contents

_MOST_SHOWN = 20


@dataclass(slots=True)
class Due:
    """The submissions for one reason: how many there are, and the first of them."""

    jobs: int = 0
    trials: int = 0
    first: list[Action] = field(default_factory=list)

    def count(self, action: Action) -> None:
        """Count one submission."""
        self.jobs += 1
        self.trials += len(action.trials)
        if len(self.first) < _MOST_SHOWN:
            self.first.append(action)


@dataclass(frozen=True, slots=True)
class Older:
    """How many trials ended at an older revision, and what changed since, if that is known."""

    revision: str
    trials: int
    changes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What submit would do, as things stand.

    due: of each reason for which there is something to submit.
    """

    verdict: Verdict
    older: Sequence[Older]
    due: Mapping[Reason, Due]


def plan(manifest: Manifest, options: Options, *, folders: Folders) -> Plan:
    """Return what submit would do, and do nothing."""
    seen = _Seen(manifest.header.revision)
    path = folders.ledger(manifest.header.experiment)
    check_not_lost(path)
    with read_ledger(path) as ledger, ledger.snapshot():
        results = Results(manifest, ledger)
        allowed = policy(results, options)
        tally = Tally(results)
        for entry, rows in results.jobs():
            last = {}
            for row in tally.counted(rows):
                if row.attempt is not None:
                    last[row.trial.id] = row.attempt
            seen.take(decide(entry, last, allowed), last)
        end = tally.verdict
        for text in results.damage:
            warnings.warn(text, DamageWarning, stacklevel=2)
        made_of = _made_of(ledger)
    older = []
    for revision, count in seen.revisions.items():
        older.append(Older(revision, count, _changes(made_of.get(revision), manifest)))
    return Plan(end, older, {reason: due for reason, due in seen.due.items() if due.jobs})


class _Seen:
    """What is counted on the way. revisions: the others at which trials ended, and how many did."""

    def __init__(self, revision: str) -> None:
        self.due = {reason: Due() for reason in Reason}
        self.revisions: Counter[str] = Counter()
        self._revision = revision

    def take(self, action: Action | None, last: Mapping[str, Attempt]) -> None:
        """Count what is to be done about a job, and the last attempts of its trials, by id."""
        if action is not None:
            self.due[action.reason].count(action)
        for trial, attempt in last.items():
            if attempt.status(trial).ended and attempt.revision != self._revision:
                self.revisions[attempt.revision] += 1


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
