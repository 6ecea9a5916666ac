"""Submit jobs so that none is ever made twice.

The intent is on disk before the call, and the answer after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from amlc.attempts import Attempt
from amlc.backends import CONFLICT, Ready, Submission
from amlc.events import Event, intent, void
from amlc.manifest import Entry, Manifest, job_text
from amlc.model import Status
from amlc.observe import Recorder, answered, settle
from amlc.reconcile import Action
from amlc.render.part import alone, part


def is_conflict(attempt: Attempt) -> bool:
    """Tell whether another job had the name of the attempt's when it was to be created."""
    return attempt.latest.status is Status.FAILED and (attempt.latest.error or "").startswith(
        CONFLICT
    )


class Outbox:
    """Submits batches, and remembers what it got no answer for.

    submitted: trials, those that were refused too.
    """

    def __init__(self, manifest: Manifest, recorder: Recorder) -> None:
        self.submitted = 0
        self._manifest = manifest
        self._recorder = recorder
        self._unanswered: dict[str, Action] = {}

    def send(self, batch: Sequence[Action]) -> None:
        """Submit a batch: all intents, the calls, and each answer as it comes.

        Raises TransientError when the service went down; then `settle` finds out what became of the
        rest.
        """
        submissions = [self._submission(action) for action in batch]
        pairs = zip(batch, submissions, strict=True)
        ledger, clock = self._recorder.ledger, self._recorder.clock
        ledger.append([self._intent(action, submission.content) for action, submission in pairs])
        self._unanswered = {action.name: action for action in batch}
        for answer in self._recorder.backend.submit(submissions):
            ledger.append([answered(answer, clock())])
            self.submitted += len(self._unanswered.pop(answer.job).numbers)

    def check(self) -> None:
        """Raise BackendError when the back end can say that nothing can be submitted."""
        if isinstance(self._recorder.backend, Ready):
            self._recorder.backend.ready()

    def reopen(self, refused: Iterable[Attempt]) -> None:
        """Take back the intents of jobs whose names others had: made again, they may not."""
        events = [void(attempt.job, at=self._recorder.clock()) for attempt in refused]
        if events:
            self._recorder.ledger.append(events)

    @property
    def is_answered(self) -> bool:
        """Whether it is known what became of all that was sent."""
        return not self._unanswered

    def settle(self, live: Mapping[str, Attempt]) -> tuple[list[Entry], list[str]]:
        """Find out which of the `live` jobs with an intent and no answer are there.

        The intents of the others are void. Returns, of what was sent and not answered, the entries
        that never arrived and the names of the jobs that did. Raises TransientError while the
        service is down; then nothing is forgotten.
        """
        never = settle(self._recorder, live)
        lost = [action.entry for job, action in self._unanswered.items() if job in never]
        there = {job: action for job, action in self._unanswered.items() if job not in never}
        self.submitted += sum(len(action.numbers) for action in there.values())
        self._unanswered = {}
        return lost, list(there)

    def _submission(self, action: Action) -> Submission:
        entry, folder = action.entry, self._manifest.folder
        content = job_text(folder, entry)
        if entry.alone:
            content = alone(content, entry.trials[0])
        elif action.trials != entry.trials and not entry.draws:
            content = part(content, [trial.id for trial in action.trials])
        return Submission(action.name, content, (folder / entry.file).parent)

    def _intent(self, action: Action, content: bytes) -> Event:
        return intent(
            action.name,
            at=self._recorder.clock(),
            identity=action.entry.id,
            attempt=action.number,
            trials=action.trials,
            revision=self._manifest.header.revision,
            backend=self._manifest.header.backend,
            losses=action.losses,
            sweep=action.entry.sweep,
            draws=action.entry.draws,
            sha256=hashlib.sha256(content).hexdigest(),
        )
