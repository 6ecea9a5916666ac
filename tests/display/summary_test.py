"""The summary is Markdown in which nothing that a trial said is markup."""

import io
import re

import pytest

from amlc.commands.summary import summary
from amlc.console import Console
from amlc.display.summary import show

FAILS = """test "$NNI_TRIAL_SEQ_ID" != 2 || { echo 'ValueError: a|b <b>*c*</b> `d`' >&2; exit 3; }"""


def test_it_says_how_the_trials_stand(project):
    project.write().compile()
    assert project.amlc("summary").stdout.decode() == (
        "### probe: 0 of 4 trials done: 4 pending\n\n| status | trials |\n|---|---:|\n| pending | 4 |\n\n"
        f"Revision `{project.manifest.header.revision[:6]}`.\n\n"
    )


def test_it_goes_to_stdout(project):
    project.write().compile()
    out, err = io.StringIO(), io.StringIO()
    show(summary(project.manifest, folders=project.folders), Console(out, err))
    assert out.getvalue().startswith("### probe: ")
    assert err.getvalue() == ""


def test_it_names_the_best_trial_and_why_others_failed(project):
    project.write(script=FAILS).compile()
    project.amlc("submit", code=1)
    text = project.amlc("summary").stdout.decode()
    assert "| succeeded | 3 |" in text
    assert "| failed | 1 |" in text
    assert re.search(r"Trial \d did best, by \w+: 1\.5\n\n```json\n\{\n  \"x\": \d\n\}\n```\n", text)
    (row,) = re.findall(r"^\| (.*) \| 1 \| 2 \|$", text, re.MULTILINE)
    assert not re.search(r"(?<!\\)[|<>*`]", row), row


@pytest.mark.parametrize("value", ["a```b", "````", "$(x)|"])
def test_parameters_stay_in_their_block(project, value):
    project.write(values=[value]).compile()
    project.amlc("submit")
    text = project.amlc("summary").stdout.decode()
    (fence, inside) = re.search(r"^(`{3,})json\n(.*?)^\1$", text, re.MULTILINE | re.DOTALL).groups()
    assert value in inside
    assert fence not in inside


def test_of_replicates_it_names_all_trials_of_the_best(project):
    project.write(values=[1, 2], amlc={"replicates": 2}).compile()
    project.amlc("submit")
    assert re.search(r"^Trials \d, \d did best", project.amlc("summary").stdout.decode(), re.MULTILINE)


def test_a_lost_ledger_is_said_as_status_says_it(project):
    project.write().compile()
    project.amlc("submit")
    project.folders.ledger("probe").unlink()
    said = [project.amlc(verb, code=code).stderr for verb, code in (("status", 4), ("summary", 4))]
    assert said[0] == said[1] != ""
