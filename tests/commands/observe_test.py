"""Before a command reads, the ledger is brought up to date, unless somebody else does so."""

import errno
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from amlc.backends import Fetched, Submitted
from amlc.commands import observe
from amlc.errors import TransientError
from amlc.events import Event
from amlc.files import lock
from amlc.ledger import LedgerError
from amlc.model import Observation, Status
from amlc.targets.local.backend import LocalBackend


class Backend:
    """Says that every job has succeeded; `asked` for which. there: those that it has."""

    def __init__(self):
        self.asked = []
        self.there = set()

    def adopt(self, jobs):
        return [Submitted(job) for job in jobs if job in self.there]

    def poll(self, jobs, *, timeout_s):
        self.asked.append(sorted(jobs))
        return [Observation(job=job, status=Status.SUCCEEDED) for job in jobs]

    def fetch(self, job):
        return Fetched((), ())


@pytest.fixture
def backends(monkeypatch):
    """The back ends that are opened, by name."""
    opened = {}

    def open_backend(header, runs):
        return opened.setdefault(header.backend, Backend())

    monkeypatch.setattr(observe, "open_backend", open_backend)
    return opened


def statuses(story):
    with observe.up_to_date(story.project.manifest, story.folders) as results:
        return [row.status.value for row in results.rows()]


def test_nobody_is_asked_while_nothing_is_at_work(story, backends):
    assert statuses(story) == ["pending"] * 4
    story.end(0)
    statuses(story)
    assert backends == {}


def test_each_back_end_is_asked_for_its_own_jobs(story, backends):
    jobs = [story.intent(0), story.intent(1, backend="aml"), story.intent(2)]
    with story.project.ledger() as ledger:
        ledger.append([Event(kind="submitted", at=1.0, job=job, data={"url": None}) for job in jobs])
    assert statuses(story) == ["succeeded"] * 3 + ["pending"]
    assert {name: backend.asked for name, backend in backends.items()} == {
        "local": [sorted([jobs[0], jobs[2]])],
        "aml": [[jobs[1]]],
    }


def test_a_submit_that_is_at_work_records_what_it_sees_itself(story, backends):
    story.intent(0)
    with lock(story.folders.lock("probe")):
        assert statuses(story) == ["waiting"] + ["pending"] * 3
    assert backends == {}


def test_an_intent_that_never_arrived_is_void_and_its_trial_pending(story, backends):
    jobs = [story.intent(number, backend=name) for number, name in enumerate(["local", "aml", "local"])]
    observe.open_backend(story.manifest.header, None).there = {jobs[0]}
    assert statuses(story) == ["succeeded"] + ["pending"] * 3
    with story.project.ledger() as ledger:
        told = [(event.kind, event.job) for event in ledger.events()]
        assert not ledger.working()
    never = [("void", jobs[1]), ("void", jobs[2])]
    assert told[3:] == [never[0], ("submitted", jobs[0]), never[1], ("observed", jobs[0])]


def test_while_a_submit_is_at_work_its_intents_stand(story, backends):
    story.intent(0)
    with lock(story.folders.lock("probe")):
        statuses(story)
    with story.project.ledger() as ledger:
        assert [event.kind for event in ledger.events()] == ["intent"]


def test_a_service_that_is_down_is_said_and_every_intent_stands(story, backends):
    story.intent(0)
    observe.open_backend(story.manifest.header, None).adopt = down
    with pytest.raises(TransientError):
        statuses(story)
    with story.project.ledger() as ledger:
        assert [event.kind for event in ledger.events()] == ["intent"]


def down(jobs):
    raise TransientError("down")


@pytest.mark.parametrize(
    "error",
    [LedgerError("ledger.db: database or disk is full."), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))],
    ids=["of the ledger", "of a file"],
)
def test_a_full_disk_is_said_and_what_was_recorded_is_shown(story, backends, monkeypatch, error):
    def full(*_):
        raise error

    story.intent(0)
    monkeypatch.setattr(observe, "observe_once", full)
    with pytest.warns(RuntimeWarning, match="What is shown is what was recorded last"):
        assert statuses(story) == ["waiting"] + ["pending"] * 3


def test_an_attempt_is_looked_after_by_the_back_end_that_runs_it(story):
    found = observe.backend_named("local", story.project.manifest, story.folders)
    assert isinstance(found, LocalBackend)


EVERY_READER = """
import sys
from amlc.cli.process import entry_point
for words in (["status"], ["collect"], ["report"], ["best"], ["list"], ["logs", "0"], ["plan"], ["collect", "--history"]):
    sys.argv = ["amlc", *words]
    try:
        entry_point()
    except SystemExit as end:
        print(words[0], end.code, file=sys.stderr)
"""


def test_every_reader_works_where_nothing_can_be_written(project):
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    project.write("intermediate 1", values=range(2)).compile()
    project.amlc("-q", "submit")
    with project.ledger() as ledger:  # one is at work, as far as is known: nobody can record that it is not
        ledger.append([replace(event, data={**event.data, "id": "x"}) for event in ledger.events(kind="intent")][:1])
    script = 'mount --bind . . && mount -o remount,ro,bind "$PWD" && cd "$PWD" && exec "$0" -c "$1"'
    words = ["unshare", "-m", "sh", "-c", script, sys.executable, EVERY_READER]
    done = subprocess.run(words, cwd=project.root, env=project.environ, capture_output=True, text=True, check=False)
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this machine allows no such thing: {done.stderr.strip()}")
    codes = dict(line.split() for line in done.stderr.splitlines() if len(line.split()) == 2)
    assert codes == {"status": "0", "collect": "4", "report": "0", "best": "0", "list": "0", "logs": "0", "plan": "0"}
    assert "Traceback" not in done.stderr
    assert "Read-only file system" in done.stderr
    assert "What is shown is what was recorded last" in done.stderr
