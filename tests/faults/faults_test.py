"""A call of a process that fails, or at which it is killed: done again, the answer is right. `make faults` does more."""

import random
import shutil

import pytest

from tests.conftest import BRINGS
from tests.faults import service, soak
from tests.faults.injector import COLUMNS, Finding, calls, inject
from tests.faults.table import page, table

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason=f"a C compiler {BRINGS}")


@pytest.mark.parametrize(
    ("command", "role", "kind", "at"),
    [
        ("compile", "amlc", "ENOSPC", 9),
        ("compile", "amlc", "EACCES", 1),
        ("compile", "amlc", "KILL", 40),
        ("compile", "amlc", "NOLOCK", 1),
        ("compile 600", "worker", "KILL", 1),
        ("submit", "fork server", "KILL", 3),
        ("submit", "fork server", "STOP", 2),
        ("submit", "supervisor", "KILL", 18),
        ("submit", "supervisor", "GROUP", 30),
        ("submit", "supervisor", "STOP", 20),
        ("submit", "runner", "KILL", 20),
        ("submit", "runner", "CLOCK", 10),
        ("submit", "amlc", "GROUP", 200),
        ("submit", "amlc", "NOLOCK", 1),
        ("run, TPE", "amlc", "CLOCK", 300),
        ("run, packed", "supervisor", "EIO", 6),
        ("run, packed", "runner", "SHORT", 12),
        ("retry", "amlc", "KILL", 400),
        ("cancel", "amlc", "EIO", 60),
        ("collect", "amlc", "EMFILE", 5),
        ("collect", "amlc", "NOLOCK", 1),
        ("refresh, lost", "amlc", "KILL", 40),
        ("refresh, damaged", "amlc", "GROUP", 90),
        ("report", "amlc", "KILL", 30),
    ],
)
def test_a_strike_loses_nothing_and_doubles_nothing(tmp_path, command, role, kind, at):
    found = inject(tmp_path / "project", command, role, kind, at)
    assert found.struck
    assert found.wrong == []


def test_the_calls_of_a_process_are_counted(tmp_path):
    found = calls(tmp_path / "own", "collect", "amlc")
    assert found["KILL"] > found["SHORT"] > 0
    assert found["NOLOCK"] > 0
    assert set(calls(tmp_path / "other", "collect", "supervisor").values()) == {0}


def test_amlc_that_is_killed_now_and_then_grows_in_nothing(tmp_path):
    found = soak.soak(tmp_path / "project", 40, random.Random(1), kills=3)
    assert 1 <= found.kills <= 3  # between two looks several may have been due
    assert found.wrong == []
    assert f"40 trials, amlc killed {found.kills} times: 0 things wrong." in str(found)


def test_a_table_counts_each_column_once_for_a_strike():
    one, other = Finding("submit", "amlc", "KILL", 1, "open x"), Finding("submit", "amlc", "EIO", 2)
    one.note("lost", "this")
    one.note("leftovers", "that")
    text = table([one, other], lambda one: (one.command, one.role), ("command", "process"))
    assert text.splitlines()[0] == f"| command | process | injected | effective | {' | '.join(COLUMNS)} |"
    assert text.splitlines()[2:] == ["| submit | amlc | 2 | 1 | 1 | 0 | 0 | 0 | 1 |"]


def test_the_page_has_what_was_found():
    found = [Finding("submit", "amlc", "KILL", 1, "open x"), Finding("submit", service.ROLE, "429", 2, "call 2")]
    text = page(found, "seed 7", "Soaked.")
    assert "seed 7; 2 strikes." in text
    assert "| submit | Azure ML | 1 | 1 |" in text
    assert "| KILL | amlc | 1 | 1 |" in text
    assert "{" not in text
