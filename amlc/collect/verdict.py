"""How complete the results are, what they cost, and what is odd about them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from amlc.collect.nodes import nodes
from amlc.collect.results import Results
from amlc.collect.rows import Row
from amlc.cost import Cost, node_hours
from amlc.errors import IncompleteError, NoResultError
from amlc.model import End, Status
from amlc.numbers import scalar
from amlc.plural import plural
from amlc.targets import target

_MOST_KINDS = 3
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Verdict:
    """How complete the results are.

    trials: how many are compiled. statuses: how many of them have each. without_final: how many
    ended well, or at their time limit, and reported no final result. to_propose: how many trials
    the tuner is still to propose; None: nobody knows how many. late: how many reached
    `maxTrialDuration` before they had a final result. out_of_time: whether
    `maxExperimentDuration` is over, so that nothing more is submitted. not_compiled: how many more
    are on record.
    """

    trials: int
    statuses: Mapping[Status, int]
    without_final: int
    to_propose: int | None = 0
    late: int = 0
    out_of_time: bool = False
    not_compiled: int = 0

    @property
    def done(self) -> int:
        """How many trials came to a good end; an early stop is one."""
        return self.statuses.get(Status.SUCCEEDED, 0) + self.statuses.get(Status.EARLY_STOPPED, 0)

    @property
    def failed(self) -> int:
        """How many trials stand failed, or unfinished after all that was tried."""
        return self.statuses.get(Status.FAILED, 0) + self.statuses.get(Status.UNFINISHED, 0)

    @property
    def complete(self) -> bool:
        """Whether the experiment has all its trials and every one came to a good end."""
        return self.done == self.trials and self.to_propose == 0 and not self.not_compiled

    @property
    def submitted(self) -> bool:
        """Whether every trial that the experiment is going to have was proposed and submitted."""
        return self.to_propose == 0 and not self.statuses.get(Status.PENDING, 0)

    @property
    def over(self) -> bool:
        """Whether every trial that the experiment is going to have has ended."""
        return self.submitted and not self.at_work

    @property
    def at_work(self) -> int:
        """How many trials have not ended: behind a submit that waited, on another back end."""
        return sum(
            count
            for status, count in self.statuses.items()
            if not status.ended and status is not Status.PENDING
        )

    def __str__(self) -> str:
        others = []
        for status, count in self.statuses.items():
            if count and status is not Status.SUCCEEDED:
                others.append(f"{count} {status.value}")
        if self.without_final:
            others.append(f"{self.without_final} without a final result")
        if self.to_propose is None:
            others.append("more not proposed yet")
        elif self.to_propose:
            others.append(f"{self.to_propose} not proposed yet")
        if self.not_compiled:
            others.append(f"{self.not_compiled} on record that are not compiled")
        trials = self.trials + (self.to_propose or 0)
        text = f"{self.done:,} of {plural(trials, 'trial')} done"
        return f"{text}: {', '.join(others)}" if others else text


class Tally:
    """Counts rows on their way, so that a reader of all of them need not read them twice."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._statuses: Counter[Status] = Counter()
        self._without_final = self._late = self._attempts = 0
        self._odd: Counter[str] = Counter()
        self._without_number = 0
        self._header, self._now = results.manifest.header, time.time()
        self._nodes = nodes(results.manifest)
        self._node_hours = 0.0

    def counted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows and count each."""
        for row in rows:
            self.count(row)
            yield row

    def count(self, row: Row) -> None:
        """Count one row."""
        status = row.status
        self._node_hours += node_hours(row.attempts, self._header, nodes=self._nodes, now=self._now)
        self._statuses[status] += 1
        self._attempts += len(row.attempts)
        if _is_late(row):  # what was given up has no final result to give
            self._late += 1
            self._without_final += 1
        if not status.counts:
            return
        if not row.final:
            self._without_final += 1
        elif scalar(row.final[0]) is None:
            self._without_number += 1
            if len(self._odd) <= _MOST_KINDS:
                self._odd[_reported(row.result)] += 1

    @property
    def verdict(self) -> Verdict:
        """How complete the results are, by the rows that were counted."""
        trials = sum(self._statuses.values())
        statuses = {status: self._statuses[status] for status in Status}
        to_propose = self._results.to_propose(trials)
        return Verdict(
            trials=trials,
            statuses=statuses,
            without_final=self._without_final,
            to_propose=to_propose,
            late=self._late,
            out_of_time=self._results.out_of_time,
            not_compiled=self._results.not_compiled(self._attempts),
        )

    @property
    def cost(self) -> Cost | None:
        """What all of it cost; None where it costs nothing, which is on this machine."""
        if target(self._header.backend).RUNS_ANY:
            return None
        price, hours = self._header.price, self._node_hours
        return Cost(hours, None if price is None else hours * price)

    @property
    def node_hours(self) -> float:
        """For how long nodes worked, on this machine too."""
        return self._node_hours

    @property
    def without_number(self) -> str | None:
        """How many trials ended well and reported no number for a tuner, in a line; None: none."""
        if not self._without_number:
            return None
        kinds = list(self._odd)
        shown = "; ".join(kinds[:_MOST_KINDS]) + ("; …" if len(kinds) > _MOST_KINDS else "")
        return (
            f"{self._without_number} without a number as 'default' (they reported: {shown}). "
            "Report a finite number, or a dict with 'default'."
        )


def no_best(
    experiment: str, end: Verdict, without_number: str | None = None, *, logs: str | None = None
) -> IncompleteError:
    """Return the error that there is no best trial.

    without_number: as `Tally` has it. logs: the command that shows what a trial printed.
    """
    why = f": {without_number}" if without_number else "."
    if not end.over:
        return IncompleteError(f"{experiment}: no trial has a numeric final result yet{why}")
    text = f"{experiment}: all trials have ended, and no trial that succeeded has a numeric final "
    look = f" {logs} shows what one printed." if logs else ""
    return NoResultError(f"{text}result{why}{look}")


def verdict(results: Results) -> Verdict:
    """Count all trials by status."""
    tally = Tally(results)
    for row in results.rows():
        tally.count(row)
    return tally.verdict


def _is_late(row: Row) -> bool:
    """Tell whether a trial reached its time limit before it had a final result."""
    if row.status is not Status.EARLY_STOPPED or row.final or row.attempt is None:
        return False
    of_sweep = row.outcome is not None and row.outcome.end is End.STOPPED
    return not (row.attempt.stopping or of_sweep)


def _reported(final: Mapping[str, Any]) -> str:
    """Return the names of a final result, or its `default` if there is one."""
    text = json.dumps(final["default"]) if "default" in final else ", ".join(map(str, final))
    text = " ".join(text.split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
