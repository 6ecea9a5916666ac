"""`amlc import`: trials that ended elsewhere become trials of the experiment.

They are rows of its table, count towards maxTrialNumber, teach its tuner, and are not run again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from amlc.attempts import fold
from amlc.commands.compile import certain, compile_ahead
from amlc.elsewhere import EXPECTED, Ended, read
from amlc.errors import UsageError
from amlc.events import Event, brought, early_stop, observed
from amlc.experience import Experience
from amlc.files import lock
from amlc.folders import PATIENCE_S, Folders
from amlc.ledger import Ledger, check_not_lost, open_ledger
from amlc.manifest import Manifest, read_manifest
from amlc.model import Experiment, Metric, MetricKind, Observation, Status, Trial
from amlc.names import imported_name
from amlc.plan import adaptive, adopted, proposed
from amlc.warm_start import OPEN, UNFIT, counted, fitting


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did.

    trials: how many are new. known: how many were on record already. places: for each reason for
    which some were left out, such as "had not ended" and "outside of the space", where those stand.
    beside: how many trials the experiment has now that its tuner, an open loop, does not propose.
    """

    manifest: Manifest
    trials: int
    known: int
    places: Mapping[str, Sequence[str]]
    beside: int = 0

    @property
    def left_out(self) -> str:
        """How many were left out and why, each with the first of them; empty if none was."""
        return counted(self.places)


def import_(
    experiment: Experiment,
    path: Path,
    *,
    folders: Folders,
    metric: str | None = None,
    backend: str | None = None,
) -> Imported:
    """Take the trials of a file or folder into the ledger, and compile the experiment with them.

    The id of each is the one that any trial with its parameters has, so that the same trials are
    taken once, and those that the experiment would propose itself count as run. metric: as for
    `elsewhere.read`. backend: as for `compile_`. Raises UsageError when there is nothing to take.
    """
    found: list[Ended] = []
    places: dict[str, list[str]] = {OPEN: [], UNFIT: []}
    trials = read(path, experiment.space, name=experiment.name, metric=metric)
    if experiment.tuner.name is not None:  # a class of the user's own may propose what it likes
        trials = fitting(trials, experiment.space)
    for one in trials:
        if one.flaw:
            places.setdefault(one.flaw, []).append(one.place)
        elif not one.status.ended or one.status is Status.UNFINISHED:
            places[OPEN].append(one.where)
        elif one.parameters is None:
            places[UNFIT].append(one.place)
        else:
            found.append(one)
    if not found:
        why = counted(places) or "it has no trials"
        raise UsageError(f"{path}: nothing to import: {why}. {EXPECTED}.")
    folders.prepare_state()
    with lock(folders.lock(experiment.name), patience_s=PATIENCE_S):
        new = _taken(experiment, found, folders)
        build = compile_ahead(experiment, backend=backend, rounds=None, folders=folders)
        own = build.trials if adaptive(experiment) else sum(1 for _ in proposed(experiment))
        return Imported(
            manifest=read_manifest(build.folder),
            trials=new,
            known=len(found) - new,
            places={reason: tuple(those) for reason, those in places.items() if those},
            beside=build.trials - own,
        )


def _taken(experiment: Experiment, found: Sequence[Ended], folders: Folders) -> int:
    """Record the trials that are not on record yet; return how many those are."""
    path = folders.ledger(experiment.name)
    check_not_lost(path)
    with open_ledger(path) as ledger:
        known = _known(experiment, ledger)
        done = {trial.id for trial in known}
        planned: Iterable[Trial] = known
        if not adaptive(experiment):
            planned = certain(experiment, folders=folders)
        sets = (one.parameters or {} for one in found)
        trials = adopted(experiment, sets, planned)
        new = [
            (trial, one) for trial, one in zip(trials, found, strict=True) if trial.id not in done
        ]
        ledger.append_all(_jobs(experiment, new, at=time.time()))
    return len(new)


def _known(experiment: Experiment, ledger: Ledger) -> list[Trial]:
    past = Experience.of(experiment, ledger).past(fold(ledger.events()))
    return [trial for group in past.grouped() for trial in group]


def _jobs(
    experiment: Experiment, trials: Iterable[tuple[Trial, Ended]], *, at: float
) -> Iterator[tuple[str, Sequence[Event], Sequence[Metric]]]:
    for trial, one in trials:
        job = imported_name(experiment.name, trial.id)
        yield job, _events(job, trial, one, at), _metrics(trial, one, at)


def _events(job: str, trial: Trial, one: Ended, at: float) -> Sequence[Event]:
    events = [brought(job, at=at, trial=trial)]
    status = one.status
    if status is Status.EARLY_STOPPED:
        # As an assessor's verdict stands in a ledger, which needs no final result.
        events.append(early_stop(job, at=at))
        status = Status.CANCELED
    seen = Observation(
        job=job, status=status, started=one.started, ended=one.ended, error=one.error
    )
    return [*events, observed(seen, at=at)]


def _metrics(trial: Trial, one: Ended, at: float) -> Sequence[Metric]:
    when = one.ended if one.ended is not None else at
    metrics = []
    for kind, values in (
        (MetricKind.INTERMEDIATE, one.history),
        (MetricKind.FINAL, one.final),
    ):
        for number, value in enumerate(values):
            metrics.append(Metric(trial=trial.id, kind=kind, sequence=number, value=value, at=when))
    return metrics
