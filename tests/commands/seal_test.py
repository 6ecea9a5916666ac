"""A sealed plan is done as it says, or not at all."""

import json

import pytest

from amlc.commands.options import Options
from amlc.commands.plan import plan
from amlc.commands.seal import StaleError, check_seal, options_of, read_seal
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
