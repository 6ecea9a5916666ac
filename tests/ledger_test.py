"""The ledger: what was appended is there, whatever happens to the processes and the disk."""

import json
import os
import sqlite3
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amlc import ledger as facts
from amlc.ledger import Event, EventKind, LedgerError, by_trial, elapsed_s, fold, observed, open_ledger, read_ledger
from amlc.model import Metric, Observation, Outcome, Status, Trial

JOBS = ("p-1", "p-2", "p-2-2")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def intent(job="p-1", at=1.0, **data):
    rest = {"id": job[:3], "attempt": 1, "trials": [{"id": "t1", "sequence": 0, "parameters": {"x": 1}}],
            "revision": "a1b2c3", "backend": "local", "losses": 0}  # fmt: skip
    return Event(kind="intent", at=at, job=job, data={**rest, **data})


def seen(job="p-1", status=Status.RUNNING, at=2.0, outcomes=(), **fields):
    return observed(Observation(job=job, status=status, **fields), at=at, outcomes=outcomes)


def metric(value, sequence=0, kind="intermediate", trial="t1"):
    return Metric(trial=trial, kind=kind, sequence=sequence, value=value, at=1.5)


EVENTS = st.one_of(
    st.builds(intent, st.sampled_from(JOBS), st.floats(0, 1e9)),
    st.builds(seen, st.sampled_from(JOBS), st.sampled_from(Status), st.floats(0, 1e9),
              exit_code=st.none() | st.integers(0, 255), error=st.none() | st.text(), infrastructure=st.booleans(),
              outcomes=st.lists(st.builds(Outcome, trial=st.just("t1"), exit_code=st.integers(), started=st.none(), ended=st.floats(0, 1)), max_size=1)),
    st.builds(lambda kind, job, at: Event(kind=kind, at=at, job=job), st.sampled_from(["submitted", "void", "cancel"]),
              st.sampled_from(JOBS), st.floats(0, 1e9)),
    st.builds(lambda kind, at: Event(kind=kind, at=at), st.sampled_from(["session", "tick", "stop", "of-the-future"]),
              st.floats(0, 1e9)),
)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "probe" / "ledger.db"


# --- folding ---------------------------------------------------------------------------------------------------------


@given(st.lists(EVENTS, max_size=30))
def test_every_prefix_of_the_events_is_a_valid_state(events):
    attempts = {}
    for number, event in enumerate(events, 1):
        attempts = fold([event], attempts)
        assert attempts == fold(events[:number])
        for job, attempt in attempts.items():
            assert attempt.job == job
            assert attempt.status("t1") in Status
            assert attempt.working == (not attempt.latest.status.ended)
        last = by_trial(attempts.values())
        assert set(last) == {trial.id for attempt in attempts.values() for trial in attempt.trials}


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
    from pathlib import Path

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


def test_an_intent_alone_waits_and_a_void_one_is_forgotten():
    attempts = fold([intent()])
    assert attempts["p-1"].latest.status is Status.WAITING
    assert attempts["p-1"].submitted is None
    assert fold([intent(), Event(kind="void", at=2, job="p-1")]) == {}


def test_what_was_observed_counts_as_submitted():
    assert fold([intent(), seen(at=7.0)])["p-1"].submitted == 7.0


def test_only_events_beyond_a_number_are_read_again(path):
    with open_ledger(path) as ledger:
        number = ledger.append([intent()])
        assert ledger.append([seen()]) == number + 1
        assert [event.kind for event in ledger.events(after=number)] == ["observed"]


# --- how long it worked ----------------------------------------------------------------------------------------------


def at(kind, when, job=""):
    return Event(kind=kind, at=when, job=job)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([], 0, id="never"),
        pytest.param([at("session", 100)], 0, id="killed-at-once"),
        pytest.param([at("session", 100), at("tick", 130), at("tick", 160)], 60, id="ticks"),
        pytest.param([at("session", 100), at("tick", 110), at("session", 500), at("tick", 505)], 15, id="a-pause"),
        pytest.param([at("session", 100), at("submitted", 108, "p-1"), at("session", 500)], 8, id="killed-then-again"),
        pytest.param(
            [at("session", 100), at("tick", 110), seen(at=5000.0), at("session", 6000), at("tick", 6001)],
            11, id="status-looked-in-the-pause"),
        pytest.param([at("session", 100), at("tick", 110), at("cancel", 900, "p-1"), at("stop", 900)],
                     10, id="canceled-in-the-pause"),
    ],
)  # fmt: skip
def test_pauses_between_submits_do_not_count(events, expected):
    assert elapsed_s((event.kind, event.at) for event in events) == expected


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
        from amlc.ledger import Event, open_ledger
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
        from amlc.ledger import Event, open_ledger
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
        from amlc.ledger import Event, LedgerError, open_ledger
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
    with pytest.raises(LedgerError, match=r"ledger\.db: "), open_ledger(path):
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


ATTEMPT = fold([intent()])["p-1"]
WRITTEN = [
    (facts.session(at=1), "session", "", "{}"),
    (facts.tick(at=1), "tick", "", "{}"),
    (
        facts.intent("p-1", at=1, identity="p", attempt=1, trials=[Trial("t", 0, {})], revision="r",
                             backend="aml", losses=0, sha256="ab"),
        "intent", "p-1",
'{"id":"p","attempt":1,"sha256":"ab","trials":[{"id":"t","sequence":0,"parameters":{}}],"revision":"r","backend":"aml","losses":0}',
    ),
    (
        facts.intent("p-1", at=1, identity="p", attempt=2, trials=[], revision="r", backend="aml", losses=1),
        "intent", "p-1", '{"id":"p","attempt":2,"trials":[],"revision":"r","backend":"aml","losses":1}',
    ),
    (facts.submitted("p-1", at=1, url=None), "submitted", "p-1", '{"url":null}'),
    (facts.void("p-1", at=1), "void", "p-1", "{}"),
    (seen(exit_code=0), "observed", "p-1", '{"status":"running","exit_code":0}'),
    (facts.cancel_asked("p-1", at=1), "cancel", "p-1", "{}"),
    (facts.early_stop("p-1", at=1), "early_stop", "p-1", "{}"),
    (facts.stop(at=1), "stop", "", "{}"),
    (facts.history_fetched("p-1", at=1), "history", "p-1", "{}"),
    (facts.reported(ATTEMPT, [metric(1)], at=1)[0], "reported", "p-1", '{"t1":[1]}'),
    (
        facts.imported([({"x": 1}, 0.5)], at=1), "import", "",
        '{"digest":"d618efd1caf80a6884ee47cb83187c9c22c7c82002e118df109b65bc3d8e48be","results":[{"parameters":{"x":1},"value":0.5}]}',
    ),
    (facts.exhausted(at=1, search="ab", trials=3), "exhausted", "", '{"search":"ab","trials":3}'),
    (facts.revision_made_of("r", {"a": 1}, at=1), "revision", "", '{"revision":"r","contents":{"a":1}}'),
]  # fmt: skip


def test_every_kind_of_event_is_written_as_older_ledgers_have_it(path):
    with open_ledger(path) as ledger:
        ledger.append([event for event, *_ in WRITTEN])
        assert [event.kind for event in ledger.events()] == [event.kind for event, *_ in WRITTEN]
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT kind, job, data FROM events ORDER BY number").fetchall()
    connection.close()
    assert rows == [(kind, job, data) for _, kind, job, data in WRITTEN]
    assert {kind for kind, _, _ in rows} == {kind.value for kind in EventKind}
