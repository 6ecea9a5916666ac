"""A ledger is mended: what is whole stays, in its order, and the rest comes from what was rebuilt."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
import sys
from pathlib import Path

import pytest

from amlc import events
from amlc.attempts import fold
from amlc.ledger import DamageError, LedgerError, check_not_lost, open_ledger, read_ledger
from amlc.model import Metric, MetricKind, Observation, Outcome, Status, Trial
from amlc.salvage import go_on, is_whole, mended, put_in_place

IDS = [f"{number:016x}" for number in range(4)]
JOBS = [f"probe-{one}-abcdef" for one in IDS]


def intended(number: int, *, attempt: int = 1, at: float = 1.0) -> events.Event:
    job = JOBS[number] if attempt == 1 else f"{JOBS[number]}-{attempt}"
    trial = Trial(IDS[number], number, {"x": number})
    return events.intent(
        job, at=at, identity=IDS[number], attempt=attempt, trials=[trial], revision="abcdef", backend="local", losses=0
    )


def ended(number: int, *, attempt: int = 1, at: float = 2.0) -> events.Event:
    job = JOBS[number] if attempt == 1 else f"{JOBS[number]}-{attempt}"
    seen = Observation(job=job, status=Status.SUCCEEDED, started=at, ended=at)
    return events.observed(seen, at=at, outcomes=[Outcome(trial=IDS[number], exit_code=0, started=at, ended=at)])


def write(path: Path, *facts: events.Event, value: float = 0.5) -> None:
    with open_ledger(path) as ledger:
        for event in facts:
            ledger.append([event])
            if event.kind == "observed":
                trial = event.data["outcomes"][0]["trial"]
                ledger.append((), [Metric(trial=trial, kind=MetricKind.FINAL, sequence=0, value=value, at=event.at)], job=event.job)


def damage(path: Path, query: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(query, values)


def read(path: Path) -> tuple[list[events.Event], dict[tuple[str, str], object]]:
    with read_ledger(path) as ledger:
        return list(ledger.events()), ledger.finals(ledger.jobs())


def by_time(event: events.Event) -> tuple[float, str]:
    return event.at, event.job


@pytest.fixture
def three(tmp_path) -> Path:
    """Two jobs, the second with two attempts, of a submit that began at 0."""
    path = tmp_path / "ledger.db"
    retried = (intended(1, attempt=2, at=5.0), ended(1, attempt=2, at=6.0))
    write(path, events.session(at=0.0), intended(0), ended(0), intended(1), ended(1), *retried)
    return path


def test_all_attempts_of_a_job_come_from_one_side_and_in_their_order(three, tmp_path) -> None:
    whole, finals = read(three)
    write(tmp_path / "rebuilt.db", *whole[1:], value=0.75)
    assert is_whole(three)
    damage(three, "UPDATE events SET data = 'x' WHERE job = ? AND kind = 'intent'", JOBS[1])
    assert not is_whole(three)
    mended(three, tmp_path / "rebuilt.db", tmp_path / "new.db")
    found, values = read(tmp_path / "new.db")
    assert sorted(found, key=by_time) == sorted(whole, key=by_time)
    assert list(fold(found)) == [JOBS[0], JOBS[1], f"{JOBS[1]}-2"]
    assert values == {key: value if key[0] == JOBS[0] else 0.75 for key, value in finals.items()}


def test_what_the_target_does_not_remember_stays_as_far_as_it_can_be_read(three, tmp_path) -> None:
    whole, _ = read(three)
    damage(three, "UPDATE metrics SET value = 'x' WHERE job = ?", JOBS[0])
    write(tmp_path / "rebuilt.db")
    mended(three, tmp_path / "rebuilt.db", tmp_path / "new.db")
    found, values = read(tmp_path / "new.db")
    assert found == whole
    assert (JOBS[0], IDS[0]) not in values
    assert len(values) == 2


def test_an_imported_trial_that_is_damaged_is_left_out(tmp_path) -> None:
    job = f"probe-{IDS[3]}-imported"
    brought = events.brought(job, at=1.0, trial=Trial(IDS[3], 3, {}))
    end = events.observed(Observation(job=job, status=Status.SUCCEEDED), at=2.0)
    path = tmp_path / "ledger.db"
    write(path, brought, intended(0))
    with open_ledger(path) as ledger:
        ledger.append([end])
    damage(path, "UPDATE events SET data = 'x' WHERE kind = 'observed'")
    write(tmp_path / "rebuilt.db")
    mended(path, tmp_path / "rebuilt.db", tmp_path / "new.db")
    assert [event.job for event in read(tmp_path / "new.db")[0]] == [JOBS[0]]


def test_of_a_torn_file_all_that_the_target_knows_is_taken_and_early_stops_stay(three, tmp_path) -> None:
    """Which reports are missing, nobody can say then."""
    canceled = Observation(job=JOBS[2], status=Status.CANCELED, started=7.0, ended=9.0)
    with open_ledger(three) as ledger:
        ledger.append([intended(2, at=7.0), events.early_stop(JOBS[2], at=8.0), events.observed(canceled, at=9.0)])
    whole, finals = read(three)
    facts = [event for event in whole if event.job and event.kind != "early_stop"]
    write(tmp_path / "rebuilt.db", *facts[:-1], value=0.75)
    with open_ledger(tmp_path / "rebuilt.db") as ledger:
        ledger.append(facts[-1:])
    damage(three, "DELETE FROM metrics")
    damage(three, "DELETE FROM trials WHERE job = ?", JOBS[0])  # a page of the index
    mended(three, tmp_path / "rebuilt.db", tmp_path / "new.db")
    found, values = read(tmp_path / "new.db")
    assert found == whole
    assert fold(found)[JOBS[2]].latest.status is Status.EARLY_STOPPED
    assert values == dict.fromkeys(finals, 0.75)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_of_what_is_no_database_nothing_is_kept(tmp_path, content) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    assert not is_whole(path)
    write(tmp_path / "rebuilt.db", intended(0), ended(0))
    mended(path, tmp_path / "rebuilt.db", tmp_path / "new.db")
    assert read(tmp_path / "new.db") == read(tmp_path / "rebuilt.db")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 does not say what SQLite's error was")
@pytest.mark.parametrize("column", ["kind", "data", "job"])
def test_a_flipped_bit_in_the_name_of_a_column_is_a_damage(three, tmp_path, column) -> None:
    damage(three, f"ALTER TABLE events RENAME COLUMN {column} TO {column[:-1]}x")
    assert not is_whole(three)
    with pytest.raises(LedgerError, match="Mend it: amlc refresh"), read_ledger(three) as ledger:
        list(ledger.events())
    write(tmp_path / "rebuilt.db", intended(0), ended(0))
    mended(three, tmp_path / "rebuilt.db", tmp_path / "new.db")
    assert read(tmp_path / "new.db") == read(tmp_path / "rebuilt.db")


def test_the_damaged_one_is_kept_with_all_that_belongs_to_it(three, tmp_path) -> None:
    for name in ("-wal", "-shm"):
        three.with_name(three.name + name).write_bytes(b"x")
    for number in (1, 2):
        (tmp_path / "new.db").write_bytes(b"new")
        aside = put_in_place(three, tmp_path / "new.db")
        assert aside.name == f"ledger-damaged-{number}.db"
        assert three.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ledger-damaged-1.db",
        "ledger-damaged-1.db-wal",
        "ledger-damaged-2.db",
        "ledger.db",
    ]


@pytest.mark.parametrize("step", range(1, 6))
def test_killed_on_the_way_it_is_lost_until_somebody_goes_on(three, tmp_path, monkeypatch, step) -> None:
    class KilledError(BaseException):
        pass

    left = [step]

    def struck(real):
        def call(*given, **keys):
            left[0] -= 1
            if left[0] == 0:
                raise KilledError
            return real(*given, **keys)

        return call

    (tmp_path / "made").mkdir()
    write(tmp_path / "made" / "new.db", intended(0), ended(0))
    three.with_name("ledger.db-wal").write_bytes(b"of the old one")
    old = three.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", struck(os.replace))
        patched.setattr(Path, "rename", struck(Path.rename))
        patched.setattr(Path, "unlink", struck(Path.unlink))
        with pytest.raises(KilledError):
            put_in_place(three, tmp_path / "made" / "new.db")
    if not three.exists():
        with pytest.raises(DamageError, match="it is lost"):
            check_not_lost(three)
    for _ in range(2):  # the second time there is nothing to do
        go_on(three)
    if step <= 2:  # it had not begun
        assert three.read_bytes() == old
        assert not list(tmp_path.glob("ledger-*"))
        return
    assert [event.job for event in read(three)[0]] == [JOBS[0]] * 2
    assert (tmp_path / "ledger-damaged-1.db").read_bytes() == old
    assert (tmp_path / "ledger-damaged-1.db-wal").read_bytes() == b"of the old one"
    assert not (tmp_path / "ledger-mended.db").exists()


def test_what_cannot_be_read_for_now_is_not_damaged(tmp_path) -> None:
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(LedgerError):
        is_whole(tmp_path / "ledger.db")
    assert not is_whole(tmp_path / "nothing.db")
