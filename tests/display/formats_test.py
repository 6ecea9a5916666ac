"""Each service gets the problems in its own words."""

import json
from pathlib import Path

import jsonschema
import pytest

from amlc.display.formats import FORMATS, Case, Findings
from amlc.errors import Position, Problem, Severity

SCHEMA = json.loads((Path(__file__).parents[2] / "schema" / "findings.schema.json").read_text())


def findings(severity=Severity.ERROR, file="a.yml", code="E-x", message="it is wrong", line=3, **parts):
    problem = Problem(
        position=Position(Path(file), line, 7 if line else 0), code=code, message=message, severity=severity, **parts
    )
    return Findings(command="validate", cases=(Case(group="validate", name=file, problems=(problem,)),))


def shown(format_, **changes):
    return "".join(FORMATS[format_](findings(**changes)))


@pytest.mark.parametrize(
    ("format_", "changes", "line"),
    [
        ("github", {}, "::error file=a.yml,line=3,col=7,title=E-x::it is wrong\n"),
        ("github", {"severity": Severity.WARNING}, "::warning file=a.yml,line=3,col=7,title=E-x::it is wrong\n"),
        ("github", {"severity": Severity.NOTE}, "::notice file=a.yml,line=3,col=7,title=E-x::it is wrong\n"),
        ("github", {"file": "a,b:c%.yml"}, "::error file=a%2Cb%3Ac%25.yml,line=3,col=7,title=E-x::it is wrong\n"),
        ("github", {"message": "50%\r\nof: it, all"}, "::error file=a.yml,line=3,col=7,title=E-x::50%25%0D%0Aof: it, all\n"),
        ("github", {"line": 0}, "::error title=E-x::it is wrong\n"),
        ("azure", {}, "##vso[task.logissue type=error;sourcepath=a.yml;linenumber=3;columnnumber=7;code=E-x]it is wrong\n"),
        ("azure", {"severity": Severity.NOTE}, "##vso[task.logissue type=warning;sourcepath=a.yml;linenumber=3;columnnumber=7;code=E-x]it is wrong\n"),
        ("azure", {"file": "a;b].yml"}, "##vso[task.logissue type=error;sourcepath=a%3Bb%5D.yml;linenumber=3;columnnumber=7;code=E-x]it is wrong\n"),
        ("azure", {"line": 0}, "##vso[task.logissue type=error;code=E-x]it is wrong\n"),
    ],
)  # fmt: skip
def test_each_ci_gets_the_problem_beside_its_line(format_, changes, line):
    assert shown(format_, **changes) == line


def test_json_has_the_parts_of_the_message_and_is_as_its_schema_says():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    text = shown("json", path="", found="3", expected="at least 5", hint="Write 5.")
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    (problem,) = document["problems"]
    assert (problem["found"], problem["expected"], problem["hint"]) == ("3", "at least 5", "Write 5.")
    (plain,) = json.loads(shown("json"))["problems"]
    assert (plain["found"], plain["expected"], plain["hint"]) == (None, None, None)
