"""What is wrong with experiment files, for people and for CI."""

import io
import json
from pathlib import Path

import pytest

from amlc.commands.validate import FORMATS, validate
from amlc.errors import Position, Problem, Severity
from amlc.folders import Folders

GOOD = """\
searchSpace: {x: {_type: choice, _value: [1, 2]}}
trialCommand: 'true'
trialConcurrency: 1
tuner: {name: GridSearch}
trainingService: {platform: local}
"""


@pytest.fixture
def checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*texts, format_="text", **options):
        files = []
        for number, text in enumerate(texts):
            files.append(tmp_path / f"e{number}.yml")
            files[-1].write_text(text)
        out, err = io.StringIO(), io.StringIO()
        arguments = {
            "files": files,
            "backend": None,
            "format_": format_,
            "quiet": False,
            "out": out,
            "err": err,
            "folders": Folders(),
            **options,
        }
        return validate(**arguments), out.getvalue(), err.getvalue()

    return run


BAD = GOOD.replace("trialConcurrency: 1", "trialConcurrency: 0")
WARNED = GOOD + "debug: true\n"


@pytest.mark.parametrize(
    ("texts", "code"), [([GOOD], 0), ([GOOD, GOOD], 0), ([WARNED], 0), ([BAD], 1), ([GOOD, BAD, GOOD], 1)]
)
def test_one_file_with_an_error_fails_and_every_good_one_is_said(checked, texts, code):
    found, out, err = checked(*texts)
    assert (found, out, err.count("is valid")) == (code, "", len(texts) - texts.count(BAD))


def test_quietly_only_errors_are_said(checked):
    assert checked(GOOD, WARNED, quiet=True) == (0, "", "")
    _, out, err = checked(BAD, WARNED, quiet=True)
    assert out == ""
    assert "E-range" in err


def test_as_data_all_of_them_are_on_stdout(checked):
    code, out, err = checked(GOOD, WARNED, format_="json", quiet=True)
    (problem,) = json.loads(out)["problems"]
    assert (code, err, problem["code"], problem["severity"], problem["path"]) == (
        0,
        "",
        "W-no-effect",
        "note",
        "/debug",
    )


def shown(format_, severity=Severity.ERROR, file="a.yml", code="E-x", message="it is wrong"):
    out = io.StringIO()
    FORMATS[format_]([Problem(position=Position(Path(file), 3, 7), code=code, message=message, severity=severity)], out)
    return out.getvalue()


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
