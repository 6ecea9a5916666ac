"""The runner and the stand-in, as real processes in a job's directory."""

import contextlib
import hashlib
import http.server
import importlib.util
import itertools
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.runner.harness import (
    ID,
    PARAMETERS,
    PYTHON,
    RUNNER,
    TIMEOUT_S,
    JobFolder,
    interpreters,
    is_alive,
    metric_line,
    one_trial,
    trials,
    wait_until,
)

HERE = Path(__file__).parent / "runner"


@pytest.fixture
def job(tmp_path):
    return JobFolder(tmp_path / "it's a job \u00e9")


# --- What a trial finds ----------------------------------------------------------------------------------------------


def test_trial_finds_nni_variables_and_files(job):
    command = job.script("import json, os; json.dump(dict(os.environ), open('env.json', 'w'))")
    done = job.run(command, env={"MULTI_PHASE": "true", "NNI_TRIAL_COMMAND_CHANNEL": "http://x", "PYTHONPATH": "/x"})
    assert done.code == 0, done.err
    env = json.loads((job.root / "env.json").read_text())
    assert {name: env[name] for name in env if name.startswith("NNI_") or name == "REUSE_MODE"} == {
        "NNI_PLATFORM": "aml",
        "REUSE_MODE": "true",
        "NNI_SYS_DIR": str(job.home()),
        "NNI_OUTPUT_DIR": str(job.home() / "nnioutput"),
        "NNI_EXP_ID": "it's an ex",
        "NNI_TRIAL_JOB_ID": ID,
        "NNI_TRIAL_SEQ_ID": "7",
        "NNI_CODE_DIR": str(job.root),
    }
    assert "MULTI_PHASE" not in env
    assert {name: env[name] for name in env if name.startswith("AMLC_")} == {"AMLC_REPLICATE": "0"}
    assert env["PYTHONPATH"] == f"{job.root / 'amlc_standin'}:/x"
    assert (job.home() / "nnioutput").is_dir()
    assert (job.home() / ".nni").is_dir()
    assert json.loads((job.home() / "parameter.cfg").read_text()) == {
        "parameter_id": 7,
        "parameter_source": "algorithm",
        "parameters": PARAMETERS,
        "parameter_index": 0,
    }


def test_output_root_takes_the_trials_own_output(job, tmp_path):
    root = tmp_path / "sh\u00e4red"
    done = job.run('echo x > "$NNI_OUTPUT_DIR/model"', env={"AMLC_OUTPUT_ROOT": json.dumps(str(root))})
    assert done.code == 0, done.err
    assert (root / ID / "nnioutput" / "model").read_text() == "x\n"
    assert not (job.home() / "nnioutput").exists()


def test_trial_has_its_own_process_group_in_the_runners_session(job):
    command = job.script("import os; print(os.getpgid(0) == os.getppid(), os.getsid(0), flush=True)")
    with job.start(f"{command}; true", start_new_session=True) as process:
        out, _ = process.communicate(timeout=TIMEOUT_S)
    assert out == f"True {process.pid}\n".encode()


def test_user_modules_do_not_shadow_the_library(job):
    for name in ("json", "queue", "select", "signal", "subprocess", "re", "collections", "time", "threading", "enum"):
        (job.root / f"{name}.py").write_text("raise SystemExit('not the library')")
    done = job.run("echo fine", env={"PYTHONPATH": str(job.root)})
    assert (done.code, done.out) == (0, b"fine\n"), done.err


def test_long_parameters_come_in_pieces(job):
    parameters = {"text": "\u00e9'\"\\" * 150000}
    text = json.dumps(one_trial(parameters=parameters), ensure_ascii=False).encode()
    size = 100001  # odd, so that a piece ends inside a character
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    env = {b"AMLC_TRIAL_0" + (b"_%d" % i if i else b""): piece for i, piece in enumerate(pieces)}
    command = job.script(
        "import nni, os; p = nni.get_next_parameter(); print(len(p['text']), len(str(os.environ)) < 9e4)"
    )
    with subprocess.Popen(
        [sys.executable, "amlc_runner.py"],
        cwd=job.root,
        env={**{os.fsencode(k): os.fsencode(v) for k, v in job.environment(command, [], {}).items()}, **env},
        stdout=subprocess.PIPE,
    ) as process:
        out, _ = process.communicate(timeout=TIMEOUT_S)
    assert out == b"600000 True\n"


HOSTILE = [
    "'; exit 9; '",
    "$(exit 9)",
    "`exit 9`",
    "${{x}}",
    "a\nb\r\0c",
    '"',
    "\\",
    "#c",
    "x//y",
    "\u2028\u00e9",
    "\ud800",
    "",
]


def test_hostile_parameters_arrive_as_they_are(job):
    parameters = {f"k{i} {text}": [text, {"x": text}] for i, text in enumerate(HOSTILE)}
    parameters["escaped"] = 'a\\" # "b" // \\"'
    command = job.script("import json, nni; print(json.dumps(nni.get_next_parameter()))")
    done = job.run(command, trials=[one_trial(parameters=parameters)])
    assert json.loads(done.out) == parameters
    assert done.code == 0, done.err


def test_command_goes_through_the_shell_as_it_is(job):
    done = job.run("x='a b'; echo \"$x\" \u4e2d \\$0 && (exit 4)")
    assert (done.code, done.out) == (4, "a b \u4e2d $0\n".encode())


def test_empty_stdin(job):
    with job.start("cat; echo done", stdin=subprocess.PIPE) as process:  # a pipe nobody writes to
        out, _ = process.communicate(timeout=TIMEOUT_S)
    assert out == b"done\n"


# --- Output and metrics ----------------------------------------------------------------------------------------------


def test_result_of_a_good_trial(job):
    before = time.time()
    done = job.run(
        job.script(
            "import nni\nnni.get_next_parameter()\nnni.report_intermediate_result(1)\nnni.report_final_result(2)"
        )
    )
    result = job.result()
    assert before <= result.pop("started") <= result.pop("ended") <= time.time()
    assert result == {
        "trial": ID,
        "end": "exited",
        "exit_code": 0,
        "signal": None,
        "intermediate": 1,
        "final": 1,
        "error": None,
    }
    assert all(before <= record["at"] <= time.time() for record in job.metrics())
    assert set(job.metrics()[0]) == {"type", "sequence", "value", "at"}
    assert done.err == ""
    assert not list(job.home().glob("*.part"))


def test_exit_code_of_the_trial_is_the_runners(job):
    assert job.run("exit 3").code == 3
    assert job.result()["exit_code"] == 3
    assert job.result()["signal"] is None


def test_output_passes_at_once_and_without_a_newline(job):
    with job.start("printf 'half a line'; read x < go; printf ' more'; printf err >&2") as process:
        os.mkfifo(job.root / "go")
        assert os.read(process.stdout.fileno(), 100) == b"half a line"
        (job.root / "go").write_text("\n")
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert (out, err) == (b" more", b"err")


def test_fifty_megabytes_pass_intact(job):
    block = bytes(range(256)).replace(b"\n", b"x").replace(b"\r", b"x") * 256
    program = f"import sys\nfor i in range(800): sys.stdout.buffer.write({block[:256]!r} * 256)"
    done = job.run(job.script(program))
    assert hashlib.sha256(done.out).digest() == hashlib.sha256(block * 800).digest()
    assert done.code == 0


def test_memory_stays_bounded_on_an_endless_line(job):
    # Not ru_maxrss: a child begins with its parent's.
    patch = "import atexit\natexit.register(lambda: streams.say(open('/proc/self/status').read()))"
    done = job.run("head -c 60000000 /dev/zero", patch=patch)
    assert len(done.out) == 60000000
    assert int(re.search(r"VmHWM: (\d+) kB", done.err).group(1)) < 50000


def test_hundred_thousand_intermediates_keep_their_order(job):
    program = (
        "import json\nfor i in range(100000):\n"
        "    m = {'parameter_id': 7, 'trial_job_id': 't', 'type': 'PERIODICAL', 'sequence': i, 'value': str(i / 2)}\n"
        "    print(\"NNISDK_MEb'%s'\" % json.dumps(m))"
    )
    done = job.run(job.script(program), stdout=subprocess.DEVNULL)
    assert done.code == 0
    assert job.values() == [("intermediate", i, i / 2) for i in range(100000)]
    assert job.result()["intermediate"] == 100000


def deep(depth):
    return json.loads("[" * depth + "]" * depth)


LINES = [
    pytest.param(f"50%|####    |{metric_line(1)}\n", [1], id="after a progress bar"),
    pytest.param(f"10%\r20%\r{metric_line(1)}\r\n", [1], id="after carriage returns"),
    pytest.param(metric_line(1), [1], id="without a newline"),
    pytest.param(metric_line({"it's": "'}'"}) + "\n", [{"it's": "'}'"}], id="with apostrophes"),
    pytest.param(metric_line("\u00e9\U0001f600") + "\n", ["\u00e9\U0001f600"], id="escaped unicode"),
    pytest.param(metric_line(1).replace(ID, "\u00e9") + "\n", [1], id="raw unicode"),
    pytest.param(f"{metric_line(1)}{metric_line(2)}\n\n", [1, 2], id="two in a line"),
    pytest.param(f"{metric_line(1)} and more\n{metric_line(2)}\n", [2], id="not at the end of the line"),
    pytest.param(f"x{'y' * 3000000}{metric_line(1)}\n", [1], id="at the end of a very long line"),
    pytest.param(metric_line("x" * 900000) + "\n", ["x" * 900000], id="as long as NNI allows"),
    pytest.param(metric_line([[[None]], True, -0.5]) + "\n", [[[[None]], True, -0.5]], id="any JSON"),
    pytest.param(metric_line(deep(100)) + "\n", [deep(100)], id="as deep as may be"),
    pytest.param(metric_line("[" * 1000) + "\n", ["[" * 1000], id="brackets that are text"),
    pytest.param(metric_line(1, sequence=2**63 - 1) + "\n", [1], id="the last sequence number"),
    pytest.param(metric_line("\ud800") + "\n", ["\ud800"], id="half of a surrogate pair"),
    pytest.param(metric_line(10**4299) + "\n", [10**4299], id="an integer of 4300 digits"),
    pytest.param('NNISDK_MEb\'{"type": "REQUEST_PARAMETER", "sequence": 0}\'\n', [], id="a request for parameters"),
    pytest.param("NNISDK_MEb'\nNNISDK_MEb''\n", [], id="an empty one"),
]


@pytest.mark.parametrize(("output", "expected"), LINES)
def test_metric_line(job, output, expected):
    (job.root / "output").write_text(output, encoding="utf-8", newline="")
    done = job.run("cat output")
    assert [record["value"] for record in job.metrics()] == expected
    assert (job.home() / "metrics.jsonl").read_bytes().isascii()
    assert done.out.decode() == output
    assert done.code == 0


def test_metric_line_split_over_many_writes(job):
    program = "import os, sys, time\nfor c in sys.argv[1]: os.write(1, c.encode())\nos.write(1, b'\\n')"
    line = metric_line("it's")
    assert job.run(f"{job.script(program)} {shlex.quote(line)}").out.decode() == line + "\n"
    assert job.values() == [("intermediate", 0, "it's")]


BAD_LINES = [
    pytest.param("NNISDK_MEb'no json'", id="no json"),
    pytest.param("NNISDK_MEb'[1]'", id="no object"),
    pytest.param("""NNISDK_MEb'{"type": "FINAL", "sequence": 0}'""", id="no value"),
    pytest.param("""NNISDK_MEb'{"type": "FINAL", "sequence": 0, "value": "{"}'""", id="value is no json"),
    pytest.param("""NNISDK_MEb'{"type": "OTHER", "sequence": 0, "value": "1"}'""", id="unknown type"),
    pytest.param("""NNISDK_MEb'{"type": "FINAL", "sequence": "0", "value": "1"}'""", id="sequence is no integer"),
    pytest.param("NNISDK_MEb'" + "[" * 100000 + "'", id="too deep for json"),
    pytest.param(metric_line(deep(101)), id="too deep"),
    pytest.param(metric_line({"default": deep(100)}), id="too deep in an object"),
    pytest.param(metric_line(1, sequence=2**63), id="sequence too great"),
    pytest.param(metric_line(1, sequence=-1), id="sequence below zero"),
    pytest.param(metric_line(1).replace('"sequence": 0', '"sequence": true'), id="sequence is a boolean"),
    pytest.param(metric_line("x" * 1000000), id="too long for NNI"),
    pytest.param(metric_line("x" * 5000000), id="far too long"),
    pytest.param(metric_line(1).replace('"1"', f'"{"1" * 4301}"'), id="an integer too long"),
]


@pytest.mark.parametrize("depth", [100, 900, 980, 990, 995, 1000, 2000])
def test_deep_value_is_no_reason_to_fail(job, depth):
    value = "[" * depth + "]" * depth
    parameters = json.loads('{"a":' * 100 + "1" + "}" * 100)
    (job.root / "output").write_text(metric_line(1).replace('"1"', json.dumps(value)) + f"\n{metric_line(1)}\n")
    done = job.run("cat output", trials=[one_trial(parameters=parameters)])
    assert done.code == 0, done.err
    last = (job.home() / "metrics.jsonl").read_text().splitlines()[-1]  # the others may be too deep for this process
    assert json.loads(last)["value"] == 1


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_metric_line_is_noted_and_ignored(job, line):
    (job.root / "output").write_text(f"{line}\n{metric_line(1)}\n")
    done = job.run("cat output")
    assert done.code == 0
    assert job.values() == [("intermediate", 0, 1)]
    assert re.fullmatch(rf"amlc: trial {ID}: ignored a bad metric line: .{{1,400}}\n", done.err)


def test_many_bad_lines_give_few_notes(job):
    done = job.run("yes \"NNISDK_MEb'x'\" | head -n 1000")
    assert len(done.err.splitlines()) == 10


def test_reader_of_stdout_may_go_away(job):
    with job.start(f"{job.script(CHATTY)}") as process:
        process.stdout.read(10)
        process.stdout.close()
        process.stdout = None
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert job.values() == [("final", 0, 5)]


CHATTY = """\
import nni
nni.get_next_parameter()
print("x" * 1000000)
nni.report_final_result(5)
"""


def test_a_second_run_in_the_same_folder_starts_anew(job):
    job.run(job.script(CHATTY))
    job.run(job.script(CHATTY))
    assert job.values() == [("final", 0, 5)]


# --- Ends ------------------------------------------------------------------------------------------------------------


def test_killed_shell_is_reported_as_a_signal(job):
    done = job.run("echo x; kill -9 $$")
    assert done.code == 137
    assert (job.result()["exit_code"], job.result()["signal"]) == (137, "SIGKILL")


def test_what_the_trial_leaves_behind_is_ended(job):
    # It holds stdout open, and does not mind SIGTERM.
    command = "(trap '' TERM; while :; do sleep 0.05; done) & echo $! > pid; echo done; exit 5"
    done = job.run(command, patch="process.LEFTOVER_GRACE_S = 0.1")
    assert (done.code, done.out) == (5, b"done\n")
    wait_until(lambda: not is_alive(int((job.root / "pid").read_text())))


def test_last_words_of_what_is_left_behind_are_recorded(job):
    line = metric_line(1, kind="FINAL")
    job.script("trap 'cat line; exit' TERM; : > ready; while :; do sleep 0.02; done", "left.sh")
    (job.root / "line").write_text(line + "\n")
    assert job.run("sh left.sh & until [ -e ready ]; do sleep 0.02; done").code == 0
    assert job.values() == [("final", 0, 1)]


def test_process_outside_the_group_does_not_hold_the_runner_up(job):
    # A session of its own: not ours to end, but its end is not waited for.
    program = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
        "    open('pid', 'w').write(str(os.getpid()))\n    time.sleep(100)"
    )
    command = f"{job.script(program)} & until [ -s pid ]; do sleep 0.02; done; echo done"
    done = job.run(command)
    with contextlib.suppress(ProcessLookupError):
        os.kill(int((job.root / "pid").read_text()), signal.SIGKILL)
    assert (done.code, done.out) == (0, b"done\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_is_passed_on_and_results_are_written(job, number):
    command = (
        f"{job.script(CHATTY)} > /dev/null; trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.02; done"
    )
    with job.start(command, trials=trials(2)) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 143
    assert out == b"got it\n"
    first, second = (job.result(trial["id"]) for trial in trials(2))
    assert (first["exit_code"], first["error"]) == (9, f"terminated: the runner got {number.name}")
    assert (second["exit_code"], second["started"]) == (None, None)
    assert second["error"] == "terminated before it started"


def test_trial_that_does_not_mind_sigterm_is_killed(job):
    with job.start(
        "trap '' TERM; echo ready; while :; do sleep 0.02; done", patch="process.STOP_GRACE_S = 0.1"
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 143
    assert (job.result()["exit_code"], job.result()["signal"]) == (137, "SIGKILL")


def test_stuck_reader_of_stdout_does_not_hold_up_the_end(job):
    with job.start("echo ready; exec yes", patch="process.STOP_GRACE_S = 0.5") as process:
        assert process.stdout.read(6) == b"ready\n"
        time.sleep(0.1)  # let the pipe fill up
        process.terminate()
        process.wait(timeout=TIMEOUT_S)
        process.communicate()
    assert job.result()["exit_code"] == 143


def test_crash_of_the_runner_still_gives_results(job):
    patch = "def boom(*_): raise ZeroDivisionError('boom')\nloop.Runner._pass_on = boom"
    done = job.run("echo $$ > pid; echo x; exec sleep 100", trials=trials(2), patch=patch)
    assert done.code == 1
    assert "amlc: the runner failed: ZeroDivisionError('boom')" in done.err
    assert [job.result(trial["id"])["error"] for trial in trials(2)] == [
        "the runner failed: ZeroDivisionError('boom')"
    ] * 2


def test_folder_that_cannot_be_written_is_said(job):
    (job.root / "outputs").write_text("a file")
    done = job.run("echo x")
    assert done.code == 1
    assert f"amlc: trial {ID} could not be started: " in done.err


# --- Wrong input -----------------------------------------------------------------------------------------------------

BAD_INPUT = [
    pytest.param({"AMLC_COMMAND": None}, "the environment variable AMLC_COMMAND is missing", id="no command"),
    pytest.param({"AMLC_EXPERIMENT": None}, "the environment variable AMLC_EXPERIMENT is missing", id="no experiment"),
    pytest.param({"AMLC_TRIAL_0": None}, "the environment variable AMLC_TRIAL_0 is missing", id="no trial"),
    pytest.param({"AMLC_COMMAND": "python3"}, "AMLC_COMMAND is not JSON in UTF-8: ", id="command is no JSON"),
    pytest.param({"AMLC_COMMAND": "1"}, "AMLC_COMMAND must be a string, found 1", id="command is no string"),
    pytest.param({"AMLC_COMMAND": '"a\\u0000"'}, "AMLC_COMMAND holds a null character", id="null"),
    pytest.param({"AMLC_COMMAND": '"\\ud800"'}, "AMLC_COMMAND holds half of a surrogate pair", id="surrogate"),
    pytest.param({"AMLC_COMMAND": "\udcff"}, "AMLC_COMMAND is not JSON in UTF-8: ", id="no UTF-8"),
    pytest.param({"AMLC_TRIAL_0": "{"}, "AMLC_TRIAL_0 is not JSON in UTF-8: ", id="trial is no JSON"),
    pytest.param({"AMLC_TRIAL_0": "[]"}, "AMLC_TRIAL_0 must be an object, found []", id="trial is no object"),
    pytest.param({"AMLC_TRIAL_0": "{}"}, "AMLC_TRIAL_0 needs an id of letters and digits, found None", id="no id"),
    pytest.param(
        {"AMLC_TRIAL_0": '{"id": "../x"}'}, "AMLC_TRIAL_0 needs an id of letters and digits", id="id is a path"
    ),
    pytest.param(
        {"AMLC_TRIAL_0": '{"id": "x"}'}, "AMLC_TRIAL_0 needs an integer sequence, found None", id="no sequence"
    ),
    pytest.param(
        {"AMLC_TRIAL_0": '{"id": "x", "sequence": 0}'}, "AMLC_TRIAL_0 needs an object of parameters", id="no parameters"
    ),
    pytest.param({"AMLC_TRIAL_0_2": "x"}, "the AMLC_TRIAL_ variables are not numbered without a gap", id="a gap"),
    pytest.param(
        {"AMLC_TRIAL_1": json.dumps(one_trial())}, "two AMLC_TRIAL_ variables have the same id", id="the same id twice"
    ),
    pytest.param({"AMLC_GPUS_PER_TRIAL": "-1"}, "AMLC_GPUS_PER_TRIAL must be at least 0, found -1", id="gpus < 0"),
    pytest.param({"AMLC_GPUS_PER_TRIAL": "true"}, "AMLC_GPUS_PER_TRIAL must be an integer, found true", id="gpus true"),
    pytest.param(
        {"AMLC_TRIALS_PER_GPU": "0"}, "AMLC_TRIALS_PER_GPU must be at least 1, found 0", id="trials per gpu 0"
    ),
    pytest.param({"AMLC_TRIAL_SECONDS": "0"}, "AMLC_TRIAL_SECONDS must be at least 1, found 0", id="no time"),
    pytest.param({"AMLC_TRIAL_SECONDS": "1.5"}, "AMLC_TRIAL_SECONDS must be an integer, found 1.5", id="half seconds"),
    pytest.param({"AMLC_CONCURRENCY": "0"}, "AMLC_CONCURRENCY must be at least 1, found 0", id="concurrency 0"),
    pytest.param({"AMLC_GPU_SHARES": "[0]"}, "AMLC_GPU_SHARES must be an object, found [0]", id="shares in a list"),
    *(
        pytest.param(
            {"AMLC_GPU_SHARES": json.dumps({name: room})},
            f"AMLC_GPU_SHARES must give GPUs integers of at least 1, found {name!r}: {room!r}",
            id=f"share {name!r} {room!r}",
        )
        for name, room in [("0", 0), ("0", True), ("0", "1"), ("0,1", 1), ("", 1), ("\u00e9", 1)]
    ),
    *(
        pytest.param(
            {"AMLC_TRIAL_0": json.dumps({**one_trial(), "replicate": replicate})},
            f"AMLC_TRIAL_0 needs a replicate of at least 0, found {replicate!r}",
            id=f"replicate {replicate!r}",
        )
        for replicate in (-1, True, "1", None)
    ),
]


@pytest.mark.parametrize(("env", "message"), BAD_INPUT)
def test_wrong_input_is_said_in_one_line(job, env, message):
    done = job.run("echo ran", env=env)
    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"amlc: the job's input is wrong: {message}")
    assert len(done.err.splitlines()) == 1


def test_wrong_input_gives_results_for_the_trials_it_names(job):
    job.run("echo ran", env={"AMLC_COMMAND": None})
    assert (job.result()["exit_code"], job.result()["end"]) == (None, "refused")
    assert job.result()["error"] == "the environment variable AMLC_COMMAND is missing"


# --- Several trials --------------------------------------------------------------------------------------------------


def test_several_trials_run_one_after_the_other_in_copies(job):
    (job.root / "sub").mkdir()
    (job.root / "sub" / "data").write_text("data")
    (job.root / "inside").symlink_to("sub/data")
    (job.root.parent / "outside").write_text("outside")
    (job.root / "link").symlink_to("../outside")
    os.mkfifo(job.root / "pipe")
    command = (
        "cat inside link; echo; test ! -e mark && touch mark; pwd > outputs/cwd-$NNI_TRIAL_SEQ_ID;"
        " ls > outputs/ls-$NNI_TRIAL_SEQ_ID; [ $NNI_CODE_DIR = $(pwd) ] && exit 0"
    )
    done = job.run(command, trials=trials(3))
    assert done.code == 0, done.err
    assert done.out == b"dataoutside\n" * 3
    folders = {(job.root / "outputs" / f"cwd-{i}").read_text().strip() for i in range(3)}
    assert len(folders) == 3
    assert not any(Path(folder).exists() for folder in folders)
    assert (job.root / "outputs" / "ls-0").read_text().split() == ["inside", "link", "mark", "outputs", "sub"]
    ends = [(job.result(trial["id"])["started"], job.result(trial["id"])["ended"]) for trial in trials(3)]
    assert sorted(ends) == ends
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))


def test_several_trials_get_their_own_parameters_and_metrics(job):
    done = job.run(job.script("import nni\nnni.report_final_result(nni.get_next_parameter()['n'])"), trials=trials(2))
    assert done.code == 0, done.err
    assert [job.values(trial["id"]) for trial in trials(2)] == [[("final", 0, 0)], [("final", 0, 1)]]


def test_one_failed_trial_of_several_makes_the_exit_code_one(job):
    done = job.run("exit $NNI_TRIAL_SEQ_ID", trials=trials(3))
    assert done.code == 1
    assert [job.result(trial["id"])["exit_code"] for trial in trials(3)] == [0, 1, 2]


# --- GPUs ------------------------------------------------------------------------------------------------------------

SHOW = 'echo "gpus=${CUDA_VISIBLE_DEVICES-unset}"; sh -c \'echo "and ${CUDA_VISIBLE_DEVICES-unset}"\''


@pytest.fixture
def gpus(tmp_path):
    """Return a function that gives the environment of a machine with so many GPUs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(HERE / "lists_gpus.sh", folder / "nvidia-smi")
    return lambda count: {"PATH": f"{folder}:{os.environ['PATH']}", "FAKE_GPUS": str(count)}


GPUS = [
    pytest.param(None, None, "unset", id="not asked for"),
    pytest.param(None, "3,1", "3,1", id="not asked for, variable set"),
    pytest.param(0, None, "", id="none for the trial"),
    pytest.param(0, "3,1", "", id="none for the trial, variable set"),
    pytest.param(1, None, "0", id="one"),
    pytest.param(2, None, "0,1", id="two"),
    pytest.param(2, "3, GPU-ab,1", "3,GPU-ab", id="two of the job's"),
]


@pytest.mark.parametrize(("wanted", "visible", "expected"), GPUS)
def test_gpus_of_a_trial(job, gpus, wanted, visible, expected):
    wanted = None if wanted is None else str(wanted)
    done = job.run(SHOW, env={**gpus(2), "AMLC_GPUS_PER_TRIAL": wanted, "CUDA_VISIBLE_DEVICES": visible})
    assert done.out.decode() == f"gpus={expected}\nand {expected}\n"
    assert done.err == ""


@pytest.mark.parametrize("visible", [None, "", "-1"])
def test_without_any_gpu_trials_run_one_at_a_time(job, gpus, visible):
    env = {**gpus(0), "AMLC_GPUS_PER_TRIAL": "2", "CUDA_VISIBLE_DEVICES": visible}
    done = job.run(SHOW, trials=trials(2), env=env)
    assert done.code == 0
    assert done.out.decode().count("gpus=" + ("unset" if visible is None else visible)) == 2
    assert done.err.startswith("amlc: no GPU found (2 per trial wanted)")
    assert len(done.err.splitlines()) == 1


def test_too_few_gpus_fail_all_trials(job, gpus):
    done = job.run("echo ran", trials=trials(2), env={**gpus(2), "AMLC_GPUS_PER_TRIAL": "3"})
    assert (done.code, done.out) == (1, b"")
    assert done.err == "amlc: a trial needs 3 GPUs, this machine offers 2\n"
    for trial in trials(2):
        assert job.result(trial["id"])["exit_code"] is None
        assert job.result(trial["id"])["error"] == "a trial needs 3 GPUs, this machine offers 2"


@pytest.mark.parametrize(("shares", "count"), [({}, 0), ({"0": 4}, 1)])
def test_too_few_gpus_to_share_fail_all_trials(job, gpus, shares, count):
    env = {**gpus(4), "AMLC_GPUS_PER_TRIAL": "2", "AMLC_GPU_SHARES": json.dumps(shares)}
    done = job.run("echo ran", env=env)
    assert (done.code, done.out) == (1, b"")
    assert done.err == f"amlc: a trial needs 2 GPUs, AMLC_GPU_SHARES offers {count}\n"
    assert (job.result()["end"], job.result()["exit_code"]) == ("refused", None)


SHARES = [
    pytest.param({"0": 1, "1": 1}, 1, None, ["0", "1"], id="one on each"),
    pytest.param({"0": 2, "1": 1}, 1, None, ["0", "1", "0"], id="two on one of them"),
    pytest.param({"1": 3, "GPU-ab": 1}, 1, 2, ["1", "GPU-ab"], id="fewer than there is room for"),
    pytest.param({"1": 3, "GPU-ab": 1}, 1, 9, ["1", "GPU-ab", "1", "1"], id="no more than there is room for"),
    pytest.param({"0": 2, "1": 2, "2": 2}, 2, None, ["0,1", "2,0", "1,2"], id="two for each trial"),
    pytest.param({"0": 9, "1": 1}, 2, None, ["0,1"], id="never the same one twice"),
    pytest.param({"3": 1}, 1, None, ["3"], id="one"),
    pytest.param({"0": 9}, 1, 1, ["0"], id="one at a time"),
    pytest.param({"0": 9}, None, 5, ["7,8"], id="no GPUs asked for"),
    pytest.param({"0": 9}, 0, 5, [""], id="no GPUs wanted"),
    pytest.param(None, 1, 1, ["7"], id="the machine's, one at a time"),
    pytest.param(None, 1, 3, ["7", "8", "7"], id="the machine's, three at a time"),
    pytest.param(None, 1, None, ["7", "8", "7", "8"], id="the machine's"),
]


@pytest.mark.parametrize(("shares", "wanted", "concurrency", "expected"), SHARES)
def test_side_by_side(job, shares, wanted, concurrency, expected):
    # Each waits until as many have begun as may run together; two more come after them.
    command = (
        'cd "$NNI_SYS_DIR/.."; printf %s "$CUDA_VISIBLE_DEVICES" > "$NNI_SYS_DIR/gpus"; echo >> began; '
        f"until [ $(wc -l < began) -ge {len(expected)} ]; do sleep 0.02; done; sleep 0.1"
    )
    env = {"CUDA_VISIBLE_DEVICES": "7,8", "AMLC_TRIALS_PER_GPU": "2"}
    given = {"AMLC_GPU_SHARES": shares, "AMLC_GPUS_PER_TRIAL": wanted, "AMLC_CONCURRENCY": concurrency}
    env.update({name: json.dumps(value) for name, value in given.items() if value is not None})
    all_of_them = trials(len(expected) + 2)
    done = job.run(command, trials=all_of_them, env=env)
    assert done.code == 0, done.err
    homes = [job.home(trial["id"]) for trial in all_of_them[: len(expected)]]
    assert [(home / "gpus").read_text() for home in homes] == expected
    assert most_at_a_time(job.result(trial["id"]) for trial in all_of_them) == len(expected)


def most_at_a_time(results):
    steps = [step for result in results for step in ((result["started"], 1), (result["ended"], -1))]
    return max(itertools.accumulate(change for _, change in sorted(steps)))


@pytest.mark.parametrize(("per_gpu", "together"), [(None, 2), ("2", 4)])
def test_trials_run_side_by_side_as_gpus_allow(job, gpus, per_gpu, together):
    # Each says which GPU it has and waits for so many others; one more would never come.
    command = (
        'd="$NNI_SYS_DIR/.."; echo "$CUDA_VISIBLE_DEVICES" >> "$d/began"; '
        f'until [ $(wc -l < "$d/began") -ge {together} ]; do sleep 0.02; done; wc -l < "$d/began" >> "$d/seen"'
    )
    env = {**gpus(2), "AMLC_GPUS_PER_TRIAL": "1", "AMLC_TRIALS_PER_GPU": per_gpu}
    done = job.run(command, trials=trials(together), env=env)
    assert done.code == 0, done.err
    assert sorted((job.home().parent / "began").read_text().split()) == ["0"] * (together // 2) + ["1"] * (
        together // 2
    )


def test_no_more_trials_at_a_time_than_gpus(job, gpus):
    command = 'busy="$NNI_SYS_DIR/../gpu-$CUDA_VISIBLE_DEVICES"; mkdir "$busy" && sleep 0.05 && rmdir "$busy"'
    done = job.run(command, trials=trials(6), env={**gpus(2), "AMLC_GPUS_PER_TRIAL": "1"})
    assert done.code == 0, done.err


# --- MLflow ----------------------------------------------------------------------------------------------------------

TOKEN = "s3cret-t0ken"
FAST = "mlflow.PAUSE_S = 0.01; mlflow.TIMEOUT_S = 0.2; mlflow.CLOSE_S = 0.5"
REPORTS = """\
import nni
p = nni.get_next_parameter()
nni.report_intermediate_result(0.5)
nni.report_intermediate_result({"default": 0.6, "loss": 2, "nan": float("nan"), "text": "x", "ok": True})
nni.report_final_result({"default": 0.7, "a b/c(d)": 1})
"""


class Server(http.server.ThreadingHTTPServer):
    """An MLflow server that notes what it gets."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, status):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.requests = []
        self.release = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def entries(self, kind):
        return [entry for _, _, body in self.requests for entry in body.get(kind, ())]

    def handle_error(self, request, client_address):
        pass  # a client that gave up


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Authorization"], body))
        if self.server.status is None:
            self.server.release.wait(TIMEOUT_S)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:

        def start(status):
            server = stack.enter_context(Server(status))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            stack.callback(server.release.set)
            return server

        yield start


def tracking(server, **more):
    uri = f"{server.url}/mlflow/v1.0/subscriptions/1?x=y"
    env = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_TRACKING_TOKEN": TOKEN, "MLFLOW_RUN_ID": "run-1", "no_proxy": "*"}
    return {**env, **more}


def test_parameters_and_metrics_go_to_mlflow(job, serve):
    server = serve(200)
    parameters = {"lr": 0.1, "net": {"layers": [1, 2], "act": "relu"}, "long": "x" * 600, "empty": {}}
    done = job.run(job.script(REPORTS), trials=[one_trial(parameters=parameters)], env=tracking(server), patch=FAST)
    assert (done.code, done.err) == (0, "")
    paths = {(path, token) for path, token, _ in server.requests}
    assert paths == {("/mlflow/v1.0/subscriptions/1/api/2.0/mlflow/runs/log-batch", f"Bearer {TOKEN}")}
    assert {body["run_id"] for _, _, body in server.requests} == {"run-1"}
    assert {entry["key"]: entry["value"] for entry in server.entries("params")} == {
        "lr": "0.1",
        "net.layers": "[1, 2]",
        "net.act": "relu",
        "long": "x" * 500,
        "empty": "{}",
    }
    assert [(entry["key"], entry["value"], entry["step"]) for entry in server.entries("metrics")] == [
        ("default", 0.5, 0),
        ("default", 0.6, 1),
        ("loss", 2.0, 1),
        ("ok", 1.0, 1),
        ("default", 0.7, 2),
        ("a b/c_d_", 1.0, 2),
    ]
    assert all(abs(entry["timestamp"] / 1000 - time.time()) < TIMEOUT_S for entry in server.entries("metrics"))
    assert results_tag(server) == {
        ID: {
            "final": [{"default": 0.7, "a b/c(d)": 1}],
            "step": 2,
            "names": ["default", "loss", "ok", "a b/c_d_"],
            "integers": ["loss", "ok", "a b/c_d_"],
            "whole": False,
        }
    }


def sent_tags(server):
    """The values of the tags, which are sent once and last."""
    if not server.entries("tags"):
        return {}
    tags = server.requests[-1][2]["tags"]
    assert server.entries("tags") == tags
    assert all(len(tag["value"]) <= 1000 for tag in tags)
    parts = [tag for tag in tags if tag["key"].startswith("amlc.results")]
    assert [tag["key"] for tag in parts] == ["amlc.results", *(f"amlc.results.{n}" for n in range(1, 10))][: len(parts)]
    text = "".join(tag["value"] for tag in parts)
    others = tags[len(parts) :]
    assert [tag["key"] for tag in others] in (["amlc.end"], [])
    found = {tag["key"]: json.loads(tag["value"]) for tag in others}
    return {**found, "amlc.results": json.loads(text)} if parts else found


def results_tag(server):
    return sent_tags(server).get("amlc.results")


def told(*final, step=None, names=("default",), integers=(), whole=True):
    return {
        ID: {"final": [*final], "step": step, "names": [*names], "integers": [*integers], "whole": whole},
    }


DEFAULT = ["default"]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("nni.report_intermediate_result(1)", told(integers=DEFAULT), id="no final"),
        pytest.param("nni.report_final_result('good')", told("good", step=0, names=(), whole=False), id="text"),
        pytest.param(
            "nni.report_final_result(1); nni.report_final_result(None)",
            told(None, step=1, integers=DEFAULT, whole=False),
            id="twice",
        ),
        pytest.param(
            "nni.report_intermediate_result(1); nni.report_final_result(0.5)",
            told(0.5, step=1, integers=DEFAULT, whole=False),
            id="integers and floats",
        ),
        pytest.param(
            f"nni.report_final_result({2**53 + 1})",
            told(2**53 + 1, step=0, integers=DEFAULT, whole=False),
            id="an integer that is no float",
        ),
        pytest.param("nni.report_final_result('x' * 9_000)", told("x" * 9_000, step=0, names=(), whole=False), id="long"),
        pytest.param("nni.report_final_result('x' * 9_990)", None, id="too long"),
    ],
)
def test_mlflow_is_told_what_is_the_final_result(job, serve, reports, expected):
    server = serve(200)
    program = f"import nni\nnni.get_next_parameter()\n{reports}"
    done = job.run(job.script(program), env=tracking(server), patch=FAST)
    assert (done.code, done.err) == (0, "")
    assert results_tag(server) == expected


UNWRITABLE = 'mkdir "$NNI_SYS_DIR/result.json.part"; exit 0'


@pytest.mark.parametrize(
    ("command", "more", "said"),
    [
        pytest.param("exit 0", {}, 0, id="well"),
        pytest.param("exit 3", {}, 3, id="failed"),
        pytest.param("sleep 60", {"AMLC_TRIAL_SECONDS": "1"}, 143, id="at its time limit"),
        pytest.param(UNWRITABLE, {}, None, id="its result cannot be written"),
        pytest.param("kill -TERM $PPID; sleep 60", {}, None, id="told to stop"),
        pytest.param("kill -KILL $PPID", {}, None, id="killed"),
        pytest.param("exit 0", {"AMLC_COMMAND": "1"}, None, id="refused"),
        pytest.param("exit 0", {"RANK": "1", "WORLD_SIZE": "2"}, None, id="another rank"),
    ],
)
def test_mlflow_is_told_last_with_which_code_the_runner_ends(job, serve, command, more, said):
    server = serve(200)
    before = time.time()
    done = job.run(command, trials=[one_trial(parameters={"x": 1})], env={**tracking(server), **more}, patch=FAST)
    if said is None:
        assert "amlc.end" not in sent_tags(server)
        assert done.code != 0 or "RANK" in more
    else:
        assert sent_tags(server)["amlc.end"]["exit_code"] == done.code == said
        assert before <= sent_tags(server)["amlc.end"]["at"] <= time.time()


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit $NNI_TRIAL_SEQ_ID", 1)])
def test_the_code_of_a_pack_tells_of_all_of_it(job, serve, command, code):
    server = serve(200)
    assert job.run(command, trials=trials(2), env=tracking(server), patch=FAST).code == code
    assert sent_tags(server)["amlc.end"]["exit_code"] == code


def test_mlflow_batches_keep_to_the_limits(job, serve):
    server = serve(200)
    program = "import nni\nnni.get_next_parameter()\nfor i in range(2500): nni.report_intermediate_result(i)"
    parameters = {f"p{i}": i for i in range(250)}
    trial = one_trial(parameters=parameters)
    job.run(job.script(program), trials=[trial], env=tracking(server), patch="mlflow.PAUSE_S = 0.01")
    assert sorted(int(entry["value"]) for entry in server.entries("params")) == list(range(250))
    assert [entry["value"] for entry in server.entries("metrics")] == list(range(2500))
    assert max(len(body.get("params", ())) for _, _, body in server.requests) <= 100
    assert max(len(body.get("metrics", ())) for _, _, body in server.requests) <= 250


def test_no_more_names_go_to_mlflow_than_azure_takes(job, serve):
    server = serve(200)
    program = "import nni\nnni.get_next_parameter()\nnni.report_final_result({f'm{i}': 0.5 for i in range(51)})"
    job.run(job.script(program), env=tracking(server), patch=FAST)
    names = [f"m{i}" for i in range(50)]
    assert [entry["key"] for entry in server.entries("metrics")] == names
    assert [len(value) for _, _, value in job.values()] == [51]
    assert results_tag(server)[ID]["names"] == names
    assert not results_tag(server)[ID]["whole"]


def test_names_in_mlflow_carry_the_trial_when_there_are_several(job, serve):
    server = serve(200)
    job.run(job.script(REPORTS), trials=trials(2), env=tracking(server), patch=FAST)
    assert {entry["key"] for entry in server.entries("params")} == {f"{trial['id']}/n" for trial in trials(2)}
    assert {entry["key"].split("/")[0] for entry in server.entries("metrics")} == {trial["id"] for trial in trials(2)}


@pytest.mark.parametrize("status", [None, 500, 401, 400, 429, 302, 307], ids=lambda s: str(s or "hangs"))
def test_mlflow_that_fails_does_not_affect_the_trial(job, serve, status):
    server = serve(status)
    done = job.run(job.script(REPORTS), env=tracking(server), patch=FAST)
    assert done.code == 0
    assert [kind for kind, _, _ in job.values()] == ["intermediate", "intermediate", "final"]
    assert job.result()["error"] is None
    assert server.requests
    assert re.fullmatch(r"(amlc: MLflow tracking: [\w ]+; the trial is not affected\n)?", done.err)


def test_unreachable_mlflow_does_not_affect_the_trial(job):
    env = {"MLFLOW_TRACKING_URI": "azureml://127.0.0.1:1/x", "AZUREML_RUN_TOKEN": TOKEN, "AZUREML_RUN_ID": "r"}
    done = job.run(job.script(REPORTS), env=env, patch=FAST)
    assert done.code == 0
    assert done.err == "amlc: MLflow tracking: ConnectionRefusedError; the trial is not affected\n"


def test_azureml_address_becomes_https(job):
    env = {"MLFLOW_TRACKING_URI": "azureml://h/mlflow/v1.0/s", "AZUREML_RUN_ID": "r"}
    done = job.run("true", patch=f"print(job.read_run({env}).url, flush=True)")
    assert done.out.decode() == "https://h/mlflow/v1.0/s/api/2.0/mlflow/runs/log-batch\n"


@pytest.mark.parametrize("env", [{"MLFLOW_RUN_ID": None}, {"MLFLOW_TRACKING_URI": "file:///x"}], ids=["no run", "file"])
def test_without_a_run_or_a_server_nothing_is_sent(job, serve, env):
    server = serve(200)
    assert job.run(job.script(REPORTS), env=tracking(server, **env)).code == 0
    assert not server.requests


def test_trial_sees_mlflow_variables_unchanged_and_token_is_not_shown(job, serve):
    server = serve(403)
    env = tracking(server)
    done = job.run(
        f"test \"$MLFLOW_TRACKING_TOKEN$MLFLOW_TRACKING_URI\" = '{TOKEN}{env['MLFLOW_TRACKING_URI']}'",
        env=env,
        patch=FAST,
    )
    assert done.code == 0
    assert TOKEN not in done.err + done.out.decode()
    assert not any(TOKEN in path.read_text() for path in job.home().iterdir() if path.is_file())


# --- The stand-in and the real nni -----------------------------------------------------------------------------------

needs_nni = pytest.mark.skipif(importlib.util.find_spec("nni") is None, reason="nni is not installed")


@pytest.fixture
def standin_only(tmp_path):
    """Return the command of a Python that has numpy, if we have, but no nni."""
    folder = tmp_path / "site"
    folder.mkdir()
    numpy = importlib.util.find_spec("numpy")
    if numpy:
        site = Path(numpy.origin).parents[1]
        for path in (site / "numpy", site / "numpy.libs"):
            if path.exists():
                (folder / path.name).symlink_to(path)
    return f'PYTHONPATH="$PYTHONPATH":{shlex.quote(str(folder))} {PYTHON} -S'


def nni_trials():
    return [pytest.param(path, id=path.stem) for path in sorted((HERE / "trials").glob("*.py"))]


def without_times(records):
    return [(r["type"], r["sequence"], repr(r["value"])) for r in records]


@needs_nni
@pytest.mark.parametrize("script", nni_trials())
def test_standin_records_the_same_as_nni(tmp_path, script, standin_only):
    if "import numpy" in script.read_text():
        pytest.importorskip("numpy")
    outcomes = []
    for name, python in (("real", PYTHON), ("standin", standin_only)):
        job = JobFolder(tmp_path / name)
        shutil.copy(script, job.root / "trial.py")
        which = "import nni; print(hasattr(nni, 'Experiment'))"
        done = job.run(f"{python} -c {shlex.quote(which)}; {python} trial.py")
        assert done.out.startswith(str(name == "real").encode()), done.err
        outcomes.append((done.code, without_times(job.metrics()), job.result()["intermediate"], job.result()["final"]))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == (1 if script.stem in ("crash", "asked_twice", "reported_too_early") else 0)


@needs_nni
def test_standin_is_not_in_the_way_of_submodules(job):
    job.script(
        "import nni.utils, sys\nfrom nni.common.hpo_utils import validation\n"
        "print(any('amlc_standin' in path for path in [nni.__file__, nni.utils.__file__, *sys.path]))"
    )
    assert job.run(f"{PYTHON} trial.py").out == b"False\n"


def install(folder, text, name="nni"):
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    return folder


def python_with(*folders):
    path = ":".join(shlex.quote(str(folder)) for folder in folders)
    return f'PYTHONPATH="$PYTHONPATH":{path} {PYTHON} -S'


def test_standin_steps_aside_for_an_nni_behind_it(job, tmp_path):
    site = install(tmp_path / "site", "from . import sub\nname = 'real'")
    (site / "nni" / "sub.py").write_text("import nni\nvalue = nni.__name__")
    job.script("import nni.sub\nfrom nni import name\nprint(name, nni.sub.value, nni.__spec__.origin == nni.__file__)")
    assert job.run(f"{python_with(site)} trial.py").out == b"real nni True\n"


def test_standin_steps_aside_for_an_editable_install(job, tmp_path):
    site = install(tmp_path / "source", "name = 'real'")
    origin = str(site / "nni" / "__init__.py")
    finder = (
        "import sys\nfrom importlib.util import spec_from_file_location\nclass Finder:\n    @staticmethod\n"
        "    def find_spec(name, *_):\n"
        f"        return spec_from_file_location(name, {origin!r}) if name == 'nni' else None\n"
        "sys.meta_path.append(Finder)\nimport nni\nprint(nni.name)"
    )
    job.script(finder)
    assert job.run(f"{python_with(tmp_path)} trial.py").out == b"real\n"


def test_users_own_nni_beside_the_script_wins(job):
    install(job.root, "name = 'own'")
    assert job.run(job.script("import nni; print(nni.name)")).out == b"own\n"


def test_folder_named_nni_without_code_is_no_nni(job, tmp_path):
    (job.root / "nni").mkdir()
    (tmp_path / "site" / "nni").mkdir(parents=True)
    job.script(CHATTY)
    assert job.run(f"{python_with(tmp_path / 'site')} trial.py").code == 0
    assert job.values() == [("final", 0, 5)]


def test_standin_takes_the_place_of_an_nni_that_cannot_be_imported(job, tmp_path):
    site = install(tmp_path / "site", "from . import part\nimport no_such_dependency")
    (site / "nni" / "part.py").write_text("")
    job.script(CHATTY + "import sys\nassert 'nni.part' not in sys.modules\nimport nni.utils")
    done = job.run(f"{python_with(site)} trial.py")
    assert done.code == 0, done.err
    assert job.values() == [("final", 0, 5)]
    assert done.err.startswith("amlc: nni is installed but cannot be imported (ModuleNotFoundError(")


def test_standin_serves_spawned_processes(job):
    program = (
        "import multiprocessing, nni\ndef work():\n    import nni\n    print(nni.get_trial_id())\n"
        "if __name__ == '__main__':\n"
        "    p = multiprocessing.get_context('spawn').Process(target=work)\n    p.start()\n    p.join()"
    )
    job.script(program)
    assert job.run(f"{PYTHON} -S trial.py").out.decode() == f"{ID}\n"


def test_standin_reports_what_has_an_item(job):
    job.script(
        "import nni\nnni.get_next_parameter()\nclass Tensor:\n    def item(self): return 0.5\n"
        "nni.report_final_result(Tensor())"
    )
    assert job.run(f"{PYTHON} -S trial.py").code == 0
    assert job.values() == [("final", 0, 0.5)]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import nni.retiarii.nn", "nni.retiarii"),
        ("from nni.experiment import Experiment", "nni.experiment"),
        ("from nni import Experiment", None),
        ("import nni; nni.Experiment", "nni.Experiment"),
    ],
)
def test_what_the_standin_does_not_have_is_said(job, line, name):
    job.script(line)
    done = job.run(f"{PYTHON} -S trial.py")
    assert done.code == 1
    if name is not None:
        last = (
            f"{name} is not in amlc's stand-in, which has NNI's trial API alone; it is in the package: pip install nni"
        )
        assert done.err.splitlines()[-1].partition(": ")[2] == last
    job.script(
        "try:\n    import nni.retiarii\nexcept ImportError:\n    print('without')\nimport nni, json\nassert nni.load"
    )
    assert job.run(f"{PYTHON} -S trial.py").out == b"without\n"


STANDALONE = """\
import warnings
warnings.simplefilter("ignore", UserWarning)
import nni
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(nni.get_next_parameter(), nni.get_next_parameter(), nni.get_current_parameter())
print([w.category.__name__ for w in caught if w.category is RuntimeWarning])
print(nni.get_experiment_id(), nni.get_trial_id(), nni.get_sequence_id())
nni.report_intermediate_result(0.1)
nni.report_intermediate_result({"default": 0.2})
nni.report_final_result(0.875)
"""


@needs_nni
def test_standin_alone_behaves_like_nni_alone(job, standin_only):
    job.script(STANDALONE)
    env = {**os.environ, "PYTHONPATH": "amlc_standin"}
    outputs = []
    for python in (PYTHON, standin_only):
        done = subprocess.run(
            ["sh", "-c", f"{python} trial.py"], cwd=job.root, env=env, capture_output=True, check=True
        )
        outputs.append(re.sub(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", b"TIME", done.stdout))
    assert outputs[0] == outputs[1]
    assert b"Final result: 0.875" in outputs[1]


# --- Interpreters ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=interpreters().items(), ids=lambda item: item[0])
def interpreter(request):
    return request.param[1]


def test_runner_and_standin_run_on(interpreter, job):
    job.script(
        "import nni, nni.utils, sys\np = nni.utils.merge_parameter({'n': 0, '\u00e9': ''}, nni.get_next_parameter())\n"
        "sys.stdout.buffer.write(p['\u00e9'].encode('utf-8') + b'\\n'); sys.stdout.flush()\n"
        "nni.report_intermediate_result(float('nan'))\n"
        "nni.report_final_result({'default': p['n'], '\u00e9': \"it's\"})\n"
        "sys.exit(p['n'])"
    )
    several = [one_trial("a", 0, {"n": 0, "\u00e9": "\u4e2d"}), one_trial("b", 1, {"n": 3, "\u00e9": "x"})]
    env = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNINGS": "error"}
    env["AMLC_OUTPUT_ROOT"] = json.dumps(str(job.root / "sh\u00e4red"))
    command = f"{shlex.quote(interpreter)} -S trial.py; code=$?; echo '\u00e4' >&2; exit $code"
    done = job.run(command, trials=several, env=env, python=interpreter)
    assert done.code == 1
    assert done.err == "\u00e4\n\u00e4\n"
    assert done.out.decode().splitlines()[0] == "\u4e2d"
    assert math.isnan(job.values("a")[0][2])
    assert job.values("b")[1] == ("final", 0, {"default": 3, "\u00e9": "it's"})
    assert [job.result(name)["exit_code"] for name in "ab"] == [0, 3]
    assert (job.root / "sh\u00e4red" / "a" / "nnioutput").is_dir()


def test_runner_stops_in_order_on(interpreter, job):
    with job.start("(sleep 100 &); echo ready; sleep 100", python=interpreter) as process:
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 143
    assert (job.result()["exit_code"], job.result()["signal"]) == (143, "SIGTERM")


def test_c_locale(job):
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = job.run("echo \u00e9 \"NNISDK_MEb'\u00e9'\"", env=env)
    assert done.out.decode() == "\u00e9 NNISDK_MEb'\u00e9'\n"
    assert "ignored a bad metric line" in done.err


def test_runner_needs_no_python_newer_than_3_6():
    pytest.importorskip("vermin")
    command = [sys.executable, "-c", "import vermin; vermin.main()", "-t=3.6-", "--no-tips", str(RUNNER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_runner_imports_nothing_slow_before_the_trial_starts(job):
    with job.start("true", env={"PYTHONPROFILEIMPORTTIME": "1"}, python=sys.executable) as process:
        _, err = process.communicate(timeout=TIMEOUT_S)
    names = {line.rpartition("|")[2].strip() for line in err.decode().splitlines() if line.startswith("import time:")}
    # What site imports for an editable install or a .pth file is not ours.
    with subprocess.Popen([sys.executable, "-X", "importtime", "-c", ""], stderr=subprocess.PIPE) as bare:
        before = {line.rpartition("|")[2].strip() for line in bare.communicate()[1].decode().splitlines()}
    assert {"json", "amlc_runner_lib.loop"} <= names
    assert not {f"amlc_runner_lib.{name}" for name in ("copies", "gpus", "metrics", "mlflow", "tracking")} & names
    slow = {"subprocess", "threading", "urllib.request", "tempfile", "shutil", "typing", "logging", "traceback"}
    assert not slow & (names - before)
