"""What the events of a job add up to: an attempt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypeAlias, TypeVar

from amlc.events import Event, EventKind, observation_of
from amlc.light import light
from amlc.model import ONE_TRIAL, End, Metric, MetricKind, Observation, Outcome, Status, Trial

Told = TypeVar("Told", Metric, Outcome)
Curve: TypeAlias = "tuple[tuple[int, Any], ...]"
"""Intermediate results of one trial as reported, each with the number of the event by which it
became known."""


_BEGINNINGS = (EventKind.INTENT, EventKind.BROUGHT)
_OF_SUBMIT = frozenset(  # what no other command records
    {EventKind.SESSION, EventKind.TICK, EventKind.INTENT, EventKind.SUBMITTED, EventKind.VOID}
)


@light(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One submission of a job, as its events add up. `number` counts from 1; 0: it was imported.

    submitted: seconds since the epoch, None while only the intent is recorded. losses: how many
    attempts before this one ended through no fault of the user's. sweep: children of the job run
    the trials, each by itself. draws: the numbers of those whose parameters its platform draws, of
    which `trials` are known by now; children: their ids by the names of the children. stopping: the
    assessor asked for its end. asked, told: the numbers of the events that recorded the intent and
    the end. curves: by trial id, the intermediate results that `reported` events recorded, each
    with the number of its event.
    """

    id: str
    number: int
    trials: tuple[Trial, ...]
    revision: str
    backend: str
    losses: int
    latest: Observation
    sweep: bool = False
    draws: range = range(0)
    submitted: float | None = None
    canceling: bool = False
    stopping: bool = False
    asked: int = field(default=0, compare=False)
    told: int | None = field(default=None, compare=False)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict, compare=False)
    children: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """What it is looked up by: its trials' ids, and its own while the others are not known."""
        ids = tuple(trial.id for trial in self.trials)
        return (self.id, *ids) if self.draws else ids

    @property
    def numbers(self) -> Sequence[object]:
        """What stands for its trials where only their number counts."""
        return self.draws if len(self.draws) > len(self.trials) else self.trials

    def own(self, told: Iterable[Told]) -> list[Told]:
        """Return what was told of its trials, where need be by their ids instead of the children.

        What is of no trial of it is left out then.
        """
        if not self.draws:
            return list(told)
        return [
            replace(one, trial=self.children[one.trial])
            for one in told
            if one.trial in self.children
        ]

    @property
    def job(self) -> str:
        """The job's name."""
        return self.latest.job

    @property
    def working(self) -> bool:
        """Whether the back end may still be at work on it; with an unknown status it may."""
        return not self.latest.status.ended

    def status(self, trial: str) -> Status:
        """Return the status of one of its trials.

        Each has its own end, which counts before that of the job.
        """
        outcome, job = self.outcomes.get(trial), self.latest.status
        if outcome is not None and outcome.end in _OWN_ENDS:
            return _OWN_ENDS[outcome.end] or (
                Status.SUCCEEDED if outcome.exit_code == 0 else Status.FAILED
            )
        begun = self.latest.begun
        if job is Status.RUNNING and begun is not None and trial not in begun:
            return Status.WAITING  # for the others of its job
        if not job.ended or job in (Status.CANCELED, Status.EARLY_STOPPED):
            return job
        # The job ended and the trial did not, unless nobody wrote down how any of its trials ended.
        is_cut_short = self.latest.infrastructure or bool(self.outcomes)
        return Status.UNFINISHED if is_cut_short else job

    def news(self, metrics: Iterable[Metric]) -> dict[str, list[Any]]:
        """Return the intermediate results that `curves` does not have yet, in order by trial id.

        metrics: all that its trials reported so far.
        """
        values: dict[str, list[Any]] = {}
        for metric in metrics:
            if metric.kind == MetricKind.INTERMEDIATE:
                values.setdefault(metric.trial, []).append(metric.value)
        new = {}
        for trial, some in values.items():
            known = len(self.curves.get(trial, ()))
            if len(some) > known:
                new[trial] = some[known:]
        return new

    def error(self, trial: str) -> str | None:
        """Return in one line why one of its trials did not end well, or None."""
        outcome, status = self.outcomes.get(trial), self.status(trial)
        if status is Status.SUCCEEDED:
            return None
        is_terminated = outcome is None or outcome.end is End.TERMINATED
        if status is Status.EARLY_STOPPED and self.stopping and is_terminated:
            return "stopped by the assessor or the tuner"
        if outcome is not None and not is_terminated:
            code = outcome.exit_code
            of_job = None if outcome.end is End.CANCELED else self.latest.error
            return outcome.error or (f"exit code {code}" if code else of_job)
        return self.latest.error or (outcome.error if outcome else None)


_OWN_ENDS = {
    End.EXITED: None,
    End.TIME_LIMIT: Status.EARLY_STOPPED,
    End.REFUSED: Status.FAILED,
    End.STOPPED: Status.EARLY_STOPPED,
    End.CANCELED: Status.CANCELED,
}


def fold(events: Iterable[Event], attempts: dict[str, Attempt] | None = None) -> dict[str, Attempt]:
    """Return the attempts by job name, in the order of their intents.

    Given `attempts`, bring that up to date.
    """
    result = {} if attempts is None else attempts
    open_: dict[str, dict[str, Any]] = {}  # by job name, the fields of those that change here
    for event in events:
        job = event.job
        if event.kind in _BEGINNINGS:
            open_[job] = _intended(event)
        elif event.kind == EventKind.VOID:
            open_.pop(job, None)
            result.pop(job, None)
        elif (update := _UPDATES.get(event.kind)) is not None:
            if job not in open_ and job in result:
                open_[job] = _fields(result[job])
            if job in open_:
                update(open_[job], event)
    for job, fields in open_.items():
        if "latest" not in fields:
            fields["latest"] = _waiting(job)
        result[job] = Attempt(**fields)
    return result


def by_trial(attempts: Iterable[Attempt]) -> dict[str, Attempt]:
    """Return the last attempt of each trial id.

    A later attempt of a packed job need not have all of its trials.
    """
    return {key: attempt for attempt in attempts for key in attempt.keys}


def elapsed_s(events: Iterable[tuple[str, float]]) -> float:
    """Return for how long a submit has been at work on the experiment.

    The pauses between submits do not count. events: the kind and the time of each, in order.
    """
    total, start, last = 0.0, None, 0.0
    for kind, at in events:
        if kind == EventKind.SESSION:
            total += last - start if start is not None else 0.0
            start = at
        if kind in _OF_SUBMIT:
            last = at
    return total + (last - start if start is not None else 0.0)


# What `intent` makes of one trial, of which there are most: its parameters can stay unread.
_INTENT = re.compile(
    r'\{"id":"([^"\\]*)","attempt":([0-9]{1,9}),(?:"sha256":"[^"\\]*",)?"trials":\['
    + ONE_TRIAL
    + r'\],"revision":"([^"\\]*)","backend":"([^"\\]*)","losses":([0-9]{1,9})\}',
    re.DOTALL,
).fullmatch


def _intended(event: Event) -> dict[str, Any]:
    found = _INTENT(getattr(event, "text", ""))
    if found is not None:
        identity, number, one, sequence, parameters, revision, backend, losses = found.groups()
        trial = Trial.unread(one, sequence, parameters)
        if trial is not None:
            return {
                "id": identity,
                "number": int(number),
                "trials": (trial,),
                "revision": revision,
                "backend": backend,
                "losses": int(losses),
                "asked": event.number,
            }
    data = event.data
    return {
        "id": data["id"],
        "number": data["attempt"],
        "trials": tuple(map(Trial.of, data["trials"])),
        "revision": data["revision"],
        "backend": data["backend"],
        "losses": data["losses"],
        "sweep": data.get("sweep", False),
        "draws": range(*data.get("draws", (0, 0))),
        "asked": event.number,
    }


def _waiting(job: str) -> Observation:
    return Observation(job=job, status=Status.WAITING)


def _fields(attempt: Attempt) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in Attempt.__slots__}


def _submit(fields: dict[str, Any], event: Event) -> None:
    url = event.data.get("url")
    if url:
        latest = fields.get("latest") or _waiting(event.job)
        fields["latest"] = replace(latest, url=url)
    fields["submitted"] = event.at


def _cancel(fields: dict[str, Any], _: Event) -> None:
    fields["canceling"] = True


def _give_up(fields: dict[str, Any], _: Event) -> None:
    fields["canceling"] = fields["stopping"] = True


def _report(fields: dict[str, Any], event: Event) -> None:
    curves = dict(fields.get("curves", {}))
    for trial, values in event.data.items():
        curves[trial] = curves.get(trial, ()) + tuple((event.number, value) for value in values)
    fields["curves"] = curves


def _observe(fields: dict[str, Any], event: Event) -> None:
    latest, outcomes = observation_of(event)
    if latest.infrastructure and fields.get("canceling") and latest.status.ended:
        # Its end was asked for, and must not be made up for by another attempt.
        latest = replace(latest, status=Status.CANCELED, infrastructure=False)
    if latest.status is Status.CANCELED and fields.get("stopping"):
        latest = replace(latest, status=Status.EARLY_STOPPED)
    fields["latest"] = latest
    fields["submitted"] = fields.get("submitted") or event.at
    fields["told"] = event.number if latest.status.ended else None
    if outcomes:
        fields["outcomes"] = {**fields.get("outcomes", {}), **outcomes}


def _draw(fields: dict[str, Any], event: Event) -> None:
    known = {trial.id for trial in fields["trials"]}
    trials = [trial for trial in map(Trial.of, event.data["trials"]) if trial.id not in known]
    ordered = sorted((*fields["trials"], *trials), key=lambda trial: trial.sequence)
    fields["trials"] = tuple(ordered)
    fields["children"] = {**fields.get("children", {}), **event.data["children"]}


# What an event changes of an attempt's fields; it is made of them at the end, since it has several.
_UPDATES: Mapping[str, Callable[[dict[str, Any], Event], None]] = {
    EventKind.SUBMITTED: _submit,
    EventKind.DRAWN: _draw,
    EventKind.OBSERVED: _observe,
    EventKind.CANCEL: _cancel,
    EventKind.EARLY_STOP: _give_up,
    EventKind.REPORTED: _report,
}
