"""What shells offer when TAB is pressed: in bash, zsh and fish as they are, and by click's own protocol."""

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from amlc.cli import completion
from amlc.cli.command import main
from amlc.cli.options import SUBMIT

ROOT = Path(__file__).parents[2]
SHELLS = ("bash", "zsh", "fish")
SOURCE = {
    "bash": 'eval "$(_AMLC_COMPLETE=bash_source amlc)"',
    "zsh": 'eval "$(_AMLC_COMPLETE=zsh_source amlc)"',
    "fish": "_AMLC_COMPLETE=fish_source amlc | source",
}
"""What docs/completion.md says to put into a shell's start-up file."""
PRESS = {
    "bash": "COMP_WORDS=({words}); COMP_CWORD={last}; _amlc_completion amlc; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    # zsh completes on a line that is edited only: what it would show goes to stdout instead.
    "zsh": "compadd() {{ print -l -- ${{(P)@[-1]}} }}; _describe() {{ print -l -- ${{(P)3}} | sed 's/:.*//' }}\n"
    "words=({words}); CURRENT={count}; _amlc_completion",
    "fish": "complete -C '{line}' | string replace -r '\\t.*' ''",
}


@pytest.fixture
def shelled(project):
    bin_ = project.root.parent / "bin"
    bin_.mkdir()
    (bin_ / "amlc").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m amlc "$@"\n', encoding="utf-8")
    (bin_ / "amlc").chmod(0o755)
    project.environ["PATH"] = f"{bin_}:{project.environ['PATH']}"
    project.environ["HOME"] = str(project.root.parent)  # fish writes there
    return project


def offered(project, words):
    """What click offers behind the words, of which the last is being typed."""
    environ = {**project.environ, "_AMLC_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words)), "COMP_WORDS": " ".join(["amlc", *words])}
    done = subprocess.run(
        [sys.executable, "-m", "amlc"], cwd=project.root, env=environ, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def press_tab(shell, project, words):
    """What a shell offers behind the words."""
    if not shutil.which(shell, path=project.environ["PATH"]):
        pytest.skip(f"{shell} is missing: make test-all brings it")
    line = ["amlc", *words]
    script = PRESS[shell].format(words=" ".join(word or "''" for word in line), last=len(words), count=len(line), line=" ".join(line))
    head = "autoload -Uz compinit && compinit -u -D\n" if shell == "zsh" else ""
    start = {"bash": ["--noprofile", "--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *start, "-c", f"{head}{SOURCE[shell]}\n{script}"],
        cwd=project.root, env=project.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_offers_commands_experiments_trials_and_statuses(shell, shelled):
    shelled.write().compile()
    assert {"status", "summary"} <= set(press_tab(shell, shelled, ["s"]))
    assert "probe" in press_tab(shell, shelled, ["status", "p"])
    assert set(press_tab(shell, shelled, ["logs", ""])) >= {"0", "1", "2", "3"}
    assert press_tab(shell, shelled, ["submit", "--retry", "f"]) == ["failed"]
    assert "--watch" in press_tab(shell, shelled, ["status", "--w"])


def test_the_page_names_the_lines_that_work_here():
    page = (ROOT / "docs" / "completion.md").read_text(encoding="utf-8").replace("\\|", "|")
    assert all(f"`{line}`" in page for line in SOURCE.values())


def test_compiled_experiments_come_first_and_files_after_them(project):
    project.write().compile()
    (project.root / "notes.txt").write_text("")
    (project.root / ".hidden.yml").write_text("")
    assert offered(project, ["status", ""]) == ["probe", "build/", "code/", "experiment.yml"]
    assert offered(project, ["status", "pr"]) == ["probe"]
    assert offered(project, ["collect", "exp"]) == ["experiment.yml"]
    assert offered(project, ["status", "build/"]) == ["build/probe/"]
    assert offered(project, ["status", "nowhere/"]) == []


def test_trials_are_offered_by_number_and_by_id(project):
    project.write(values=range(12)).compile()
    assert offered(project, ["logs", "1"])[:3] == ["1", "10", "11"]
    ids = project.trials
    assert ids[5] in offered(project, ["logs", ids[5][:6]])
    assert offered(project, ["logs", "-e", "probe", "2"])[:1] == ["2"]
    assert offered(project, ["cancel", "0", "3"])[:1] == ["3"]
    assert offered(project, ["retry", "-e", "nobody", ""]) == []


def test_a_folder_that_the_command_line_names_is_looked_at(project):
    project.write().compile()
    project.folders.build.rename(project.root / "made")
    assert offered(project, ["--build", "made", "status", "pro"]) == ["probe"]
    assert offered(project, ["status", "pro"]) == []


def test_of_a_list_the_last_word_is_completed(project):
    assert offered(project, ["submit", "--retry", "failed,un"]) == ["failed,unfinished"]
    assert "failed,failed" not in offered(project, ["submit", "--retry", "failed,"])


def test_what_is_offered_for_retry_is_what_its_help_lists():
    (retry,) = [option for option in SUBMIT if option.name == "retry"]
    words = [item.value for item in completion.retried(click.Context(main), retry, "")]
    assert retry.help == f"Run these again: {', '.join(words)}."


def test_codes_are_offered_with_what_they_mean(project):
    assert "E-algorithm" in offered(project, ["explain", "e-al"])


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"\xff" * 9), lambda path: path.unlink()])
def test_nothing_is_said_about_a_folder_that_is_damaged(project, spoil):
    project.write().compile()
    spoil(project.folders.build / "probe" / "manifest.json")
    assert offered(project, ["logs", ""]) == []


def test_many_trials_are_not_all_offered(project):
    project.write(values=range(1000)).compile()
    assert len(offered(project, ["logs", ""])) == 200


def test_nothing_heavy_is_loaded_for_it(project):
    project.write().compile()
    script = (
        "import sys, os; os.environ.update(_AMLC_COMPLETE='bash_complete', COMP_WORDS='amlc logs ', COMP_CWORD='2')\n"
        "sys.argv = ['amlc']\n"
        "try:\n    import amlc.__main__\nexcept SystemExit:\n    print(sorted({'numpy', 'optuna', 'rich', 'jsonschema', 'jinja2'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=project.root, env=project.environ, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done
