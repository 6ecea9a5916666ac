"""What the report shows of an experiment, as frozen values.

Totals of all trials, and some of them.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amlc import replicates
from amlc.collect.causes import Cause, Causes
from amlc.collect.results import Results
from amlc.collect.rows import Row
from amlc.collect.verdict import Tally, Verdict
from amlc.model import Status
from amlc.report.sample import Sampler, Steps
from amlc.space.points import flattened

MOST_ROWS = 10_000
MOST_STEPS = 5_000  # of the best so far
MOST_REVISIONS = 20
_MOST_NAMED = 8  # trials of one parameter set
_encoded = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewRow:
    """One trial and what became of it. Times are seconds since the epoch; absent ones are None.

    parameters: flattened, nested names joined with dots. score: the number that it counts with, as
    `Row` has it. page: the address of its job's own page, if the back end has one. A replicated
    parameter set is a row too, at the number of its first trial: score is the mean of its `trials`
    that have one, metrics are means too, `members` are all its trials, and what is known of single
    trials only is not set.
    """

    sequence: int
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    score: float | None
    trial: str = ""
    status: Status = Status.UNKNOWN
    attempt: int | None = None
    job: str = ""
    revision: str = ""
    started: float | None = None
    ended: float | None = None
    duration_s: float | None = None
    error: str = ""
    page: str = ""
    trials: tuple[int, ...] = ()
    members: tuple[int, ...] = ()

    @property
    def origin(self) -> str:
        """Of which trials a parameter set's score is the mean, as people read it."""
        count, every = len(self.trials), len(self.members)
        of = f"{count}" if count == every else f"{count} of {every}"
        numbers = ", ".join(f"#{trial}" for trial in self.trials[:_MOST_NAMED])
        return f"mean of {of} trials: {numbers}{', …' if count > _MOST_NAMED else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows by sequence.

    All `every` of them, or the best and evenly spaced ones, whose sequences are `even`.
    """

    rows: tuple[OverviewRow, ...]
    even: frozenset[int]
    every: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left out."""
        return len(self.rows) == self.every


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What holds of all trials.

    odd: how many succeeded, and report something and no score. revisions: how many trials have
    which status, by revision, the first MOST_REVISIONS of them.
    """

    attempted: int
    odd: int
    other_revisions: int
    revisions: Mapping[str, Mapping[Status, int]]
    started: float | None
    ended: float | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """An experiment at one moment.

    revision: six hex digits. parameters, metrics: every name, in column order. varying: the
    parameters that have more than one value. sample: of all trials. scored: of those that have a
    score, or of the parameter sets if each is tried more than once. is_said: whether the experiment
    says which results are better. steps: of the best so far, by
    sequence, up to `last`, the last that has a score. cost: of all trials, "" where they cost
    nothing. paths: where a parameter stands in what a trial receives, by its flattened name.
    """

    experiment: str
    verdict: Verdict
    revision: str
    backend: str
    maximize: bool
    is_said: bool
    replicates: int
    statuses: Mapping[Status, int]
    totals: Totals
    causes: tuple[Cause, ...]
    other_causes: str
    parameters: tuple[str, ...]
    paths: Mapping[str, tuple[str, ...]]
    varying: tuple[str, ...]
    metrics: tuple[str, ...]
    sample: Sample
    scored: Sample
    steps: tuple[tuple[int, float], ...]
    last: int
    best: OverviewRow | None
    cost: str = ""

    @property
    def rows(self) -> tuple[OverviewRow, ...]:
        """The trials that are shown, by sequence."""
        return self.sample.rows

    def rank(self, row: OverviewRow) -> tuple[bool, float, int]:
        """Return a key that sorts the best set first, then good trials, scoreless ones last."""
        is_best = self.best is not None and row.sequence in self.best.trials
        if row.score is None:
            return not is_best, math.inf, row.sequence
        return not is_best, -row.score if self.maximize else row.score, row.sequence


def read_overview(results: Results) -> Overview:
    """Return what the report shows of `results`, read in one go.

    How much is held does not depend on how many.
    """
    header = results.manifest.header
    reading = _Reading(results)
    best = reading.best_of_sets() if header.replicates > 1 else reading.best_of_trials()
    end, trials, scored = reading.tally.verdict, reading.trials, reading.scored
    names = reading.names
    return Overview(
        experiment=header.experiment,
        verdict=end,
        revision=header.revision[:6],
        backend=header.backend,
        maximize=reading.maximize,
        is_said=header.optimize_mode is not None,
        replicates=header.replicates,
        statuses=end.statuses,
        totals=reading.totals.found,
        causes=reading.causes.found,
        other_causes=reading.causes.rest,
        parameters=tuple(names.parameters),
        paths=names.parameters,
        varying=names.varying,
        metrics=tuple(sorted(names.metrics, key=lambda name: (name != "default", name))),
        sample=trials.sample,
        scored=scored.sample,
        steps=scored.steps,
        last=scored.last,
        best=best,
        cost=str(reading.tally.cost or ""),
    )


class _Reading:
    """What is counted and kept of the rows on their way."""

    def __init__(self, results: Results) -> None:
        header = results.manifest.header
        self.maximize = header.optimize_mode == "maximize"
        self.tally, self.causes = Tally(results), Causes()
        self.totals, self.names = _Totals(header.revision[:6]), _Names()
        self.trials = _Rows(maximize=self.maximize)
        self.scored = _Rows(maximize=self.maximize)  # trials or, with replicates, parameter sets
        self._results = results
        self._replicates = header.replicates

    def best_of_trials(self) -> OverviewRow | None:
        """Read all rows; return the best trial."""
        for known in self._results.rows():
            row = self._take(known)
            if row.score is not None:
                self.scored.offer(row, row.score)
        return self.scored.best

    def best_of_sets(self) -> OverviewRow | None:
        """Read all rows; return the best parameter set, whose trials are kept."""
        found = replicates.best_set(
            self._sets(), replicates=self._replicates, maximize=self.maximize
        )
        if found is None:
            return None
        for known in found[0]:
            self.trials.add(_row(known, flattened(known.trial.parameters)))
        return _set(*found)

    def _take(self, known: Row) -> OverviewRow:
        row = _row(known, flattened(known.trial.parameters))
        self.tally.count(known)
        self.causes.count(known)
        self.totals.count(row)
        self.names.count(row, known.trial.parameters)
        self.trials.offer(row, row.score)
        return row

    def _counted(self) -> Iterator[Row]:
        for known in self._results.rows():
            self._take(known)
            yield known

    def _sets(self) -> Iterator[tuple[Row, ...]]:
        for group in replicates.by_set(self._counted(), self._replicates):
            score = replicates.score(group)
            if score is not None:
                is_final = all(known.status.ended for known in group)
                self.scored.offer(_set(group, score), score, is_step=is_final)
            yield group


def shown(value: Any, most: int) -> str:
    """Return a parameter or metric as people read it.

    Text as it is, the rest as JSON, at most `most` characters.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, float):
        text = f"{value:.6g}"
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else text[: most - 1] + "…"


def chosen(
    overview: Overview, sample: Sample, rows: Sequence[OverviewRow], most: int
) -> tuple[OverviewRow, ...]:
    """Return at most `most` of `rows`, which are of `sample`, in their order.

    Half the best, the others spaced.
    """
    if len(rows) <= most and sample.is_complete:
        return tuple(rows)
    best = sorted((row for row in rows if row.score is not None), key=overview.rank)
    kept = {row.sequence for row in best[: most // 2]}
    others = [row for row in rows if row.sequence not in kept and row.sequence in sample.even]
    kept |= {row.sequence for row in evenly(others, most - len(kept))}
    return tuple(row for row in rows if row.sequence in kept)


def evenly(items: Sequence[Any], most: int) -> tuple[Any, ...]:
    """Return at most `most` of `items`, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return tuple(items)
    if most <= 1:
        return tuple(items[:most])
    return tuple(items[index * (len(items) - 1) // (most - 1)] for index in range(most))


class _Rows:
    """Some of the rows that were offered, and the steps of the best score."""

    def __init__(self, *, maximize: bool) -> None:
        self._sign = -1.0 if maximize else 1.0
        self._sampler: Sampler[OverviewRow] = Sampler(even=MOST_ROWS, best=MOST_ROWS // 2)
        self._steps = Steps(MOST_STEPS)
        self._added: dict[int, OverviewRow] = {}
        self._best: tuple[tuple[float, int], OverviewRow] | None = None
        self.last = 0

    def offer(self, row: OverviewRow, score: float | None, *, is_step: bool = True) -> None:
        """Take the next row or leave it. is_step: whether it can be the best so far."""
        rank = None if score is None else self._sign * score
        self._sampler.offer(row.sequence, rank, row)
        if rank is None:
            return
        self.last = max(self.last, row.sequence)
        if is_step:
            self._steps.offer(row.sequence, rank)
        if self._best is None or (rank, row.sequence) < self._best[0]:
            self._best = (rank, row.sequence), row

    def add(self, row: OverviewRow) -> None:
        """Keep a row whatever its score is."""
        self._added[row.sequence] = row

    @property
    def best(self) -> OverviewRow | None:
        """The row with the best score; among equals, the first."""
        return None if self._best is None else self._best[1]

    @property
    def steps(self) -> tuple[tuple[int, float], ...]:
        """The steps of the best score so far."""
        return tuple((sequence, self._sign * rank) for sequence, rank in self._steps.found)

    @property
    def sample(self) -> Sample:
        """What was kept."""
        rows = {row.sequence: row for row in self._sampler.kept} | self._added
        ordered = tuple(rows[sequence] for sequence in sorted(rows))
        return Sample(rows=ordered, even=self._sampler.even, every=self._sampler.offered)


class _Totals:
    """Adds up what holds of all trials. revision: that of the build."""

    def __init__(self, revision: str) -> None:
        self._revision = revision
        self._attempted = self._odd = self._others = 0
        self._revisions: dict[str, Counter[Status]] = {}
        self._started: float | None = None
        self._ended: float | None = None
        self._seconds = 0.0

    def count(self, row: OverviewRow) -> None:
        self._attempted += bool(row.job)
        self._odd += row.status.counts and bool(row.metrics) and row.score is None
        self._others += row.revision not in ("", self._revision)
        if row.revision in self._revisions or len(self._revisions) < MOST_REVISIONS:
            self._revisions.setdefault(row.revision, Counter())[row.status] += 1
        if row.started is not None:
            self._started = (
                row.started if self._started is None else min(self._started, row.started)
            )
        if row.ended is not None:
            self._ended = row.ended if self._ended is None else max(self._ended, row.ended)
        if row.duration_s is not None:
            self._seconds += row.duration_s

    @property
    def found(self) -> Totals:
        return Totals(
            attempted=self._attempted,
            odd=self._odd,
            other_revisions=self._others,
            revisions=self._revisions,
            started=self._started,
            ended=self._ended,
            seconds=self._seconds,
        )


class _Names:
    """Gathers the names of parameters and metrics, and which parameters vary.

    parameters: where each stands in what a trial receives.
    """

    def __init__(self) -> None:
        self.parameters: dict[str, tuple[str, ...]] = {}
        self.metrics: set[str] = set()
        # The first value of each parameter that did not vary so far.
        self._first: dict[str, str] = {}
        self._present: Counter[str] = Counter()
        self._rows = 0

    def count(self, row: OverviewRow, nested: Mapping[str, Any]) -> None:
        """Count a trial. nested: its parameters as it receives them."""
        self._rows += 1
        self.metrics.update(row.metrics)
        self._present.update(row.parameters.keys())
        paths = None if row.parameters.keys() <= self.parameters.keys() else dict(_paths(nested))
        for name, value in row.parameters.items():
            if paths and name not in self.parameters:
                self.parameters[name] = paths[name]
                self._first[name] = _encoded(value)
            elif name in self._first and _encoded(value) != self._first[name]:
                del self._first[name]

    @property
    def varying(self) -> tuple[str, ...]:
        """The parameters that have several values, or none in some trials."""
        return tuple(name for name in self.parameters if self._varies(name))

    def _varies(self, name: str) -> bool:
        return name not in self._first or self._present[name] < self._rows


def _paths(
    nested: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the flattened name of each parameter, and the names on the way to it."""
    for name, value in nested.items():
        if isinstance(value, dict) and value:
            yield from _paths(value, (*above, name))
        else:
            yield ".".join((*above, name)), (*above, name)


def _row(known: Row, parameters: Mapping[str, Any]) -> OverviewRow:
    attempt = known.attempt
    started, ended = known.times
    duration = None if started is None or ended is None else round(ended - started, 3)
    return OverviewRow(
        sequence=known.trial.sequence,
        trial=known.trial.id,
        status=known.status,
        attempt=attempt.number if attempt else None,
        job=attempt.job if attempt else "",
        revision=attempt.revision[:6] if attempt else "",
        started=started,
        ended=ended,
        duration_s=duration,
        parameters={sys.intern(name): value for name, value in parameters.items()},
        metrics={
            sys.intern(name): int(value) if isinstance(value, bool) else value  # as it counts
            for name, value in known.result.items()
        },
        score=known.score,
        error=known.error or "",
        page=(attempt.latest.url or "") if attempt else "",
    )


def _set(group: Sequence[Row], score: float) -> OverviewRow:
    """Return a replicated parameter set as one row."""
    trials = tuple(known.trial.sequence for known in group if known.score is not None)
    first = group[0].trial
    parameters = {sys.intern(name): value for name, value in flattened(first.parameters).items()}
    return OverviewRow(
        sequence=first.sequence,
        parameters=parameters,
        metrics={name: replicates.mean(found) for name, found in replicates.numbers(group).items()},
        score=score,
        trials=trials,
        members=tuple(known.trial.sequence for known in group),
    )
