"""What each of several trials printed is kept apart, whatever else is going on."""

import os

import pytest

from amlc.runner.amlc_runner_lib import own_log
from amlc.runner.amlc_runner_lib.own_log import OwnLog
from tests.runner.harness import JobFolder, metric_line, one_trial, trials


@pytest.fixture
def job(tmp_path):
    return JobFolder(tmp_path / "job")


def log_of(job, number):
    return (job.home(f"{number:016x}") / "log.txt").read_bytes()


def test_each_trial_of_several_has_its_own_output_and_the_job_all_of_it(job):
    line = metric_line(1.5, kind="FINAL").replace("'", "'\\''")
    command = f"echo out $NNI_TRIAL_SEQ_ID; echo err $NNI_TRIAL_SEQ_ID >&2; echo '{line}'; printf unended"
    done = job.run(command, trials=trials(3))
    assert done.code == 0, done.err
    for number in range(3):
        kept = log_of(job, number)
        assert sorted([kept.count(b"out %d\n" % n) for n in range(3)]) == [0, 0, 1]
        assert (b"out %d\n" % number in kept, kept.count(b"err %d\n" % number), b"unended" in kept) == (True, 1, True)
        assert kept.count(b"NNISDK_MEb") == 1
    assert done.out.count(b"out ") == 3


def test_trials_side_by_side_are_told_apart(job):
    """Two write lines at the same time, piece by piece."""
    command = "for i in $(seq 200); do printf '%s' $NNI_TRIAL_SEQ_ID; printf '%s\\n' $i; done"
    env = {"AMLC_GPUS_PER_TRIAL": "1", "AMLC_GPU_SHARES": '{"0": 4}'}
    done = job.run(command, trials=trials(4), env=env)
    assert done.code == 0, done.err
    for number in range(4):
        assert log_of(job, number).decode().split() == [f"{number}{i}" for i in range(1, 201)]
    assert sorted(done.out.split()) == sorted(b"".join(log_of(job, n) for n in range(4)).split())


def test_a_trial_alone_has_no_second_copy(job):
    job.run("echo hello")
    assert not (job.home() / "log.txt").exists()


def test_what_an_earlier_life_of_the_job_left_is_gone(job):
    home = job.home(f"{1:016x}")
    home.mkdir(parents=True)
    (home / "log.txt").write_text("of yesterday")
    done = job.run("kill -TERM $PPID; sleep 9", trials=trials(2))
    assert done.code == 143
    assert not (home / "log.txt").exists()


def test_a_log_that_cannot_be_written_costs_nothing_but_itself(job):
    home = job.home(f"{1:016x}")
    (home / "log.txt").mkdir(parents=True)
    done = job.run("echo hello; exit 0", trials=trials(2))
    assert (done.code, done.out) == (0, b"hello\nhello\n")
    assert log_of(job, 0) == b"hello\n"


def test_a_disk_that_is_full_ends_the_log_and_not_the_trial(job):
    patch = (
        "import os\nwrite = os.write\n"
        "def full(fd, data):\n"
        "    if os.readlink('/proc/self/fd/%d' % fd).endswith('log.txt') and b'second' in bytes(data):\n"
        "        raise OSError(28, 'No space left on device')\n"
        "    return write(fd, data)\n"
        "os.write = full\n"
    )
    done = job.run("echo first; sleep 0.2; echo second; sleep 0.2; echo third", trials=trials(2), patch=patch)
    assert done.code == 0, done.err
    assert log_of(job, 0) == b"first\n"
    assert done.out == b"first\nsecond\nthird\n" * 2


def test_a_log_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(own_log, "MOST_BYTES", 10)
    seen = []
    log = OwnLog(str(tmp_path))
    keep = log.beside(seen.append)
    for piece in (b"12345", b"6789abc", b"def"):
        keep(piece)
    log.close()
    keep(b"late")
    log.close()
    assert (tmp_path / "log.txt").read_bytes() == b"123456789a"
    assert b"".join(seen) == b"123456789abcdeflate"


def test_a_process_that_records_nothing_keeps_none(job):
    env = {"RANK": "1", "WORLD_SIZE": "2"}
    done = job.run("echo hello", trials=[one_trial("a" * 16), one_trial("b" * 16)], env=env)
    assert done.code == 0, done.err
    assert not list(job.root.rglob("log.txt"))
    assert not [name for name in os.listdir(job.root) if name.startswith("amlc-rank")]
