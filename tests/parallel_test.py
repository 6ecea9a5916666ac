"""Worker processes: they end with the command that started them, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from amlc.parallel import WorkerError, in_chunks

EXPERIMENT = """\
experimentName: large
searchSpace: {x: {_type: uniform, _value: [0, 1]}}
trialCommand: 'true'
trialCodeDirectory: code
trialConcurrency: 1
maxTrialNumber: 20000
tuner: {name: Random}
trainingService: {platform: local}
"""
COMPILE = [sys.executable, "-m", "amlc", "compile", "experiment.yml"]

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc"),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors"),
]


def workers_of(process: subprocess.Popen, patience_s: float = 30) -> list[int]:
    """Wait for the worker processes of a command, and return their numbers."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        found = [int(pid) for pid in children.read_text().split()]
        if len(found) >= 2:
            return found
        time.sleep(0.01)
    raise AssertionError("no workers")


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "experiment.yml").write_text(EXPERIMENT)
    (tmp_path / "code").mkdir()
    return tmp_path


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_killed_compile_and_do_not_keep_its_lock(project, how):
    with subprocess.Popen(COMPILE, cwd=project, stderr=subprocess.DEVNULL) as first:
        workers = workers_of(first)
        first.send_signal(how)
        first.wait()
    assert subprocess.run(COMPILE, check=False, cwd=project, stderr=subprocess.DEVNULL).returncode == 0
    deadline = time.monotonic() + 10
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, workers))
    assert len(list((project / "build/large/jobs").rglob("*.yml"))) == 20_000


def test_a_killed_worker_is_one_line(project):
    with subprocess.Popen(COMPILE, cwd=project, stderr=subprocess.PIPE, text=True) as compile_:
        os.kill(workers_of(compile_)[0], signal.SIGKILL)
        _, stderr = compile_.communicate()
    assert compile_.returncode == 1
    assert stderr.startswith("error: a worker process was killed")
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 1_000])
def test_each_chunk_comes_in_order_with_its_result(count):
    found = list(in_chunks(lambda chunk: (sum(chunk), os.getpid()), iter(range(count))))
    assert [item for chunk, _ in found for item in chunk] == list(range(count))
    assert all(total == sum(chunk) for chunk, (total, _) in found)
    assert max((len(chunk) for chunk, _ in found), default=0) <= 250
    is_elsewhere = {pid != os.getpid() for _, (_, pid) in found}
    assert is_elsewhere == ({count >= 250} if count else set())


def test_an_error_in_a_worker_is_that_of_its_chunk():
    def fail(chunk):
        if 700 in chunk:
            raise KeyError(700)
        return len(chunk)

    seen = []
    with pytest.raises(KeyError):
        seen.extend(done for _, done in in_chunks(fail, range(1_000)))
    assert seen == [250, 250]


def test_a_worker_that_is_killed_amid_its_answer_is_said_and_not_waited_for():
    """Another worker still has all that it inherited open, so that only a pipe of its own ends with it."""

    def cut_short(chunk):
        if 0 in chunk:
            Connection._send = cut
        return bytes(100_000)

    def cut(connection, content, write=os.write):
        write(connection.fileno(), bytes(content)[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkerError, match="a worker process was killed"):
        list(in_chunks(cut_short, range(2_000)))


def test_a_worker_that_is_killed_is_said():
    with pytest.raises(WorkerError, match="a worker process was killed"):
        list(in_chunks(lambda chunk: os.kill(os.getpid(), signal.SIGKILL), range(250)))
