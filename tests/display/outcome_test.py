"""Checks and trials are findings, too."""

from pathlib import Path

from amlc.backends import Check
from amlc.display.outcome import checks, checks_as_json


def test_a_check_that_is_not_well_is_a_problem():
    found = [
        Check("disk", is_well=True, text="10 GB"),
        Check("gpu", is_well=True, text="none", is_warned=True),
        Check("sign-in", is_well=False, text="az login"),
    ]
    cases = checks(found, Path("a.yml"))
    assert [case.name for case in cases] == ["disk", "gpu", "sign-in"]
    assert [[str(problem) for problem in case.problems] for case in cases] == [
        [],
        ["a.yml: warning: gpu: none [W-check]"],
        ["a.yml: sign-in: az login [E-check]"],
    ]
    assert [one["verdict"] for one in checks_as_json(found)] == ["ok", "warned", "failed"]
