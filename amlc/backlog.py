"""Which submission comes next.

What is to be tried again, what is compiled, and what the tuner proposes then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from amlc.attempts import Attempt
from amlc.manifest import Entry, Manifest
from amlc.mirror import Mirror
from amlc.model import Status
from amlc.reconcile import Action, Policy, decide, decisions, reconcile

More: TypeAlias = "Callable[[Mapping[str, Attempt], int], Sequence[Entry]]"
"""Compiles the jobs that follow, now that the attempts (by job name) have come this far, for at
most as many trials as there is room for; none: not before more news."""

Width: TypeAlias = "Callable[[Sequence[object]], int]"
"""How many of the trials of a job run side by side: so much room the job takes."""


MOST: Final = 500
"""How many jobs are given at once: before the next ones a cancellation is heeded, and at the ten
jobs a second that Azure takes that is a minute."""


class Backlog:
    """The submissions that wait for room. `mirror` has to be caught up with before each call.

    trials: how many are compiled by now, as it grows with what `more` compiles. is_cut: whether
    what was taken last was as much as is given at once.
    """

    def __init__(
        self, manifest: Manifest, mirror: Mirror, policy: Policy, *, width: Width, more: More
    ) -> None:
        self.trials = manifest.trials
        self.is_cut = False
        self._manifest = manifest
        self._mirror = mirror
        self._policy = policy
        self._width = width
        self._more = more
        self._compiled = reconcile(manifest.entries(), mirror.last, policy)
        self._again: dict[str, Entry] = {}  # by job id
        # By job id: what a lost job is looked up in before the manifest is read.
        self._taken: dict[str, Entry] = {}
        self._asked: int | None = None  # the news up to which `more` was asked

    def take(self, room: int) -> list[Action]:
        """Take out the submissions that are due and find `room` (trials).

        Asks for more jobs if there are none.
        """
        return self._next(room) or self._fresh(room)

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Let what was taken come again, before the rest: it never reached the back end."""
        self._again |= {entry.id: entry for entry in entries}

    def retry(self, attempt: Attempt) -> set[str]:
        """Let what was cut short of an ended attempt come again; return the ids of these trials."""
        if not any(attempt.status(trial.id) is Status.UNFINISHED for trial in attempt.trials):
            return set()
        # Of a sweep that draws its trials, the manifest has more by now.
        taken = None if attempt.draws else self._taken.get(attempt.id)
        entry = taken or self._compiled_as(attempt.id)
        again: set[str] = set()
        for action in decisions(entry, self._mirror.last, self._policy) if entry else ():
            self._again[action.entry.id] = action.entry
            again.update(trial.id for trial in action.trials)
        return again

    def _next(self, room: int) -> list[Action]:
        batch: dict[str, Action] = {}
        while room > 0 and len(batch) < MOST and (action := self._due(batch)) is not None:
            if (width := self._width(action.numbers)) > room:
                self._again = {action.entry.id: action.entry, **self._again}
                break
            room -= width
            batch[action.entry.id] = action
            self._taken[action.entry.id] = action.entry
        self.is_cut = len(batch) == MOST
        return list(batch.values())

    def _due(self, taken: Collection[str]) -> Action | None:
        """Return the next submission: what is to be tried again comes first.

        taken: the job ids of this batch.
        """
        while self._again:
            entry = self._again.pop(next(iter(self._again)))
            action = decide(entry, self._mirror.last, self._policy)
            if action is not None:
                return action
        # This may come to a job that was tried again just now.
        return next((action for action in self._compiled if action.entry.id not in taken), None)

    def _fresh(self, room: int) -> list[Action]:
        """Ask for more jobs, unless nothing happened since the last time."""
        if room <= 0 or self._again or self._asked == self._mirror.news:
            return []
        self._asked = self._mirror.news
        entries = self._more(self._mirror.attempts, room)
        self.trials += sum(len(entry.trials) for entry in entries)
        self._compiled = reconcile(entries, self._mirror.last, self._policy)
        return self._next(room)

    def _compiled_as(self, job: str) -> Entry | None:
        entries = (one for entry in self._manifest.entries() for one in entry.spread())
        return next((entry for entry in entries if entry.id == job), None)
