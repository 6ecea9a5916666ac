"""Ends the running trials that a tuner gives up, as NNI's Advisors do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from amlc.attempts import Attempt
from amlc.early_stopping import Ending
from amlc.errors import TransientError

GivenUp: TypeAlias = "Callable[[Mapping[str, Attempt]], Collection[str]]"
"""The names of the jobs that the tuner gives up, now that the attempts (by job name) have come this
far."""


class Advising:
    """Ends the jobs that a tuner gives up.

    What it was told and what it wanted follow from the ledger.
    """

    def __init__(self, ending: Ending, given_up: GivenUp) -> None:
        self._ending = ending
        self._given_up = given_up
        self._seen = 0

    def stop(
        self, attempts: Mapping[str, Attempt], live: Mapping[str, Attempt], *, seen: int
    ) -> None:
        """Ask for the end of those of the `live` jobs that the tuner gives up.

        `seen`: the last event's number.
        """
        jobs = self._given_up(attempts) if live and seen != self._seen else ()
        self._seen = seen
        try:
            self._ending.repeat(live)
            self._ending.end([job for job in jobs if job in live and not live[job].canceling])
        except TransientError:
            return  # the service is down; whoever polls says so
