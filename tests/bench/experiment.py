"""The experiments that are measured, in the current folder, and a ledger as if all of their jobs had run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amlc.events import Event, observed
from amlc.folders import Folders
from amlc.ledger import open_ledger
from amlc.manifest import Entry, Manifest, read_manifest
from amlc.model import Metric, Observation, Status
from tests.bench.measure import amlc

TEXT = """\
experimentName: bench
searchSpace:
  lr: {{_type: loguniform, _value: [1e-4, 1e-1]}}
  momentum: {{_type: uniform, _value: [0, 1]}}
  optimizer: {{_type: choice, _value: [sgd, adam]}}
  layers: {{_type: randint, _value: [1, 9]}}
  dropout: {{_type: quniform, _value: [0, 0.5, 0.1]}}
trialCommand: {command}
trialCodeDirectory: code
trialConcurrency: {concurrency}
maxTrialNumber: {count}
tuner: {{name: {tuner}}}
trainingService: {service}
{more}
"""
LOCAL = "{platform: local}"
LEDGER = Folders(Path("build"), Path(".amlc")).ledger("bench")
AT_ONCE = 1_000


@contextmanager
def new_folder(parent: str | None = None) -> Iterator[Path]:
    """Make a folder the current one for a while, in `parent` or where temporary files lie."""
    was = Path.cwd()
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        os.chdir(folder)
        try:
            yield Path(folder).resolve()
        finally:
            os.chdir(was)


def write(
    count: int,
    *,
    command: str = "python3 train.py",
    tuner: str = "Random",
    concurrency: int = 2,
    service: str = LOCAL,
    more: str = "",
) -> None:
    Path("code").mkdir(exist_ok=True)
    Path("code/train.py").write_text("print('hello')\n")
    text = TEXT.format(count=count, command=command, tuner=tuner, concurrency=concurrency, service=service, more=more)
    Path("experiment.yml").write_text(text)


def compile_() -> None:
    amlc("compile", "experiment.yml")


def pretend_all_ran(*, steps: int = 0) -> None:
    """Record a success of every job, in few commits. steps: of each one's curve."""
    manifest = read_manifest(Path("build/bench"))
    with open_ledger(LEDGER) as ledger:
        batch: list[tuple[str, list[Event], list[Metric]]] = []
        for entry in manifest.entries():
            # With curves two events a job: of 10,000 that is as much as a reader checks as a whole, every curve too.
            events = success(entry, manifest)[:: 2 if steps else 1]
            batch.append((entry.name, events, [*curve(entry, steps), result(entry)]))
            if len(batch) == AT_ONCE:
                ledger.append_all(batch)
                batch = []
        ledger.append_all(batch)


def curve(entry: Entry, steps: int) -> Iterator[Metric]:
    """Yield what a job reported on its way, of two metrics at each step."""
    (trial,) = entry.trials
    for step in range(steps):
        value = {"default": trial.parameters["momentum"] + 0.9**step, "loss": 1.5 * 0.95**step}
        yield Metric(trial=trial.id, kind="intermediate", sequence=step, value=value, at=1.0 + step / 97)


def success(entry: Entry, manifest: Manifest) -> list[Event]:
    """Return what the ledger has of a job that ran."""
    data = {
        "id": entry.id,
        "attempt": 1,
        "trials": [trial.as_dict() for trial in entry.trials],
        "revision": manifest.header.revision,
        "backend": "local",
        "losses": 0,
    }
    done = Observation(job=entry.name, status=Status.SUCCEEDED, started=1.0, ended=2.0, exit_code=0)
    return [
        Event(kind="intent", at=1.0, job=entry.name, data=data),
        Event(kind="submitted", at=1.0, job=entry.name, data={"url": None}),
        observed(done, at=2.0),
    ]


def result(entry: Entry) -> Metric:
    (trial,) = entry.trials
    loss = (trial.parameters["momentum"] - 0.9) ** 2 + trial.parameters["dropout"]
    return Metric(trial=trial.id, kind="final", sequence=0, value={"default": loss, "loss": 1.5}, at=2.0)
