"""Print what a submit would do."""

from __future__ import annotations

from collections.abc import Sequence

from amlc.commands.plan import Due, Plan
from amlc.console import Console
from amlc.display.advice import about_failures
from amlc.folders import Folders
from amlc.manifest import Header
from amlc.reconcile import Reason

_MOST_CHANGES = 5


def show(plan: Plan, header: Header, console: Console, folders: Folders) -> None:
    """Print it, for people: to stdout all the same, since nothing else is asked for."""
    end, say = plan.verdict, console.write
    say(f"{header.experiment}: {end}")
    for older in plan.older:
        if not older.revision:
            say(f"{older.trials} imported (--retry changed runs them again)")
            continue
        since = (
            f"{older.trials} ended at revision {older.revision[:6]}, current {header.revision[:6]}"
        )
        say(f"{since}{_changes(older.changes)} (--retry changed runs them again)")
    for reason, due in plan.due.items():
        _show_due(reason, due, console)
    if end.to_propose is None:
        say("more to be proposed by the tuner, from the results")
    elif end.to_propose:
        say(f"{end.to_propose} to be proposed by the tuner, from the results")
    elif not plan.due:
        say("nothing to submit")
    if end.failed:
        say(about_failures(end, header, folders))


def _show_due(reason: Reason, due: Due, console: Console) -> None:
    in_jobs = "" if due.jobs == due.trials else f" in {due.jobs} jobs"
    console.write(f"{due.trials} to submit{in_jobs} ({reason.value}):")
    for action in due.first:
        some = (
            "" if action.trials == action.entry.trials else f", {len(action.trials)} of its trials"
        )
        console.write(f"  {action.entry.file}  attempt {action.number}{some}")
    if due.jobs > len(due.first):
        console.write(f"  … and {due.jobs - len(due.first)} more")


def _changes(changes: Sequence[str]) -> str:
    """Return the first of the changes behind a colon, if there are any."""
    if not changes:
        return ""
    more = f", and {len(changes) - _MOST_CHANGES} more" if len(changes) > _MOST_CHANGES else ""
    return f": {', '.join(changes[:_MOST_CHANGES])}{more}"
