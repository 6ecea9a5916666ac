"""The ledger: an append-only record of what was asked of the back ends and what became of it, in SQLite."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

from amlc.errors import AmlcError
from amlc.model import End, Metric, MetricKind, Observation, Outcome, Parameters, Status, Trial

FILE_NAME = "ledger.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, job TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS metrics (
    job TEXT NOT NULL, trial TEXT NOT NULL, kind TEXT NOT NULL, sequence INTEGER NOT NULL, at REAL NOT NULL,
    value TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS metrics_by_kind ON metrics (kind, job);
"""
# So that readers find what they need of a million trials; made of the events, also for a ledger that had none yet.
_INDEXES = """
CREATE INDEX IF NOT EXISTS events_by_job ON events (job, number);
CREATE TABLE IF NOT EXISTS trials (trial TEXT NOT NULL, job TEXT NOT NULL, PRIMARY KEY (trial, job)) WITHOUT ROWID;
INSERT OR IGNORE INTO trials SELECT json_extract(one.value, '$.id'), events.job
    FROM events, json_each(events.data, '$.trials') AS one WHERE events.kind = 'intent';
PRAGMA user_version = 1;
"""
_ENDS = ", ".join(f"'{status.value}'" for status in Status if status.ended)
# An intent after which neither an end nor that it was void is recorded.
_WORKING = f"""
SELECT DISTINCT job FROM events AS intent WHERE kind = 'intent' AND NOT EXISTS (
    SELECT 1 FROM events AS later WHERE later.job = intent.job AND later.number > intent.number AND (
        later.kind = 'void' OR (later.kind = 'observed' AND json_extract(later.data, '$.status') IN ({_ENDS}))))
"""  # noqa: S608 - no input

Curve: TypeAlias = "tuple[tuple[int, Any], ...]"
"""Intermediate results of one trial as reported, each with the number of the event by which it became known."""


class LedgerError(AmlcError):
    """The ledger cannot be read or written; nothing that was recorded is lost."""


class EventKind(str, Enum):
    """What an event says; the values stand in ledgers that exist, so none of them may change."""

    SESSION = "session"  # a submit began
    TICK = "tick"  # it was still at work
    INTENT = "intent"  # about to submit; written before the call
    SUBMITTED = "submitted"
    VOID = "void"  # the intent never reached the back end
    OBSERVED = "observed"
    CANCEL = "cancel"  # the user asked for its end
    EARLY_STOP = "early_stop"  # the assessor, or the tuner, asked for it
    STOP = "stop"  # submit no more
    HISTORY = "history"  # all its intermediate results were fetched
    REPORTED = "reported"  # intermediate results that became known while a tuner wanted them
    IMPORT = "import"  # results from elsewhere, for the tuner to learn from
    EXHAUSTED = "exhausted"  # the tuner has no more to propose
    REVISION = "revision"  # what a revision is made of


_KINDS = {kind.value: kind for kind in EventKind}
_OF_SUBMIT = frozenset(  # what no other command records
    {EventKind.SESSION, EventKind.TICK, EventKind.INTENT, EventKind.SUBMITTED, EventKind.VOID}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact, as the functions below make it. at: seconds since the epoch. job: empty for the whole experiment.

    number: its place in the ledger, from 1; 0 before it is there. kind: in the ledger of a later amlc perhaps a string
    that is no EventKind; such an event is passed over.
    """

    kind: EventKind | str
    at: float
    job: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    number: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One submission of a job, as its events add up. `number` counts from 1.

    submitted: seconds since the epoch, None while only the intent is recorded. losses: how many attempts before this
    one ended through no fault of the user's. stopping: the assessor asked for its end. asked, told: the numbers of the
    events that recorded the intent and the end. curves: by trial id, the intermediate results that `reported` events
    recorded, each with the number of its event.
    """

    id: str
    number: int
    trials: tuple[Trial, ...]
    revision: str
    backend: str
    losses: int
    latest: Observation
    submitted: float | None = None
    canceling: bool = False
    stopping: bool = False
    asked: int = field(default=0, compare=False)
    told: int | None = field(default=None, compare=False)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict, compare=False)

    @property
    def job(self) -> str:
        """The job's name."""
        return self.latest.job

    @property
    def working(self) -> bool:
        """Whether the back end may still be at work on it; with an unknown status it may."""
        return not self.latest.status.ended

    def status(self, trial: str) -> Status:
        """Return the status of one of its trials: each has its own end, which counts before that of the job."""
        outcome, job = self.outcomes.get(trial), self.latest.status
        if outcome is not None and outcome.end in _OWN_ENDS:
            return _OWN_ENDS[outcome.end] or (Status.SUCCEEDED if outcome.exit_code == 0 else Status.FAILED)
        if not job.ended or job in (Status.CANCELED, Status.EARLY_STOPPED):
            return job
        # The job ended and the trial did not, unless nobody wrote down how any of its trials ended.
        is_cut_short = self.latest.infrastructure or bool(self.outcomes)
        return Status.UNFINISHED if is_cut_short else job

    def error(self, trial: str) -> str | None:
        """Return in one line why one of its trials did not end well, or None."""
        outcome, status = self.outcomes.get(trial), self.status(trial)
        if status is Status.SUCCEEDED:
            return None
        if outcome is not None and outcome.end is not End.TERMINATED:
            code = outcome.exit_code
            return outcome.error or (f"exit code {code}" if code else self.latest.error)
        return self.latest.error or (outcome.error if outcome else None)


_OWN_ENDS = {End.EXITED: None, End.TIME_LIMIT: Status.EARLY_STOPPED, End.REFUSED: Status.FAILED}


def fold(events: Iterable[Event], attempts: dict[str, Attempt] | None = None) -> dict[str, Attempt]:
    """Return the attempts by job name, in the order of their intents; given `attempts`, bring that up to date."""
    result = {} if attempts is None else attempts
    for event in events:
        if event.kind == EventKind.INTENT:
            result[event.job] = _intended(event)
        elif event.kind == EventKind.VOID:
            result.pop(event.job, None)
        elif event.job in result:
            result[event.job] = _updated(result[event.job], event)
    return result


def by_trial(attempts: Iterable[Attempt]) -> dict[str, Attempt]:
    """Return the last attempt of each trial id; a later attempt of a packed job need not have all of its trials."""
    return {trial.id: attempt for attempt in attempts for trial in attempt.trials}


def elapsed_s(events: Iterable[tuple[str, float]]) -> float:
    """Return for how long a submit has been at work on the experiment; the pauses between submits do not count.

    events: the kind and the time of each, in order.
    """
    total, start, last = 0.0, None, 0.0
    for kind, at in events:
        if kind == EventKind.SESSION:
            total += last - start if start is not None else 0.0
            start = at
        if kind in _OF_SUBMIT:
            last = at
    return total + (last - start if start is not None else 0.0)


def _intended(event: Event) -> Attempt:
    data = event.data
    return Attempt(
        id=data["id"],
        number=data["attempt"],
        trials=tuple(map(Trial.of, data["trials"])),
        revision=data["revision"],
        backend=data["backend"],
        losses=data["losses"],
        latest=Observation(job=event.job, status=Status.WAITING),
        asked=event.number,
    )


def _updated(attempt: Attempt, event: Event) -> Attempt:
    if event.kind == EventKind.SUBMITTED:
        url = event.data.get("url")
        seen = replace(attempt.latest, url=url) if url else attempt.latest
        return _with(attempt, latest=seen, submitted=event.at)
    if event.kind == EventKind.OBSERVED:
        data = dict(event.data)
        outcomes = {o["trial"]: _outcome(o) for o in data.pop("outcomes", ())}
        status = Status(data["status"])
        if status is Status.CANCELED and attempt.stopping:
            status = Status.EARLY_STOPPED
        seen = Observation(job=event.job, **{**data, "status": status})
        submitted = attempt.submitted or event.at
        told = event.number if status.ended else None
        return _with(attempt, latest=seen, submitted=submitted, told=told, outcomes=outcomes or attempt.outcomes)
    if event.kind == EventKind.CANCEL:
        return _with(attempt, canceling=True)
    if event.kind == EventKind.EARLY_STOP:
        return _with(attempt, canceling=True, stopping=True)
    if event.kind == EventKind.REPORTED:
        new = {trial: tuple((event.number, value) for value in values) for trial, values in event.data.items()}
        more = {trial: attempt.curves.get(trial, ()) + curve for trial, curve in new.items()}
        return _with(attempt, curves={**attempt.curves, **more})
    return attempt


def _with(attempt: Attempt, **changes: Any) -> Attempt:
    """Do what `dataclasses.replace` does in less than half the time: each trial has several events."""
    result = object.__new__(Attempt)
    for name in Attempt.__slots__:
        object.__setattr__(result, name, changes[name] if name in changes else getattr(attempt, name))
    return result


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
) -> Event:
    """Return the event that records that attempt number `attempt` of a job is about to be submitted as `job`.

    identity: the id that all attempts of the job share. revision, backend, losses: as in Attempt. sha256: of the file
    that is submitted; None: nobody here has it.
    """
    data: dict[str, Any] = {"id": identity, "attempt": attempt}
    if sha256 is not None:
        data["sha256"] = sha256
    data |= {"trials": [trial.as_dict() for trial in trials], "revision": revision, "backend": backend}
    return Event(kind=EventKind.INTENT, at=at, job=job, data={**data, "losses": losses})


def submitted(job: str, *, at: float, url: str | None) -> Event:
    """Return the event that records that the back end has the job. url: its page, if it has one."""
    return Event(kind=EventKind.SUBMITTED, at=at, job=job, data={"url": url})


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
    """Return the event that records that all intermediate results of an ended job are in the ledger."""
    return Event(kind=EventKind.HISTORY, at=at, job=job)


def reported(attempt: Attempt, metrics: Iterable[Metric], *, at: float) -> list[Event]:
    """Return the event that records the intermediate results among `metrics` that `attempt` does not have yet, if any.

    Its data: the values as they were reported, in order by trial id.
    """
    values: dict[str, list[Any]] = {}
    for metric in metrics:
        if metric.kind == MetricKind.INTERMEDIATE:
            values.setdefault(metric.trial, []).append(metric.value)
    known = {trial: len(attempt.curves.get(trial, ())) for trial in values}
    new = {trial: some[known[trial] :] for trial, some in values.items() if len(some) > known[trial]}
    return [Event(kind=EventKind.REPORTED, at=at, job=attempt.job, data=new)] if new else []


def imported(results: Iterable[tuple[Parameters, float]], *, at: float) -> Event:
    """Return the event that records parameter sets with their results from elsewhere; its `digest` says which."""
    rows = [{"parameters": parameters, "value": value} for parameters, value in results]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return Event(kind=EventKind.IMPORT, at=at, data={"digest": digest, "results": rows})


def exhausted(*, at: float, search: str | None, trials: int) -> Event:
    """Return the event that records that a tuner has no more to propose. search: as in the manifest's header.

    trials: how many were compiled then.
    """
    return Event(kind=EventKind.EXHAUSTED, at=at, data={"search": search, "trials": trials})


def revision_made_of(revision: str, contents: Mapping[str, Any], *, at: float) -> Event:
    """Return the event that records what a revision is made of, as the build folder's `revision.json` has it."""
    return Event(kind=EventKind.REVISION, at=at, data={"revision": revision, "contents": contents})


def observed(observation: Observation, *, at: float, outcomes: Iterable[Outcome] = ()) -> Event:
    """Return the event that records what a back end said; defaults are left out of its data."""
    data: dict[str, Any] = {"status": observation.status.value}
    for name in ("started", "ended", "exit_code", "error", "url"):
        if getattr(observation, name) is not None:
            data[name] = getattr(observation, name)
    if observation.infrastructure:
        data["infrastructure"] = True
    rows = [_outcome_row(outcome) for outcome in outcomes]
    if rows:
        data["outcomes"] = rows
    return Event(kind=EventKind.OBSERVED, at=at, job=observation.job, data=data)


def _outcome_row(outcome: Outcome) -> dict[str, Any]:
    row = {name: getattr(outcome, name) for name in ("trial", "exit_code", "started", "ended")}
    if outcome.end is not End.EXITED:
        row["end"] = outcome.end.value
    if outcome.error is not None:
        row["error"] = outcome.error
    return row


def _outcome(row: Mapping[str, Any]) -> Outcome:
    never_ran = End.TERMINATED if row["exit_code"] is None else End.EXITED  # as written before there was an `end`
    return Outcome(**{**row, "end": End(row.get("end", never_ran))})


class Ledger:
    """An open ledger. Every `append` is on disk when it returns; readers and a writer can work side by side."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def append(self, events: Iterable[Event], metrics: Iterable[Metric] = (), *, job: str = "") -> int:
        """Record `events`, and `metrics` in place of those that `job` had; all or nothing. Returns the last number."""
        events = tuple(events)
        rows = [(e.at, e.kind, e.job, json.dumps(e.data, separators=(",", ":"))) for e in events]
        trials = [(trial["id"], e.job) for e in events if e.kind == EventKind.INTENT for trial in e.data["trials"]]
        with self._transaction() as connection:
            connection.executemany("INSERT INTO events (at, kind, job, data) VALUES (?, ?, ?, ?)", rows)
            connection.executemany("INSERT OR IGNORE INTO trials VALUES (?, ?)", trials)
            if job:
                connection.execute("DELETE FROM metrics WHERE job = ?", (job,))
                connection.executemany(
                    "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)",
                    ((job, m.trial, m.kind, m.sequence, m.at, json.dumps(m.value)) for m in metrics),
                )
            (number,) = connection.execute("SELECT max(number) FROM events").fetchone()
        return int(number or 0)

    def events(self, *, after: int = 0, kind: EventKind | None = None) -> Iterator[Event]:
        """Yield the recorded events in order, those beyond number `after`, of one kind or of all."""
        for _, event in self.numbered(after=after, kind=kind):
            yield event

    def numbered(self, *, after: int = 0, kind: EventKind | None = None) -> Iterator[tuple[int, Event]]:
        """Yield (number, event) in order, those beyond number `after`, of one kind or of all."""
        which, values = ("", (after,)) if kind is None else (" AND kind = ?", (after, kind))
        query = f"SELECT number, at, kind, job, data FROM events WHERE number > ?{which} ORDER BY number"  # noqa: S608 - no input
        for event in map(_event, self._read(query, values)):
            yield event.number, event

    def times(self) -> Iterator[tuple[str, float]]:
        """Yield the kind and the time of every event in order, as `elapsed_s` wants them."""
        yield from self._read("SELECT kind, at FROM events ORDER BY number", ())

    def attempts(self, trials: Iterable[str]) -> dict[str, Attempt]:
        """Return the last attempt of each of `trials` (ids) that was ever submitted."""
        query = """
            SELECT number, at, kind, job, data FROM events WHERE job IN (
                SELECT trials.job FROM json_each(?) AS wanted JOIN trials ON trials.trial = wanted.value)
            ORDER BY number"""
        return by_trial(fold(map(_event, self._read(query, (json.dumps(list(trials)),)))).values())

    def working(self) -> dict[str, Attempt]:
        """Return the attempts, by job name, that a back end may still be at work on."""
        query = f"SELECT number, at, kind, job, data FROM events WHERE job IN ({_WORKING}) ORDER BY number"  # noqa: S608
        return {name: one for name, one in fold(map(_event, self._read(query, ()))).items() if one.working}

    def finals(self, jobs: Iterable[str]) -> dict[tuple[str, str], Any]:
        """Return the final result, as it was reported, by job name and trial id; that of each trial's last report."""
        query = """
            SELECT job, trial, value FROM metrics
            WHERE kind = 'final' AND job IN (SELECT value FROM json_each(?)) ORDER BY rowid"""
        rows = self._read(query, (json.dumps(list(jobs)),))
        return {(job, trial): json.loads(value) for job, trial, value in rows}

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Show this reader the ledger as it is now, whatever is appended meanwhile. Nothing can be appended inside."""
        with self._errors():
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def metrics(self, kind: MetricKind, *, job: str | None = None) -> Iterator[tuple[str, Metric]]:
        """Yield (job name, metric) for the metrics of a kind, of one job or of all; those of a job in order."""
        which, values = ("kind = ?", (kind,)) if job is None else ("kind = ? AND job = ?", (kind, job))
        query = f"SELECT job, trial, sequence, at, value FROM metrics WHERE {which} ORDER BY rowid"  # noqa: S608 - no input
        for name, trial, sequence, at, value in self._read(query, values):
            yield name, Metric(trial=trial, kind=kind, sequence=sequence, value=json.loads(value), at=at)

    def _read(self, query: str, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        with self._errors():
            yield from self._connection.execute(query, values)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as err:
            raise LedgerError(f"{self._path}: {err}. What was recorded is kept; mend the cause and go on.") from err


def _event(row: tuple[Any, ...]) -> Event:
    number, at, kind, job, data = row
    return Event(kind=_KINDS.get(kind, kind), at=at, job=job, data=json.loads(data), number=number)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(_SCHEMA)
    if connection.execute("PRAGMA user_version").fetchone() == (0,):
        connection.executescript(f"BEGIN IMMEDIATE;{_INDEXES}COMMIT;")


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """Open the ledger at `path`, and make it if it is not there. Raises LedgerError when that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    except (OSError, sqlite3.Error) as err:
        raise LedgerError(f"{path}: {err}.") from err
    try:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL: an intent has to outlive a power cut, or a job could be paid for twice.
            connection.execute("PRAGMA synchronous = FULL")
            _prepare(connection)
        except sqlite3.Error as err:
            raise LedgerError(f"{path}: {err}. Is it a ledger of amlc, on a disk that can be written?") from err
        yield Ledger(connection, path)
    finally:
        connection.close()


@contextmanager
def read_ledger(path: Path) -> Iterator[Ledger]:
    """Open the ledger at `path` for reading; where there is none, an empty one in memory: nothing is made on disk."""
    if path.exists():
        with open_ledger(path) as ledger:
            yield ledger
        return
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _prepare(connection)
    try:
        yield Ledger(connection, path)
    finally:
        connection.close()


Clock = Callable[[], float]
"""Returns seconds since the epoch."""
