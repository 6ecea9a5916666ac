"""How the trials of a job end, what the runner says of it, and that none of them affects the others."""

import errno
import hashlib
import json
import os
import shlex
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from amlc.model import End
from amlc.runner_files import read_metrics, read_outcome
from tests.runner.harness import BARE, ID, TIMEOUT_S, JobFolder, interpreters, is_alive, metric_line, trials, wait_until

LOOP = "while :; do sleep 0.02; done"
LIMIT_ERROR = "stopped at its time limit (maxTrialDuration)"
SIDE_BY_SIDE = {"AMLC_GPUS_PER_TRIAL": "1", "AMLC_GPU_SHARES": '{"0": 99}'}


@pytest.fixture
def job(tmp_path):
    return JobFolder(tmp_path / "job")


# --- Each way to end, alone and in a pack ----------------------------------------------------------------------------


def ended(end, exit_code, error=None, *, number=None, intermediate=0, final=0, ran=True):
    """A result.json in which a time only says that it is there."""
    counts = {"intermediate": intermediate, "final": final}
    times = {"started": ran, "ended": ran}
    return {"end": end, "exit_code": exit_code, "signal": number, "error": error, **counts, **times}


GOOD = ended("exited", 0)
NOT_BEGUN = ended("terminated", None, "terminated before it started", ran=False)


@dataclass(frozen=True)
class Fate:
    """What happens to the trial with sequence 1, and how it and its job have to end."""

    command: str
    expected: dict
    code: int  # of a job with no other trial
    pack_code: int = 1
    env: dict = field(default_factory=dict)
    patch: str = "pass"
    occupied: str | None = None  # there is a folder where this file of the trial should go
    is_stopped: bool = False  # the runner gets SIGTERM once the trial says that it is ready
    before: dict = field(default_factory=lambda: GOOD)  # how the trials before and after it in its pack end
    after: dict = field(default_factory=lambda: GOOD)


def all_refused(error, code, **more):
    refused = ended("refused", None, error, ran=False)
    return Fate("true", refused, code, pack_code=code, before=refused, after=refused, **more)


TRACEBACK = (
    "try:\n    {}['learning_rate']\nexcept KeyError:\n    import traceback; traceback.print_exc(); raise SystemExit(3)"
)
LIMIT = {"AMLC_TRIAL_SECONDS": "2"}  # a busy machine takes a second to start a shell
NO_LONG_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
NO_SUCH_PROCESS = """\
real = process.spawn
def spawn(command, env, *rest, **streams):
    if env[b"NNI_TRIAL_SEQ_ID"] == b"1":
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return real(command, env, *rest, **streams)
process.spawn = spawn"""
UNKILLABLE = """\
real = process.Process._look
process.Process._look = lambda self: real(self) if self.trial.sequence != 1 else None
process.STOP_GRACE_S = process.KILL_WAIT_S = 0.1"""
STOPPED_EARLY = """\
import os, signal
real = main.make_slots
main.make_slots = lambda *given: os.kill(os.getpid(), signal.SIGTERM) or real(*given)"""
LOST_METRIC = "a metric could not be recorded: [Errno 27] File too large"
STOPPED = {"is_stopped": True, "pack_code": 143, "after": NOT_BEGUN}
REPORT_TOO_MUCH = "cat outputs/output"

FATES = {
    "exits with 0": Fate("true", GOOD, 0, pack_code=0),
    "exits with 0 and some words": Fate("echo words >&2", GOOD, 0, pack_code=0),
    "exits with 3 and a traceback": Fate(
        f"{BARE} -c {shlex.quote(TRACEBACK)}", ended("exited", 3, "KeyError: 'learning_rate'"), 3
    ),
    "exits with 3 without a word": Fate("exit 3", ended("exited", 3, "exit code 3"), 3),
    "killed": Fate("kill -9 $$", ended("exited", 137, "killed by SIGKILL", number="SIGKILL"), 137),
    "killed after some words": Fate(
        "echo 'out of luck' >&2; kill -9 $$",
        ended("exited", 137, "killed by SIGKILL; its last words: out of luck", number="SIGKILL"),
        137,
    ),
    "killed by a signal without a name": Fate(
        "kill -40 $$", ended("exited", 168, "killed by signal 40", number="signal 40"), 168
    ),
    "hangs and heeds SIGTERM": Fate(
        "echo words >&2; exec sleep 100", ended("time_limit", 143, LIMIT_ERROR, number="SIGTERM"), 143, env=LIMIT
    ),
    "hangs and ends in order": Fate(
        f"trap 'cat outputs/last; exit 0' TERM; {LOOP}",
        ended("time_limit", 0, LIMIT_ERROR, final=1),
        1,
        env=LIMIT,
    ),
    "hangs and ignores SIGTERM": Fate(
        f"trap '' TERM; {LOOP}",
        ended("time_limit", 137, LIMIT_ERROR, number="SIGKILL"),
        137,
        env=LIMIT,
        patch="process.STOP_GRACE_S = 0.1",
    ),
    "does not even die of SIGKILL": Fate(
        "exec sleep 100", ended("lost", None, "its process does not die"), 1, env=LIMIT, patch=UNKILLABLE
    ),
    "cannot record a metric": Fate(
        REPORT_TOO_MUCH, ended("lost", 0, LOST_METRIC, intermediate=2), 1, patch=NO_LONG_FILES
    ),
    "cannot record a metric and exits with 3": Fate(
        f"{REPORT_TOO_MUCH}; echo words >&2; exit 3",
        ended("lost", 3, LOST_METRIC, intermediate=2),
        3,
        patch=NO_LONG_FILES,
    ),
    "cannot record a metric and hangs": Fate(
        f"{REPORT_TOO_MUCH}; exec sleep 100",
        ended("lost", 143, LOST_METRIC, number="SIGTERM", intermediate=2),
        143,
        patch=NO_LONG_FILES,
        env=LIMIT,
    ),
    "removes its metrics": Fate(
        'cat outputs/last; sleep 0.3; rm "$NNI_SYS_DIR/metrics.jsonl"',
        ended("lost", 0, "a metric could not be recorded: the trial removed metrics.jsonl", final=1),
        1,
    ),
    "its files cannot be written": Fate(
        "true",
        ended("lost", None, "could not be started: [Errno 21] Is a directory: 'outputs/amlc/{fated}/parameter.cfg'", ran=False),
        1,
        occupied="parameter.cfg",
    ),
    "its process cannot be made": Fate(
        "true",
        ended("lost", None, "could not be started: [Errno 11] Resource temporarily unavailable", ran=False),
        1,
        patch=NO_SUCH_PROCESS,
    ),
    "the runner is stopped while it runs": Fate(
        "echo ready; exec sleep 100",
        ended("terminated", 143, "terminated: the runner got SIGTERM", number="SIGTERM"),
        143,
        **STOPPED,
    ),
    "the runner is stopped and it ends in order": Fate(
        f"trap 'exit 0' TERM; echo ready; {LOOP}",
        ended("terminated", 0, "terminated: the runner got SIGTERM"),
        143,
        **STOPPED,
    ),
    "the runner is stopped at its time limit": Fate(
        f"trap 'echo ready; trap \"exit 7\" USR1; {LOOP}' TERM; {LOOP}",
        ended("time_limit", 137, LIMIT_ERROR, number="SIGKILL"),
        143,
        env=LIMIT,
        patch="process.STOP_GRACE_S = 1",
        **STOPPED,
    ),
    "the runner is stopped before it began": Fate(
        "true", NOT_BEGUN, 143, pack_code=143, patch=STOPPED_EARLY, before=NOT_BEGUN, after=NOT_BEGUN
    ),
    "the runner fails": Fate(
        "echo; exec sleep 100",
        {**ended("lost", None, "the runner failed: ZeroDivisionError('boom')"), "ended": False},
        1,
        patch="""\
def boom(*_): raise ZeroDivisionError('boom')
real = process.Process.advance
process.Process.advance = lambda self, *given: (boom if self.trial.sequence == 1 else real)(self, *given)""",
        after=ended("lost", None, "the runner failed: ZeroDivisionError('boom')", ran=False),
    ),
    "wrong input": all_refused("AMLC_CONCURRENCY must be at least 1, found 0", 2, env={"AMLC_CONCURRENCY": "0"}),
    "too few GPUs": all_refused(
        "a trial needs 2 GPUs, this machine offers 1",
        1,
        env={"AMLC_GPUS_PER_TRIAL": "2", "CUDA_VISIBLE_DEVICES": "0"},
    ),
}


@pytest.mark.parametrize("fate", FATES.values(), ids=FATES)
@pytest.mark.parametrize("size", [1, 3], ids=["alone", "in a pack"])
def test_end_of_a_trial(job, size, fate):
    chosen = trials(3) if size == 3 else trials(3)[1:2]
    fated = trials(3)[1]["id"]
    lines = [metric_line(1), metric_line("x" * 5000), metric_line(2, sequence=2)]
    (job.root / "outputs").mkdir()
    (job.root / "outputs" / "output").write_text("\n".join(lines) + "\n")
    (job.root / "outputs" / "last").write_text(metric_line(1, kind="FINAL") + "\n")
    if fate.occupied:
        (job.home(fated) / fate.occupied).mkdir(parents=True)
    command = f'case "$NNI_TRIAL_SEQ_ID" in 1) ;; *) exit 0;; esac\n{fate.command}'
    with job.start(command, trials=chosen, env=fate.env, patch=fate.patch) as process:
        if fate.is_stopped:
            assert process.stdout.readline() == b"ready\n"
            process.terminate()
        _, err = process.communicate(timeout=TIMEOUT_S)
    expected = [fate.before, fate.expected, fate.after] if size == 3 else [fate.expected]
    assert [told(job, trial["id"]) for trial in chosen] == [at_home(fated, record) for record in expected]
    assert process.returncode == (fate.pack_code if size == 3 else fate.code), err.decode()


def told(job, identifier):
    """The trial's result.json but for the times; amlc can read it and the metrics of which it tells."""
    text = (job.home(identifier) / "result.json").read_text()
    record = json.loads(text)
    assert record.pop("trial") == identifier
    outcome = read_outcome(identifier, text)
    assert outcome is not None
    assert (outcome.end, outcome.exit_code, outcome.error) == (End(record["end"]), record["exit_code"], record["error"])
    if "removed" not in (record["error"] or "") and record["started"] is not None:
        lines = (job.home(identifier) / "metrics.jsonl").read_text().splitlines(keepends=True)
        assert len(list(read_metrics(identifier, lines))) == record["intermediate"] + record["final"] == len(lines)
    return {**record, "started": record["started"] is not None, "ended": record["ended"] is not None}


def at_home(identifier, record):
    return {**record, "error": record["error"] and record["error"].format(fated=identifier)}


def test_time_limit_counts_from_the_trials_own_start(job):
    done = job.run("sleep 0.8", trials=trials(3), env=LIMIT)
    assert done.code == 0, done.err
    assert [job.result(trial["id"])["end"] for trial in trials(3)] == ["exited"] * 3


@pytest.mark.parametrize("seconds", [10**7, 10**400])
def test_time_limit_may_be_far_away(job, seconds):
    assert job.run("sleep 0.1", env={"AMLC_TRIAL_SECONDS": str(seconds)}).code == 0
    assert job.result()["end"] == "exited"


def test_time_limit_ends_the_whole_group(job):
    command = f"sh -c 'trap \"\" TERM; {LOOP}' & echo $! > pid; wait"
    done = job.run(command, env=LIMIT, patch="process.STOP_GRACE_S = 0.1")
    assert (done.code, job.result()["end"]) == (143, "time_limit")
    wait_until(lambda: not is_alive(int((job.root / "pid").read_text())))


@pytest.mark.parametrize("number", ["TERM", "HUP"])
def test_signal_that_goes_to_the_trial_as_well_is_no_failure_of_it(job, number):
    # As when a container or a service is stopped: every process gets the signal.
    job.run(f"kill -STOP $PPID; (sleep 0.2; kill -{number} $PPID; kill -CONT $PPID) & kill -{number} $$")
    assert (job.result()["end"], job.result()["signal"]) == ("terminated", f"SIG{number}")


# --- None affects the others -----------------------------------------------------------------------------------------

FLOOD = 20_000_000
MIXED = f"""\
case "$NNI_TRIAL_SEQ_ID" in
1) exit 3;;
2) trap '' TERM; {LOOP};;
3) kill -9 $$;;
4) head -c {FLOOD} /dev/zero >&2; exit 4;;
5) exec yes;;
*) sleep 0.3; cat output; exit 0;;
esac"""
MIXED_ENDS = ["exited", "exited", "time_limit", "exited", "exited", "time_limit", "exited", "lost", "exited"]
MIXED_CODES = [0, 3, 137, 137, 4, 143, 0, None, 0]


def test_nine_side_by_side_do_not_affect_each_other(job):
    (job.root / "output").write_text("".join(metric_line(n, sequence=n) + "\n" for n in range(50)))
    (job.home(trials(9)[7]["id"]) / "parameter.cfg").mkdir(parents=True)
    patch = "process.STOP_GRACE_S = 0.2"
    done = job.run(MIXED, trials=trials(9), env={**SIDE_BY_SIDE, "AMLC_TRIAL_SECONDS": "5"}, patch=patch)
    results = [job.result(trial["id"]) for trial in trials(9)]
    assert [result["end"] for result in results] == MIXED_ENDS
    assert [result["exit_code"] for result in results] == MIXED_CODES
    for n in (0, 6, 8):
        assert [value for _, _, value in job.values(trials(9)[n]["id"])] == list(range(50))
        assert results[n]["ended"] < results[2]["ended"] - 0.5
    assert done.err.count("\0") == FLOOD
    assert done.code == 1


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_stuck_reader_holds_up_neither_limits_nor_the_other_stream(job, stream):
    redirect = ">&2" if stream == "stderr" else ""
    command = f"case $NNI_TRIAL_SEQ_ID in 0) exec yes {redirect};; *) sleep 0.5; exit 5;; esac"
    with job.start(command, trials=trials(3), env={**SIDE_BY_SIDE, **LIMIT}) as process:
        wait_until(lambda: all((job.home(trial["id"]) / "result.json").exists() for trial in trials(3)))
        results = [job.result(trial["id"]) for trial in trials(3)]
        assert process.poll() is None  # nothing is lost: it waits for its reader
        process.communicate(timeout=TIMEOUT_S)
    assert [(result["end"], result["exit_code"]) for result in results] == [
        ("time_limit", 143),
        ("exited", 5),
        ("exited", 5),
    ]
    assert process.returncode == 1


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_trial_waits_for_a_stuck_reader(job, stream):
    command = f"echo ready; exec yes {'>&2' if stream == 'stderr' else ''}"
    with job.start(command) as process:
        assert process.stdout.read(6) == b"ready\n"
        time.sleep(0.5)
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()
        process.wait(timeout=TIMEOUT_S)
        process.communicate()
    assert high_water_kb(status) < 50000


def test_metrics_of_a_trial_that_is_told_to_stop_do_not_wait_for_a_stuck_reader(job):
    (job.root / "outputs").mkdir()
    (job.root / "outputs" / "last").write_text(metric_line(1, kind="FINAL") + "\n")
    command = f"trap 'head -c 3000000 /dev/zero; echo; cat outputs/last; exit 0' TERM; echo ready; {LOOP}"
    with job.start(command) as process:
        assert process.stdout.read(6) == b"ready\n"
        process.terminate()
        process.wait(timeout=TIMEOUT_S)
        process.communicate()
    assert job.values() == [("final", 0, 1)]
    assert (job.result()["end"], job.result()["exit_code"]) == ("terminated", 0)


def high_water_kb(status):
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def test_stuck_reader_does_not_make_the_runner_grow(job):
    with job.start("head -c 60000 /dev/zero >&2", trials=trials(100)) as process:
        wait_until(lambda: job.home(trials(100)[15]["id"]).exists())
        time.sleep(1)
        assert not job.home(trials(100)[30]["id"]).exists()
        _, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, len(err)) == (0, 100 * 60000)


def test_folder_that_cannot_be_copied_is_a_loss_of_that_trial_alone(job):
    patch = """\
real = copies.copy_folder
count = 0
def copy(*given):
    global count
    count += 1
    if count == 2:
        open("too_long", "wb").truncate(100000)
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, -1))
    try:
        real(*given)
    finally:
        if count == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
            import os
            os.remove("too_long")
copies.copy_folder = copy"""
    done = job.run("pwd", trials=trials(3), patch=patch)
    ends = [(job.result(trial["id"])["end"], job.result(trial["id"])["exit_code"]) for trial in trials(3)]
    assert ends == [("exited", 0), ("lost", None), ("exited", 0)]
    assert "could not be started: [Errno 27] File too large" in job.result(trials(3)[1]["id"])["error"]
    assert done.code == 1
    assert not any(Path(folder).exists() for folder in done.out.decode().split())


def test_after_the_runner_is_killed_only_those_that_ended_have_results(job):
    """In the second life of the job nothing speaks for the first, in which all trials ended."""
    command = (
        'case $NNI_TRIAL_SEQ_ID in 1) [ ! -e "$NNI_SYS_DIR/../../../hang" ] || '
        f'{{ echo $$ > "$NNI_SYS_DIR/../../../pid"; exec sleep 100; }};; esac; echo {shlex.quote(metric_line(1))}'
    )
    assert job.run(command, trials=trials(3)).code == 0
    (job.root / "hang").touch()
    with job.start(command, trials=trials(3)) as process:
        wait_until(lambda: (job.root / "pid").exists() and (job.root / "pid").read_text().strip())
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
    os.kill(int((job.root / "pid").read_text()), signal.SIGKILL)
    there = [(job.home(trial["id"]) / "result.json").exists() for trial in trials(3)]
    assert there == [True, False, False]
    assert [(job.home(trial["id"]) / "metrics.jsonl").exists() for trial in trials(3)] == [True, True, False]
    assert job.values(trials(3)[1]["id"]) == []


# --- The result itself cannot be written -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 3])
def test_result_that_cannot_be_written_is_said_and_the_exit_code_is_not_zero(job, code):
    assert job.run("exit 0").code == 0
    done = job.run(f'mkdir "$NNI_SYS_DIR/result.json.part"; exit {code}')
    assert done.code == (code or 1)
    assert done.err.startswith(f"amlc: trial {ID}: cannot write its result.json: [Errno 21] Is a directory")
    assert len(done.err.splitlines()) == 1
    assert not (job.home() / "result.json").exists()


def test_result_is_written_as_soon_as_it_can_be(job):
    # The one who makes room is outside the group: the runner does not end it.
    room = "import os, time; os.setsid(); open('outside', 'w').close(); time.sleep(0.4); os.rmdir(os.environ['PART'])"
    command = (
        f'export PART="$NNI_SYS_DIR/result.json.part"; mkdir "$PART"; {BARE} -c "{room}" & '
        "until [ -e outside ]; do sleep 0.02; done"
    )
    done = job.run(command)
    assert (done.code, len(done.err.splitlines())) == (0, 1)
    assert (job.result()["end"], job.result()["exit_code"]) == ("exited", 0)


# --- The last words --------------------------------------------------------------------------------------------------

BAR = "\r 10%|#         | 1/10 [00:01<00:09,  1.00s/it]"
ERROR = "ValueError: lr is 5% too high"
TRACEBACK = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    raise x\n'
WORDS = {
    "the last line": (f"one\n{ERROR}\n", ERROR),
    "no newline": (f"one\n{ERROR}", ERROR),
    "blank lines after it": (f"{ERROR}\n\n  \n\t\r\n\n", ERROR),
    "line ends of Windows": (f"one\r\n{ERROR}\r\n", ERROR),
    "white space": ("a \t b\x0bc  \n", "a b c"),
    "colours": (f"\x1b[1;31m{ERROR}\x1b[0m\n\x1b[0m\x1b(B\n", ERROR),
    "a link and a title": (f"\x1b]0;title\x07\x1b]8;;http://x\x1b\\{ERROR}\x1b]8;;\x1b\\\n", ERROR),
    "control characters": ("a\x00b\x07c\x7fd\u202ee\u200bf\n", "abcdef"),
    "only control characters": ("\x00\x07\n\x1b[0m\n", "exit code 3"),
    "no UTF-8": (b"caf\xe9\n", "caf\ufffd"),
    "unicode": ("\u00e9\u4e2d\n", "\u00e9\u4e2d"),
    "a bar after it": (f"{ERROR}\n{BAR}", ERROR),
    "a bar after it that is left": (f"{ERROR}\n{BAR}{BAR}\n", ERROR),
    "two bars after it": (f"{ERROR}\n{BAR}\n{BAR}\x1b[A", ERROR),
    "a bar of words after it": (f"{ERROR}\nstep 1\rstep 2\r", ERROR),
    "a bar before it": (f"{BAR}\n{ERROR}\n", ERROR),
    "a bar in its line": (f"{BAR}\r\x1b[KError: no such file\n", "Error: no such file"),
    "nothing but a bar": (f"{BAR}\r 20%|##", "20%|##"),
    "very many bars after it": (f"{ERROR}\n{BAR * 1000}", ERROR),
    "an exception of several lines": (f"{TRACEBACK}RuntimeError: CUDA error\nFor debugging\n\nCompile with\n", "RuntimeError: CUDA error"),
    "one that led to another": (f"{TRACEBACK}KeyError: 1\n\nDuring handling\n\n{TRACEBACK}{ERROR}\n", ERROR),
    "one with a bar after it": (f"{TRACEBACK}{ERROR}\n{BAR}", ERROR),
    "one that was got over": (f"{TRACEBACK}KeyError: 1\n" + "went on\n" * 20 + "no space left\n", "no space left"),
    "one that is cut off": (TRACEBACK, "raise x"),
    "long": ("x" * 1000 + "\n", "x" * 300),
    "far too long": ("y" * 300000 + "\n", "y" * 300),
    "nothing": ("", "exit code 3"),
    "blank lines": ("\n \r\n\t", "exit code 3"),
}


@pytest.mark.parametrize(("printed", "expected"), WORDS.values(), ids=WORDS)
def test_last_words(job, printed, expected):
    raw = printed if isinstance(printed, bytes) else printed.encode()
    (job.root / "printed").write_bytes(raw)
    with job.start("cat printed >&2; exit 3") as process:
        _, err = process.communicate(timeout=TIMEOUT_S)
    assert job.result()["error"] == expected
    assert err == raw


def test_metric_on_stderr_is_no_metric(job):
    done = job.run(f"echo {shlex.quote(metric_line(1))} >&2")
    assert (done.code, done.err) == (0, metric_line(1) + "\n")
    assert job.values() == []


# --- stderr passes byte for byte -------------------------------------------------------------------------------------


def test_fifty_megabytes_of_stderr_pass_intact(job):
    block = bytes(range(256)).replace(b"\n", b"x").replace(b"\r", b"x") * 256
    command = job.script(f"import sys\nfor i in range(800): sys.stderr.buffer.write({block[:256]!r} * 256)")
    patch = "import atexit\natexit.register(lambda: open('status', 'w').write(open('/proc/self/status').read()))"
    with job.start(command, patch=patch) as process:
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert hashlib.sha256(err).digest() == hashlib.sha256(block * 800).digest()
    assert (process.returncode, out) == (0, b"")
    assert high_water_kb((job.root / "status").read_text()) < 50000


def test_both_streams_pass_side_by_side(job):
    program = (
        "import os, threading\n"
        "def write(fd, letter):\n    for i in range(500): os.write(fd, letter * 7001)\n"
        "threads = [threading.Thread(target=write, args=given) for given in ((1, b'o'), (2, b'e'))]\n"
        "for thread in threads: thread.start()"
    )
    with job.start(job.script(program)) as process:
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert (out == b"o" * 7001 * 500, err == b"e" * 7001 * 500, process.returncode) == (True, True, 0)


def test_stderr_that_the_trial_closes_is_just_over(job):
    done = job.run("echo last >&2; exec 2>&-; sleep 0.2; echo out; exit 3")
    assert (done.code, done.out, done.err) == (3, b"out\n", "last\n")
    assert job.result()["error"] == "last"


def test_last_words_of_what_is_left_behind_pass_too(job):
    job.script(f"trap 'echo bye >&2; exit' TERM; : > ready; {LOOP}", "left.sh")
    done = job.run("sh left.sh & until [ -e ready ]; do sleep 0.02; done")
    assert (done.code, done.err.splitlines()[-1]) == (0, "bye")


def test_reader_of_stderr_may_go_away(job):
    with job.start("head -c 1000000 /dev/zero >&2; echo fine; exit 3") as process:
        process.stderr.read(10)
        process.stderr.close()
        process.stderr = None
        out, _ = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out) == (3, b"fine\n")


def test_stuck_reader_of_stderr_does_not_hold_up_the_end(job):
    command = "echo ready; yes NNISDK_MEb\\'x\\' & exec yes >&2"  # notes of bad metric lines go to stderr too
    with job.start(command, patch="process.STOP_GRACE_S = 0.5; streams.SAY_WAIT_S = 0.05") as process:
        assert process.stdout.read(6) == b"ready\n"
        time.sleep(0.3)  # let the pipe fill up
        process.terminate()
        process.wait(timeout=TIMEOUT_S)
        process.communicate()
    assert job.result()["end"] == "terminated"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_slow_reader_that_does_not_block_gets_everything(job, stream):
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    command = f"head -c 3000000 /dev/zero {'>&2' if stream == 'stderr' else ''}"
    size = 0
    with job.start(command, **{stream: write_end}) as process:
        os.close(write_end)
        while piece := os.read(read_end, 50000):
            size += len(piece)
            time.sleep(0.002)
        process.communicate(timeout=TIMEOUT_S)
    os.close(read_end)
    assert (process.returncode, size) == (0, 3000000)


# --- What a trial is told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{}, {"replicate": 0}, {"replicate": 12}], ids=str)
def test_replicate_is_the_only_variable_of_ours_that_a_trial_sees(job, given):
    done = job.run("env | grep ^AMLC_", trials=[{**trials(1)[0], **given}], env={"AMLC_REPLICATE": "5", **LIMIT})
    assert done.out.decode() == f"AMLC_REPLICATE={given.get('replicate', 0)}\n"


# --- Interpreters ----------------------------------------------------------------------------------------------------

CASES = "case $NNI_TRIAL_SEQ_ID in 0) echo words >&2; exit 3;; 1) echo hanging; exec sleep 100;; *) exit 0;; esac"


@pytest.mark.parametrize("python", interpreters().values(), ids=interpreters())
def test_ends_on(python, job):
    done = job.run(CASES, trials=trials(3), env={**LIMIT, **SIDE_BY_SIDE}, python=python)
    assert [(job.result(trial["id"])["end"], job.result(trial["id"])["error"]) for trial in trials(3)] == [
        ("exited", "words"),
        ("time_limit", LIMIT_ERROR),
        ("exited", None),
    ]
    assert (done.code, done.out, done.err) == (1, b"hanging\n", "words\n")


@pytest.mark.parametrize("python", interpreters().values(), ids=interpreters())
def test_shell_that_cannot_be_run_is_a_loss_on(python, job):
    patch = "real = process.spawn\nprocess.spawn = lambda command, *given, **more: real([b'/no/sh'], *given, **more)"
    done = job.run("true", python=python, patch=patch)
    assert done.code == 1
    assert (job.result()["end"], job.result()["exit_code"]) == ("lost", None)
    assert job.result()["error"].startswith(f"could not be started: [Errno {errno.ENOENT}] No such file or directory")


def test_runner_without_descriptors_loses_trials_one_by_one(job):
    patch = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (14, 14))"
    done = job.run("sleep 0.3", trials=trials(6), env=SIDE_BY_SIDE, patch=patch)
    results = [job.result(trial["id"]) for trial in trials(6)]
    assert {result["end"] for result in results} == {"exited", "lost"}
    for result in results:
        assert result["error"] is None or "[Errno 24] Too many open files" in result["error"]
    assert done.code == 1
