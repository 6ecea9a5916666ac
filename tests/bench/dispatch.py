"""What a trial that does nothing takes: with amlc, as a bare process, and with what a user might pick instead."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench import experiment
from tests.bench.measure import (
    BARE,
    ROOT,
    WALL,
    Cost,
    Effort,
    FailedError,
    Measured,
    Row,
    Unmeasured,
    amlc,
    command,
    compared,
    in_turns,
)

PEER = Path(__file__).with_name("peer.py")
PYTHON = ROOT / ".venv" / "peers" / "bin" / "python"
PEER_S = 600.0
"""A peer that takes longer has failed."""
PEERS = (
    ("hydra", "hydra-core", "Hydra's multirun with joblib,", 200),
    ("optuna", "optuna", "Optuna with joblib, in SQLite,", 200),
    ("submitit", "submitit", "submitit's local executor", 100),
    ("nni", "nni", "NNI's local mode", 20),
)
REPORTS = """echo "NNISDK_MEb'{\\"type\\":\\"FINAL\\",\\"sequence\\":0,\\"value\\":\\"0.5\\"}'"\n"""
"""Shell, of a trial that does nothing but report a result, as a tuner needs one."""
SMI = """#!/bin/sh
case "$1" in
    --query-gpu=index,uuid) for i in 0 1 2 3; do echo "$i, GPU-$i"; done;;
    -L) for i in 0 1 2 3; do echo "GPU $i: fake (UUID: GPU-$i)"; done;;
esac
"""


def rows(effort: Effort) -> Iterator[Measured]:
    for concurrency in (2, 8):
        yield _no_ops(effort.of(1_000), concurrency, effort.long)
    yield from peers(2, effort)
    yield _packed(effort.of(1_000), effort.long)
    yield from _on_gpus(effort.of(200), effort.long)


def adaptive(effort: Effort) -> Iterator[Measured]:
    """The loop of `amlc run` with a tuner that waits for results, beside Optuna's, whose default is TPE too."""
    count, concurrency = effort.of(500), 16
    experiment.write(count, command="sh report.sh", tuner="TPE", concurrency=concurrency)
    Path("code/report.sh").write_text(REPORTS)

    def run() -> Cost:
        shutil.rmtree(".amlc", ignore_errors=True)
        shutil.rmtree("build", ignore_errors=True)
        return amlc("run", "experiment.yml") / count

    pairs = in_turns(run, lambda: _bare(count, concurrency), effort.long)
    yield compared(f"{count:,} no-op trials that TPE proposes, {concurrency} at a time", pairs, _name(concurrency))
    yield from peers(concurrency, effort, names=("optuna",))


def peers(concurrency: int, effort: Effort, names: tuple[str, ...] = ()) -> Iterator[Measured]:
    """Measure each once, of fewer trials, its start and end included, as amlc's are."""
    for name, package, title, full in PEERS:
        if names and name not in names:
            continue
        count = effort.of(full)
        what = _what(count, concurrency)
        try:
            version = _version(package)
            with experiment.new_folder() as folder:
                environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}  # nothing of ours, and all is gone after it
                words = (str(PYTHON), str(PEER), name, str(count), str(concurrency))
                cost = command(*words, environ=environ, most_s=PEER_S) / count
        except FailedError as error:
            yield Unmeasured(what=what, reason=str(error), tool=title.rstrip(","))
            continue
        pairs = [(cost, _bare(count, concurrency))]
        yield compared(what, pairs, _name(concurrency), tool=f"{title} {version}")


def _version(package: str) -> str:
    """Raises FailedError where it is not installed."""
    if not PYTHON.exists():
        raise FailedError(f"not installed: there is no {PYTHON.relative_to(ROOT)}")
    words = (str(PYTHON), "-c", f"from importlib.metadata import version; print(version({package!r}))")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedError(f"not installed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


def _no_ops(count: int, concurrency: int, rounds: int) -> Row:
    _compile(count, concurrency=concurrency)
    pairs = in_turns(lambda: _submitted() / count, lambda: _bare(count, concurrency), rounds)
    return compared(_what(count, concurrency), pairs, _name(concurrency), goal={WALL: 3})


def _packed(count: int, rounds: int) -> Row:
    """What a trial of a packed job costs beside what it runs: the runner's work, its records, its copy of the code."""
    size = max(1, count // 10)
    _compile(count, more=f"amlc: {{trialsPerJob: {size}}}")
    shells = ("xargs", "-P2", "-n1", "/bin/sh", "-c")
    floor = lambda: command(*shells, text="true\n" * count) / count  # noqa: E731
    pairs = in_turns(lambda: _submitted() / count, floor, rounds)
    what = f"{count:,} no-op trials, {size} to a job, 2 jobs at a time"
    return compared(what, pairs, "`xargs -P2 sh -c true`", goal={"ms": 10})


def _on_gpus(count: int, rounds: int) -> Iterator[Row]:
    """With four GPUs that are none: four times the trials should take four times as long, and no more."""
    Path("nvidia-smi").write_text(SMI)
    Path("nvidia-smi").chmod(0o755)
    environ = {**os.environ, "PATH": f"{Path.cwd()}:{os.environ['PATH']}"}

    def submitted(number: int) -> Cost:
        service = "{platform: local, useActiveGpu: true}"
        _compile(number, concurrency=4, service=service, more="trialGpuNumber: 1")
        return _submitted(environ) / number

    pairs = in_turns(lambda: submitted(4 * count), lambda: submitted(count), rounds)
    yield compared(f"{4 * count} no-op trials on four GPUs", pairs, f"of {count} of them", goal={WALL: 1.3})


def _compile(count: int, **keys: Any) -> None:
    shutil.rmtree(".amlc", ignore_errors=True)  # what ran is never packed anew
    experiment.write(count, command="'true'", **keys)
    experiment.compile_()


def _submitted(environ: Mapping[str, str] | None = None) -> Cost:
    shutil.rmtree(".amlc", ignore_errors=True)
    return amlc("submit", environ=environ)


def _bare(count: int, concurrency: int) -> Cost:
    """Return what the same number of interpreters take that do nothing, each."""
    return command("xargs", f"-P{concurrency}", "-n1", *BARE, text="x\n" * count) / count


def _what(count: int, concurrency: int) -> str:
    return f"{count:,} no-op trials, {concurrency} at a time"


def _name(concurrency: int) -> str:
    return f"`xargs -P{concurrency} python3 -c pass`"
