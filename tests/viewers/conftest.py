"""An experiment of all that can happen, whose ledger is written by hand, and what sends it to a viewer."""

import math
from collections import Counter

import pytest

from amlc.commands.collect import sent
from amlc.events import Event, brought, observed
from amlc.model import Metric, Observation, Status, Trial
from amlc.names import attempt_name, imported_name

SPACE = {
    "lr": {"_type": "choice", "_value": [0.1, 1, "größer|kleiner", [1, "x"], True, None]},
    "odd $name/..": {
        "_type": "choice",
        "_value": [{"_name": "conv", "k": {"_type": "choice", "_value": [3]}}, {"_name": "none ✓"}],
    },
}


class Story:
    """Twelve trials, in jobs of two unless `keys` say otherwise; nothing was submitted yet."""

    def __init__(self, project, **keys):
        keys = {"searchSpace": SPACE, "amlc": {"trialsPerJob": 2}, **keys}
        self.project = project.write(**keys).compile()
        self.entries = list(project.manifest.entries())

    @property
    def trials(self):
        return [trial for entry in self.entries for trial in entry.trials]

    def tell(self, job, status, *reports, attempt=1, **seen):
        """Record an attempt of a job; `reports` has (intermediate results, final one or ...) of each of its trials."""
        entry = self.entries[job]
        name = attempt_name(entry.name, attempt)
        data = {"id": entry.id, "attempt": attempt, "revision": "a1b2c3d4e5", "backend": "local", "losses": 0,
                "trials": [trial.as_dict() for trial in entry.trials]}  # fmt: skip
        with self.project.ledger() as ledger:
            if not any(event.job == name for event in ledger.events()):
                ledger.append([Event(kind="intent", at=1.0, job=name, data=data)])
                ledger.append([Event(kind="submitted", at=1.5, job=name, data={"url": None})])
            if status is not Status.WAITING:
                metrics = list(_metrics(entry.trials, reports))
                ledger.append([observed(Observation(job=name, status=status, **seen), at=9.0)], metrics, job=name)
        return name

    def bring(self, parameters):
        """Record that the last compiled trial was imported."""
        trial = self.trials[-1]
        name = imported_name("probe", trial.id)
        metrics = [Metric(trial=trial.id, kind="final", sequence=0, value=7, at=4.0)]
        with self.project.ledger() as ledger:
            ledger.append([brought(name, at=3.0, trial=Trial(trial.id, trial.sequence, parameters))])
            ledger.append([observed(Observation(job=name, status=Status.SUCCEEDED), at=4.0)], metrics, job=name)

    def everything(self):
        """All that can happen to a trial, but for a second attempt."""
        curve = [0.5, {"default": math.nan, "loss": {"train": math.inf, "test": -math.inf}}, 10**400, "words"]
        self.tell(0, Status.SUCCEEDED, (curve, {"default": 0.25, "ok": True, "note": "grüße|x"}), ([], 2), started=10.0, ended=30.5)
        self.tell(1, Status.FAILED, ([1], ...), ([], ...), started=10.0, ended=20.0, error="bad | worse\nworst")
        with self.project.ledger() as ledger:
            name = self.tell(2, Status.WAITING)
            ledger.append([Event(kind="early_stop", at=5.0, job=name)])
        self.tell(2, Status.CANCELED, ([4, 3], ...), ([], math.nan), started=10.0, ended=20.0)
        self.tell(3, Status.RUNNING, ([1, 2], ...), ([], ...), started=12.0)
        self.tell(4, Status.WAITING)
        self.bring(self.trials[-1].parameters)
        return self

    def send(self, viewer, place):
        """Send all of it; return what became of how many runs."""
        with sent(self.project.manifest, viewer, str(place), folders=self.project.folders) as (runs, _):
            return Counter(one.name for one in runs)


def _metrics(trials, reports):
    for trial, (history, final) in zip(trials, reports, strict=False):
        for number, value in enumerate(history):
            yield Metric(trial=trial.id, kind="intermediate", sequence=number, value=value, at=11.0 + number)
        if final is not ...:
            yield Metric(trial=trial.id, kind="final", sequence=0, value=final, at=30.0)


@pytest.fixture
def story(project, monkeypatch):
    """Make a story. Nothing runs, so that nobody looks whether it does."""
    monkeypatch.setattr("amlc.commands.observe._observe", lambda *_: None)
    return lambda **keys: Story(project, **keys)
