"""`--format`: what is found goes to stdout as each service reads it, whichever command found it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

import amlc.commands.doctor
from amlc.backends import Check
from amlc.errors import BackendError
from amlc.files import lock

ROOT = Path(__file__).parents[2]
REPORTED = ROOT / "tests" / "reported"
SCHEMA = json.loads((ROOT / "schema" / "findings.schema.json").read_text())
SARIF = json.loads((ROOT / "tests" / "data" / "sarif" / "schema.json").read_text(encoding="utf-8"))
CHECKS = [
    Check("sign-in", is_well=False, text="not signed in. Run az login."),
    Check("quota", is_well=True, text="8 of 8 nodes are in use.", is_warned=True),
    Check("disk", is_well=True, text="10 GB"),
]


def gone(*_, **__):
    raise BackendError("the workspace 'team' does not answer. Try again.")


@pytest.fixture
def asked(project, cli, monkeypatch):
    """Run a command with --format json; return its exit code and the document, which the schema has to accept."""
    project.write('[ "$NNI_TRIAL_SEQ_ID" != 1 ] || { echo sorry >&2; exit 3; }', values=range(3), debug=True)

    def run(*arguments):
        code, out, _ = cli(*arguments, "--format", "json")
        document = json.loads(out)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        assert document["command"] == arguments[0]
        return code, document

    return run


def record(name: str, document: dict) -> None:
    """Compare the messages of a document with those recorded; AMLC_GOLDEN=1 rewrites them."""
    lines = []
    for problem in document["problems"]:
        label = "" if problem["severity"] == "error" else f"{problem['severity']}: "
        text = re.sub(r"process \d+ on \S+", "process 123 on HOST", problem["message"])
        text = re.sub(r"/\S*(?=/(?:build|\.amlc)/)", "FOLDER", text)
        lines.append(f"{Path(problem['file']).name or 'experiment'}: {label}{text} [{problem['code']}]\n")
    path = REPORTED / f"{name}.txt"
    if os.environ.get("AMLC_GOLDEN") == "1":
        path.write_text("".join(lines), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "".join(lines)


@pytest.mark.golden
def test_what_is_no_fault_of_a_file_has_a_code_too(project, asked, cli, monkeypatch):
    code, document = asked("plan")
    assert code == 2
    record("usage", document)
    cli("compile", "experiment.yml", code=0)
    monkeypatch.setattr(amlc.commands.doctor, "doctor", gone)
    code, document = asked("doctor")
    assert code == 5
    record("backend", document)
    monkeypatch.setattr(amlc.commands.doctor, "doctor", lambda *_, **__: iter(CHECKS))
    code, document = asked("doctor", "experiment.yml")
    assert code == 5
    assert [check["verdict"] for check in document["checks"]] == ["failed", "warned", "ok"]
    record("check", document)
    code, document = asked("submit", "experiment.yml")
    assert code == 1
    assert document["run"]["statuses"] == {"succeeded": 2, "failed": 1}
    record("trial", document)


@pytest.mark.golden
def test_an_experiment_that_another_process_has_is_said_so(project, asked, cli, monkeypatch):
    cli("compile", "experiment.yml", code=0)
    monkeypatch.setattr("amlc.commands.submit.PATIENCE_S", 0)
    project.folders.prepare_state()
    with lock(project.folders.lock("probe")):
        code, document = asked("submit", "experiment.yml")
    assert code == 5
    record("locked", document)


def test_compile_says_what_it_did_and_what_is_odd(project, asked):
    code, document = asked("compile", "experiment.yml")
    assert code == 0
    assert [problem["code"] for problem in document["problems"]] == ["W-no-effect"]
    assert (document["build"]["trials"], document["build"]["preview"]) == (3, False)
    code, document = asked("compile", "experiment.yml", "--check")
    assert (code, document["build"]["changes"]) == (0, 0)


@pytest.mark.parametrize("command", ["validate", "compile"])
@pytest.mark.parametrize("format_", ["json", "github", "azure", "sarif", "junit"])
def test_a_broken_file_is_the_same_finding_in_every_format(project, cli, command, format_):
    project.write(trialConcurrency=0)
    code, out, err = cli(command, "experiment.yml", "--format", format_)
    assert (code, err) == (1, "")
    assert out.count("E-range") >= 1
    assert "must be at least 1, got 0" in out
    if format_ == "sarif":
        jsonschema.Draft4Validator(SARIF).validate(json.loads(out))
    if format_ == "junit":
        assert ET.fromstring(out).find("testsuite").get("failures") == "1"


def test_each_trial_is_a_test_case(project, asked, cli):
    cli("compile", "experiment.yml", code=0)
    code, out, _ = cli("submit", "experiment.yml", "--format", "junit")
    assert code == 1
    (_, suite) = ET.fromstring(out).findall("testsuite")
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("probe", "3", "1")


def test_a_single_error_of_a_file_shows_its_line(project, cli):
    (project.root / "experiment.yml").write_text("trialCommand: x\ntrialCommand: y\n")
    for command in ("validate", "compile"):
        _, out, err = cli(command, "experiment.yml", code=1)
        assert out == ""
        assert err.splitlines()[1:] == ["  2 | trialCommand: y", "    | ^"]


def test_explain_lists_the_codes_and_prints_a_page(cli):
    _, out, _ = cli("explain", code=0)
    assert "E-placeholder" in out
    _, out, _ = cli("explain", "e-placeholder", code=0)
    assert out.startswith("E-placeholder: ")
    assert "To mend it" in out
    _, _, err = cli("explain", "E-placeholdr", code=2)
    assert "Did you mean 'E-placeholder'?" in err


@pytest.mark.golden
def test_a_sealed_plan_is_done_once_and_then_stale(project, asked, cli):
    cli("compile", "experiment.yml", code=0)
    code, document = asked("plan", "-o", "plan.json", "--price", "2")
    sealed = json.loads((project.root / "plan.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(sealed)
    assert (code, sealed) == (0, document)
    assert [len(one["trials"]) for one in sealed["seal"]["submissions"]] == [1, 1, 1]
    _, _, err = cli("submit", "--plan", "plan.json", "--fail-fast", code=2)
    assert "Leave out the other options" in err
    cli("submit", "--plan", "plan.json", code=1)
    assert len(project.starts) == 3
    code, document = asked("submit", "--plan", "plan.json")
    assert code == 1
    record("stale", document)


def test_a_plan_of_a_tuner_that_learns_is_stale_when_its_files_change(project, cli):
    keys = {"tuner": {"name": "TPE"}, "maxTrialNumber": 3}
    project.write(values=range(9), **keys)
    cli("compile", "experiment.yml", code=0)
    cli("plan", "-o", "plan.json", code=0)
    project.write("true", values=range(9), **keys)
    _, _, err = cli("submit", "--plan", "plan.json", code=1)
    assert "the experiment's files have changed" in err
    assert project.starts == []
    project.write(values=range(9), **keys)
    cli("submit", "--plan", "plan.json", code=0)
    assert len(project.starts) == 3


def test_a_plan_above_its_budget_ends_with_1(project, asked, cli):
    project.write("exit 3", values=range(3), maxTrialDuration="1h", amlc={"retries": 1, "budget": {"nodeHours": 6}})
    cli("compile", "experiment.yml", code=0)
    _, out, _ = cli("plan", code=0)
    text = "at most 6 node-hours, if each trial takes maxTrialDuration and is run again as often as amlc.retries, 1, allows; 3 if none is"
    assert text in out
    cli("submit", code=1)
    _, _, err = cli("-q", "plan", "--retry", "failed", code=1)  # what was spent, and all of it again
    assert err.startswith("error: ")
    code, document = asked("plan", "--retry", "failed")
    assert (code, document["plan"]["cost"]["worst_node_hours"]) == (1, 6)
    assert [problem["code"] for problem in document["problems"]] == ["E-budget"]


def test_a_plan_is_a_comment_for_a_pull_request(project, cli):
    cli("compile", project.write().root / "experiment.yml", code=0)
    _, out, _ = cli("plan", "--format", "markdown", code=0)
    assert out.startswith("<!-- written by amlc plan -->\n### probe\n")
    assert "| new | 4 |" in out
    _, out, _ = cli("-q", "plan", "--format", "github", code=0)
    assert out == ""
    _, _, err = cli("plan", "--format", "markdown", "nowhere", code=2)
    assert "neither a file nor a compiled experiment" in err
    _, _, err = cli("plan", "--against", "HEAD", "-o", "x", code=2)
    assert "makes no plan that could be sealed" in err


def test_on_a_terminal_colours_are_colours(project, cli, monkeypatch):
    (project.root / "experiment.yml").write_text("trialCommand: x\ntrialCommand: y\n")
    monkeypatch.setattr("amlc.display.problems.in_colour", lambda _: True)
    for command in ("validate", "compile"):
        _, _, err = cli(command, "experiment.yml", code=1)
        assert "\\x1b" not in err
        assert "experiment.yml:2:1" in err
