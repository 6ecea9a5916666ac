"""The command that is run when a submit has ended, however that was."""

import pytest

from amlc.cli.hook import run_hook
from amlc.cli.invocation import Invocation

TELL = """printf '%s|%s|%s' "$AMLC_EXPERIMENT" "$AMLC_EXIT_CODE" "$AMLC_MESSAGE" > told; echo heard"""


def told(project) -> str:
    return (project.root / "told").read_text()


@pytest.mark.parametrize(
    ("script", "words", "code", "expected"),
    [
        ("", ("run", "experiment.yml"), 0, "probe|0|2 of 2 trials done"),
        ("", ("submit",), 0, "probe|0|2 of 2 trials done"),
        ("", ("submit", "probe"), 0, "probe|0|2 of 2 trials done"),
        ("exit 3", ("submit",), 1, "probe|1|0 of 2 trials done: 2 failed"),
        ("", ("submit", "--retry", "nothing"), 2, "|2|"),
        ("", ("retry", "7"), 2, "probe|2|"),
        ("", ("submit", "nowhere.yml"), 2, "nowhere.yml|2|"),
    ],
)
def test_it_is_told_of_every_end(project, cli, script, words, code, expected):
    project.write(script, values=range(2)).compile()
    _, out, err = cli(*words, "--on-end", TELL, code=code)
    assert told(project).startswith(expected)
    assert "heard" in err
    assert "heard" not in out


def test_it_changes_no_exit_code_and_its_failure_is_said(project, cli):
    project.write(values=range(1)).compile()
    _, _, err = cli("submit", "--on-end", "exit 7", code=0)
    assert err.endswith("warning: --on-end: exit 7: exit code 7.\n")


def test_a_plan_of_what_would_be_has_no_end(project, cli):
    project.write(values=range(1)).compile()
    assert "--on-end" in cli("plan", "--on-end", "touch told", code=2)[2]
    assert not (project.root / "told").exists()


def test_without_a_command_nothing_is_run(monkeypatch):
    monkeypatch.setattr("subprocess.run", lambda *given, **keys: pytest.fail("it ran something"))
    run_hook(Invocation(), code=0)
