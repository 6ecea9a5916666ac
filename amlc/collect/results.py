"""Read what is known of an experiment: a row for each compiled trial, in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amlc.attempts import Attempt, elapsed_s
from amlc.collect.rows import Row
from amlc.events import EventKind
from amlc.ledger import Ledger
from amlc.manifest import Entry, Manifest
from amlc.model import Status, Trial

_PIECE = 500  # trials


@dataclass(frozen=True, slots=True)
class Results:
    """What is known of an experiment.

    Nothing is held: each call reads the manifest and the ledger anew, in pieces. damage: what of
    the manifest could not be read, in a sentence each.
    """

    manifest: Manifest
    ledger: Ledger
    damage: dict[str, None] = field(default_factory=dict, compare=False)

    def jobs(self) -> Iterator[tuple[Entry, tuple[Row, ...]]]:
        """Yield every compiled job with the rows of its trials, in order."""
        entries = self.manifest.entries(damage=self.damage)
        while piece := _piece(entries):
            known: dict[str, list[Attempt]] = {}
            ids = (trial.id for entry in piece for trial in entry.trials)
            for attempt in self.ledger.all_attempts(ids):
                for trial in attempt.trials:
                    known.setdefault(trial.id, []).append(attempt)
            final = self.ledger.finals({attempts[-1].job for attempts in known.values()})
            for entry in piece:
                yield (
                    entry,
                    tuple(
                        self._row(trial, known.get(trial.id, ()), final) for trial in entry.trials
                    ),
                )

    def _row(
        self, trial: Trial, attempts: Sequence[Attempt], final: Mapping[tuple[str, str], Any]
    ) -> Row:
        if not attempts:
            # In a damaged ledger, that nothing is there says nothing.
            return Row(trial, status=Status.UNKNOWN if self.ledger.damage else Status.PENDING)
        last = attempts[-1]
        key = last.job, trial.id
        result = (final[key],) if key in final else ()
        return Row(trial, last, result, last.status(trial.id), tuple(attempts))

    def last(self, entry: Entry, rows: Sequence[Row]) -> dict[str, Attempt]:
        """Return the last attempts of a compiled job with these rows, as `reconcile` wants them."""
        last = {row.trial.id: row.attempt for row in rows if row.attempt is not None}
        # Of a sweep that draws: its own attempt, which has all of its trials, too.
        return {**self.ledger.attempts([entry.id]), **last} if entry.draws else last

    def rows(self) -> Iterator[Row]:
        """Yield every compiled trial, in order."""
        for _, rows in self.jobs():
            yield from rows

    @property
    def out_of_time(self) -> bool:
        """Whether `maxExperimentDuration` is over, so that nothing more is submitted."""
        most = self.manifest.header.max_seconds
        return most is not None and elapsed_s(self.ledger.times()) >= most

    def not_compiled(self, attempts: int) -> int:
        """Return how many trials on record the build folder lacks: it is of while that was lost.

        attempts: how many those that it has had, all together.
        """
        if self.damage or self.ledger.damage or self.manifest.header.sweep == "latent":
            return 0  # nobody knows; or a service draws trials, which are added later
        if self.ledger.attempt_count() <= attempts:
            return 0
        others = self.ledger.trials()
        for entry in self.manifest.entries(damage=self.damage):
            others.difference_update(trial.id for trial in entry.trials)
        return len(self.ledger.attempts(others))  # some may never have been submitted

    def to_propose(self, trials: int) -> int | None:
        """Return how many trials the tuner is still to propose when `trials` are compiled.

        None: nobody knows.
        """
        header = self.manifest.header
        if header.search is None or (header.max_trials is not None and trials >= header.max_trials):
            return 0
        exhausted = max(
            self.ledger.events(kind=EventKind.EXHAUSTED),
            key=lambda event: event.number,
            default=None,
        )
        if exhausted is not None and exhausted.data == {"search": header.search, "trials": trials}:
            return 0
        if self.out_of_time:
            return 0
        return None if header.max_trials is None else header.max_trials - trials


def _piece(entries: Iterator[Entry]) -> list[Entry]:
    """Return the next entries, as many as can be asked for together quickly, in little memory."""
    piece: list[Entry] = []
    left = _PIECE
    while left > 0 and (entry := next(entries, None)) is not None:
        piece.append(entry)
        left -= len(entry.trials)
    return piece
