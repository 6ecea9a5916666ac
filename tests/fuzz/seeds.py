"""One file of each kind that is as it should be, from which the others are made."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from amlc.events import Event
from amlc.ledger import open_ledger
from amlc.manifest import Header, head_lines, tail_lines
from amlc.model import Metric, MetricKind
from tests.fuzz.readers import TRIALS

EXPERIMENT: dict[str, Any] = {
    "experimentName": "e",
    "searchSpace": {"lr": {"_type": "loguniform", "_value": [0.001, 1]}, "x": {"_type": "choice", "_value": [1, 2]}},
    "trialCommand": "python3 t.py",
    "trialConcurrency": 2,
    "maxTrialNumber": 4,
    "maxExperimentDuration": "1h",
    "tuner": {"name": "TPE", "classArgs": {"seed": 1}},
    "assessor": {"name": "Medianstop"},
    "trainingService": {"platform": "aml", "computeTarget": "gpu", "dockerImage": "ubuntu", "subscriptionId": "${X}"},
    "amlc": {"budget": {"trials": 100}, "constraints": ["lr * x < 3"], "retries": 1, "job": {"tags": {"a": "b"}}},
}
SPACE = {
    "x": {"_type": "choice", "_value": [1, {"_name": "a", "y": {"_type": "uniform", "_value": [0, 1]}}]},
    "z": {"_type": "quniform", "_value": [0, 1, 0.1]},
}
LEGACY = {
    "authorName": "a",
    "experimentName": "e",
    "trialConcurrency": 1,
    "maxExecDuration": "1h",
    "maxTrialNum": 10,
    "trainingServicePlatform": "aml",
    "searchSpacePath": "space.json",
    "useAnnotation": False,
    "tuner": {"builtinTunerName": "TPE", "classArgs": {"optimize_mode": "maximize"}},
    "trial": {"command": "python3 t.py", "codeDir": ".", "gpuNum": 0, "image": "ubuntu"},
    "amlConfig": {"subscriptionId": "a", "resourceGroup": "b", "workspaceName": "c", "computeTarget": "d"},
}
TRIAL = {"id": TRIALS[0], "sequence": 0, "parameters": {"x": 1, "y": 0.5}}
INTENT = {"id": "j", "attempt": 1, "trials": [TRIAL], "revision": "0" * 64, "backend": "local", "losses": 0}
OBSERVED = {
    "status": "succeeded",
    "started": 1.0,
    "ended": 2.0,
    "outcomes": [{"trial": TRIALS[0], "exit_code": 0, "started": 1.0, "ended": 2.0}],
}


def entry(number: int) -> dict[str, Any]:
    return {"id": f"j{number}", "name": "j", "file": "jobs/j.yml", "sha256": "0" * 64, "trials": [TRIAL]}


def manifest(entries: list[bytes]) -> bytes:
    header = Header(
        experiment="e", backend="local", revision="0" * 64, concurrency=1, retries=1, max_seconds=None,
        optimize_mode="maximize", gpus_per_trial=None, trials_per_gpu=1, target={},
    )  # fmt: skip
    tail = tail_lines(jobs=len(entries), trials=len(entries))
    return head_lines(header).encode() + b",".join(map(_summed, entries)) + tail.encode()


def _summed(line: bytes) -> bytes:
    """Return a job's line with the checksum that it has to have, so that what it says is looked at."""
    text = line.removesuffix(b"}")
    return text + b',"sum":"%08x"}\n' % crc32(text)


@cache
def _ledger() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ledger.db")
        with open_ledger(path) as ledger:
            events = [Event(kind="intent", at=1.0, job="j", data=INTENT), Event(kind="observed", at=2.0, job="j", data=OBSERVED)]
            report = Metric(trial=TRIALS[0], kind=MetricKind.FINAL, sequence=0, value=0.5, at=2.0)
            ledger.append(events, [report], job="j")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        return path.read_bytes()


def _dumped(value: Any) -> list[bytes]:
    return [json.dumps(value).encode()]


def seeds() -> dict[str, list[bytes]]:
    """Return sound files by the names of their readers."""
    metric = {"type": "final", "sequence": 0, "at": 1.0, "value": 0.5}
    rows = b"intent " + json.dumps(INTENT).encode() + b"\nobserved " + json.dumps(OBSERVED).encode() + b"\nfinal 0.5"
    job = {"environment_variables": {"AMLC_TRIAL_0": json.dumps(TRIAL)}}
    table = b"sequence,trial,status,param.x,param.y,metric.default\n0,a,succeeded,1,0.5,0.5\n"
    wandb = b"Name,State,x,y,Created,Runtime,acc\na,finished,1,0.5,2026-01-01T00:00:00Z,5,0.5\n"
    nni = b"trialJobId,intermediate,reward,x,y\na,\"['0.1']\",0.5,1,0.5\n"
    export = [{"parameter": {"x": 1, "y": 0.5}, "value": "0.5", "intermediate": ["0.1"], "id": "a"}]
    reports = {TRIALS[0]: {"final": [1], "step": 1, "names": ["default"], "integers": [], "whole": True}}
    yaml = b"experimentName: e\nsearchSpace:\n  x: {_type: choice, _value: [1, 2]}\ntrialCommand: t\ntrialConcurrency: 1\n"
    yaml += b"tuner: &t {name: Random}\nmaxTrialNumber: 3\ntrainingService: {platform: local}\n"
    return {
        "experiment": [*_dumped(EXPERIMENT), yaml],
        "space": _dumped(SPACE),
        "legacy": _dumped(LEGACY),
        "manifest": [manifest(_dumped(entry(0)) + _dumped(entry(1)))],
        "ledger": [_ledger()],
        "ledger_rows": [rows],
        "metrics": [json.dumps(metric).encode() + b"\n"],
        "result": _dumped({"end": "exited", "exit_code": 0, "started": 1.0, "ended": 2.0, "error": None}),
        "job_file": _dumped(job),
        "imported": [*_dumped(export), table, wandb, nni, _ledger()],
        "channel": [b"a\nNNISDK_MEb'" + json.dumps({**metric, "type": "FINAL", "value": "0.5"}).encode() + b"'\n"],
        "service": _dumped(reports),
        "constraint": [b"x * 2 <= 3 and y in ['a']", b"'%05d'|format(x) == y|center(9)"],
    }
