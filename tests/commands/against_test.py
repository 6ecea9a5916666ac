"""What an edit means for the trials, against a git revision: nothing is written, and nothing compiled."""

import json
import shutil
import subprocess

import pytest

from amlc.commands.against import against, as_json
from amlc.config import load_experiment
from amlc.errors import ConfigError, UsageError
from tests.commands.conftest import Story

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def committed(project):
    project.write(values=range(4), maxTrialDuration="1h")
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-C", project.root, *identity, *arguments], check=True, capture_output=True)
    return project


def compared(project, revision="HEAD", **environ):
    experiment, _ = load_experiment(project.root / "experiment.yml", environ=environ)
    return against(experiment, revision, folders=project.folders)


def test_trials_are_added_removed_and_kept_with_their_results(committed):
    story = Story(committed.compile())
    story.end(1, final=1.0)
    committed.write(values=[1, 2, 7, 8, 9], maxTrialDuration="1h")
    found = compared(committed)
    assert [one["x"] for one in found.added.values()] == [7, 8, 9]
    assert [one["x"] for one in found.removed.values()] == [0, 3]
    assert (found.kept, found.with_results, found.changes, found.more_hours) == (2, 1, [], 3.0)
    assert json.loads(json.dumps(as_json(found)))["added"][0] == {"sequence": 2, "parameters": {"x": 7}}


def test_an_edit_of_the_code_is_named_and_keeps_the_trials(committed):
    (committed.root / "code" / "trial.sh").write_text("exit 1\n")
    (committed.root / "code" / "new.sh").write_text("exit 1\n")
    found = compared(committed)
    assert (dict(found.added), dict(found.removed), found.kept) == ({}, {}, 4)
    assert sorted(found.changes) == ["changed: trial.sh", "new: new.sh"]
    status = subprocess.check_output(["git", "-C", committed.root, "status", "--porcelain"], text=True)
    assert status.splitlines() == [" M code/trial.sh", "?? code/new.sh"]
    assert not committed.folders.build.exists()
    assert not committed.folders.state.exists()


def test_of_a_tuner_that_learns_what_is_certain_is_compared(committed):
    committed.write(tuner={"name": "TPE"}, maxTrialNumber=50)
    assert compared(committed).is_partial


@pytest.mark.parametrize(
    ("text", "says"),
    [("trialConcurrency: [", "is not valid: HEAD:experiment.yml:1:"), (None, "has no experiment.yml here")],
)
def test_a_revision_that_has_no_such_experiment_is_said(committed, text, says):
    file = committed.root / "experiment.yml"
    whole = file.read_text()
    file.unlink() if text is None else file.write_text(text)
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run(["git", "-C", committed.root, *identity, "commit", "-qam", "second"], check=True)
    file.write_text(whole)
    with pytest.raises(UsageError, match=says):
        compared(committed)
    assert compared(committed, "HEAD~1").kept == 4


def test_a_budget_that_the_edit_exceeds_is_said_at_its_place(committed):
    committed.write(values=range(9), maxTrialDuration="1h", amlc={"budget": {"nodeHours": 8}})
    with pytest.raises(ConfigError, match="/amlc/budget/nodeHours: 3 trials may take 9 node-hours"):
        compared(committed)
