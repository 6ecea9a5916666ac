"""A ledger that is lost or damaged while jobs are at work in the workspace: nothing is said to be canceled until it is mended."""

from __future__ import annotations

import sqlite3
from contextlib import closing


END = "while [ ! -e go ]; do sleep 0.1; done\nfinal 1.5"


def flip(path, kind, column, place):
    with closing(sqlite3.connect(path)) as connection, connection:
        query = f"SELECT number, {column} FROM events WHERE kind = ? ORDER BY number DESC"
        (number, text), *_ = connection.execute(query, (kind,))
        text = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        connection.execute(f"UPDATE events SET {column} = ? WHERE number = ?", (text, number))


def cut(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(path.read_bytes()[:5000])


def lose(path):
    for one in path.parent.glob("ledger.db*"):
        one.unlink()


DAMAGES = {
    "intent": lambda path: flip(path, "intent", "kind", 3),
    "observed": lambda path: flip(path, "observed", "data", 5),
    "cut": cut,
    "lost": lose,
}


def test_cancel_says_what_is_damaged_and_works_after_refresh(make_azure, make_project, wait_until):
    azure = make_azure()
    for name, damage in DAMAGES.items():
        project = make_project(azure, name.replace(" ", "-")).write(script=END, experimentName=name)
        project.amlc("submit", "--no-wait")
        wait_until(lambda: project.amlc("status", code=None).stdout.count("running") >= 2, 60)  # noqa: B023
        damage(project.folders.ledger(name))
        said = project.amlc("cancel", "--all", code=2 if name == "lost" else 4).stderr
        assert "amlc refresh" in said, name
        assert said.count("\n") == 1
        assert "canceling" not in said
        project.amlc("refresh")
        assert "canceling 2 jobs with trials 0, 1" in project.amlc("cancel", "--all").stderr, name
        jobs = [job for job in azure.jobs if job.name.startswith(name)]
        wait_until(lambda: {job.status for job in jobs} == {"Canceled"}, 30)  # noqa: B023
        assert "0 submitted" in project.amlc("submit", code=None).stderr
        assert len([job for job in azure.jobs if job.name.startswith(name)]) == 2
