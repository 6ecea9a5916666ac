"""How an experiment stands by its ledger, in memory and kept up to date event by event."""

from __future__ import annotations

from collections.abc import Iterator

from amlc.attempts import Attempt, by_trial, fold
from amlc.events import Event, EventKind
from amlc.ledger import Ledger


class Mirror:
    """What the ledger says; nothing but `catch_up` changes it.

    attempts: by job name, in the order of their intents. last: the last attempt of each trial, by
    its id. live: the jobs that the back end of the given name may still be at work on. seen: the
    number of the last event. news: that of the last which says more than that a submit is at work.
    stopped: a `stop` was recorded since this was made.
    """

    def __init__(self, ledger: Ledger, backend: str) -> None:
        self._ledger = ledger
        self._backend = backend
        self.attempts: dict[str, Attempt] = {}
        self.seen = 0
        self.stopped = False
        fold(self._all_events(), self.attempts)
        self.news = self.seen
        ledger.complete_index((key, job) for job, one in self.attempts.items() for key in one.keys)
        self.last = by_trial(self.attempts.values())
        self.live = {job: one for job, one in self.attempts.items() if self._is_live(one)}

    def _all_events(self) -> Iterator[Event]:
        for number, event in self._ledger.numbered():
            self.seen = number
            yield event

    def catch_up(self) -> Iterator[Attempt]:
        """Take up what was recorded since; yield each live attempt that ended, when it did.

        Only what is drawn from the iterator is taken up.
        """
        for number, event in self._ledger.numbered(after=self.seen):
            self.seen = number
            if event.kind != EventKind.TICK:
                self.news = number
            if event.kind == EventKind.STOP:
                self.stopped = True
            fold([event], self.attempts)
            ended = self._follow(event.job) if event.job else None
            if ended is not None:
                yield ended

    def _follow(self, job: str) -> Attempt | None:
        """Bring `last` and `live` up to date with one job.

        Return its attempt if that is live no longer.
        """
        attempt = self.attempts.get(job)
        if attempt is None:  # a void intent
            self.live.pop(job, None)
            self.last.clear()  # in place: a backlog that is under way looks into it
            self.last.update(by_trial(self.attempts.values()))
            return None
        for key in attempt.keys:
            if self.last.get(key, attempt).number <= attempt.number:
                self.last[key] = attempt
        if self._is_live(attempt):
            self.live[job] = attempt
            return None
        return None if self.live.pop(job, None) is None else attempt

    def _is_live(self, attempt: Attempt) -> bool:
        return attempt.working and attempt.backend == self._backend
