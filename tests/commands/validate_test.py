"""What is wrong with experiment files, for people and for CI."""

import io
import json
from xml.etree import ElementTree as ET

import pytest

from amlc.commands.validate import validate
from amlc.console import Console
from amlc.display.formats import FORMATS
from amlc.display.problems import show
from amlc.exit_codes import exit_code
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

    def run(*texts, format_="text", quiet=False):
        files = []
        for number, text in enumerate(texts):
            files.append(tmp_path / f"e{number}.yml")
            files[-1].write_text(text)
        out, err = io.StringIO(), io.StringIO()
        found = validate(files, backend=None, folders=Folders())
        code = exit_code("validate", show(found, Console(out, err, quiet), format_))
        return code, out.getvalue(), err.getvalue()

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


@pytest.mark.parametrize("format_", ["text", *FORMATS])
def test_a_file_that_cannot_be_read_is_a_problem_beside_those_of_the_others(make_project, format_):
    project = make_project("many")
    (project.root / "bad.yml").write_text(BAD)
    (project.root / "folder.yml").mkdir()
    done = project.amlc("validate", "missing.yml", "bad.yml", "folder.yml", "--format", format_, code=2)
    said = done.stderr if format_ == "text" else done.stdout.decode()
    for name, why in (("missing", "cannot be read: No such file or directory."), ("bad", "trialConcurrency"),
                      ("folder", "cannot be read: Is a directory.")):  # fmt: skip
        assert f"{name}.yml" in said
        assert why in said
    assert format_ == "text" or done.stderr == ""
    if format_ in ("json", "sarif"):
        json.loads(said)
    if format_ == "junit":
        assert ET.fromstring(said)[0].attrib["failures"] == "3"


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
