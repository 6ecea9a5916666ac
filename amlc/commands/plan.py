"""`amlc plan`: what submit would do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from amlc.collect import Results, Tally, Verdict
from amlc.commands.submit import Options, failures, policy
from amlc.errors import UsageError
from amlc.events import EventKind
from amlc.folders import Folders
from amlc.ledger import read_ledger
from amlc.manifest import Manifest
from amlc.reconcile import Action, Reason, decide
from amlc.revision import differences, parse_contents, read_contents

_MOST_SHOWN = 20
_MOST_CHANGES = 5


@dataclass(slots=True)
class _Due:
    """The submissions for one reason: how many there are, and the first of them."""

    jobs: int = 0
    trials: int = 0
    first: list[Action] = field(default_factory=list)

    def count(self, action: Action) -> None:
        self.jobs += 1
        self.trials += len(action.trials)
        if len(self.first) < _MOST_SHOWN:
            self.first.append(action)


def plan(*, target: str | None, options: Options, folders: Folders, out: TextIO) -> int:
    """Print what submit would do, and do nothing."""
    manifest = folders.manifest(target)
    due = {reason: _Due() for reason in Reason}
    revisions: Counter[str] = Counter()
    with read_ledger(folders.ledger(manifest.header.experiment)) as ledger, ledger.snapshot():
        results = Results(manifest, ledger)
        allowed = policy(results, options)
        tally = Tally(results)
        for entry, rows in results.jobs():
            last = {row.trial.id: row.attempt for row in tally.counted(rows) if row.attempt is not None}
            action = decide(entry, last, allowed)
            if action is not None:
                due[action.reason].count(action)
            ended = (one for trial, one in last.items() if one.status(trial).ended)
            revisions.update(one.revision for one in ended if one.revision != manifest.header.revision)
        end = tally.verdict
        made_of = {event.data["revision"]: event.data["contents"] for event in ledger.events(kind=EventKind.REVISION)}
    print(f"{manifest.header.experiment}: {end}", file=out)
    for revision, count in revisions.items():
        print(f"{count} ended at revision {revision[:6]}, current {manifest.header.revision[:6]}"
              f"{_changes(made_of.get(revision), manifest)} (--retry changed runs them again)", file=out)  # fmt: skip
    for reason, submissions in due.items():
        if submissions.jobs:
            _show(reason, submissions, out)
    _show_rest(manifest, end, any(submissions.jobs for submissions in due.values()), folders, out)
    return 0


def _changes(old: Mapping[str, Any] | None, manifest: Manifest) -> str:
    """Return what became different since an older revision, as far as that is known, behind a colon."""
    if old is None:
        return ""
    try:
        found = differences(parse_contents(json.dumps(old)), read_contents(manifest.folder))
    except (UsageError, ValueError):
        return ""
    more = f", and {len(found) - _MOST_CHANGES} more" if len(found) > _MOST_CHANGES else ""
    return f": {', '.join(found[:_MOST_CHANGES])}{more}" if found else ""


def _show(reason: Reason, due: _Due, out: TextIO) -> None:
    in_jobs = "" if due.jobs == due.trials else f" in {due.jobs} jobs"
    print(f"{due.trials} to submit{in_jobs} ({reason.value}):", file=out)
    for action in due.first:
        some = "" if action.trials == action.entry.trials else f", {len(action.trials)} of its trials"
        print(f"  {action.entry.file}  attempt {action.number}{some}", file=out)
    if due.jobs > len(due.first):
        print(f"  … and {due.jobs - len(due.first)} more", file=out)


def _show_rest(manifest: Manifest, end: Verdict, is_busy: bool, folders: Folders, out: TextIO) -> None:  # noqa: FBT001
    if end.to_propose is None:
        print("more to be proposed by the tuner, from the results", file=out)
    elif end.to_propose:
        print(f"{end.to_propose} to be proposed by the tuner, from the results", file=out)
    elif not is_busy:
        print("nothing to submit", file=out)
    if end.failed:
        print(failures(end, manifest.header, folders), file=out)
