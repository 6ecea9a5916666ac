"""Which processes are a job's, and that none of them is left."""

import errno
import os
import subprocess
import time

import pytest

from amlc.targets.local import processes

OURS, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def start():
    """Start a process with a mark, in a session of its own."""
    started = []

    def start(mark, command="sleep 600"):
        environ = {**os.environ, processes.MARK: mark}
        started.append(subprocess.Popen(["sh", "-c", command], env=environ, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_mark_ends_what_has_it_and_nothing_else(start):
    ours, inside, other = start(OURS), start(f"{OURS}:{OTHER[::-1]}c"), start(OTHER)
    processes.end(OURS)
    assert (ours.wait(60), inside.wait(60)) == (-9, -9)
    assert other.poll() is None


def test_a_session_ends_without_a_mark(start):
    ours, other = start(OURS, "env -i sleep 600 & while :; do sleep 600; done"), start(OTHER)
    processes.end(None, session=ours.pid)
    assert ours.wait(60) == -9
    assert other.poll() is None


def test_none_goes_on_because_another_is_killed_first(start, tmp_path, monkeypatch, wait_until):
    ours = start(OURS, f"sleep 600; touch {tmp_path}/went_on; sleep 600")
    found = wait_until(lambda: len(found := [*processes._of_job(OURS, None)]) == 2 and found)
    found.sort(key=lambda pid: pid == ours.pid)
    kill = os.kill

    def slowly(pid, number):
        kill(pid, number)
        time.sleep(0.1)

    looks = iter([found])
    monkeypatch.setattr(processes, "_of_job", lambda *_: next(looks, ()))  # the sleep before its shell
    monkeypatch.setattr(processes.os, "kill", slowly)
    processes.end(OURS)
    assert ours.wait(60) == -9
    assert not list(tmp_path.iterdir())


def test_nothing_is_ended_when_nothing_is_known(start):
    other = start(OTHER)
    processes.end(None)
    processes.end("")
    assert other.poll() is None


def test_a_process_that_goes_on_forking_is_ended_too(start):
    ours = start(OURS, "while :; do (setsid sleep 600 &); done")
    processes.end(OURS)
    assert ours.wait(60) == -9
    assert not [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if processes.is_marked(pid, OURS)]


def test_a_process_that_is_gone_has_no_mark(start):
    ours = start(OURS)
    assert processes.is_marked(ours.pid, OURS)
    ours.kill()
    ours.wait()
    assert processes.is_marked(ours.pid, OURS) is False


def test_a_process_that_nobody_may_ask_is_neither(monkeypatch):
    def closed(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", closed)
    assert processes.is_marked(os.getpid(), OURS) is None
