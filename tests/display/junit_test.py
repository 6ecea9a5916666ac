"""JUnit's XML has a case for each thing that was looked at, whatever text is in it."""

from pathlib import Path
from xml.etree import ElementTree as ET

from amlc.display.formats import Case, Findings
from amlc.display.junit import written
from amlc.errors import Position, Problem, Severity


def problem(message, severity=Severity.ERROR):
    return Problem(position=Position(Path("a.yml"), 3, 7), code="E-x", message=message, severity=severity)


def test_a_case_fails_by_its_errors_and_has_its_warnings():
    cases = (
        Case(group="validate", name="a.yml", problems=(problem("<it & 'that'>"), problem("so\x00 \x1b[31mso"))),
        Case(group="validate", name='b".yml', problems=(problem("odd", Severity.WARNING),)),
        Case(group="other", name="c.yml"),
    )
    root = ET.fromstring("".join(written(Findings(command="validate", cases=cases))))
    suites = root.findall("testsuite")
    assert [suite.attrib for suite in suites] == [
        {"name": "validate", "tests": "2", "failures": "1", "errors": "0", "skipped": "0"},
        {"name": "other", "tests": "1", "failures": "0", "errors": "0", "skipped": "0"},
    ]
    first, second, third = root.iter("testcase")
    failure = first.find("failure")
    assert failure.attrib == {"type": "E-x", "message": "<it & 'that'>"}
    assert failure.text.splitlines() == [
        "a.yml:3:7: <it & 'that'> [E-x]",
        "a.yml:3:7: so\\x00 \\x1b[31mso [E-x]",
    ]
    assert second.find("failure") is None
    assert second.find("system-out").text == "a.yml:3:7: warning: odd [E-x]"
    assert (second.get("name"), list(third)) == ('b".yml', [])
