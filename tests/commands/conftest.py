"""An experiment whose ledger a test writes by hand: no job runs, and no process is started."""

import io

import pytest

from amlc.console import Console
from amlc.display.running import Teller
from amlc.events import Event, observed
from amlc.model import Metric, Observation, Status


class Story:
    """A compiled project, what became of its trials, and what a command prints."""

    def __init__(self, project):
        self.project, self.folders = project, project.folders
        self.raw, self.err = io.BytesIO(), io.StringIO()
        self.out = io.TextIOWrapper(self.raw, encoding="utf-8", write_through=True)

    @property
    def manifest(self):
        return self.project.manifest

    def console(self, *, quiet=False):
        """What a command prints to."""
        return Console(self.out, self.err, quiet)

    def teller(self, *, quiet=False):
        """What prints the steps of a command."""
        return Teller(self.console(quiet=quiet), self.folders)

    @property
    def entries(self):
        return list(self.project.manifest.entries())

    def intent(self, number, *, attempt=1, revision=None, backend="local", trials=None, losses=0):
        """Record that the job with this number is submitted; return its name."""
        entry = self.entries[number]
        job = entry.name if attempt == 1 else f"{entry.name}-{attempt}"
        data = {
            "id": entry.id,
            "attempt": attempt,
            "trials": [trial.as_dict() for trial in trials or entry.trials],
            "revision": revision or self.project.manifest.header.revision,
            "backend": backend,
            "losses": losses,
        }
        with self.project.ledger() as ledger:
            ledger.append([Event(kind="intent", at=1.0, job=job, data=data)])
        return job

    def end(self, number, status=Status.SUCCEEDED, *, final=..., attempt=1, url=None, submitted=True, **fields):
        """Record the whole life of a job, with its final result; return its name."""
        options = {name: fields.pop(name) for name in ("revision", "backend", "trials", "losses") if name in fields}
        job = self.intent(number, attempt=attempt, **options)
        trial = self.entries[number].trials[0].id
        metrics = [] if final is ... else [Metric(trial=trial, kind="final", sequence=0, value=final, at=2.0)]
        events = [Event(kind="submitted", at=1.0, job=job, data={"url": url})] if submitted else []
        events.append(observed(Observation(job=job, status=status, url=url, **fields), at=3.0))
        with self.project.ledger() as ledger:
            ledger.append(events, metrics, job=job)
        return job

    def lines(self):
        """Return what was printed to stdout and stderr, as lines."""
        return self.raw.getvalue().decode().splitlines(), self.err.getvalue().splitlines()


@pytest.fixture
def story(project):
    """Four trials, compiled and never submitted."""
    return Story(project.write().compile())
