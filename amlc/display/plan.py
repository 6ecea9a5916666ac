"""Print what a submit would do: for people, in Markdown for a pull request, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from amlc.collect.verdict import Verdict
from amlc.combinations import Combinations
from amlc.commands.plan import Due, Expense, Plan, State
from amlc.console import Console
from amlc.display.advice import about_failures, about_others
from amlc.display.problems import listed
from amlc.folders import Folders
from amlc.manifest import Header
from amlc.model import Parameters
from amlc.plural import plural
from amlc.reconcile import Action, Reason

if TYPE_CHECKING:  # which compiles, and takes longer to import than a plan to make
    from amlc.commands.against import Against

_MOST_CHANGES: Final = 5
_MOST_ROWS: Final = 20
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_MINUS: Final = "\u2212"
_BEGINNING: Final = "<!-- written by amlc plan -->"
_WORDS: Final = {
    State.NEW: "new",
    State.AGAIN: "to run again",
    State.RUNNING: "running",
    State.ELSEWHERE: "running elsewhere",
    State.DONE: "done",
    State.OLDER: "done at an older revision",
    State.FAILED: "failed or canceled",
}


def show(plan: Plan, console: Console, folders: Folders) -> None:
    """Print it, for people: to stdout all the same, since nothing else is asked for."""
    end, say = plan.verdict, console.write
    say(f"{plan.header.experiment}: {end}")
    for line in _about_space(plan.header):
        say(line)
    made = None if plan.header.search else plan.header.max_trials
    for line in (*about_others(end.trials, made), *_about_older(plan)):
        say(line)
    for reason, due in plan.due.items():
        _show_due(reason, due, console)
    lines = (*_about_time(plan.verdict), *_about_packs(plan), *_about_rest(plan))
    for line in (*lines, *_about_cost(plan.expense)):
        say(line)
    if end.failed:
        say(about_failures(end, plan.header, folders))
    for text in plan.expense.exceeded:
        console.insist(f"error: {text}")


def _about_space(header: Header) -> Iterator[str]:
    """Yield what it was compiled with, and how many sets there are, where not each is a trial."""
    if header.given:
        yield f"compiled with {listed(header.given)}"
    if header.combinations is not None:
        sets = Combinations(header.combinations, header.excluded)
        yield sets.text(replicates=header.replicates, most=header.max_trials)


def _about_time(end: Verdict) -> Iterator[str]:
    if end.out_of_time:
        yield "maxExperimentDuration is over: nothing is submitted until it is raised"


def _about_packs(plan: Plan) -> Iterator[str]:
    """Yield how trials fall into jobs that were packed by themselves, and what that saves."""
    header = plan.header
    for due in plan.due.values():
        fewer = due.trials - due.jobs
        if header.job_start is None or not fewer:
            continue
        side = "one at a time"
        if (header.abreast or 1) > 1:
            where = " where this machine has GPUs for it" if plan.counts_no_gpus else ""
            side = f"{header.abreast} side by side{where}"
        saved = fewer * header.job_start * (header.nodes or 1) / _HOUR_S
        minutes, seconds = divmod(header.job_start, _MINUTE_S)
        start = f"{header.job_start} s" if seconds else f"{minutes} min"
        text = f"packed by itself: up to {plural(due.largest, 'trial')} in a job, {side}"
        starts = plural(fewer, "fewer start")
        yield f"{text}; {starts} of {start} save {saved:,.3g} node-hours"


def _about_rest(plan: Plan) -> Iterator[str]:
    """Yield what else is at work or to come, and what comes first."""
    elsewhere, to_propose = plan.states[State.ELSEWHERE], plan.verdict.to_propose
    if elsewhere:
        yield f"{elsewhere:,} at work elsewhere, on another back end"
    if to_propose and plan.header.sweep == "latent":
        if not any(due.sweeps for due in plan.due.values()):
            yield (
                f"{to_propose:,} to be drawn by the sweep that runs, or by a further one, after "
                "amlc compile"
            )
    elif to_propose != 0:
        many = "more" if to_propose is None else f"{to_propose:,}"
        yield f"{many} to be proposed by the tuner, from the results{_blind(plan)}"
    elif not plan.due:
        yield "nothing to submit"
    if plan.is_canary_all:
        yield "with --canary all come at once: no smaller set covers them"
    elif plan.canary:
        yield f"first, with --canary: trials {', '.join(map(str, plan.canary))}"


def _blind(plan: Plan) -> str:
    """Return how many trials do not know of each other's results, if that is more than it seems."""
    if plan.at_once is None:
        return ""
    packs = f"the {plan.header.trials_per_job} trials of a job are proposed together"
    return f", up to {plan.at_once:,} at a time: {packs}, without each other's results"


def _about_older(plan: Plan) -> Iterator[str]:
    for older in plan.older:
        if not older.revision:
            yield f"{older.trials} imported (--retry changed runs them again)"
            continue
        current = plan.header.revision[:6]
        since = f"{older.trials} ended at revision {older.revision[:6]}, current {current}"
        yield f"{since}{_changes(older.changes)} (--retry changed runs them again)"


def _show_due(reason: Reason, due: Due, console: Console) -> None:
    in_jobs = "" if due.jobs == due.trials else f" in {plural(due.jobs, 'job')}"
    if due.sweeps:
        in_jobs = f" in {_jobs(due)}"
    console.write(f"{due.trials} to submit{in_jobs} ({reason.value}):")
    for action in due.first:
        console.write(f"  {action.entry.file}  attempt {action.number}{_which(action)}")
    if due.jobs > len(due.first):
        console.write(f"  … and {due.jobs - len(due.first)} more")


def _jobs(due: Due) -> str:
    """Return in how many jobs trials are submitted; a sweep is one, whose children run them."""
    jobs = due.jobs - due.sweeps
    parts = [plural(due.sweeps, "sweep")] if due.sweeps else []
    return " and ".join([*parts, *([plural(jobs, "job")] if jobs else [])])


def _which(action: Action) -> str:
    """Return which trials of a job file are submitted, unless that is all it has."""
    if action.entry.alone:
        return f", its trial {action.trials[0].sequence} as a job of its own"
    if action.trials != action.entry.trials and not action.entry.draws:
        return f", {len(action.trials)} of its trials"
    return f", one sweep of {plural(len(action.numbers), 'trial')}" if action.entry.sweep else ""


def _about_cost(expense: Expense) -> Iterator[str]:
    """Yield what is spent and may follow; nothing where nobody bounds or pays it."""
    if expense.worst:
        text = f"at most {_hours(expense.worst, expense.price)}"
        yield f"{text}, if each trial takes maxTrialDuration{_again(expense)}"
    elif expense.worst is None and expense.price is not None:
        yield "without maxTrialDuration, or an end, nothing bounds what it costs"
    if expense.spent and expense.price is not None:
        yield f"spent so far: {_hours(expense.spent, expense.price)}"


def _again(expense: Expense) -> str:
    """Return how much of the worst case is for trials that are cut short and run again."""
    if expense.worst == expense.once or expense.once is None:
        return ""
    again = f"is run again as often as amlc.retries, {expense.retries}, allows"
    return f" and {again}; {_number(expense.once)} if none is"


def _hours(hours: float, price: float | None) -> str:
    text = f"{_number(hours)} node-hours"
    return text if price is None else f"{text}, {hours * price:,.2f} at {price:g} each"


def _number(hours: float) -> str:
    return f"{hours:,.4g}" if hours < 10_000 else f"{hours:,.0f}"


def _changes(changes: Sequence[str]) -> str:
    """Return the first of the changes behind a colon, if there are any."""
    if not changes:
        return ""
    more = f", and {len(changes) - _MOST_CHANGES} more" if len(changes) > _MOST_CHANGES else ""
    return f": {', '.join(changes[:_MOST_CHANGES])}{more}"


def as_json(plan: Plan) -> dict[str, Any]:
    """Return what JSON says of a plan."""
    expense = plan.expense
    return {
        "experiment": plan.header.experiment,
        "revision": plan.header.revision,
        "trials": {state.value: count for state, count in plan.states.items()},
        "given": dict(plan.header.given),
        "combinations": plan.header.combinations,
        "excluded": plan.header.excluded,
        "to_propose": plan.verdict.to_propose,
        "at_once": plan.at_once,
        "due": [
            {"reason": reason.value, "jobs": due.jobs, "trials": due.trials, "largest": due.largest}
            for reason, due in plan.due.items()
        ],
        "older": [
            {"revision": one.revision, "trials": one.trials, "changes": list(one.changes)}
            for one in plan.older
        ],
        "canary": list(plan.canary),
        "cost": {
            "spent_node_hours": expense.spent,
            "worst_node_hours": expense.worst,
            "node_hours_without_retries": expense.once,
            "retries": expense.retries,
            "price": expense.price,
            "worst_money": _money(expense.worst, expense.price),
            "budget_trials": expense.budget_trials,
            "budget_node_hours": expense.budget,
            "exceeded": list(expense.exceeded),
        },
    }


def seal_as_json(plan: Plan) -> dict[str, Any] | None:
    """Return the seal as a file of `amlc plan -o` has it."""
    return None if plan.seal is None else asdict(plan.seal)


def _money(hours: float | None, price: float | None) -> float | None:
    return None if hours is None or price is None else round(hours * price, 2)


def show_against(found: Against, name: str, console: Console) -> None:
    """Print how an edit changes the trials."""
    console.write(f"{name} against {found.revision} ({found.commit[:7]}): {summary(found)}")
    for line in _remarks(found):
        console.write(line)
    for sign, rows in (("+", found.added), ("-", found.removed)):
        for number, parameters in list(rows.items())[:_MOST_ROWS]:
            console.write(f"{sign} {number}  {json.dumps(parameters, ensure_ascii=False)}")
        if len(rows) > _MOST_ROWS:
            console.write(f"{sign} … and {len(rows) - _MOST_ROWS} more")


def summary(found: Against) -> str:
    """Return in a line what becomes of the trials."""
    kept = plural(found.kept, "stays", "stay")
    if found.with_results:
        kept = plural(found.with_results, "keeps its results", "keep their results")
        if others := found.kept - found.with_results:
            kept += f", {plural(others, 'more stays', 'more stay')}"
    return f"+{plural(len(found.added), 'trial')}, {_MINUS}{len(found.removed):,}, {kept}"


def _remarks(found: Against) -> Iterator[str]:
    if found.changes:
        yield f"the code is another{_changes(found.changes)}"
    if found.more_hours:
        sign = "more" if found.more_hours > 0 else "less"
        yield f"at most {abs(found.more_hours):,.4g} node-hours {sign} than before"
    if found.is_partial:
        yield "what the tuner proposes from results is not compared"


def markdown(plan: Plan | None, found: Against | None, name: str) -> Iterator[str]:
    """Yield the lines of a comment for a pull request."""
    yield _BEGINNING
    yield f"### {_cell(name)}"
    if found is not None:
        yield ""
        yield f"**{summary(found)}** against `{_cell(found.revision)}` ({found.commit[:7]})"
        for line in _remarks(found):
            yield f"- {_cell(line)}"
        yield from _table(found)
    if plan is not None:
        yield from _standing(plan)


def _standing(plan: Plan) -> Iterator[str]:
    """Yield how the trials stand, as a table, and what they may cost."""
    yield ""
    yield "| trials | |"
    yield "|---|--:|"
    for state, count in plan.states.items():
        if count:
            yield f"| {_WORDS[state]} | {count:,} |"
    if plan.verdict.to_propose != 0:
        is_drawn = plan.header.sweep == "latent"
        whose = "drawn by the sweep" if is_drawn else f"proposed by the tuner{_blind(plan)}"
        yield f"| to be {whose} | {plan.verdict.to_propose or 'more'} |"
    yield ""
    for reason, due in plan.due.items():
        jobs = _jobs(due)
        yield f"- {due.trials:,} to submit in {jobs} ({reason.value})"
    lines = (*_about_space(plan.header), *_about_time(plan.verdict), *_about_packs(plan))
    for line in (*lines, *_about_older(plan), *_about_cost(plan.expense)):
        yield f"- {_cell(line)}"
    for text in plan.expense.exceeded:
        yield f"- **over budget**: {_cell(text)}"


def _table(found: Against) -> Iterator[str]:
    rows = [("+", number, one) for number, one in found.added.items()]
    rows += [(_MINUS, number, one) for number, one in found.removed.items()]
    if not rows:
        return
    names = list(dict.fromkeys(name for _, _, one in rows for name in one))
    yield ""
    yield f"| | trial | {' | '.join(map(_cell, names))} |"
    yield f"|---|--:|{'---|' * len(names)}"
    for sign, number, parameters in rows[:_MOST_ROWS]:
        yield f"| {sign} | {number} | {' | '.join(_values(parameters, names))} |"
    if len(rows) > _MOST_ROWS:
        yield f"\n… and {len(rows) - _MOST_ROWS:,} more"


def _values(parameters: Parameters, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        value = parameters.get(name, "")
        yield _cell(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _cell(text: str) -> str:
    """Return a text of the user's as a cell of a table shows it."""
    plain = " ".join(text.split())
    for character in "\\|`*_<>[]":
        plain = plain.replace(character, f"\\{character}")
    return plain


def whole(plan: Plan | None, found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the parts of the JSON document."""
    document: dict[str, Any] = {}
    if plan is not None:
        document["plan"] = as_json(plan)
        seal = seal_as_json(plan)
        if seal is not None:
            document["seal"] = seal
    if found is not None:
        document["against"] = dict(found)
    return document
