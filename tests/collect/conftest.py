"""A compiled experiment and a ledger that says what became of its trials."""

import csv
import io

import pytest

from amlc.collect.results import Results
from amlc.collect.tables import history_table, trials_table
from amlc.collect.verdict import verdict
from amlc.events import Event, observed
from amlc.model import Metric, Observation, Status
from amlc.names import attempt_name
from amlc.report.tables import WRITERS


class Story:
    """A compiled experiment and a ledger that says what became of its trials."""

    def __init__(self, project, **keys):
        self.project = project.write(**keys).compile()
        self.entries = list(project.manifest.entries())

    def tell(self, number, status, final=..., *, attempt=1, history=(), **seen):
        """Record an attempt of trial `number` that came to `status`, with its reports."""
        entry = self.entries[number]
        job = attempt_name(entry.name, attempt)
        (trial,) = entry.trials
        data = {"id": entry.id, "attempt": attempt, "revision": "a1b2c3d4e5", "backend": "local", "losses": 0,
                "trials": [{"id": trial.id, "sequence": trial.sequence, "parameters": trial.parameters}]}  # fmt: skip
        metrics = [
            Metric(trial=trial.id, kind="intermediate", sequence=n, value=v, at=10.0 + n) for n, v in enumerate(history)
        ]
        if final is not ...:
            metrics.append(Metric(trial=trial.id, kind="final", sequence=0, value=final, at=20.0))
        with self.project.ledger() as ledger:
            ledger.append([Event(kind="intent", at=1.0, job=job, data=data)])
            if status is not Status.WAITING:
                ledger.append([observed(Observation(job=job, status=status, **seen), at=2.0)], metrics, job=job)
        return self

    def table(self, *, history=False, format_="csv"):
        with self.project.ledger() as ledger:
            rows = Results(self.project.manifest, ledger).rows()
            out = io.BytesIO()
            with history_table(rows, ledger) if history else trials_table(rows) as table:
                WRITERS[format_](table, out)
        return out.getvalue()

    def rows(self, **options):
        return list(csv.DictReader(io.StringIO(self.table(**options).decode(), newline="")))

    def verdict(self):
        with self.project.ledger() as ledger:
            return verdict(Results(self.project.manifest, ledger))


@pytest.fixture
def story(project):
    return lambda **keys: Story(project, **keys)
