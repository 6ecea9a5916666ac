"""`amlc plan --against`: what an edit of the experiment means for its trials."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from amlc.config import load_experiment
from amlc.cost import worst_hours
from amlc.errors import ConfigError, UsageError, printable
from amlc.folders import Folders
from amlc.git import Commit, commit, extract
from amlc.ledger import check_not_lost, read_ledger
from amlc.model import Experiment, Parameters, Status
from amlc.plan import adaptive, node_count, plan
from amlc.refusals import located
from amlc.render.snapshot import local_inputs, snapshot
from amlc.revision import Contents, differences
from amlc.write import revision_of

_MOST_TRIALS: Final = 1_000_000
_GOOD: Final = (Status.SUCCEEDED, Status.EARLY_STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """How the trials of an experiment differ from those of another version of its files.

    added, removed: parameters by trial number, as it is on either side. kept: how many are the
    same, and of these how many have a result at the revision of either side. changes: what made the
    revision another. more_hours: what the worst case grows by; None: nothing bounds it.
    is_partial: only those are compared that are certain before the tuner has results.
    """

    revision: str
    commit: str
    added: Mapping[int, Parameters]
    removed: Mapping[int, Parameters]
    kept: int
    with_results: int
    changes: Sequence[str]
    more_hours: float | None
    is_partial: bool


@dataclass(frozen=True, slots=True)
class _Side:
    """One version: its trials by id, each with its number; what its revision is made of."""

    trials: Mapping[str, tuple[int, Parameters]]
    contents: Contents
    hours: float | None
    learns: bool


def against(experiment: Experiment, revision: str, *, folders: Folders) -> Against:
    """Return what the files as they are now make other than those of a git revision.

    Nothing is written: the revision's files go into a folder that is removed. Raises UsageError
    when git has none, or it has no such experiment or one that does not compile.
    """
    found = commit(revision, experiment.source.parent)
    with located(experiment, leave_out=[folders.state, folders.build]):
        now = _side(experiment, folders)
    with _as_of(found, experiment, revision) as old:
        before = _side(old, folders)
    added = {sequence: p for key, (sequence, p) in now.trials.items() if key not in before.trials}
    removed = {sequence: p for key, (sequence, p) in before.trials.items() if key not in now.trials}
    kept = [key for key in now.trials if key in before.trials]
    growth = None
    if now.hours is not None and before.hours is not None:
        growth = now.hours - before.hours
    return Against(
        revision=revision,
        commit=found.name,
        added=dict(sorted(added.items())),
        removed=dict(sorted(removed.items())),
        kept=len(kept),
        with_results=_with_results(experiment, kept, folders),
        changes=differences(before.contents, now.contents),
        more_hours=growth,
        is_partial=now.learns or before.learns,
    )


def _side(experiment: Experiment, folders: Folders) -> _Side:
    without = [folders.state, folders.build, *local_inputs(experiment)]
    code = snapshot(experiment.code, leave_out=without, limited=experiment.target.job.uploads)
    _, contents = revision_of(experiment, code.files)
    trials: dict[str, tuple[int, Parameters]] = {}
    for job in plan(experiment):
        for trial in job.trials:
            trials[trial.id] = trial.sequence, trial.parameters
        if len(trials) > _MOST_TRIALS:
            raise UsageError(f"more than {_MOST_TRIALS:,} trials are not compared.")
    learns = adaptive(experiment)
    count = experiment.max_trials if learns else len(trials)
    hours = None
    if count is not None and experiment.trial_seconds is not None:
        runs, nodes = count * (1 + experiment.retries), node_count(experiment)
        hours = worst_hours(runs, trial_seconds=experiment.trial_seconds, nodes=nodes)
    return _Side(trials, contents, hours, learns)


@contextmanager
def _as_of(found: Commit, experiment: Experiment, revision: str) -> Iterator[Experiment]:
    """Give the experiment as the commit has it, from files in a folder that does not last."""
    source = experiment.source.resolve()
    if not source.is_relative_to(found.top.resolve()):
        raise UsageError(f"{source}: not a file of the repository {found.top}.")
    with tempfile.TemporaryDirectory(prefix="amlc-") as folder:
        into = Path(folder).resolve()
        extract(found, _wanted(experiment), into)
        file = into / source.relative_to(found.top.resolve())
        if not file.is_file():
            raise UsageError(printable(f"the revision {revision} has no {source.name} here."))
        try:
            old, _ = load_experiment(
                file,
                backend=experiment.target.platform,
                environ=os.environ,
                given=experiment.given,
            )
        except ConfigError as err:
            first = str(err).replace(f"{into}{os.sep}", f"{revision}:").splitlines()[0]
            raise UsageError(f"the revision {revision} is not valid: {first}") from err
        yield old


def _wanted(experiment: Experiment) -> Iterator[Path]:
    """Yield what to take of the commit: the folder of the experiment, and what lies elsewhere."""
    yield experiment.source.resolve().parent
    yield from (path.resolve() for path in experiment.inputs)
    yield experiment.code.resolve()
    for algorithm in (experiment.tuner, experiment.assessor):
        if algorithm is not None and algorithm.code_directory is not None:
            yield algorithm.code_directory.resolve()
    if experiment.templates is not None:
        yield experiment.templates.resolve()


def _with_results(experiment: Experiment, trials: Sequence[str], folders: Folders) -> int:
    """Return how many of the trials have come to a good end."""
    path = folders.ledger(experiment.name)
    check_not_lost(path)
    count = 0
    ids = iter(trials)
    with read_ledger(path) as ledger:
        while piece := list(islice(ids, 500)):
            known = ledger.attempts(piece)
            count += sum(key in known and known[key].status(key) in _GOOD for key in piece)
    return count


def as_json(found: Against) -> dict[str, Any]:
    """Return what JSON says of the difference."""
    return {
        "revision": found.revision,
        "commit": found.commit,
        "added": [{"sequence": n, "parameters": p} for n, p in found.added.items()],
        "removed": [{"sequence": n, "parameters": p} for n, p in found.removed.items()],
        "kept": found.kept,
        "with_results": found.with_results,
        "changes": list(found.changes),
        "more_node_hours": found.more_hours,
        "is_partial": found.is_partial,
    }
