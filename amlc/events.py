"""The facts that a ledger holds.

One function for each kind of event, and what an event says read back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Any, ClassVar, TypeAlias, cast

from amlc.light import Unread, light
from amlc.model import End, Observation, Outcome, Parameters, Status, Trial

Clock: TypeAlias = "Callable[[], float]"
"""Returns seconds since the epoch."""


class EventKind(str, Enum):
    """What an event says; the values stand in ledgers that exist, so none of them may change."""

    SESSION = "session"  # a submit began
    TICK = "tick"  # it was still at work
    INTENT = "intent"  # about to submit; written before the call
    SUBMITTED = "submitted"
    DRAWN = "drawn"  # trials of a sweep whose platform drew their parameters
    VOID = "void"  # the intent never reached the back end
    OBSERVED = "observed"
    CANCEL = "cancel"  # the user asked for its end
    EARLY_STOP = "early_stop"  # the assessor, or the tuner, asked for it
    STOP = "stop"  # submit no more
    HISTORY = "history"  # all its intermediate results were fetched
    REPORTED = "reported"  # intermediate results that became known while a tuner wanted them
    IMPORT = "import"  # results from elsewhere, for the tuner to learn from
    BROUGHT = "brought"  # a trial that ended elsewhere counts as one of this experiment
    EXHAUSTED = "exhausted"  # the tuner has no more to propose
    REVISION = "revision"  # what a revision is made of

    __hash__ = str.__hash__  # as that of the text it equals; an enum's own takes five times as long


@light(frozen=True, slots=True, kw_only=True)
class Event(Unread):
    """One fact, as the functions below make it.

    at: seconds since the epoch. job: empty for the whole experiment. number: its place in the
    ledger, from 1; 0 before it is there. kind: in the ledger of a later amlc perhaps a string that
    is no EventKind; such an event is passed over.
    """

    kind: EventKind | str
    at: float
    job: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    number: int = field(default=0, compare=False)
    UNREAD: ClassVar[str] = "data"

    @classmethod
    def unread(cls, *, kind: EventKind | str, at: float, job: str, text: str, number: int) -> Event:
        """Return an event whose data are JSON that was written by amlc."""
        new = cls.__new__(cls)
        new.kind, new.at, new.job = kind, at, job  # type: ignore[misc]
        new.text, new.number = text, number  # type: ignore[misc]
        return new


_AT_WORK = (Status.WAITING.value, Status.RUNNING.value)
_Number = (int, float)
_Nothing = type(None)
_OF_INTENT = {
    "id": str,
    "attempt": int,
    "trials": list,
    "revision": str,
    "backend": str,
    "losses": int,
}
# What `data` has to have, by kind, of which types; of other kinds it is any mapping.
_SHAPES: Mapping[str, Mapping[str, Any]] = {
    EventKind.INTENT: _OF_INTENT,
    EventKind.BROUGHT: _OF_INTENT,
    EventKind.DRAWN: {"trials": list, "children": Mapping},
    EventKind.OBSERVED: {"status": str},
    EventKind.IMPORT: {"digest": str, "results": list},
    EventKind.REVISION: {"revision": str, "contents": Mapping},
}
_OPTIONAL: Mapping[str, Any] = {
    "url": (str, _Nothing),
    "started": _Number,
    "ended": _Number,
    "exit_code": int,
    "error": str,
    "infrastructure": bool,
    "outcomes": list,
    "sha256": str,
}


def _is_trial(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and type(value.get("id")) is str
        and type(value.get("sequence")) is int
        and isinstance(value.get("parameters"), Mapping)
    )


def _is_result(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("parameters"), Mapping)
        and type(value.get("value")) in _Number
    )


def _is_observed(data: Mapping[str, Any]) -> bool:
    if not all(name == "status" or name in _OPTIONAL for name in data):
        return False
    if not all(isinstance(value, _OPTIONAL.get(name, str)) for name, value in data.items()):
        return False
    rows = data.get("outcomes", [])
    try:
        Status(data["status"])
        for row in rows:
            _outcome(row)
    except (ValueError, KeyError, TypeError):
        return False
    return all(map(_is_outcome, rows))


def _is_outcome(row: Mapping[str, Any]) -> bool:
    return (
        type(row["trial"]) is str
        and isinstance(row["exit_code"], (int, _Nothing))
        and all(isinstance(row[name], (*_Number, _Nothing)) for name in ("started", "ended"))
        and isinstance(row.get("error"), (str, _Nothing))
    )


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    EventKind.INTENT: lambda data: all(map(_is_trial, data["trials"])),
    EventKind.BROUGHT: lambda data: all(map(_is_trial, data["trials"])),
    EventKind.DRAWN: lambda data: all(map(_is_trial, data["trials"])),
    EventKind.OBSERVED: _is_observed,
    EventKind.REPORTED: lambda data: all(isinstance(values, list) for values in data.values()),
    EventKind.IMPORT: lambda data: all(map(_is_result, data["results"])),
}


def is_sound(event: Event) -> bool:
    """Tell whether an event from a ledger has what the functions below put into one of its kind."""
    at, job, data = cast("tuple[Any, Any, Any]", (event.at, event.job, event.data))
    if not (isinstance(data, Mapping) and type(at) in _Number and type(job) is str):
        return False
    shape, check = _SHAPES.get(event.kind, {}), _CHECKS.get(event.kind)
    if not all(isinstance(data.get(name), kind) for name, kind in shape.items()):
        return False
    return check is None or check(data)


def session(*, at: float) -> Event:
    """Return the event that records the begin of a submit."""
    return Event(kind=EventKind.SESSION, at=at)


def tick(*, at: float) -> Event:
    """Return the event that records that a submit is still at work, for the sake of `elapsed_s`."""
    return Event(kind=EventKind.TICK, at=at)


def intent(
    job: str,
    *,
    at: float,
    identity: str,
    attempt: int,
    trials: Iterable[Trial],
    revision: str,
    backend: str,
    losses: int,
    sha256: str | None = None,
    sweep: bool = False,
    draws: range = range(0),
) -> Event:
    """Return the event that records that an attempt of a job is about to be submitted as `job`.

    identity: the id that all attempts of the job share. revision, backend, losses: as in Attempt.
    sha256: of the file that is submitted; None: nobody here has it. sweep, draws: as in Attempt.
    """
    data: dict[str, Any] = {"id": identity, "attempt": attempt}
    if sha256 is not None:
        data["sha256"] = sha256
    if sweep:
        data["sweep"] = True
    if draws:
        data["draws"] = [draws.start, draws.stop]
    data |= {
        "trials": [trial.as_dict() for trial in trials],
        "revision": revision,
        "backend": backend,
    }
    return Event(kind=EventKind.INTENT, at=at, job=job, data={**data, "losses": losses})


def submitted(job: str, *, at: float, url: str | None) -> Event:
    """Return the event that records that the back end has the job. url: its page, if it has one."""
    return Event(kind=EventKind.SUBMITTED, at=at, job=job, data={"url": url})


def drawn(job: str, children: Mapping[str, Trial], *, at: float) -> Event:
    """Return the event that records trials that a sweep drew, by the names of the children."""
    trials = [trial.as_dict() for trial in children.values()]
    names = {child: trial.id for child, trial in children.items()}
    return Event(kind=EventKind.DRAWN, at=at, job=job, data={"trials": trials, "children": names})


def void(job: str, *, at: float) -> Event:
    """Return the event that records that the job's intent never reached the back end."""
    return Event(kind=EventKind.VOID, at=at, job=job)


def cancel_asked(job: str, *, at: float) -> Event:
    """Return the event that records that the user asked for the job's end."""
    return Event(kind=EventKind.CANCEL, at=at, job=job)


def early_stop(job: str, *, at: float) -> Event:
    """Return the event that records that the assessor, or the tuner, gives the job up."""
    return Event(kind=EventKind.EARLY_STOP, at=at, job=job)


def stop(*, at: float) -> Event:
    """Return the event that tells a submit at work to submit no more."""
    return Event(kind=EventKind.STOP, at=at)


def history_fetched(job: str, *, at: float) -> Event:
    """Return the event that records that the ledger has all that an ended job reported."""
    return Event(kind=EventKind.HISTORY, at=at, job=job)


def reported(job: str, values: Mapping[str, Sequence[Any]], *, at: float) -> Event:
    """Return the event that records intermediate results, by trial id in their order."""
    return Event(
        kind=EventKind.REPORTED,
        at=at,
        job=job,
        data={trial: list(some) for trial, some in values.items()},
    )


def imported(results: Iterable[tuple[Parameters, float]], *, at: float) -> Event:
    """Return the event that records parameter sets with their results from elsewhere.

    Its `digest` says which.
    """
    rows = [{"parameters": parameters, "value": value} for parameters, value in results]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return Event(kind=EventKind.IMPORT, at=at, data={"digest": digest, "results": rows})


def brought(job: str, *, at: float, trial: Trial) -> Event:
    """Return the event that records that a trial was brought from elsewhere, as `job`.

    It has what an intent has: attempt 0, of no revision and no back end.
    """
    data = {"id": trial.id, "attempt": 0, "trials": [trial.as_dict()]}
    data |= {"revision": "", "backend": "", "losses": 0}
    return Event(kind=EventKind.BROUGHT, at=at, job=job, data=data)


def exhausted(*, at: float, search: str | None, trials: int) -> Event:
    """Return the event that records that a tuner has no more to propose.

    search: as in the manifest's header. trials: how many were compiled then.
    """
    return Event(kind=EventKind.EXHAUSTED, at=at, data={"search": search, "trials": trials})


def revision_made_of(revision: str, contents: Mapping[str, Any], *, at: float) -> Event:
    """Return the event that records what a revision is made of, as `revision.json` has it."""
    return Event(kind=EventKind.REVISION, at=at, data={"revision": revision, "contents": contents})


def observed(observation: Observation, *, at: float, outcomes: Iterable[Outcome] = ()) -> Event:
    """Return the event that records what a back end said; defaults are left out of its data."""
    data: dict[str, Any] = {"status": observation.status.value}
    for name in ("started", "ended", "exit_code", "error", "url"):
        if getattr(observation, name) is not None:
            data[name] = getattr(observation, name)
    if observation.infrastructure:
        data["infrastructure"] = True
    if observation.begun is not None:
        data["begun"] = list(observation.begun)
    if observation.over is not None:
        data["over"] = observation.over
    rows = [_outcome_row(outcome) for outcome in outcomes]
    if rows:
        data["outcomes"] = rows
    return Event(kind=EventKind.OBSERVED, at=at, job=observation.job, data=data)


def is_said_again(event: Event) -> bool:
    """Tell whether the back end would say it once more, had it not been written down.

    So are its answer to a submission, and that a job is at work: a power cut may lose them.
    """
    at_work = event.kind == EventKind.OBSERVED and event.data["status"] in _AT_WORK
    return event.kind == EventKind.SUBMITTED or (at_work and "outcomes" not in event.data)


def _outcome_row(outcome: Outcome) -> dict[str, Any]:
    row = {name: getattr(outcome, name) for name in ("trial", "exit_code", "started", "ended")}
    if outcome.end is not End.EXITED:
        row["end"] = outcome.end.value
    if outcome.error is not None:
        row["error"] = outcome.error
    return row


_STATUSES = {status.value: status for status in Status}  # asking the enum takes five times as long


def observation_of(event: Event) -> tuple[Observation, dict[str, Outcome]]:
    """Return what `observed` recorded.

    What the back end said of the job, and the outcomes by trial id.
    """
    data = {**event.data}
    rows = data.pop("outcomes", ())
    data["status"] = _STATUSES.get(data["status"]) or Status(data["status"])
    if "begun" in data:
        data["begun"] = tuple(data["begun"])
    return Observation(job=event.job, **data), {row["trial"]: _outcome(row) for row in rows}


def _outcome(row: Mapping[str, Any]) -> Outcome:
    # Rows were written without an `end` before there was one: then no exit code meant that it never
    # got to run.
    otherwise = End.TERMINATED if row["exit_code"] is None else End.EXITED
    return Outcome(**{**row, "end": End(row.get("end", otherwise))})
