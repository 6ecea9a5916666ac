"""What submit would do, as values."""

import pytest

from amlc.commands.options import Options
from amlc.commands.plan import State, plan
from amlc.exit_codes import exit_code
from amlc.model import Status
from amlc.reconcile import Reason
from tests.commands.conftest import Story


def test_what_is_due_is_counted_by_reason(story):
    story.end(0, Status.FAILED)
    story.end(1, final=1.0, revision="b" * 64)
    found = plan(story.manifest, Options(retry=["failed"]), folders=story.folders)
    assert {reason: due.trials for reason, due in found.due.items()} == {Reason.NEW: 2, Reason.RETRY: 1}
    assert [(older.revision[:3], older.trials, list(older.changes)) for older in found.older] == [("bbb", 1, [])]
    assert found.verdict.done == 1


def test_nothing_is_due_when_all_is_done(story):
    for number in range(4):
        story.end(number, final=1.0)
    assert plan(story.manifest, Options(), folders=story.folders).due == {}


def test_every_compiled_trial_stands_somehow(make_project):
    story = Story(make_project().write(values=range(9)).compile())
    story.end(0, final=1.0)
    story.end(1, final=1.0, revision="b" * 64)
    story.end(2, Status.FAILED)
    story.end(3, Status.CANCELED)
    story.intent(4)
    story.intent(5, backend="aml")
    story.end(6, Status.FAILED, infrastructure=True)
    found = plan(story.manifest, Options(), folders=story.folders)
    assert dict(found.states) == {
        State.DONE: 1, State.OLDER: 1, State.FAILED: 2, State.RUNNING: 1, State.ELSEWHERE: 1, State.AGAIN: 1, State.NEW: 2,
    }  # fmt: skip
    assert sum(due.trials for due in found.due.values()) == 3


@pytest.mark.parametrize(
    ("keys", "trials", "worst", "exceeded"),
    [
        ({}, 4, None, False),
        ({"maxTrialDuration": "30m"}, 4, 6.0, False),
        ({"maxTrialDuration": "30m", "amlc": {"trialsPerJob": 2, "replicates": 2, "budget": {"nodeHours": 12}}}, 8, 12.0, False),
        ({"maxTrialDuration": "30m", "tuner": {"name": "TPE"}, "maxTrialNumber": 10}, 10, 15.0, False),
        ({"maxTrialDuration": "30m", "tuner": {"name": "TPE"}, "maxExperimentDuration": "1h"}, None, None, False),
        ({"maxTrialDuration": "30m", "amlc": {"retries": 0, "budget": {"nodeHours": 2.5, "trials": 4}}}, 4, 2.0, False),
    ],
)  # fmt: skip
def test_the_worst_case_is_each_trial_at_its_limit(make_project, keys, trials, worst, exceeded):
    story = Story(make_project().write(**keys).compile())
    found = plan(story.manifest, Options(), folders=story.folders, price=2.0)
    assert (found.expense.trials, found.expense.worst, bool(found.expense.exceeded)) == (trials, worst, exceeded)
    assert found.expense.price == 2.0
    assert exit_code("plan", found) == 0


def test_what_was_cut_short_has_fewer_runs_left(make_project):
    story = Story(make_project().write(maxTrialDuration="30m").compile())
    story.end(0, Status.FAILED, infrastructure=True)
    story.intent(1)
    expense = plan(story.manifest, Options(), folders=story.folders).expense
    assert (expense.once, expense.worst, expense.retries) == (2.0, 0.5 * (2 + 3 + 3 + 3), 2)


@pytest.mark.parametrize(
    ("keys", "at_once"),
    [
        ({"amlc": {"trialsPerJob": 3}}, 6),
        ({"amlc": {"trialsPerJob": 3}, "trialGpuNumber": 1}, 6),  # of this machine's nobody knows yet
        ({"amlc": {"trialsPerJob": 3}, "tuner": {"name": "Random"}}, None),
        ({"amlc": {"trialsPerJob": 3}, "maxTrialNumber": 14}, 4),
        ({"amlc": {"trialsPerJob": 3}, "maxTrialNumber": 12}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_what_is_proposed_together_is_counted(make_project, keys, at_once):
    space = {"x": {"_type": "uniform", "_value": [0, 1]}}  # TPE draws 10 before it learns
    common = {"searchSpace": space, "tuner": {"name": "TPE"}, "maxTrialNumber": 30, "trialConcurrency": 2}
    story = Story(make_project().write(**{**common, **keys}).compile())
    assert plan(story.manifest, Options(), folders=story.folders).at_once == at_once


def test_what_is_spent_counts_towards_the_budget(make_project):
    keys = {"maxTrialDuration": "30m", "amlc": {"retries": 0, "budget": {"nodeHours": 2}}}
    story = Story(make_project().write(**keys).compile())
    story.end(0, Status.FAILED, started=0.0, ended=1800.0)
    assert exit_code("plan", plan(story.manifest, Options(), folders=story.folders)) == 0
    found = plan(story.manifest, Options(retry=["failed"]), folders=story.folders)
    assert (found.expense.spent, found.expense.worst) == (0.5, 2.0)
    assert found.expense.exceeded[0].startswith("0.5 node-hours are spent and 2 may follow")
    assert exit_code("plan", found) == 1
