"""Every file that amlc reads, each as a function of its bytes: what it raises but an AmlcError is a finding."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import amlc.elsewhere
from amlc.attempts import fold
from amlc.backends import run_folder
from amlc.collect.results import Results
from amlc.collect.verdict import verdict
from amlc.config import experiment_of, load_experiment
from amlc.config.load import parse_document
from amlc.constraints import Gate
from amlc.errors import AmlcError, ConfigError
from amlc.ledger import open_ledger, read_ledger
from amlc.manifest import read_manifest
from amlc.model import MetricKind, Trial
from amlc.runner.amlc_runner_lib.metric_log import Lines
from amlc.runner.amlc_runner_lib.metrics import decode_metric
from amlc.runner_files import lines_of, read_metrics, read_outcome
from amlc.space.parse import parse_space
from amlc.targets.aml import runs, views
from amlc.warm_start import fitting

TRIALS = ("0123456789abcdef", "fedcba9876543210")
SPACE_TEXT = '{"x": {"_type": "choice", "_value": [1, 2, "a"]}, "y": {"_type": "uniform", "_value": [0, 1]}}'


@cache
def folder() -> Path:
    """A folder of this process, in memory where the machine has such a place."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="amlc-fuzz-", dir=memory))


def _put(name: str, data: bytes) -> Path:
    path = folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def experiment(data: bytes) -> None:
    """An experiment file: problems on one line each, or an experiment whose plan begins."""
    _, problems = load_experiment(_put("e.yml", data), environ={"X": "x"}, untrusted=True)
    ConfigError(problems)


def space(data: bytes) -> None:
    """A search space, for several tuners."""
    document = parse_document(data.decode("utf-8", "replace"), Path("space.json"))
    for tuner in ("TPE", "GridSearch", "Batch", None):
        _, found = parse_space(document, (), tuner=tuner)
        ConfigError(found)


def legacy(data: bytes) -> None:
    """A file in the format of NNI 1: read, and translated."""
    from amlc.config.legacy import is_legacy, modern
    from amlc.config.legacy.moves import moves, to_v2

    document = parse_document(data.decode("utf-8", "replace"), Path("v1.yml"))
    if is_legacy(document):
        modern(document)
        to_v2(list(moves(document.data)))
    experiment_of(document, environ={})


def manifest(data: bytes) -> None:
    """A manifest: its head, each of its jobs, and what is shown of them."""
    _put("build/manifest.json", data)
    found = read_manifest(folder() / "build")
    with read_ledger(folder() / "none.db") as ledger:
        results = Results(found, ledger)
        for _, rows in results.jobs():
            for row in rows:
                str((row.trial, row.status, row.times, row.error, dict(row.result)))
        str(verdict(results))


def ledger(data: bytes) -> None:
    """A whole ledger: a database, or no database at all."""
    path = _put("whole.db", data)
    for name in ("whole.db-wal", "whole.db-shm"):
        (folder() / name).unlink(missing_ok=True)
    _read_all(path)


def ledger_rows(data: bytes) -> None:
    """The rows of a ledger, of which each line is one: kind, a space, its data."""
    path = folder() / "rows.db"
    if not path.exists():
        with open_ledger(path):
            pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("DELETE FROM events")
        connection.execute("DELETE FROM metrics")
        connection.execute("DELETE FROM trials")
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines()[:20]):
            kind, _, text = line.partition(" ")
            if kind in ("final", "intermediate"):
                connection.execute("INSERT INTO metrics VALUES ('j', ?, ?, ?, 1.0, ?, NULL)", (TRIALS[0], kind, number, text))
            else:
                connection.execute("INSERT INTO events (at, kind, job, data) VALUES (1.0, ?, 'j', ?)", (kind, text))
    _read_all(path)


def _read_all(path: Path) -> None:
    with read_ledger(path, tolerant=True) as found:
        found.check()
        found.working()
        for attempt in fold(found.events()).values():
            for trial in attempt.trials:
                str((attempt.status(trial.id), attempt.error(trial.id), attempt.outcomes.get(trial.id)))
        found.finals(["j"])
        found.all_attempts(TRIALS)
        for kind in MetricKind:
            list(found.metrics(kind))
        assert all(text.isprintable() for text in found.damage)
    list(amlc.elsewhere.read(path, ()))


def metrics(data: bytes) -> None:
    """The reports of a trial, line by line."""
    with _put("metrics.jsonl", data).open("rb") as file:
        for metric in read_metrics(TRIALS[0], lines_of(file)):
            assert metric.trial == TRIALS[0]
            json.dumps(metric.value)


def result(data: bytes) -> None:
    """How a trial ended, by its own file."""
    outcome = read_outcome(TRIALS[0], data.decode("utf-8", "replace"))
    assert outcome is None or outcome.trial == TRIALS[0]


def job_file(data: bytes) -> None:
    """The file of a job in its run folder, which a trial can write to."""
    _put("run/job.yml", data)
    run_folder.fetched(folder() / "run")
    run_folder.how_it_ended(folder() / "run", canceled=False)


@cache
def _parsed_space() -> Any:
    found, _ = parse_space(parse_document(SPACE_TEXT, Path("s.json")), (), tuner="TPE")
    return found


def imported(data: bytes) -> None:
    """What `--from` and `amlc import` read: exports, tables, databases."""
    path = _put("from", data)
    for one in fitting(amlc.elsewhere.read(path, _parsed_space(), metric=None), _parsed_space()):
        str((one.where, one.parameters, one.final, one.history))


def channel(data: bytes) -> None:
    """What a trial prints, in pieces as a pipe gives them."""
    lines, half = Lines(), len(data) // 2
    for payload in (*lines.feed(data[:half]), *lines.feed(data[half:]), *lines.close()):
        try:
            decode_metric(payload)
        except (ValueError, RecursionError):  # which its caller notes
            continue


def service(data: bytes) -> None:
    """An answer of the service, as far as a trial decides what stands in it."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        given = data.decode("utf-8", "replace")
    text = given if isinstance(given, str) else json.dumps(given)
    job = views.view({"name": "j", "properties": {"status": text, "environmentVariables": {"AMLC_TRIAL_0": text}}})
    str((job.status, job.limit_s, job.slim, views.trials_of(job), views.seconds_in(text)))
    views.cause({"error": {"error": {"code": "UserError", "message": text}}})
    raw = {"info": {"run_id": "j", "status": "FINISHED", "end_time": 1}, "data": {"tags": [{"key": key, "value": text} for key in (runs.RESULTS_TAG, runs.END_TAG)]}}
    raw["data"]["metrics"] = [{"key": text, "value": 1.0, "step": 1, "timestamp": 1}]
    run = runs._run(raw)
    str((run.is_well, run.signs))
    trials = [Trial(name, number, {}) for number, name in enumerate(TRIALS)]
    for some in (trials, trials[:1]):
        list(runs.final_metrics(run, some))
        list(runs.intermediate_metrics(run, {text: list(run.last.values())}, some))


def constraint(data: bytes) -> None:
    """An expression of `amlc.constraints`."""
    Gate([data.decode("utf-8", "replace")])({"x": 1, "y": "a"})


READERS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (experiment, space, legacy, manifest, ledger, ledger_rows, metrics, result, job_file, imported)
}
READERS |= {one.__name__: one for one in (channel, service, constraint)}


def read(name: str, data: bytes) -> str | None:
    """Read bytes as a file of that kind; return what amlc says of it. Anything but an AmlcError is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            READERS[name](data)
        except ConfigError as error:
            lines = [str(problem) for problem in error.problems]
        except AmlcError as error:
            lines = [str(error)]
        else:
            return None
    assert all(line.isprintable() for line in lines), "a message is not one line"
    assert all(len(line) < 20_000 for line in lines), "a message is longer than a page"
    return "\n".join(lines)


@contextmanager
def tidied() -> Iterator[None]:
    """Remove this process's folder in the end."""
    import shutil

    try:
        yield
    finally:
        shutil.rmtree(folder(), ignore_errors=True)
