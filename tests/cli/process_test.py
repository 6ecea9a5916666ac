"""The command line as a user meets it: exit codes, what goes to which stream, and errors that are sentences."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amlc.cli import process
from tests.conftest import TIMEOUT_S

COMMANDS = [
    "init",
    "migrate",
    "validate",
    "compile",
    "plan",
    "submit",
    "retry",
    "run",
    "status",
    "logs",
    "cancel",
    "collect",
    "best",
    "schema",
]


INTERRUPTED_EARLY = """
import os, signal, sys
class Finder:
    def find_spec(name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
signal.signal(signal.SIGINT, {handler})
sys.argv = ["amlc", "schema"]
from amlc.cli import entry_point
entry_point()
"""


@pytest.mark.parametrize(("handler", "code"), [("signal.default_int_handler", -signal.SIGINT), ("signal.SIG_IGN", 0)])
def test_an_interrupt_while_it_starts_ends_it_without_a_word_unless_it_is_to_be_ignored(handler, code):
    command = [sys.executable, "-c", INTERRUPTED_EARLY.format(handler=handler)]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, done.stderr) == (code, b"")


# --- exit codes ------------------------------------------------------------------------------------------------------


def test_0_when_all_went_well(project, cli):
    project.write(values=range(2))
    cli("validate", "experiment.yml", code=0)
    cli("compile", "experiment.yml", code=0)
    cli("submit", code=0)
    cli("collect", code=0)
    cli("best", code=0)


def test_1_while_a_trial_stands_failed_whoever_submitted_it(done, cli):
    for arguments in (["submit", "--retry", "failed"], ["submit"], ["submit", "-q"]):
        _, out, err = cli(*arguments, code=1)
        assert (out, "amlc submit --retry failed runs it again\n" in err) == ("", "-q" not in arguments)


def test_1_or_2_when_the_experiment_is_wrong(project, cli):
    (project.root / "experiment.yml").write_text("searchSpace: 1\n")
    code, out, err = cli("validate", "experiment.yml")
    assert code in (1, 2)
    assert "experiment.yml:1:" in err
    assert out == ""


def test_3_when_a_check_finds_a_difference(project, cli):
    project.write().compile()
    cli("compile", "experiment.yml", "--check", code=0)
    project.write(values=range(9))
    cli("compile", "experiment.yml", "--check", code=3)


def test_4_when_results_are_incomplete(done, cli):
    _, out, err = cli("collect", code=4)
    assert len(out.splitlines()) == 4
    assert err == "error: probe: 2 of 3 trials done: 1 failed. The rows are written all the same.\n"


def test_5_when_the_back_end_fails(project, cli):
    project.write().compile()
    project.folders.runs("probe").parent.mkdir(parents=True)
    project.folders.runs("probe").write_text("a file where a folder has to be")
    _, _, err = cli("submit", code=5)
    assert "runs/probe-" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["collect"], ["submit"], ["status"], ["best"], ["logs", "x"], ["cancel"], ["retry", "x"], ["plan"],
        ["collect", "nope"], ["collect", "nope.yml"], ["validate", "nope.yml"], ["compile", "nope.yml"],
        ["validate", "."], ["compile", "."], ["nope"], ["--nope"], ["collect", "--format", "xml"],
        ["submit", "--retry", "nope"], ["--build", "experiment.yml", "collect"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_2_when_it_cannot_be_done(project, cli, arguments):
    project.write()
    _, out, err = cli(*arguments, code=2)
    assert out == ""
    assert err.strip()


# --- errors are sentences --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["logs", "nope"], "nope: no trial has this number or id", id="unknown-trial"),
        pytest.param(["logs", "#7"], "#7: no trial has this number or id", id="unknown-number"),
        pytest.param(["logs", "#"], "#: no trial has this number or id", id="no-number"),
        pytest.param(["logs", ""], "an empty name: no trial has this number or id", id="empty"),
        pytest.param(["retry", "nope"], "nope: no trial has this number or id", id="retry"),
        pytest.param(["cancel", "#9"], "#9: no trial has this number or id", id="cancel"),
        pytest.param(["cancel", "9"], "9: no trial has this number or id", id="cancel-number"),
        pytest.param(
            ["cancel"], "name the trials to cancel, such as `amlc cancel 7`, or give --all", id="cancel-nothing"
        ),
        pytest.param(["cancel", "0", "--all"], "name the trials to cancel", id="cancel-some-and-all"),
        pytest.param(["collect", "other"], "other: neither a file nor a compiled experiment", id="experiment"),
        pytest.param(["submit", "--max-failures", "many"], "--max-failures many: expected a number", id="max-failures"),
        pytest.param(["submit", "--max-failures", "²"], "--max-failures ²: expected a number", id="max-failures-digit"),
        pytest.param(
            ["submit", "--max-failures", "-1"], "--max-failures -1: expected a number", id="max-failures-negative"
        ),
        pytest.param(["submit", "--max-failures", "0"], "--max-failures 0: expected a number", id="max-failures-zero"),
    ],
)
def test_what_is_wrong_is_said(done, cli, arguments, message):
    _, out, err = cli(*arguments, code=2)
    assert err.startswith(f"error: {message}")
    assert out == ""


def test_a_trial_goes_by_its_number_or_four_digits_of_its_id_that_are_its_own(project, cli):
    project.write(values=range(600)).compile()
    by_start = Counter(trial[:4] for trial in project.trials)
    twice, once = (next(t for t in project.trials if (by_start[t[:4]] > 1) == many and not t[:4].isdecimal())
                   for many in (True, False))  # fmt: skip
    assert "2 trials have this number, or an id that starts so" in cli("logs", twice[:4], code=2)[2]
    assert "no trial has this number or id" in cli("logs", once[:3], code=2)[2]
    number = project.trials.index(once)
    for name in (once[:4], once, once.upper(), str(number), f"#{number}"):
        assert cli("logs", name, code=2)[2].startswith(f"error: trial {once}: it was not submitted yet")


def test_several_experiments_have_to_be_named(project, cli):
    project.write().compile()
    project.write(experimentName="other").compile()
    _, _, err = cli("collect", code=2)
    assert "name one of them (other, probe)" in err
    cli("collect", "other", code=4)
    cli("collect", "experiment.yml", code=4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*COMMANDS, "--help", "-q", "--format", "csv", "json", "experiment.yml", "probe", ".", "",
                                 "-e", "#0", "#7", "0", "--retry", "failed", "--max-failures", "5%", "--history", "--all",
                                 "\u00fc\u2713", "-", "--", "/dev/null", "/", "build", "--build", "--state", "x" * 300]),
                max_size=5))  # fmt: skip
def test_whatever_the_arguments_there_is_no_traceback(done, cli, arguments):
    code, _, _ = cli(*arguments)
    assert code in (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"format": 99}', b'{"format": 1}'])
def test_a_broken_manifest_is_said(done, cli, content):
    (done.folders.build / "probe" / "manifest.json").write_bytes(content)
    for command in ("collect", "status", "submit"):
        _, _, err = cli(command, code=4)
        assert "manifest.json: " in err


def test_a_job_file_that_was_edited_is_said(project, cli):
    project.write().compile()
    path = min(project.folders.build.glob("probe/jobs/*.yml"))
    path.write_text(path.read_text() + "\n# mine\n")
    _, _, err = cli("submit", code=1)
    assert f"{path.name}: not the file that was compiled" in err
    assert project.starts == []


def test_a_ledger_that_is_none_is_said(project, cli):
    project.write().compile()
    project.folders.ledger("probe").parent.mkdir(parents=True)
    project.folders.ledger("probe").write_text("hello" * 1000)
    for command in (["submit"], ["collect"], ["status"], ["cancel", "--all"], ["plan"]):
        _, _, err = cli(*command, code=4)
        assert "ledger.db: file is not a database" in err


@pytest.mark.parametrize(
    ("closed", "commands"),
    [
        ("build", ["status", "list"]),
        ("build/probe", ["status", "plan", "submit", "collect", "gc"]),
        (".amlc", ["status", "list"]),
        (".amlc/probe", ["status", "plan", "submit"]),
        (".amlc/probe/ledger.db", ["status", "plan"]),
        (".amlc/probe/runs", ["submit"]),
    ],
)
def test_what_may_not_be_looked_into_is_said_and_never_taken_for_absent(project, unprivileged, closed, commands):
    project.write().compile()
    with project.ledger():
        pass
    project.folders.runs("probe").mkdir()
    for command in commands:
        with unprivileged(project, closed) as amlc:
            done = amlc(command)
        assert (done.returncode, done.stdout) == (5, "")
        assert re.fullmatch(rf"error: {closed}\S*: Permission denied\. Give this user the right .*\n", done.stderr)
    assert project.starts == []


def test_an_experiment_that_may_not_be_looked_into_is_one_of_several(project, unprivileged):
    project.write().compile().write(experimentName="other").compile()
    with unprivileged(project, "build/other") as amlc:
        assert "build/ holds 2 experiments: name one of them (other, probe)" in amlc("status").stderr
        assert "0 of 4 trials done" in amlc("status", "probe").stdout
        done = amlc("list")
    assert (done.returncode, len(done.stdout.splitlines())) == (4, 2)
    assert "other: build/other/manifest.json: Permission denied." in done.stdout


@pytest.mark.parametrize("form", ["text", "json"])
def test_4_when_an_experiment_of_the_list_cannot_be_read(project, form):
    project.write().compile()
    (project.folders.build / "probe" / "manifest.json").write_text("x")
    done = project.amlc("list", "--format", form, code=4)
    assert b"not a manifest of amlc's" in done.stdout
    assert "not a manifest of amlc's" in done.stderr


@pytest.mark.parametrize("where", ["/proc/amlc", "experiment.yml/state"])
def test_a_state_folder_that_cannot_be_written_is_said(project, cli, where):
    project.write().compile()
    _, _, err = cli("--state", where, "submit", code=2)
    assert err.startswith("error: ")
    assert where.split("/")[-2] in err
    cli("--state", where, "collect", code=4)  # reading needs no folder


def test_a_build_folder_that_cannot_be_written_is_said(project, cli):
    project.write()
    _, _, err = cli("--build", "/proc/amlc", "compile", "experiment.yml", code=2)
    assert "/proc/amlc" in err


# --- streams ---------------------------------------------------------------------------------------------------------


def test_stdout_has_the_data_and_nothing_else(done, cli):
    for arguments in (
        ["submit"],
        ["cancel"],
        ["retry", "#0"],
        ["compile", "experiment.yml"],
        ["validate", "experiment.yml"],
    ):
        assert cli(*arguments)[1] == ""
    assert json.loads(cli("best", code=0)[1]) == {"x": 0}
    assert cli("collect")[1].splitlines()[0].startswith("sequence,trial,status")
    assert [json.loads(line)["sequence"] for line in cli("collect", "--format", "jsonl")[1].splitlines()] == [0, 1, 2]


@pytest.mark.parametrize("is_first", [True, False], ids=["before-the-verb", "behind-the-verb"])
def test_quiet_says_nothing_but_errors_and_data(project, cli, is_first, tmp_path):
    def quiet(*arguments, **options):
        return cli("-q", *arguments, **options) if is_first else cli(*arguments, "-q", **options)

    project.write(values=range(2), logLevel="debug")  # which has no effect, and that is a note
    silent = (["init", str(tmp_path / "new")], ["validate", "experiment.yml"], ["compile", "experiment.yml"], ["submit"],
              ["cancel", "--all"], ["retry", "1"], ["submit", "--retry", "missing"])  # fmt: skip
    for arguments in silent:
        assert quiet(*arguments, code=0)[1:] == ("", ""), arguments
    for arguments, lines in ((["collect"], 3), (["run", "experiment.yml"], 3), (["best"], 3), (["status"], 4)):
        code, out, err = quiet(*arguments)
        assert (code, err, len(out.splitlines())) == (0, "", lines), arguments
    assert quiet("report", code=0)[2] == ""
    assert quiet("logs", "nope", code=2)[2].startswith("error: ")


def test_a_closed_pipe_is_no_traceback(project):
    project.write(values=range(1500)).compile()
    for command in (
        ["collect"],
        ["collect", "--format", "jsonl"],
        ["status", "--all"],
        ["status", "--format", "csv"],
        ["report"],
    ):
        with project.start(*command, pipesize=4096) as process:  # less than it writes, so that it finds it closed
            process.stdout.readline()
            process.stdout.close()
            err = process.stderr.read().decode()
            assert process.wait() == 141
        assert "Traceback" not in err
        assert "Exception ignored" not in err


@pytest.mark.parametrize(
    "command",
    [
        ["collect"],
        ["collect", "--format", "parquet"],
        ["status"],
        ["best"],
        ["logs", "#2"],
        ["schema"],
        ["plan"],
        ["--help"],
    ],
    ids=lambda words: words[-1],
)
def test_a_full_disk_behind_stdout_is_a_clear_error(done, command):
    with open("/dev/full", "wb") as full, done.start(*command, stdout=full) as process:
        err = process.communicate(timeout=TIMEOUT_S)[1].decode()
    assert err.splitlines()[-1] == "error: input or output: No space left on device."
    assert process.returncode == 5


@pytest.mark.parametrize(
    ("command", "code"),
    [("collect", 5), ("status", 5), ("best", 5), ("--help", 5), ("--version", 5), ("submit", 1)],
)
def test_without_stdout_what_is_to_be_written_to_it_is_an_error(done, command, code):
    words = [sys.executable, "-m", "amlc", command]
    process = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *words], cwd=done.root, env=done.environ,
                             stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False)  # fmt: skip
    assert "Traceback" not in process.stderr
    assert "Exception ignored" not in process.stderr
    assert process.returncode == code
    assert ("Bad file descriptor. Is stdout closed?" in process.stderr) == (code == 5)


# --- what stops a command ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        pytest.param(click.exceptions.Abort(), 130, "error: interrupted.\n", id="interrupted"),
        pytest.param(OSError(28, "No space left on device"), 5,
                     "error: input or output: No space left on device.\n", id="a full disk"),
        pytest.param(IsADirectoryError(21, "Is a directory", "/x"), 2, "error: /x: Is a directory.\n", id="a folder"),
        pytest.param(click.UsageError("No such thing."), 2, "Error: No such thing.\n", id="usage"),
    ],
)  # fmt: skip
def test_what_stops_a_command_has_a_line_and_a_code(monkeypatch, cli, error, code, said):
    def stopped(**_):
        raise error

    monkeypatch.setattr(process.main, "main", stopped)
    assert cli("status") == (code, "", said)


# --- surroundings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"LC_ALL": "C"}, id="C"),
        pytest.param({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, id="ascii"),
        pytest.param({"LC_ALL": "en_US.ISO-8859-1", "PYTHONIOENCODING": "latin-1"}, id="latin-1"),
        pytest.param({"TZ": "Asia/Kathmandu", "NO_COLOR": "1", "TERM": "dumb"}, id="elsewhere"),
    ],
)
def test_any_locale_will_do_for_unicode_names_and_values(weird_project, env):
    weird_project.write('printf "ü ✓\\n"', values=["ü ✓", "b"], experimentName="prüfung ✓").compile()
    assert weird_project.amlc("submit", env=env).stderr.endswith("2 submitted, 2 of 2 trials done\n")
    assert "ü ✓" in weird_project.amlc("collect", env=env).stdout.decode()
    weird_project.amlc("status", env=env)
    assert json.loads(weird_project.amlc("best", env=env).stdout.decode()) == {"x": "ü ✓"}
    assert "ü ✓\n" in weird_project.amlc("logs", "#0", env=env).stdout.decode()


def test_no_home_is_needed(project):
    project.write(values=range(1)).compile()
    del project.environ["HOME"]
    project.amlc("submit")
    project.amlc("status")


def test_a_working_directory_that_was_deleted_is_no_traceback(project):
    project.write().compile()
    gone = project.root / "gone"
    for command in ("collect", "status", "submit", "compile experiment.yml", "validate x.yml"):
        gone.mkdir()
        words = f"cd '{gone}' && rmdir '{gone}' && exec '{sys.executable}' -m amlc {command}"
        done = subprocess.run(["sh", "-c", words], env=project.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr


def test_colour_only_on_a_terminal_and_never_with_no_color(done):
    import pty

    seen = {}
    for name, env in (("colour", {"TERM": "xterm-256color"}), ("none", {"TERM": "xterm-256color", "NO_COLOR": "1"})):
        ours, theirs = pty.openpty()
        with done.start("logs", "nope", stderr=theirs, env=env) as process:
            process.wait()
            seen[name] = os.read(ours, 4096)
        os.close(ours)
        os.close(theirs)
    assert seen["colour"].startswith(b"\x1b[31merror:\x1b[0m nope: ")
    assert seen["none"].startswith(b"error: nope: ")


def test_a_progress_bar_is_shown_on_a_terminal_only(project):
    import pty

    project.write("sleep 0.2", values=range(3)).compile()
    ours, theirs = pty.openpty()
    with project.start("submit", stderr=theirs, env={"TERM": "xterm-256color", "COLUMNS": "80"}) as process:
        os.close(theirs)
        text = b""
        while chunk := _read(ours):
            text += chunk
        assert process.wait() == 0
    os.close(ours)
    assert b"3/3" in text
    assert text.endswith(b"3 submitted, 3 of 3 trials done\r\n")
    assert text.count(b"\x1b[?25h") == text.count(b"\x1b[?25l") > 0, "the cursor is there again"
    assert "\x1b" not in project.amlc("submit", "--retry", "changed").stderr


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def test_a_message_cannot_give_orders_to_a_terminal(project, cli):
    (project.root / "a\x1b]0;owned\x07.yml").write_text("trialCommand: [\n")
    (project.root / "table.csv").write_text("Name,State,\x1b[2J\x1b]0;owned\x07a,b\nx,finished,1,2\n")
    project.write(values=range(2))
    for words in (["validate", "a\x1b]0;owned\x07.yml"], ["import", "table.csv", "experiment.yml"], ["status", "\x1b[2J"]):
        _, out, err = cli(*words)
        assert err
        assert "\x1b" not in out + err
        assert "\x07" not in out + err
