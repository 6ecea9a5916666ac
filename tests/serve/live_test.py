"""What many readers share: made once for each change, seldom enough, and true."""

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from amlc.errors import UsageError
from amlc.ledger import open_ledger
from amlc.model import Status
from amlc.serve.live import Experiments, Live, version_of
from tests.report.report_test import events, experiment, metrics, trial


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def live_of(texts, marks, clock):
    made = []

    def make():
        made.append(marks[-1])
        clock.now += 1.0  # it takes a second
        return texts[-1]

    return Live(lambda: marks[-1], make, clock=clock), made


def test_it_is_made_once_however_many_ask():
    clock, texts, marks = Clock(), ["a"], [1]
    live, made = live_of(texts, marks, clock)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: live.answer(), range(200)))
    assert made == [1]
    assert {answer.version for answer in answers} == {version_of("a")}


def test_a_change_is_a_new_version_after_a_rest_and_no_change_is_none():
    clock, texts, marks = Clock(), ["a"], [1]
    live, made = live_of(texts, marks, clock)
    assert live.answer().version == version_of("a")
    texts.append("b")
    marks.append(2)
    clock.now += 3.0  # of four seconds of rest
    assert live.answer().version == version_of("a")
    clock.now += 1.5
    second = live.answer()
    assert (second.version, gzip.decompress(second.packed)) == (version_of("b"), b"b")
    marks.append(3)
    clock.now += 99.0
    assert live.answer() is second  # something was written that changes nothing that is shown
    assert made == [1, 2, 3]


def test_what_counts_a_moment_after_its_mark_was_seen_is_found_by_a_second_look():
    clock, texts, marks = Clock(), ["a"], [1]
    live, made = live_of(texts, marks, clock)
    live.answer()
    texts.append("b")
    clock.now += 10.0
    assert live.answer().version == version_of("b")
    texts.append("c")
    clock.now += 10.0
    assert live.answer().version == version_of("b")  # nothing has changed since: once is enough
    assert made == [1, 1]


def test_who_asks_while_it_is_made_gets_what_was_there():
    marks, going, go = [1], threading.Event(), threading.Event()

    def make():
        if marks[-1] == 2:
            going.set()
            assert go.wait(30)
        return str(marks[-1])

    live = Live(lambda: marks[-1], make, clock=lambda: float(marks[-1] * 100))
    live.answer()
    marks.append(2)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(live.answer)
        assert going.wait(30)
        assert live.answer().version == version_of("1")
        go.set()
        assert slow.result().version == version_of("2")


def unpacked(answer):
    return json.loads(gzip.decompress(answer.packed))


def test_an_answer_is_what_the_report_would_show_now(tmp_path):
    one = trial({"x": 1}, status=Status.RUNNING)
    folders = experiment(tmp_path, [one])
    found = Experiments(folders)
    assert found.names == ("tiny",)
    first = found.answer("tiny")
    assert "0 of 1 trial done" in unpacked(first)["summary"]
    (entry,) = folders.manifest(None).entries()
    one.status, one.final = Status.SUCCEEDED, 0.5
    with open_ledger(folders.ledger("tiny")) as ledger:
        ledger.append(list(events(entry, one))[1:])
        ledger._connection.executemany(
            "INSERT INTO metrics (job, trial, kind, sequence, at, value) VALUES (?, ?, ?, ?, ?, ?)", metrics(entry, one)
        )
    found._live["tiny"]._next = 0.0
    second = found.answer("tiny")
    assert second.version != first.version
    assert "1 of 1 trial done" in unpacked(second)["summary"]
    assert unpacked(second)["data"]["trials"]["metrics"][0]["values"] == [0.5]


def test_a_page_knows_the_version_that_it_shows(tmp_path):
    found = Experiments(experiment(tmp_path, [trial({"x": 1}, 0.5)]))
    assert f'"{found.answer("tiny").version}");'.encode() in found.page("tiny")
    assert f'liveList("{found.list_answer().version}");'.encode() in found.list_page()


def test_what_is_damaged_is_said_on_the_page(tmp_path):
    folders = experiment(tmp_path, [trial({"x": 1}, 0.5), trial({"x": 2}, 0.7)])
    with open_ledger(folders.ledger("tiny")) as ledger:
        ledger._connection.execute("UPDATE events SET data = replace(data, 'succeeded', 'succeedex') WHERE number = 2")
    found = Experiments(folders)
    assert "event 2" in unpacked(found.answer("tiny"))["summary"]
    assert b"event 2" in found.page("tiny")
    assert b"event 2" in found.list_page()


def test_a_build_folder_that_cannot_be_read_is_listed_with_the_reason(tmp_path):
    folders = experiment(tmp_path, [trial({"x": 1}, 0.5)])
    (folders.build / "other").mkdir()
    (folders.build / "other" / "manifest.json").write_text("{}")
    assert b"not a manifest" in Experiments(folders).list_page() or b"Compile again" in Experiments(folders).list_page()


def test_a_trial_without_a_log_says_why(tmp_path):
    found = Experiments(experiment(tmp_path, [trial({"x": 1}, status=Status.PENDING)]))
    with pytest.raises(UsageError, match="not submitted yet"):
        found.log("tiny", 0)


def test_nothing_is_written_by_looking(tmp_path):
    folders = experiment(tmp_path, [trial({"x": 1}, 0.5)])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = Experiments(folders)
    found.list_page()
    found.page("tiny")
    found.answer("tiny")
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".db-shm", ".db-wal")}
    assert after == {path: data for path, data in before.items() if path.suffix not in (".db-shm", ".db-wal")}
