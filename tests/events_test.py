"""What each kind of event looks like in a ledger: those that exist have to be read."""

import sqlite3

from amlc import events as facts
from amlc.events import EventKind
from amlc.ledger import open_ledger
from amlc.model import Trial
from tests.attempts_test import seen

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
    (
        facts.intent("p-1", at=1, identity="p", attempt=1, trials=[], revision="r", backend="aml", losses=0, draws=range(2, 5)),
        "intent", "p-1", '{"id":"p","attempt":1,"draws":[2,5],"trials":[],"revision":"r","backend":"aml","losses":0}',
    ),
    (
        facts.drawn("p-1", {"p-1_0": Trial("t", 0, {})}, at=1), "drawn", "p-1",
        '{"trials":[{"id":"t","sequence":0,"parameters":{}}],"children":{"p-1_0":"t"}}',
    ),
    (facts.submitted("p-1", at=1, url=None), "submitted", "p-1", '{"url":null}'),
    (facts.void("p-1", at=1), "void", "p-1", "{}"),
    (seen(exit_code=0), "observed", "p-1", '{"status":"running","exit_code":0}'),
    (facts.cancel_asked("p-1", at=1), "cancel", "p-1", "{}"),
    (facts.early_stop("p-1", at=1), "early_stop", "p-1", "{}"),
    (facts.stop(at=1), "stop", "", "{}"),
    (facts.history_fetched("p-1", at=1), "history", "p-1", "{}"),
    (facts.reported("p-1", {"t1": [1]}, at=1), "reported", "p-1", '{"t1":[1]}'),
    (
        facts.imported([({"x": 1}, 0.5)], at=1), "import", "",
        '{"digest":"d618efd1caf80a6884ee47cb83187c9c22c7c82002e118df109b65bc3d8e48be","results":[{"parameters":{"x":1},"value":0.5}]}',
    ),
    (
        facts.brought("p-t-imported", at=1, trial=Trial("t", 0, {})), "brought", "p-t-imported",
'{"id":"t","attempt":0,"trials":[{"id":"t","sequence":0,"parameters":{}}],"revision":"","backend":"","losses":0}',
    ),
    (facts.exhausted(at=1, search="ab", trials=3), "exhausted", "", '{"search":"ab","trials":3}'),
    (facts.revision_made_of("r", {"a": 1}, at=1), "revision", "", '{"revision":"r","contents":{"a":1}}'),
]  # fmt: skip


def test_every_kind_of_event_is_written_as_older_ledgers_have_it(tmp_path):
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        ledger.append([event for event, *_ in WRITTEN])
        assert [event.kind for event in ledger.events()] == [event.kind for event, *_ in WRITTEN]
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT kind, job, data FROM events ORDER BY number").fetchall()
    connection.close()
    assert rows == [(kind, job, data) for _, kind, job, data in WRITTEN]
    assert {kind for kind, _, _ in rows} == {kind.value for kind in EventKind}
