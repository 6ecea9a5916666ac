"""What tuners learn from.

The parameter sets of an experiment in the order of their proposal, with their results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from amlc.attempts import Attempt, Curve
from amlc.checkpoints import folder_of, here
from amlc.events import EventKind
from amlc.ledger import Ledger
from amlc.model import Drawing, Experiment, MetricKind, Record, Status, Trial
from amlc.numbers import result, scalar
from amlc.space.canonical import in_sets


@dataclass(frozen=True, slots=True)
class Past:
    """The trials of each job that was ever submitted, and what is known of their parameter sets.

    sweeps: those of each sweep; the other groups may have some of them too, which ran again; so may
    they have those of `drawings`, the sweeps whose platform draws their trials.
    """

    groups: tuple[tuple[Trial, ...], ...] = ()
    records: tuple[Record, ...] = ()
    sweeps: tuple[tuple[Trial, ...], ...] = ()
    drawings: tuple[Drawing, ...] = ()

    def grouped(self, *, sweep: bool = False, drawn: bool = True) -> tuple[tuple[Trial, ...], ...]:
        """Return the trials of each job as they are to stay together, each once.

        sweep: whether those of a sweep do. drawn: whether those of `drawings` are wanted too, by
        themselves.
        """
        singly = tuple((trial,) for one in self.drawings for trial in one.trials)
        swept = {trial.id for one in (*self.sweeps, *singly) for trial in one}
        others = tuple(one for one in self.groups if not any(trial.id in swept for trial in one))
        rest = (*singly, *others) if drawn else others
        if sweep:
            return (*self.sweeps, *rest)
        return (*((trial,) for one in self.sweeps for trial in one), *rest)


class _Told:
    """What the attempts say, trial by trial.

    groups: the trials of each job, by its id. first: the number of the intent of each trial's first
    attempt. last: its last attempt. curves: what is known of its intermediate results.
    """

    def __init__(self) -> None:
        self.groups: dict[str, tuple[Trial, ...]] = {}
        self.sweeps: dict[str, tuple[Trial, ...]] = {}
        self.drawings: dict[str, Drawing] = {}
        self.first: dict[str, int] = {}
        self.last: dict[str, tuple[Attempt, Trial]] = {}
        self.curves: dict[str, Curve] = {}

    def take(self, attempt: Attempt) -> None:
        """Take up the next attempt, in the order of their intents."""
        # A later one may have what was left of a pack, or what was not yet of a sweep.
        if attempt.draws:
            self.drawings[attempt.id] = Drawing(
                id=attempt.id,
                draws=attempt.draws,
                trials=attempt.trials,
                is_over=not attempt.working,
            )
        elif attempt.sweep:
            known = (*self.sweeps.get(attempt.id, ()), *attempt.trials)
            self.sweeps[attempt.id] = tuple(sorted(known, key=lambda trial: trial.sequence))
        elif len(attempt.trials) > len(self.groups.get(attempt.id, ())):
            self.groups[attempt.id] = attempt.trials
        for trial in attempt.trials:
            self.first.setdefault(trial.id, attempt.asked)
            if attempt.curves or trial.id in self.curves:
                self._continue(trial, attempt)
            self.last[trial.id] = attempt, trial

    def _continue(self, trial: Trial, attempt: Attempt) -> None:
        before = None
        if trial.id in self.last:
            before = self.last[trial.id][0].status(trial.id)
        curve, new = self.curves.get(trial.id, ()), attempt.curves.get(trial.id, ())
        self.curves[trial.id] = _continued(curve, before, new)


class Experience:
    """The past of one experiment.

    Trials of which nothing is new since the last call cost next to nothing.
    """

    def __init__(self, ledger: Ledger, *, replicates: int, checkpoints: str | None = None) -> None:
        """See `of`. checkpoints: the folder of all, as `checkpoints.folder_of` has it."""
        self._ledger = ledger
        self._replicates = replicates
        self._checkpoints = checkpoints
        self._imported = tuple(imported(ledger))
        # By trial id: its last attempt, and what that came to.
        self._known: dict[str, tuple[Attempt, Record]] = {}

    @classmethod
    def of(cls, experiment: Experiment, ledger: Ledger) -> Experience:
        """Return the past of this experiment, of which nothing is read yet."""
        return cls(ledger, replicates=experiment.replicates, checkpoints=folder_of(experiment))

    def past(self, attempts: Mapping[str, Attempt]) -> Past:
        """Return the past.

        `attempts`: those of the ledger by job name, in the order of their intents. The result of a
        trial is its final one; a trial that was stopped early has none, as in NNI. The result of a
        replicated parameter set is the mean of those of its trials, once all of them ended.
        Intermediate results are those that were recorded for a tuner while the trial ran, or before
        it was stopped early; of a trial that was lost and runs again, each place in its curve
        counts once. A replicated parameter set has none. Checkpoints are where they lie now.
        """
        told = _Told()
        for attempt in attempts.values():
            told.take(attempt)
        new = {}
        for attempt, trial in told.last.values():
            if self._is_new(attempt, trial):
                new[attempt.job] = attempt
        for attempt in new.values():
            self._learn(attempt, told)
        records = [(trial.sequence, self._known[trial.id][1]) for _, trial in told.last.values()]
        ordered = sorted(
            _in_order(records, self._replicates),
            # Those that no tuner of this experiment proposed come first, as tuners want it.
            key=lambda record: not record.imported,
        )
        records_ = (*self._imported, *ordered)
        groups = tuple(
            tuple(self._here(trial, told.last[trial.id][0]) for trial in group)
            for group in told.groups.values()
        )
        sweeps = tuple(told.sweeps.values())
        return Past(groups, records_, sweeps, tuple(told.drawings.values()))

    def _learn(self, attempt: Attempt, told: _Told) -> None:
        """Make the records of the trials of which `attempt` is the last."""
        values = {} if attempt.told is None else _results(self._ledger, attempt)
        for trial in attempt.trials:
            if told.last[trial.id][0] is not attempt:
                continue
            curve = told.curves.get(trial.id) or self._until_stopped(attempt, trial)
            asked = told.first[trial.id]
            record = _record(
                attempt, self._here(trial, attempt), values.get(trial.id), asked=asked, curve=curve
            )
            self._known[trial.id] = attempt, record

    def _here(self, trial: Trial, attempt: Attempt) -> Trial:
        """Return the trial with its checkpoints where they lie now; it keeps its id.

        Those of a trial from elsewhere are not moved along.
        """
        if attempt.number == 0:
            return trial
        parameters = here(trial.parameters, self._checkpoints)
        is_same = parameters is trial.parameters
        return trial if is_same else replace(trial, parameters=parameters)

    def _is_new(self, attempt: Attempt, trial: Trial) -> bool:
        known = self._known.get(trial.id)
        return known is None or known[0] is not attempt

    def _until_stopped(self, attempt: Attempt, trial: Trial) -> Curve:
        """Return what a trial that was stopped early had reported by then.

        Nobody asked before its end.
        """
        if attempt.told is None or attempt.status(trial.id) is not Status.EARLY_STOPPED:
            return ()
        metrics = (
            metric for _, metric in self._ledger.metrics(MetricKind.INTERMEDIATE, job=attempt.job)
        )
        return tuple((attempt.told, metric.value) for metric in metrics if metric.trial == trial.id)


def imported(ledger: Ledger) -> Iterator[Record]:
    """Yield the results that were imported, the oldest first."""
    for event in ledger.events(kind=EventKind.IMPORT):
        for row in event.data["results"]:
            yield Record(
                parameters=row["parameters"],
                status=Status.SUCCEEDED,
                value=row["value"],
                told=0,
                imported=True,
            )


def _continued(curve: Curve, before: Status | None, new: Curve) -> Curve:
    """Return the curve of a trial with that of its next attempt.

    After a loss, what was known stays as it was told.
    """
    return curve + new[len(curve) :] if before is Status.UNFINISHED else new


def _results(ledger: Ledger, attempt: Attempt) -> dict[str, Any]:
    return {
        metric.trial: metric.value
        for _, metric in ledger.metrics(MetricKind.FINAL, job=attempt.job)
    }


def _record(attempt: Attempt, trial: Trial, reported: Any, *, asked: int, curve: Curve) -> Record:
    """Return what is known of a trial.

    attempt: its last. asked: the number of the intent of its first.
    """
    status = attempt.status(trial.id)
    if not status.ended or attempt.told is None:
        return Record(parameters=trial.parameters, asked=asked, curve=curve)
    return Record(
        parameters=trial.parameters,
        status=status,
        value=result(status, (reported,)),
        asked=asked,
        told=attempt.told,
        imported=attempt.number == 0,
        reported=reported,
        curve=curve,
    )


def _in_order(records: Sequence[tuple[int, Record]], replicates: int) -> Iterator[Record]:
    """Yield the records in order of the numbers that stand before them.

    Those of replicates as one.
    """
    # By the number alone: after an edit of the space one may come twice.
    ordered = sorted(records, key=lambda one: one[0])
    if replicates == 1:
        yield from (record for _, record in ordered)
        return
    sets = in_sets(ordered, replicates, lambda one: one[1].parameters)
    for one in sorted(sets, key=lambda one: one[0][0]):
        yield _merged([record for _, record in one])


def _merged(replicates: Sequence[Record]) -> Record:
    """Return the record of a replicated parameter set: open until all of its trials ended."""
    parameters, asked = replicates[0].parameters, min(record.asked for record in replicates)
    told = [record.told for record in replicates if record.told is not None]
    if len(told) < len(replicates):
        return Record(parameters=parameters, asked=asked)
    values = [record.value for record in replicates if record.value is not None]
    value = sum(values) / len(values) if values else None
    reported = [record.reported for record in replicates if record.value is not None]
    statuses = [record.status for record in replicates]
    return Record(
        parameters=parameters,
        status=Status.SUCCEEDED if Status.SUCCEEDED in statuses else statuses[0],
        value=value,
        asked=asked,
        told=max(told),
        imported=all(record.imported for record in replicates),
        reported=_mean(reported, value),
    )


def _mean(reported: Sequence[Any], value: float | None) -> Any:
    """Return the mean of what the trials reported: of mappings, for each key by itself.

    A key counts that is a number in each of them. value: the mean of what are no mappings.
    """
    if not reported or not all(isinstance(one, Mapping) for one in reported):
        return value
    means = {}
    for key in reported[0]:
        numbers = [scalar(one.get(key)) for one in reported]
        known = [number for number in numbers if number is not None]
        if len(known) == len(numbers):
            means[key] = sum(known) / len(known)
    return means
