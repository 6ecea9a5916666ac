"""The trials of another experiment of amlc's, from its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from amlc.attempts import Attempt, by_trial, fold
from amlc.elsewhere import Ended
from amlc.experience import imported
from amlc.ledger import Ledger, read_ledger
from amlc.model import MetricKind, Trial


def read_trials(path: Path) -> Iterator[Ended]:
    """Yield what an experiment had learnt from, then its own trials by number."""
    with read_ledger(path) as ledger:
        for number, record in enumerate(imported(ledger)):
            yield Ended(
                where=f"{path}: imported #{number}",
                parameters=record.parameters,
                final=(record.value,),
            )
        last = by_trial(fold(ledger.events()).values())
        trials = {trial.id: trial for one in last.values() for trial in one.trials}
        for trial in sorted(trials.values(), key=lambda trial: trial.sequence):
            yield _ended(path, ledger, last[trial.id], trial)


def _ended(path: Path, ledger: Ledger, attempt: Attempt, trial: Trial) -> Ended:
    final = ledger.finals([attempt.job])
    outcome, key = attempt.outcomes.get(trial.id), (attempt.job, trial.id)
    reports = ledger.metrics(MetricKind.INTERMEDIATE, job=attempt.job)
    started, ended = (outcome.started, outcome.ended) if outcome else (None, None)
    return Ended(
        where=f"{path}: trial #{trial.sequence}",
        parameters=trial.parameters,
        status=attempt.status(trial.id),
        final=(final[key],) if key in final else (),
        history=tuple(metric.value for _, metric in reports if metric.trial == trial.id),
        started=started or attempt.latest.started,
        ended=ended or attempt.latest.ended,
        error=attempt.error(trial.id),
    )
