"""`amlc plan`: what submit would do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amlc.collect import Results, Tally, Verdict
from amlc.commands.options import Options, policy
from amlc.errors import UsageError
from amlc.events import EventKind
from amlc.folders import Folders
from amlc.ledger import Ledger, read_ledger
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
    due = {reason: Due() for reason in Reason}
    revisions: Counter[str] = Counter()
    with read_ledger(folders.ledger(manifest.header.experiment)) as ledger, ledger.snapshot():
        results = Results(manifest, ledger)
        allowed = policy(results, options)
        tally = Tally(results)
        for entry, rows in results.jobs():
            last = {
                row.trial.id: row.attempt for row in tally.counted(rows) if row.attempt is not None
            }
            action = decide(entry, last, allowed)
            if action is not None:
                due[action.reason].count(action)
            for trial, attempt in last.items():
                if attempt.status(trial).ended and attempt.revision != manifest.header.revision:
                    revisions[attempt.revision] += 1
        end = tally.verdict
        made_of = _made_of(ledger)
    older = [
        Older(one, count, _changes(made_of.get(one), manifest)) for one, count in revisions.items()
    ]
    return Plan(end, older, {reason: some for reason, some in due.items() if some.jobs})


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
