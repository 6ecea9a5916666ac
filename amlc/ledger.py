"""The ledger.

An append-only record of what was asked of the back ends and what became of it, in SQLite.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from zlib import crc32

from amlc import files
from amlc.attempts import Attempt, by_trial, fold
from amlc.errors import AmlcError, IncompleteError, os_text, printable, shorten
from amlc.events import Event, EventKind, is_said_again, is_sound
from amlc.light import parse
from amlc.model import Metric, MetricKind, Status

FILE_NAME = "ledger.db"
MENDED = "ledger-mended.db"
"""What is to replace a damaged ledger; there for a moment alone."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, job TEXT NOT NULL,
    data TEXT NOT NULL, sum INTEGER);
CREATE TABLE IF NOT EXISTS metrics (
    job TEXT NOT NULL, trial TEXT NOT NULL, kind TEXT NOT NULL, sequence INTEGER NOT NULL,
    at REAL NOT NULL, value TEXT NOT NULL, sum INTEGER);
CREATE INDEX IF NOT EXISTS metrics_by_kind ON metrics (kind, job);
"""
# So that readers find what they need of a million trials; made of the events, also for a ledger
# that had none yet.
_INDEXES = """
CREATE INDEX IF NOT EXISTS events_by_job ON events (job, number);
CREATE TABLE IF NOT EXISTS trials (
    trial TEXT NOT NULL, job TEXT NOT NULL, PRIMARY KEY (trial, job)) WITHOUT ROWID;
INSERT OR IGNORE INTO trials SELECT json_extract(one.value, '$.id'), events.job
    FROM events, json_each(events.data, '$.trials') AS one WHERE events.kind = 'intent';
PRAGMA user_version = 1;
"""
# Of a row's other columns: SQLite itself sees no bit that is flipped in a value. Older rows have
# none.
_SUMS = """
ALTER TABLE events ADD COLUMN sum INTEGER;
ALTER TABLE metrics ADD COLUMN sum INTEGER;
"""
_ENDS = ", ".join(f"'{status.value}'" for status in Status if status.ended)
_OTHERS = ", ".join(f"'{kind.value}'" for kind in EventKind if kind is not EventKind.INTENT)
# An intent after which neither an end nor that it was void is recorded. What is of no kind that we
# know may be one that is damaged, which must not hide a job at work.
_WORKING = f"""
SELECT DISTINCT job FROM events AS intent WHERE kind NOT IN ({_OTHERS}) AND NOT EXISTS (
    SELECT 1 FROM events AS later
    WHERE later.job = intent.job AND later.number > intent.number AND (
        later.kind = 'void'
        OR (later.kind = 'observed' AND CASE WHEN json_valid(later.data)
            THEN json_extract(later.data, '$.status') END IN ({_ENDS}))))
"""  # noqa: S608 - no input
_LOST_FINALS = """
SELECT job FROM metrics AS one NOT INDEXED WHERE kind = 'final' AND NOT EXISTS (
    SELECT 1 FROM metrics AS other INDEXED BY metrics_by_kind
    WHERE other.kind = one.kind AND other.job = one.job AND other.rowid = one.rowid) LIMIT 3
"""
# Texts as bytes, which their checksum is of: to make them texts and bytes again costs a reader of a
# million rows a second for each column.
_OF_EVENT = "number, at, CAST(kind AS BLOB), CAST(job AS BLOB), CAST(data AS BLOB)"
_OF_METRIC = (
    "CAST(job AS BLOB), CAST(trial AS BLOB), CAST(kind AS BLOB), sequence, at, CAST(value AS BLOB)"
)
_EVENT = b"%a\0%b\0%b\0%b"  # those columns but the number, as `_sum_of` has them
_METRIC = b"%b\0%b\0%b\0%a\0%a\0%b"
OF_TRIALS = (EventKind.INTENT, EventKind.BROUGHT, EventKind.DRAWN)
# Jobs are looked up by names that are as good as random: SQLite's 2 MB hold little of that index.
_CACHE = "PRAGMA cache_size = -16000"  # kB
_MOST_CHECKED = 20_000  # events
_MOST_REPORTS = 100_000  # metrics
_MOST_NOTED = 20  # damaged records
_MEND = "Mend it: amlc refresh; or put a backup in its place."
_MEND_BOTH = "Compile the experiment: amlc compile FILE. Then mend it: amlc refresh."
_WRONG_QUERY = 1  # SQLITE_ERROR
_LOST = "it is lost, and jobs were run"
_EMPTY = "it is empty, and amlc makes none that is"
_GO_ON = "What was recorded is kept; mend the cause and go on."
_MOVED = (
    "{place}/ is no longer the folder that was there: it was moved or removed while amlc was at "
    "work, so nothing more is submitted. Put it back and go on, or go on where it is now."
)
_text = json.dumps
_compact = json.JSONEncoder(separators=(",", ":")).encode
_KINDS = {kind.value.encode(): kind for kind in EventKind}
_METRIC_KINDS = {kind.value.encode(): kind for kind in MetricKind}
_KINDS_TEXT: dict[str, str] = {kind: kind.value for kind in EventKind}
_UNREADABLE = (ValueError, TypeError, KeyError, RecursionError)


class LedgerError(AmlcError):
    """The ledger cannot be read or written; nothing that was recorded is lost."""

    exit_code = 5


class DamageError(LedgerError):
    """The ledger is damaged, or lost: what it does not say must not be taken for what was not."""

    exit_code = IncompleteError.exit_code


class Ledger:
    """An open ledger.

    Every `append` is on disk when it returns; readers and a writer can work side by side.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, tolerant: bool = False
    ) -> None:
        self._connection = connection
        self._path = path
        self._place = path.absolute()  # the current folder may be moved
        self._file = _file_at(self._place)
        self._tolerant = tolerant
        self._damage: dict[str, None] = {}
        self._damaged: set[str] = set()
        self._is_torn = False
        self._sum = "NULL"  # of an older version
        with suppress(sqlite3.Error, UnicodeDecodeError):  # which the next query says
            if "sum" in _columns(connection):
                self._sum = "sum"
        self._all_metrics = f"SELECT {_OF_METRIC}, {self._sum} FROM metrics"  # noqa: S608 - ours
        if tolerant:
            # What is no UTF-8 is damaged, which its row's check finds; it must not end all reading.
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")

    @property
    def damage(self) -> tuple[str, ...]:
        """What a tolerant reader met and left out so far, in a sentence for each record."""
        return tuple(self._damage)

    @property
    def damaged_jobs(self) -> frozenset[str] | None:
        """The jobs of the records that a tolerant reader left out so far.

        None: of any job some may be missing.
        """
        return None if self._is_torn else frozenset(self._damaged)

    def check(self, *, whole: bool = False) -> None:
        """Read all events and reports, unless they are so many that it would take seconds.

        Those that are shown are looked at in any case; see `damage`. whole: however many they are.
        """
        if not whole and self._count("events") > _MOST_CHECKED:
            return
        every = whole or self._count("metrics") <= _MOST_REPORTS
        for (found,) in self._read(f"PRAGMA {'integrity' if every else 'quick'}_check(3)", ()):
            if found != "ok":
                self.note(f"{shorten(str(found))}")
        self._check_index()
        if every:
            self._check_reports()
            return
        # integrity_check would take a second; of it, that each final result is found by its job.
        for (job,) in self._read(_LOST_FINALS, ()):
            self.note(f"its index lacks a final result of job {job}")

    def _check_index(self) -> None:
        indexed = set(self._read("SELECT trial, job FROM trials", ()))
        for event in self.events():
            if event.kind in OF_TRIALS:
                for trial in event.data["trials"]:
                    if (trial["id"], event.job) not in indexed:
                        self.note(f"its index lacks trial {trial['id']}")

    def _check_reports(self) -> None:
        if not self._are_metrics_whole():
            for _ in self._metrics("TRUE"):
                pass

    def _count(self, table: str) -> int:
        """Return how many rows a table has, 0 where that cannot be read."""
        query = f"SELECT count(*) FROM {table}"  # noqa: S608 - ours
        return next((count for (count,) in self._read(query, ())), 0)

    def complete_index(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add to the index of trials those of `pairs`, (trial, job), that it lacks.

        It is made of the events, and readers go by it: what is not there would never be done.
        """
        indexed = set(self._read("SELECT trial, job FROM trials", ()))
        if missing := [pair for pair in pairs if pair not in indexed]:
            with self._transaction() as connection:
                connection.executemany("INSERT OR IGNORE INTO trials VALUES (?, ?)", missing)

    def checkpoint(self) -> None:
        """Bring all that was appended into the ledger's own file. Raises LedgerError."""
        with self._errors():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def jobs(self) -> set[str]:
        """Return the names of all jobs that ever were to be submitted."""
        return {job for (job,) in self._read("SELECT DISTINCT job FROM trials", ())}

    def trials(self) -> set[str]:
        """Return the ids of all trials that ever were to be submitted, or drawn."""
        return {trial for (trial,) in self._read("SELECT DISTINCT trial FROM trials", ())}

    def attempt_count(self) -> int:
        """Return how many attempts at a trial there ever were to be, of all trials together."""
        return self._count("trials")

    def append(
        self, events: Iterable[Event], metrics: Iterable[Metric] = (), *, job: str = ""
    ) -> int:
        """Record `events`, and `metrics` in place of those that `job` had; all or nothing.

        Returns the last number. It outlives a power cut, with all that came before: an intent has
        to, or a job could be paid for twice. What the back end would say again need not.
        """
        told = tuple(events)
        return self._add([(job, told, metrics)], is_lasting=not all(map(is_said_again, told)))

    def append_all(self, jobs: Iterable[tuple[str, Iterable[Event], Iterable[Metric]]]) -> int:
        """Do what `append` does for several jobs, all or nothing."""
        return self._add(jobs, is_lasting=True)

    def _add(
        self,
        jobs: Iterable[tuple[str, Iterable[Event], Iterable[Metric]]],
        *,
        is_lasting: bool,
    ) -> int:
        with self._transaction(is_lasting=is_lasting) as connection:
            for job, events, metrics in jobs:
                _append(connection, tuple(events))
                if job:
                    _replace_metrics(connection, job, metrics)
            (number,) = connection.execute("SELECT max(number) FROM events").fetchone()
        return int(number or 0)

    def events(self, *, after: int = 0, kind: EventKind | None = None) -> Iterator[Event]:
        """Yield the events in order, those beyond number `after`, of one kind or of all."""
        for _, event in self.numbered(after=after, kind=kind):
            yield event

    def numbered(
        self, *, after: int = 0, kind: EventKind | None = None
    ) -> Iterator[tuple[int, Event]]:
        """Yield (number, event) in order, those beyond number `after`, of one kind or of all."""
        if kind is None:
            events = self._events("number > ?", after)
        else:
            events = self._events("number > ? AND kind = ?", after, kind)
        for event in events:
            yield event.number, event

    @property
    def last_number(self) -> int:
        """The number of the last event, 0 where there is none."""
        found = self._read("SELECT max(number) FROM events", ())
        return next((number or 0 for (number,) in found), 0)

    def times(self) -> Iterator[tuple[str, float]]:
        """Yield the kind and the time of every event in order, as `elapsed_s` wants them."""
        yield from self._read("SELECT kind, at FROM events ORDER BY number", ())

    def attempts(self, trials: Iterable[str]) -> dict[str, Attempt]:
        """Return the last attempt of each of `trials` (ids) that was ever submitted."""
        return by_trial(self.all_attempts(trials))

    def all_attempts(self, trials: Iterable[str]) -> list[Attempt]:
        """Return every attempt that has one of `trials` (ids), in the order of their intents."""
        jobs = """job IN (
            SELECT trials.job FROM json_each(?) AS wanted
            JOIN trials ON trials.trial = wanted.value)"""
        return list(fold(self._events(jobs, json.dumps(list(trials)))).values())

    def working(self) -> dict[str, Attempt]:
        """Return the attempts, by job name, that a back end may still be at work on."""
        attempts = fold(self._events(f"job IN ({_WORKING})"))
        # Whether an end was the last word, only the folding says.
        return {job: attempt for job, attempt in attempts.items() if attempt.working}

    def finals(self, jobs: Iterable[str]) -> dict[tuple[str, str], Any]:
        """Return the final result, as it was reported, by job name and trial id.

        That of each trial's last report.
        """
        which = "kind = 'final' AND job IN (SELECT value FROM json_each(?)) ORDER BY rowid"
        found = {}
        for row in self._read(f"{self._all_metrics} WHERE {which}", (json.dumps(list(jobs)),)):
            try:
                job, trial = str(row[0], "utf-8"), str(row[1], "utf-8")
                found[job, trial] = _reported(row)
            except _UNREADABLE as err:
                job, trial = _shown(row[0]), _shown(row[1])
                self._met(f"the final result of trial {trial} in job {job}", job, err)
        return found

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Show this reader the ledger as it is now, whatever is appended meanwhile.

        Nothing can be appended inside.
        """
        with self._errors():
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def metrics(self, kind: MetricKind, *, job: str | None = None) -> Iterator[tuple[str, Metric]]:
        """Yield (job name, metric) for the metrics of a kind, of one job or of all.

        Those of a job in order.
        """
        if job is None:
            return self._metrics("kind = ?", kind)
        return self._metrics("kind = ? AND job = ?", kind, job)

    def _metrics(self, which: str, *values: Any) -> Iterator[tuple[str, Metric]]:
        """Yield (job name, metric) for which a condition in SQL holds, in order."""
        for row in self._read(f"{self._all_metrics} WHERE {which} ORDER BY rowid", values):
            try:
                job, metric = _metric(row)
            except _UNREADABLE as err:
                job, trial = _shown(row[0]), _shown(row[1])
                self._met(f"a report of trial {trial} in job {job}", job, err)
            else:
                yield job, metric

    def _are_metrics_whole(self) -> bool:
        """Tell whether every metric has the checksum of its columns, which an older one lacks.

        There are many: a million of them take 2.5 s, and as values five times that.
        """
        try:
            rows = self._read(self._all_metrics, ())
            return all(crc32(_METRIC % row[:-1]) == row[-1] for row in rows)
        except TypeError:  # of a column
            return False

    def _events(self, which: str, *values: Any) -> Iterator[Event]:
        """Yield the events for which a condition in SQL holds, in order."""
        columns = f"{_OF_EVENT}, {self._sum}"
        query = f"SELECT {columns} FROM events WHERE {which} ORDER BY number"  # noqa: S608 - ours
        for row in self._read(query, values):
            try:
                event = _event(row)
            except _UNREADABLE as err:
                job = _shown(row[3])
                self._met(f"event {row[0]} of job {job}" if job else f"event {row[0]}", job, err)
            else:
                yield event

    def _read(self, query: str, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        try:
            with self._errors():
                yield from self._connection.execute(query, values)
        except LedgerError as err:
            is_whole = isinstance(err.__cause__, sqlite3.OperationalError)
            if is_whole or not self._tolerant:
                raise
            self.note(f"it cannot be read to its end ({printable(str(err.__cause__))})")

    def _met(self, what: str, job: str, err: Exception) -> None:
        """Note that a record of a job cannot be read, or raise that."""
        if not self._tolerant:
            raise DamageError(self._sentence(f"{what} is damaged")) from err
        self._damaged.add(job)
        self._note(f"{what} is damaged")

    def note(self, what: str) -> None:
        """Add to `damage` what is wrong with this ledger, beyond single records."""
        self._is_torn = True
        self._note(what)

    def _note(self, what: str) -> None:
        if len(self._damage) < _MOST_NOTED:
            self._damage[self._sentence(what)] = None

    def _sentence(self, what: str) -> str:
        return printable(f"{self._path}: {what}. {_MEND}")

    @contextmanager
    def _transaction(self, *, is_lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """Do something, all or nothing. is_lasting: it outlives a power cut, with all before it.

        Raises LedgerError when the file is no longer where it was opened: jobs would be started in
        folders that are gone, and fail, or seem to.
        """
        if _file_at(self._place) != self._file:
            raise LedgerError(_MOVED.format(place=printable(str(self._place.parent))))
        with self._errors():
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if is_lasting else 'NORMAL'}")
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
        except (sqlite3.Error, UnicodeDecodeError) as err:  # its message may be no UTF-8
            text = f"{self._path}: {printable(str(err))}."
            raise _error(text, err, otherwise=f" {_GO_ON}") from err


def _append(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    trials = []
    for event in events:
        if event.kind in OF_TRIALS:
            trials += [(trial["id"], event.job) for trial in event.data["trials"]]
        if "draws" in event.data:  # of trials that nobody knows yet
            trials.append((event.data["id"], event.job))
    rows = (
        (float(one.at), _KINDS_TEXT.get(one.kind, one.kind), one.job, _compact(one.data))
        for one in events
    )
    connection.executemany(
        "INSERT INTO events (at, kind, job, data, sum) VALUES (?, ?, ?, ?, ?)",
        [(*row, _sum_of(row)) for row in rows],
    )
    # Once more in a later attempt: the index says in which jobs a trial is.
    connection.executemany("INSERT OR IGNORE INTO trials VALUES (?, ?)", trials)


def _replace_metrics(connection: sqlite3.Connection, job: str, metrics: Iterable[Metric]) -> None:
    # Of each kind, as the index has them: without it all metrics would be looked at for each job.
    connection.executemany(
        "DELETE FROM metrics WHERE kind = ? AND job = ?", [(kind.value, job) for kind in MetricKind]
    )
    rows = (
        (job, m.trial, MetricKind(m.kind).value, m.sequence, float(m.at), json.dumps(m.value))
        for m in metrics
    )
    connection.executemany(
        "INSERT INTO metrics (job, trial, kind, sequence, at, value, sum) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((*row, _sum_of(row)) for row in rows),
    )


def _sum_of(row: Sequence[Any]) -> int:
    """Return the checksum of a row: of its columns, each as text."""
    return crc32("\0".join(map(str, row)).encode("utf-8", "replace"))


def _event(row: tuple[Any, ...]) -> Event:
    number, at, kind, name, data, total = row
    if total is not None and crc32(_EVENT % (at, kind, name, data)) != total:
        raise ValueError(number)
    job, text = str(name, "utf-8"), str(data, "utf-8")
    known = _KINDS.get(kind) or str(kind, "utf-8")
    event = Event.unread(kind=known, at=at, job=job, text=text, number=number)
    if total is None and not is_sound(event):
        raise ValueError(number)
    return event


def _metric(row: tuple[Any, ...]) -> tuple[str, Metric]:
    """Return the job and the metric of a row."""
    value, (job, trial, kind, sequence, at, _, _) = _reported(row), row
    metric = Metric(
        trial=str(trial, "utf-8"), kind=_METRIC_KINDS[kind], sequence=sequence, value=value, at=at
    )
    return str(job, "utf-8"), metric


def _reported(row: tuple[Any, ...]) -> Any:
    """Return the value of a metric's row."""
    _, _, kind, sequence, at, text, total = row
    if total is not None and crc32(_METRIC % row[:-1]) != total:
        raise ValueError(row)
    if kind not in _METRIC_KINDS or type(sequence) is not int or type(at) not in (int, float):
        raise TypeError(row)
    return parse(str(text, "utf-8"))


def _shown(text: bytes | None) -> str:
    """Return a text of a damaged row as far as it can be read."""
    return (text or b"").decode("utf-8", "replace")


def _file_at(path: Path) -> tuple[int, int] | None:
    """Return which file lies at `path`, by device and inode; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _columns(connection: sqlite3.Connection) -> list[str]:
    return [name for _, name, *_ in connection.execute("PRAGMA table_info(events)")]


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(_SCHEMA)
    if connection.execute("PRAGMA user_version").fetchone() == (0,):
        connection.executescript(f"BEGIN IMMEDIATE;{_INDEXES}COMMIT;")
    if "sum" not in _columns(connection):
        with suppress(sqlite3.OperationalError):  # another process was first
            connection.executescript(f"BEGIN IMMEDIATE;{_SUMS}COMMIT;")
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """Open the ledger at `path`, and make it if it is not there, whole or not at all.

    Raises LedgerError when that fails.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not files.is_there(path):
            _make(path)
        elif path.stat().st_size == 0:
            raise DamageError(f"{path}: {_EMPTY}. {_MEND}")
        connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    except OSError as err:
        raise LedgerError(os_text(err)) from err
    except sqlite3.Error as err:
        text = f"{path}: {err}. May this user read and write it and its folder (ls -ld, chmod)?"
        raise LedgerError(text) from err
    try:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            _prepare(connection)
        except (sqlite3.Error, UnicodeDecodeError) as err:
            text = f"{path}: {_reason(err)}. Is it a ledger of amlc, on a disk that can be written?"
            raise _error(text, err) from err
        yield Ledger(connection, path)
    finally:
        connection.close()


def _make(path: Path) -> None:
    """Make a ledger of nothing; a kill leaves none, and no empty file, which is a damage."""
    files.remove_leftovers(path)
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            _prepare(connection)
        try:
            os.link(new, path)  # not over one that another process made meanwhile, and wrote to
        except OSError:
            if not path.exists():  # the file system has no hard links
                new.rename(path)
    finally:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{new}{suffix}")


@contextmanager
def read_ledger(path: Path, *, tolerant: bool = False) -> Iterator[Ledger]:
    """Open the ledger at `path` for reading only; nothing of it is changed.

    tolerant: a damaged record is noted and left out, rather than an error.

    It may lie where nobody can write, and another process may be appending to it. Where there is
    none it is an empty one in memory. Raises LedgerError when it cannot be read.
    """
    if not files.is_there(path):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            _prepare(connection)
            ledger = Ledger(connection, path, tolerant=tolerant)
            if tolerant and (harm := _harm(path)):
                ledger.note(harm)
            yield ledger
        return
    with ExitStack() as stack:
        try:
            connection = _reading(path, stack)
            connection.execute(_CACHE)  # not before: it would open what is to be copied
        except (OSError, sqlite3.Error, UnicodeDecodeError) as err:
            if isinstance(err, OSError) and err.strerror:
                raise LedgerError(os_text(err)) from err
            raise _error(f"{path}: {_reason(err)}. Is it a ledger of amlc?", err) from err
        ledger = Ledger(connection, path, tolerant=tolerant)
        if tolerant and (harm := _harm(path)):
            ledger.note(harm)
        yield ledger


def _reading(path: Path, stack: ExitStack) -> sqlite3.Connection:
    """Return a connection that only reads, closed by `stack`.

    A reader of a WAL takes part in its index, the `-shm` file, or makes it (wal.html, "Read-Only
    Databases"). Where it can do neither, nobody has the ledger open on this machine: then it is
    read from a copy, for a WAL that a killed process left has facts too. What was killed while it
    made the ledger is rolled back here, since nobody can read it before.
    """
    with files.open_regular(path):
        pass  # SQLite would wait for a FIFO
    if path.with_name(f"{path.name}-journal").exists() and os.access(path, os.W_OK):
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
            connection.execute("PRAGMA user_version").fetchone()
    connection = _opened(f"{path.absolute().as_uri()}?mode=ro", stack)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        if os.access(path.parent, os.W_OK) or path.with_name(f"{path.name}-shm").exists():
            raise
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in (path.name, f"{path.name}-wal", f"{path.name}-journal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(path.with_name(name), folder / name)
        connection = _opened((folder / path.name).as_uri(), stack)
        version = connection.execute("PRAGMA user_version").fetchone()
    if version != (0,):
        return connection
    # Of a version before there was an index, or of a writer that was killed before it was whole.
    copy = _opened(":memory:", stack)
    connection.backup(copy)
    _prepare(copy)
    return copy


def _opened(name: str, stack: ExitStack) -> sqlite3.Connection:
    connection = sqlite3.connect(name, isolation_level=None, timeout=30, uri=True)
    return stack.enter_context(closing(connection))


def check_not_lost(path: Path, *, is_compiled: bool = True) -> None:
    """Raise DamageError when the ledger at `path` is empty, or gone and jobs were run here.

    is_compiled: whether there is a build folder, without which run folders say nothing.
    """
    if harm := _harm(path):
        raise DamageError(f"{path}: {harm}. {_MEND if is_compiled else _MEND_BOTH}")


def _harm(path: Path) -> str | None:
    """Return how it shows that a ledger was at `path` which is no more; None: it does not."""
    if files.is_there(path):
        return _EMPTY if path.stat().st_size == 0 else None
    jobs_were_run = files.folders_in(path.with_name("runs"))
    return _LOST if jobs_were_run or files.is_there(path.with_name(MENDED)) else None


def _error(text: str, err: Exception, *, otherwise: str = "") -> LedgerError:
    """Return what is to be raised because of `err`; otherwise: what to do if it is no damage."""
    return DamageError(f"{text} {_MEND}") if _is_damage(err) else LedgerError(text + otherwise)


def _is_damage(err: BaseException) -> bool:
    """Tell whether an error of SQLite's says that the file is no database, or not a whole one.

    Others (a lock, a full disk, no permission) pass. A query of ours that is wrong there is one of
    tables or columns whose names are damaged (Python 3.10 does not say which of the two it is).
    """
    if isinstance(err, sqlite3.OperationalError):
        return getattr(err, "sqlite_errorcode", None) == _WRONG_QUERY
    return isinstance(err, (sqlite3.DatabaseError, UnicodeDecodeError))


def _reason(err: Exception) -> str:
    return printable(getattr(err, "strerror", None) or str(err))
