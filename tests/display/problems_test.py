"""Each service gets the problems in its own words."""

from pathlib import Path

import pytest

from amlc.display.problems import FORMATS
from amlc.errors import Position, Problem, Severity


def shown(format_, severity=Severity.ERROR, file="a.yml", code="E-x", message="it is wrong"):
    problem = Problem(position=Position(Path(file), 3, 7), code=code, message=message, severity=severity)
    return "".join(FORMATS[format_]([problem]))


@pytest.mark.parametrize(
    ("format_", "changes", "line"),
    [
        ("github", {}, "::error file=a.yml,line=3,col=7,title=E-x::it is wrong\n"),
        ("github", {"severity": Severity.WARNING}, "::warning file=a.yml,line=3,col=7,title=E-x::it is wrong\n"),
        ("github", {"severity": Severity.NOTE}, "::notice file=a.yml,line=3,col=7,title=E-x::it is wrong\n"),
        ("github", {"file": "a,b:c%.yml"}, "::error file=a%2Cb%3Ac%25.yml,line=3,col=7,title=E-x::it is wrong\n"),
        ("github", {"message": "50%\r\nof: it, all"}, "::error file=a.yml,line=3,col=7,title=E-x::50%25%0D%0Aof: it, all\n"),
        ("azure", {}, "##vso[task.logissue type=error;sourcepath=a.yml;linenumber=3;columnnumber=7;code=E-x]it is wrong\n"),
        ("azure", {"severity": Severity.NOTE}, "##vso[task.logissue type=warning;sourcepath=a.yml;linenumber=3;columnnumber=7;code=E-x]it is wrong\n"),
        ("azure", {"file": "a;b].yml"}, "##vso[task.logissue type=error;sourcepath=a%3Bb%5D.yml;linenumber=3;columnnumber=7;code=E-x]it is wrong\n"),
    ],
)  # fmt: skip
def test_each_ci_gets_the_problem_beside_its_line(format_, changes, line):
    assert shown(format_, **changes) == line
