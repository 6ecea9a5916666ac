"""A small set that covers the others comes first, and alone if it fails."""

import re

import pytest

from amlc.collect.results import Results
from amlc.commands.canary import covered, what_failed
from amlc.ledger import read_ledger
from amlc.model import Status
from amlc.reconcile import Policy
from tests.commands.conftest import Story

SPACE = {
    "a": {"_type": "choice", "_value": [1, 2, 3]},
    "b": {"_type": "choice", "_value": [1, 2, 3]},
}


@pytest.fixture
def grid(make_project):
    return Story(make_project().write(searchSpace=SPACE).compile())


def chosen(story, **policy):
    with read_ledger(story.folders.ledger("probe")) as ledger:
        results = Results(story.manifest, ledger)
        found = covered(results, Policy(**policy))
        return found, what_failed(results, found)


def test_each_value_has_a_trial(grid):
    found, failed = chosen(grid)
    trials = [trial for entry in grid.entries for trial in entry.trials if trial.id in found.trials]
    assert {trial.parameters["a"] for trial in trials} == {trial.parameters["b"] for trial in trials} == {1, 2, 3}
    assert len(found.numbers) == 3
    assert "failed: pending" in failed
    with read_ledger(grid.folders.ledger("probe")) as ledger:
        assert what_failed(Results(grid.manifest, ledger), found, stopped=True) is None


def test_a_submit_that_was_cut_short_has_the_same_again(grid):
    before, _ = chosen(grid)
    grid.end(before.numbers[0], final=1.0)
    assert chosen(grid)[0] == before
    for number in before.numbers[1:]:
        grid.end(number, final=1.0)
    assert chosen(grid) == (before, None)


def test_what_failed_stops_the_rest_until_it_is_retried_or_the_code_changes(grid):
    before, _ = chosen(grid)
    for number in before.numbers:
        grid.end(number, Status.FAILED, error="it broke")
    again, failed = chosen(grid)
    assert again == before
    assert failed == f"of those that came first, trial {before.numbers[0]}, and 2 more failed: it broke"


def test_what_is_done_at_another_revision_says_nothing(grid):
    before, _ = chosen(grid)
    for number in before.numbers:
        grid.end(number, final=1.0, revision="b" * 64)
    again, _ = chosen(grid)
    assert not again.trials & before.trials


def test_where_nothing_is_due_nothing_comes_first(story):
    for number in range(4):
        story.end(number, final=1.0)
    assert chosen(story)[0].numbers == ()


def test_of_packs_whole_jobs_are_taken(make_project):
    story = Story(make_project().write(searchSpace=SPACE, amlc={"trialsPerJob": 3}).compile())
    found, _ = chosen(story)
    whole = [entry for entry in story.entries if {trial.id for trial in entry.trials} <= found.trials]
    assert sum(len(entry.trials) for entry in whole) == len(found.trials)


def test_where_no_few_cover_the_others_they_run_at_once(make_project):
    project = make_project().write(values=range(2)).compile()
    assert b"with --canary all come at once: no smaller set covers them" in project.amlc("plan", "--canary").stdout
    said = project.amlc("submit", "--canary").stderr
    assert "no smaller set covers all trials" in said
    assert said.count(" submitted, ") == 1


FAILS = "exit 3"
CASES = {
    "single": {},
    "packed": {"amlc": {"trialsPerJob": 2}},
    "replicated": {"amlc": {"replicates": 2}},
    "adaptive": {"tuner": {"name": "TPE"}, "maxTrialNumber": 30},  # there are 9
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("script", ["", FAILS], ids=["good", "bad"])
def test_the_rest_follows_only_if_those_are_well(make_project, case, script):
    keys = {"searchSpace": SPACE, "trialConcurrency": 8, **CASES[case]}
    project = make_project().write(script, **keys).compile()
    code = 1 if script else 0
    done = project.amlc("submit", "--canary", code=code)
    assert " first: they cover the others" in done.stderr
    wanted = {"single": 9, "packed": 9, "replicated": 18, "adaptive": 9}[case]
    if script:
        assert done.stderr.count(" submitted, ") == 1
        assert "nothing more is submitted: of those that came first, trial " in done.stderr
        assert 0 < len(project.starts) < wanted
        before = len(project.starts)
        project.amlc("submit", "--canary", code=1)
        assert len(project.starts) == before
    else:
        assert len(project.starts) == wanted
        assert len(set(project.starts)) == wanted
        counts = [int(count) for count in re.findall(r"^#.*; (\d+)(?: of \d+)? ended", done.stderr, re.MULTILINE)]
        assert counts == list(range(1, wanted + 1)), "those that come first are not counted as the last"
