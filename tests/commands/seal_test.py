"""A sealed plan is done as it says, or not at all."""

import json
import os
import threading

import pytest

from amlc.commands.options import Options
from amlc.commands.plan import plan
from amlc.commands.seal import StaleError, check_seal, options_of, read_seal, write_seal
from amlc.display.plan import seal_as_json
from amlc.errors import UsageError
from amlc.ledger import read_ledger


@pytest.fixture
def sealed(story, tmp_path):
    def made(**options):
        file = tmp_path / "plan.json"
        found = plan(story.manifest, Options(**options), folders=story.folders, seal=True)
        file.write_text(json.dumps({"seal": seal_as_json(found)}))
        return read_seal(file)

    return made


def checked(seal, story):
    with read_ledger(story.folders.ledger("probe")) as ledger:
        check_seal(seal, story.manifest, ledger)


def test_it_has_each_submission_and_the_options(sealed, story):
    story.end(0, final=1.0)
    seal = sealed(retry=("failed",), max_failures="3", canary=True)
    assert [one["job"] for one in seal.submissions] == [entry.name for entry in story.entries[1:]]
    assert options_of(seal, parallel=7) == Options(retry=("failed",), max_failures="3", canary=True, parallel=7)
    checked(seal, story)


def test_what_happened_since_makes_it_stale(sealed, story):
    seal = sealed()
    checked(seal, story)
    story.intent(0)
    with pytest.raises(StaleError, match="something was recorded"):
        checked(seal, story)


def test_what_was_compiled_since_makes_it_stale(sealed, story):
    seal = sealed()
    story.project.write(values=range(5)).compile()
    with pytest.raises(StaleError, match="not what was compiled"):
        checked(seal, story)
    story.project.write(experimentName="another").compile()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seal": {}}', '{"seal": 3}', "\0"])
def test_what_is_no_seal_is_said(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(UsageError, match="not a sealed plan"):
        read_seal(tmp_path / "x")
    with pytest.raises(UsageError, match="cannot be read"):
        read_seal(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"seal": {}}', "experimentName: mine", '{"command": "plan"}', "\0"])
def test_a_plan_takes_no_other_files_place(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(UsageError, match="is there already, and no sealed plan: nothing was written"):
        write_seal(tmp_path / "x", PLAN)
    assert (tmp_path / "x").read_text() == text


PLAN = '{"command": "plan", "seal": {}}'


@pytest.mark.parametrize("before", [None, "", '{"command": "plan", "seal": {"of": "an older amlc"}}'])
@pytest.mark.parametrize("is_link", [False, True])
def test_a_plan_takes_the_place_of_nothing_or_of_a_plan_and_follows_a_link(tmp_path, before, is_link):
    file = named = tmp_path / "plan"
    if is_link:
        named = tmp_path / "link"
        named.symlink_to("plan")
    if before is not None:
        file.write_text(before)
    write_seal(named, PLAN)
    assert (file.read_text(), named.is_symlink()) == (PLAN, is_link)


def test_a_plan_is_written_into_a_fifo(tmp_path):
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()), daemon=True)
    reader.start()
    write_seal(fifo, PLAN)
    reader.join(10)
    assert (got, fifo.is_fifo()) == ([PLAN], True)
