"""A call of a process that fails, or at which it is killed: done again, the answer is right."""

import shutil

import pytest

from tests.conftest import BRINGS
from tests.faults.injector import calls, inject

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason=f"a C compiler {BRINGS}")


@pytest.mark.parametrize(
    ("command", "role", "kind", "at"),
    [
        ("compile", "amlc", "ENOSPC", 9),
        ("compile", "amlc", "KILL", 40),
        ("submit", "supervisor", "KILL", 18),
        ("submit", "runner", "KILL", 20),
        ("submit", "amlc", "GROUP", 200),
        ("run, packed", "supervisor", "EIO", 6),
        ("collect", "amlc", "EMFILE", 5),
    ],
)
def test_a_strike_loses_nothing_and_doubles_nothing(tmp_path, command, role, kind, at):
    found = inject(tmp_path / "project", command, role, kind, at)
    assert found.struck
    assert found.wrong == []


def test_the_calls_of_a_process_are_counted(tmp_path):
    assert calls(tmp_path / "kill", "collect", "amlc", "KILL") > calls(tmp_path / "short", "collect", "amlc", "SHORT")
    assert calls(tmp_path / "other", "collect", "supervisor", "KILL") == 0
