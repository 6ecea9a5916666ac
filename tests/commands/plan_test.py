"""What submit would do, as values."""

from amlc.commands.options import Options
from amlc.commands.plan import plan
from amlc.model import Status
from amlc.reconcile import Reason


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
