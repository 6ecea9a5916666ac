"""The ledger: what was appended is there, whatever happens to the processes and the disk."""

import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc import events
from amlc.attempts import fold
from amlc import ledger as ledger_module
from amlc.ledger import DamageError, LedgerError, check_not_lost, open_ledger, read_ledger
from amlc.model import Metric, Observation, Status
from tests.attempts_test import EVENTS, intent, seen

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def metric(value, sequence=0, kind="intermediate", trial="t1"):
    return Metric(trial=trial, kind=kind, sequence=sequence, value=value, at=1.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "probe" / "ledger.db"


@given(st.lists(EVENTS, max_size=20))
def test_what_is_read_folds_as_what_was_appended(events):
    with open_memory() as ledger:
        ledger.append(events)
        assert list(ledger.events()) == events
        assert fold(ledger.events()) == fold(events)


@given(st.lists(VALUES, max_size=5))
def test_metrics_come_back_as_they_were_in_their_order(values):
    with open_memory() as ledger:
        metrics = [metric(value, sequence) for sequence, value in enumerate(values)]
        ledger.append([], metrics, job="p-1")
        assert [(job, m) for job, m in ledger.metrics("intermediate")] == [("p-1", m) for m in metrics]
        assert list(ledger.metrics("final")) == []


def open_memory():
    return read_ledger(Path("no/such/ledger.db"))


def test_nan_and_infinities_come_back(path):
    with open_ledger(path) as ledger:
        ledger.append([], [metric(float("inf")), metric({"a": float("nan")}, 1)], job="p-1")
        one, two = [m.value for _, m in ledger.metrics("intermediate")]
    assert one == float("inf")
    assert two["a"] != two["a"]


def test_metrics_of_a_job_are_replaced_not_added_to(path):
    with open_ledger(path) as ledger:
        ledger.append([], [metric(1), metric(2, 1)], job="p-1")
        ledger.append([], [metric(5)], job="p-2")
        ledger.append([], [metric(3)], job="p-1")
        assert [m.value for _, m in ledger.metrics("intermediate", job="p-1")] == [3]
        assert [m.value for _, m in ledger.metrics("intermediate", job="p-2")] == [5]


@pytest.mark.parametrize("others", [10, 1_000])
def test_what_others_reported_does_not_make_an_append_longer(others):
    with open_memory() as ledger:
        ledger.append_all((f"p-{number}", [], [metric(1), metric(2, 1, "final")]) for number in range(others))
        steps = []
        ledger._connection.set_progress_handler(lambda: steps.append(1), 10)  # ten of SQLite's own
        ledger.append([], [metric(3)], job="p-1")
        assert len(steps) < 30


def test_only_events_beyond_a_number_are_read_again(path):
    with open_ledger(path) as ledger:
        number = ledger.append([intent()])
        assert ledger.append([seen()]) == number + 1
        assert [event.kind for event in ledger.events(after=number)] == ["observed"]


# --- on disk ---------------------------------------------------------------------------------------------------------


def test_reading_where_there_is_no_ledger_makes_nothing(path):
    with read_ledger(path) as ledger:
        assert list(ledger.events()) == []
        assert list(ledger.metrics("final")) == []
    assert not path.parents[1].exists()


def test_many_processes_that_append_at_once_lose_nothing(path):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from amlc.events import Event
        from amlc.ledger import open_ledger
        sys.stdin.read()
        for number in range(40):
            with open_ledger(Path(sys.argv[1])) as ledger:
                ledger.append([Event(kind="tick", at=number, job=sys.argv[2])] * 2)
    """)
    writers = [
        subprocess.Popen([sys.executable, "-c", script, path, name], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in "abc"
    ]
    assert [(w.communicate()[1].decode(), w.returncode) for w in writers] == [("", 0)] * 3
    with open_ledger(path) as ledger:
        numbered = list(ledger.numbered())
    assert [number for number, _ in numbered] == list(range(1, 241))
    for name in "abc":
        assert [event.at for _, event in numbered if event.job == name] == [n for n in range(40) for _ in range(2)]


def test_a_reader_sees_whole_appends_while_a_writer_works(path):
    with open_ledger(path) as writer, read_ledger(path) as reader:
        for number in range(20):
            events = writer.events()  # a reading that is under way does not keep the writer from writing
            writer.append([intent("p-1", number), intent("p-2", number)])
            assert len(list(reader.events())) == 2 * (number + 1)
            list(events)


def test_a_process_killed_while_it_appends_leaves_whole_appends(path):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from amlc.events import Event
        from amlc.ledger import open_ledger
        from amlc.model import Metric
        with open_ledger(Path(sys.argv[1])) as ledger:
            number = 0
            while True:
                number += 1
                metrics = [Metric(trial="t", kind="final", sequence=n, value=n, at=0) for n in range(100)]
                ledger.append([Event(kind="tick", at=number)] * 3, metrics, job=f"p-{number}")
                print(number, flush=True)
    """)
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE) as process:
            for _ in range(5):
                process.stdout.readline()
            process.kill()
            told = [int(line) for line in process.stdout]
        with open_ledger(path) as ledger:
            events = [event.at for event in ledger.events()]
            finals = [job for job, _ in ledger.metrics("final")]
        assert len(events) % 3 == 0
        assert told[-1] in events if told else events
        assert {finals.count(job) for job in set(finals)} == {100}


def test_an_append_is_all_or_nothing(path):
    with open_ledger(path) as ledger:
        ledger.append([intent()], [metric(1)], job="p-1")
        with pytest.raises(TypeError):
            ledger.append([seen()], [metric(1), metric(object())], job="p-1")
        assert [event.kind for event in ledger.events()] == ["intent"]
        assert [m.value for _, m in ledger.metrics("intermediate")] == [1]


def fill(ledger):
    for number in range(1000):
        ledger.append([intent(at=number, text="x" * 1000)])


def test_a_full_disk_is_a_clear_error_and_nothing_recorded_is_lost(path):
    with open_ledger(path) as ledger:
        ledger.append([intent()])
        ledger._connection.execute("PRAGMA max_page_count = 10")
        with pytest.raises(LedgerError, match=r"ledger\.db: database or disk is full\. What was recorded is kept"):
            fill(ledger)
        recorded = len(list(ledger.events()))
        ledger._connection.execute("PRAGMA max_page_count = 100000")
        ledger.append([seen()])
        assert len(list(ledger.events())) == recorded + 1
    with open_ledger(path) as ledger:
        assert fold(ledger.events())["p-1"].latest.status is Status.RUNNING


def test_a_file_size_limit_is_a_clear_error_and_nothing_recorded_is_lost(path):
    with open_ledger(path) as ledger:
        ledger.append([intent()])
    script = textwrap.dedent("""
        import resource, signal, sys
        from pathlib import Path
        from amlc.events import Event
        from amlc.ledger import LedgerError, open_ledger
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            with open_ledger(Path(sys.argv[1])) as ledger:
                while True:
                    print(ledger.append([Event(kind="tick", at=1, data={"x": "x" * 9000})]), flush=True)
        except LedgerError as err:
            print(err)
    """)
    out = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    *numbers, message = out.splitlines()
    assert "ledger.db: " in message
    with open_ledger(path) as ledger:
        assert len(list(ledger.events())) == int(numbers[-1])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"# not a database\n" * 100, id="text"),
        pytest.param(b"SQLite format 3\0" + b"\xff" * 4000, id="broken-header"),
        pytest.param(b"\0" * 4096, id="zeros"),
    ],
)
def test_a_file_that_is_no_ledger_is_a_clear_error_and_stays_as_it_is(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    for opened in (open_ledger, read_ledger):
        with pytest.raises(LedgerError, match=r"ledger\.db: .* Is it a ledger of amlc"), opened(path) as ledger:
            list(ledger.events())
    assert path.read_bytes() == content


def test_a_damaged_page_is_a_clear_error(path):
    with open_ledger(path) as ledger:
        for number in range(200):
            ledger.append([intent(at=number)])
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\x5a" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"ledger\.db: "), open_ledger(path) as ledger:
        list(ledger.events())


def test_another_programs_database_is_a_clear_error(path):
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (something INTEGER)")
    connection.close()
    with pytest.raises(LedgerError, match=r"ledger\.db: "), open_ledger(path) as ledger:
        list(ledger.events())


@pytest.mark.parametrize("where", ["/proc/amlc/ledger.db", "file/ledger.db"])
def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path, where):
    (tmp_path / "file").touch()
    path = tmp_path / where
    with pytest.raises(LedgerError, match=r"/(amlc|file): "), open_ledger(path):
        pass
    with read_ledger(path) as ledger:  # but reading what is not there is no error
        assert list(ledger.events()) == []


def test_a_ledger_locked_by_another_program_is_a_clear_error(path):
    with open_ledger(path) as ledger, sqlite3.connect(path) as other:
        ledger._connection.execute("PRAGMA busy_timeout = 10")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            ledger.append([intent()])
        other.rollback()
        ledger.append([intent()])
    other.close()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_appended_while_its_folder_is_elsewhere(path, tmp_path, monkeypatch, is_replaced):
    tmp_path.joinpath("here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with open_ledger(Path("state/ledger.db")) as ledger:
        ledger.append([intent("a")])
        (tmp_path / "here").rename(tmp_path / "away")  # where the path leads still, from within
        if is_replaced:
            shutil.copytree(tmp_path / "away", tmp_path / "here")
        with pytest.raises(LedgerError, match=r"here/state/ is no longer the folder that was there: it was moved or"):
            ledger.append([intent("b")])
        assert (tmp_path / "here").exists() == is_replaced
        shutil.rmtree(tmp_path / "here", ignore_errors=True)
        (tmp_path / "away").rename(tmp_path / "here")
        ledger.append([intent("b")])
        assert [event.job for event in ledger.events()] == ["a", "b"]


def test_the_ledger_is_plain_sqlite_with_json(path):
    """Others read it: the names of its tables and columns are not free to change."""
    with open_ledger(path) as ledger:
        ledger.append([intent()], [metric({"default": 0.5})], job="p-1")
    connection = sqlite3.connect(path)
    (row,) = connection.execute("SELECT number, at, kind, job, data FROM events").fetchall()
    assert row[:4] == (1, 1.0, "intent", "p-1")
    assert json.loads(row[4])["trials"][0]["parameters"] == {"x": 1}
    (row,) = connection.execute("SELECT job, trial, kind, sequence, at, value FROM metrics").fetchall()
    assert row == ("p-1", "t1", "intermediate", 0, 1.5, '{"default": 0.5}')
    connection.close()
    assert os.listdir(path.parent) == ["ledger.db"]


# --- where nobody can write --------------------------------------------------------------------------------------------

READ = """
import sys
from pathlib import Path
from amlc.ledger import read_ledger
with read_ledger(Path(sys.argv[1])) as ledger:
    print([event.kind.value for event in ledger.events()])
"""


def read_elsewhere(path, *, how):
    """Read a ledger in a process of its own that cannot write beside it; return what it printed."""
    script = {
        "mount": 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" -c "$3" "$1/ledger.db"',
        "user": 'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$2" -c "$3" "$1/ledger.db"',
    }[how]
    words = ["sh", "-c", script, "sh", str(path.parent), sys.executable, READ]
    done = subprocess.run(["unshare", "-m", *words] if how == "mount" else words, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr or "setpriv" in done.stderr:
        pytest.skip(f"this machine allows no such thing: {done.stderr.strip()}")
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.fixture
def readable():
    """The path of a ledger that another user can read and not write; pytest keeps its own folders from others."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount, or become another user")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder, "ledger.db")


@pytest.mark.parametrize("how", ["mount", "user"])
def test_a_ledger_is_read_where_nobody_can_write(readable, how):
    with open_ledger(readable) as ledger:
        ledger.append([intent(), seen()])
    assert read_elsewhere(readable, how=how) == "['intent', 'observed']"


@pytest.mark.parametrize("how", ["mount", "user"])
def test_what_a_killed_process_left_in_the_wal_is_read_too(readable, how):
    with open_ledger(readable) as ledger:
        ledger.append([intent()])
    kept = readable.read_bytes()
    with open_ledger(readable) as ledger:
        ledger.append([seen()])
        wal = readable.with_name("ledger.db-wal").read_bytes()
        during = readable.read_bytes()
    assert during == kept
    readable.write_bytes(kept)
    readable.with_name("ledger.db-wal").write_bytes(wal)
    assert not readable.with_name("ledger.db-shm").exists()
    assert read_elsewhere(readable, how=how) == "['intent', 'observed']"


@pytest.mark.parametrize("how", ["mount", "user"])
def test_another_may_append_meanwhile(readable, how):
    with open_ledger(readable) as ledger:
        ledger.append([intent()])
        assert read_elsewhere(readable, how=how) == "['intent']"
        ledger.append([seen()])
        assert read_elsewhere(readable, how=how) == "['intent', 'observed']"


def test_a_reader_changes_nothing_of_the_ledger(path):
    with open_ledger(path) as ledger:
        ledger.append([intent()])
    before = path.read_bytes(), path.stat().st_mtime_ns
    with read_ledger(path) as ledger:
        assert len(list(ledger.events())) == 1
        with pytest.raises(LedgerError, match="readonly"):
            ledger.append([seen()])
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_ledger_of_an_older_version_is_read_as_it_is(path):
    with open_ledger(path) as ledger:
        ledger.append([intent()])
    with sqlite3.connect(path) as connection:
        connection.executescript("DROP TABLE trials; DROP INDEX events_by_job; PRAGMA user_version = 0;")
    connection.close()
    before = path.read_bytes()
    with read_ledger(path) as ledger:
        assert list(ledger.attempts(["t1", "t2"]))
    assert path.read_bytes() == before


def test_a_fifo_in_the_place_of_a_ledger_is_not_waited_for(path):
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(LedgerError, match="no regular file"), read_ledger(path):
        pass


@pytest.mark.parametrize("writable", [True, False])
def test_a_ledger_of_which_the_last_change_was_cut_short_is_read_as_it_was_before(tmp_path, monkeypatch, writable):
    """Before it has a WAL, the journal that a killed writer left has to be rolled back by whoever reads."""
    made, path = tmp_path / "made.db", tmp_path / "cut" / "ledger.db"
    with open_ledger(made) as ledger:
        ledger.append([events.session(at=1.0)])
    path.parent.mkdir()
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        for number in range(2, 500):
            connection.execute("INSERT INTO events VALUES (?, 2.0, 'tick', '', ?, NULL)", (number, "x" * 500))
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{made}{suffix}", f"{path}{suffix}")
        connection.execute("ROLLBACK")
    before = path.read_bytes()
    if not writable:
        monkeypatch.setattr(os, "access", lambda *_: False)
        path.parent.chmod(0o555)
        path.chmod(0o444)
    with read_ledger(path) as ledger:
        assert [event.kind for event in ledger.events()] == ["session"]
    assert (path.read_bytes() == before) is not writable
    path.parent.chmod(0o755)


@pytest.mark.parametrize(
    ("event", "is_synced"),
    [
        (events.submitted("a", at=1.0, url=None), False),
        (events.observed(Observation(job="a", status=Status.RUNNING), at=1.0), False),
        (events.observed(Observation(job="a", status=Status.SUCCEEDED), at=1.0), True),
        (events.void("a", at=1.0), True),
    ],
    ids=["answer", "running", "end", "void"],
)
def test_what_the_back_end_would_say_again_waits_for_no_disk(tmp_path, event, is_synced):
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        ledger.append([event])
        (level,) = ledger._connection.execute("PRAGMA synchronous").fetchone()
        assert level == (2 if is_synced else 1)
        assert list(ledger.events()) == [event]


def test_an_empty_file_is_a_damage_and_a_killed_maker_leaves_none(tmp_path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    with pytest.raises(DamageError, match="it is empty"), open_ledger(path):
        pass
    with pytest.raises(DamageError, match="it is empty"):
        check_not_lost(path)
    with read_ledger(path, tolerant=True) as ledger:
        assert "it is empty" in " ".join(ledger.damage)
    path.unlink()
    code = f"""
import os, signal
from amlc import ledger
ledger._prepare = lambda connection: os.kill(os.getpid(), signal.SIGKILL)
with ledger.open_ledger(ledger.Path({str(path)!r})):
    pass
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert not path.exists()
    with open_ledger(path) as ledger:
        assert ledger.last_number == 0
    assert sorted(found.name for found in tmp_path.iterdir()) == ["ledger.db"]


def test_of_two_that_make_a_ledger_at_once_both_have_the_same(tmp_path, monkeypatch) -> None:
    path = tmp_path / "ledger.db"
    prepare = ledger_module._prepare

    def other_first(connection) -> None:
        monkeypatch.setattr(ledger_module, "_prepare", prepare)
        code = f"""
from amlc import events, ledger
with ledger.open_ledger(ledger.Path({str(path)!r})) as other:
    other.append([events.session(at=0.0)])
"""
        subprocess.run([sys.executable, "-c", code], check=True)
        prepare(connection)

    monkeypatch.setattr(ledger_module, "_prepare", other_first)
    with open_ledger(path) as ledger:
        assert ledger.last_number == 1


def test_where_there_are_no_hard_links_a_ledger_is_made_too(tmp_path, monkeypatch) -> None:
    def refused(*paths) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr("os.link", refused)
    with open_ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.last_number == 0
    assert [found.name for found in tmp_path.iterdir()] == ["ledger.db"]
