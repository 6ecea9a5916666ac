"""Asks the assessor about running trials, and ends those that it gives up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from amlc.attempts import Attempt
from amlc.backends import HistoryApart
from amlc.errors import TransientError
from amlc.events import EventKind, early_stop
from amlc.model import Metric, MetricKind, Status
from amlc.numbers import scalar
from amlc.observe import REMOTE_S, Recorder, reports
from amlc.user_code import UserCodeError

Assess: TypeAlias = "Callable[[Sequence[Any], Sequence[Sequence[Any]]], bool]"
"""Whether to stop the trial with these intermediate results; then those of each trial that it is
compared with."""


@dataclass(frozen=True, slots=True)
class Assessor:
    """An assessor, and what it is shown of a reported value; a value shown as None is left out.

    among_all: it compares a trial with all others that had as many results before, instead of those
    that succeeded. Which came first, the times of the reports say, and not when they were read: so
    a run that was killed and goes on comes to the same verdicts.
    """

    assess: Assess
    shown: Callable[[Any], Any] = scalar
    among_all: bool = False


@dataclass(frozen=True, slots=True)
class _Report:
    """An intermediate result as the assessor is shown it."""

    trial: str
    at: float
    value: Any

    @property
    def order(self) -> tuple[float, str]:
        """By what it is told which of two results came first."""
        return self.at, self.trial


class Ending:
    """Ends running jobs early: recorded before the call, so that none is forgotten."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._again = True

    def repeat(self, live: Mapping[str, Attempt]) -> None:
        """Ask again for the ends on record, if it is not certain that the call was made."""
        if self._again:  # an earlier run may have ended between the record and the call
            self._recorder.backend.cancel(
                [job for job, attempt in live.items() if attempt.stopping]
            )
            self._again = False

    def end(self, jobs: Collection[str]) -> None:
        """End the jobs. Raises TransientError; then `repeat` does it."""
        if jobs:
            recorder = self._recorder
            recorder.ledger.append([early_stop(job, at=recorder.clock()) for job in jobs])
            self._again = True  # until the call has worked
            recorder.backend.cancel(jobs)
            self._again = False


class Assessing:
    """What was assessed so far in this run; all that decides anything is in the ledger."""

    def __init__(self, recorder: Recorder, assessor: Assessor) -> None:
        self._ledger = recorder.ledger
        self._backend = recorder.backend
        self._clock = recorder.clock
        self._assessor = assessor
        self._ending = Ending(recorder)
        self._seen = 0
        self._completed: list[Sequence[Any]] = []
        self._reported: dict[str, Sequence[_Report]] = {}
        self._assessed: dict[str, int] = {}
        self._next_look = 0.0

    def stop(self, live: Mapping[str, Attempt]) -> None:
        """Ask for the end of the hopeless ones among `live`, on record before the call."""
        if self._clock() < self._next_look:
            return
        if isinstance(self._backend, HistoryApart):
            self._next_look = self._clock() + REMOTE_S
        try:
            self._ending.repeat(live)
            self._ending.end(self._hopeless(live))
        except TransientError:
            return  # the service is down; whoever polls says so

    def _hopeless(self, live: Mapping[str, Attempt]) -> list[str]:
        self._learn()
        running = [job for job, attempt in live.items() if attempt.latest.status is Status.RUNNING]
        judged = [job for job in running if not live[job].canceling]
        found = dict(reports(self._backend, running if self._assessor.among_all else judged))
        for metrics in found.values():
            self._take(metrics)
        hopeless = []
        for job in judged:
            metrics = found.get(job, ())
            # With a final result it is about to end by itself.
            if not _has_final(metrics) and self._gives_up(live[job], self._curve(metrics)):
                hopeless.append(job)
        return hopeless

    def _gives_up(self, attempt: Attempt, curve: Sequence[_Report]) -> bool:
        """Ask about each result that is new, as NNI does when it arrives."""
        known = self._assessed.get(attempt.job, 0)
        self._assessed[attempt.job] = len(curve)
        try:
            for length in range(known + 1, len(curve) + 1):
                values = [report.value for report in curve[:length]]
                if self._assessor.assess(values, self._others(curve[:length])):
                    return True
        except UserCodeError as err:
            raise UserCodeError(f"trial {attempt.trials[0].sequence}: {err}") from err
        return False

    def _others(self, curve: Sequence[_Report]) -> Sequence[Sequence[Any]]:
        """Return the curves with which `curve` is compared; its last result has just come."""
        if not self._assessor.among_all:
            return self._completed
        last, length = curve[-1], len(curve)
        others = []
        for trial, other in self._reported.items():
            if trial == last.trial or len(other) < length:
                continue
            if other[length - 1].order < last.order:
                others.append([report.value for report in other[:length]])
        return others

    def _learn(self) -> None:
        """Take up the curves of the trials that ended since the last call."""
        for number, event in self._ledger.numbered(after=self._seen):
            self._seen = number
            if event.kind != EventKind.OBSERVED or not Status(event.data["status"]).ended:
                continue
            reported = self._ledger.metrics(MetricKind.INTERMEDIATE, job=event.job)
            metrics = [metric for _, metric in reported]
            self._take(metrics)
            if event.data["status"] == Status.SUCCEEDED.value:
                self._completed.append([report.value for report in self._curve(metrics)])

    def _take(self, metrics: Sequence[Metric]) -> None:
        """Remember what a trial has reported; of several attempts, what the last one has."""
        if self._assessor.among_all and (curve := self._curve(metrics)):
            self._reported[curve[0].trial] = curve

    def _curve(self, metrics: Iterable[Metric]) -> Sequence[_Report]:
        curve = []
        for metric in metrics:
            if metric.kind != MetricKind.INTERMEDIATE:
                continue
            value = self._assessor.shown(metric.value)
            if value is not None:
                curve.append(_Report(metric.trial, metric.at, value))
        return curve


def _has_final(metrics: Iterable[Metric]) -> bool:
    return any(metric.kind == MetricKind.FINAL for metric in metrics)
