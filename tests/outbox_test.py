"""The order of records and calls, and what is known after an outage between them."""

import pytest

from amlc.attempts import fold
from amlc.backends import Submitted
from amlc.drive import Limits, drive
from amlc.errors import BackendError, TransientError
from amlc.ledger import open_ledger
from amlc.observe import Recorder
from amlc.outbox import Outbox
from amlc.reconcile import Policy, reconcile


class Service:
    """A back end that answers so many submissions and then goes down, one job further."""

    def __init__(self, ledger, answers):
        self.ledger = ledger
        self.answers = answers
        self.created = []

    def submit(self, batch):
        kinds = [event.kind for event in self.ledger.events()]
        assert kinds == ["intent"] * len(batch), "all intents are on disk before the first call"
        for submission in batch:
            self.created.append(submission.job)
            if len(self.created) > self.answers:
                raise TransientError("down")
            yield Submitted(submission.job, url=None)
            assert fold(self.ledger.events())[submission.job].submitted, "each answer is on disk before the next call"

    def adopt(self, jobs):
        return [Submitted(job) for job in jobs if job in self.created]


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.mark.parametrize("answers", range(4))
def test_after_an_outage_it_is_found_out_what_arrived(project, ledger, answers):
    project.write(values=range(4)).compile()
    batch = list(reconcile(project.manifest.entries(), {}, Policy()))
    names = [action.name for action in batch]
    service = Service(ledger, answers)
    outbox = Outbox(project.manifest, Recorder(ledger, service, lambda: 1.0))
    with pytest.raises(TransientError):
        outbox.send(batch)
    assert (outbox.submitted, outbox.is_answered) == (answers, False)
    never, there = outbox.settle(fold(ledger.events()))
    assert [entry.name for entry in never] == names[answers + 1 :]
    assert there == [names[answers]]
    assert (outbox.submitted, outbox.is_answered) == (answers + 1, True)
    assert list(fold(ledger.events())) == names[: answers + 1]


def test_without_an_outage_all_of_it_is_answered(project, ledger):
    project.write(values=range(4)).compile()
    batch = list(reconcile(project.manifest.entries(), {}, Policy()))
    outbox = Outbox(project.manifest, Recorder(ledger, Service(ledger, 4), lambda: 1.0))
    outbox.send(batch)
    assert (outbox.submitted, outbox.is_answered) == (4, True)
    assert outbox.settle(fold(ledger.events())) == ([], [])


def test_a_back_end_that_is_not_ready_is_asked_before_anything_is_on_record(project):
    class NotSignedIn:
        def adopt(self, jobs):
            return []

        def ready(self):
            raise BackendError("not signed in")

    project.write(values=range(4)).compile()
    with open_ledger(project.root / "ledger.db") as ledger:
        recorder = Recorder(ledger, NotSignedIn(), lambda: 1.0)
        with pytest.raises(BackendError, match="not signed in"):
            drive(project.manifest, recorder, Limits(concurrency=2), policy=Policy)
        assert fold(ledger.events()) == {}
