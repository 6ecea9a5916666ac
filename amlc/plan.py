"""Decide which trials an experiment has and how they are packed into jobs.

Pure, ordered, with stable ids.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, count, islice, repeat
from typing import Any

from amlc import initial
from amlc.catalogue import find
from amlc.checkpoints import SAVE
from amlc.constraints import Gate
from amlc.cost import worst_hours
from amlc.errors import PlanError, Sentence
from amlc.model import Budget, Drawing, Experiment, Parameters, Record, Trial
from amlc.names import job_id
from amlc.plural import plural
from amlc.space.canonical import canonical, canonical_json, in_sets
from amlc.space.points import axes, inexhaustible
from amlc.tuners import Tuner, built_in

# A folder with a million entries could not be removed in ten minutes.
_FOLDER = 10_000
_MOST_OCCURRENCES = 1_000  # of equal parameters, to find the one that an id is made of


@dataclass(frozen=True, slots=True)
class Job:
    """One AML job or local process tree, to run `trials` (at least one).

    `id`: that of its trial, or of their list. sweep: children of it run them, each by itself.
    draws: the numbers of the trials that the platform is to draw for that, of which `trials` are
    those that are known by now; empty: all are known.
    """

    id: str
    trials: tuple[Trial, ...]
    sweep: bool = False
    draws: range = range(0)

    @property
    def sequence(self) -> int:
        """The sequence number of its first trial."""
        return self.draws.start if self.draws else self.trials[0].sequence

    @property
    def file(self) -> str:
        """The path of its file below the build folder; they sort in the order of the trials.

        A folder has at most 10,000 of them. A sweep's stands by itself.
        """
        if self.sweep:
            return f"sweep-{self.sequence:05d}.yml" if self.sequence else "sweep.yml"
        folder = f"{self.sequence // _FOLDER:03d}/" if self.sequence >= _FOLDER else ""
        return f"jobs/{folder}{self.sequence:05d}-{self.id}.yml"

    def records(self) -> list[str]:
        """Return its trials as compact JSON."""
        return [trial.as_json() for trial in self.trials]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as `Trial` does."""
        return Job, (self.id, self.trials, self.sweep, self.draws)


def trial_id(experiment: Experiment, parameters: Parameters, occurrence: int) -> str:
    """Return the trial's public id: 16 hex digits of SHA-256 over canonical JSON.

    Never change it: people pay twice. occurrence: how many equal parameter sets have an id already.
    """
    return _trial_id(experiment, canonical_json(parameters), occurrence)


def replicate_of(experiment: Experiment, trial: Trial) -> int:
    """Return which of its replicates a trial is, from 0 on, as its id tells.

    Its number does not: after an edit of `amlc.replicates`, the trials of a parameter set are
    anywhere, and two with one seed would be the same run twice.
    """
    text = canonical_json(trial.parameters)
    for occurrence in range(_MOST_OCCURRENCES):
        if _trial_id(experiment, text, occurrence) == trial.id:
            return occurrence % experiment.replicates
    return trial.sequence % experiment.replicates


class _Ids:
    """Gives each parameter set the first of its ids that no other trial has.

    1, 1.0 and true are three values.
    """

    def __init__(self, experiment: Experiment, taken: Iterable[Trial] = ()) -> None:
        self._experiment = experiment
        self._taken = {trial.id for trial in taken}
        self._occurrences: dict[str, int] = {}  # by the first id of a parameter set

    def trial(self, sequence: int, parameters: Parameters) -> Trial:
        """Return trial number `sequence`, whose id is taken from now on."""
        text = canonical_json(parameters)
        first = found = _trial_id(self._experiment, text, 0)
        if occurrence := self._occurrences.get(first, 0):
            found = _trial_id(self._experiment, text, occurrence)
        while found in self._taken:
            occurrence += 1
            found = _trial_id(self._experiment, text, occurrence)
        self._occurrences[first] = occurrence + 1
        return Trial(found, sequence, parameters)


def _trial_id(experiment: Experiment, parameters: str, occurrence: int) -> str:
    """Return the id for `parameters` as canonical JSON."""
    return identity_of(experiment.name, experiment.namespace, parameters, occurrence)


def identity_of(experiment: str, namespace: str, parameters: str, occurrence: int) -> str:
    """Return what `trial_id` does, of an experiment's name and namespace alone.

    parameters: as canonical JSON. Their mapping is put together here, keys sorted, for speed.
    """
    name, namespace = _encoded(experiment), _encoded(namespace)
    identity = (
        f'{{"experiment":{name},"namespace":{namespace},'
        f'"occurrence":{occurrence},"parameters":{parameters}}}'
    )
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def _encoded(text: str) -> str:
    return canonical_json(text)


def plan(
    experiment: Experiment,
    submitted: Iterable[tuple[Trial, ...]] = (),
    records: Sequence[Record] = (),
    *,
    room: int | None = None,
    drawings: Sequence[Drawing] = (),
) -> Iterator[Job]:
    """Yield the jobs that the experiment and its results so far determine, in order, lazily.

    submitted: the trials of each job that was ever submitted. Those are facts: they keep their
    packing and their numbers, which no other trial gets, and when the space no longer proposes them
    they follow at the end, in the order given. records: what an
    adaptive tuner learns from, as `Propose` has it. room: for how many trials more of it; None: as
    `upcoming` has it. drawings: the sweeps so far, where the platform draws the trials. Raises
    PlanError when the budget is exceeded or a constraint cannot be evaluated.
    """
    if experiment.sampling is not None:
        yield from _drawn(experiment, submitted, drawings)
        return
    if not adaptive(experiment):
        yield from _open_loop(experiment, submitted)
        return
    groups = sorted(
        {group[0].id: group for group in submitted}.values(), key=lambda group: group[0].sequence
    )
    yield from map(_job, groups)
    known = [trial for group in groups for trial in group]
    yield from packed(experiment, upcoming(experiment, known, records, room=room))


def _drawn(
    experiment: Experiment, submitted: Iterable[tuple[Trial, ...]], drawings: Sequence[Drawing]
) -> Iterator[Job]:
    """Yield the sweeps so far, what ran beside them, and sweeps of what is missing then."""
    groups = {group[0].id: group for group in submitted}.values()
    jobs = [Job(one.id, one.trials, True, one.draws) for one in drawings]
    jobs += [_job(group, sweep=len(group) > 1) for group in groups]
    yield from sorted(jobs, key=lambda job: job.sequence)
    count = sum(one.count for one in drawings) + sum(map(len, groups))
    left = (experiment.max_trials or 0) - count
    if left <= 0:
        return
    numbers = [one.draws[-1] for one in drawings]
    numbers += [trial.sequence for job in jobs for trial in job.trials]
    first = max(numbers, default=-1) + 1
    check_budget(experiment, count + left)
    what = (experiment.name, experiment.namespace, experiment.space, experiment.sampling)
    end, before = first + left, len(drawings)
    for place, start in enumerate(range(first, end, _largest(experiment)), start=before):
        draws = range(start, min(start + _largest(experiment), end))
        text = repr((*what, experiment.seed, draws.start, len(draws), place))
        yield Job(hashlib.sha256(text.encode()).hexdigest()[:16], (), True, draws)


def _open_loop(experiment: Experiment, submitted: Iterable[tuple[Trial, ...]]) -> Iterator[Job]:
    groups = {trial.id: group for group in submitted for trial in group}
    taken = {trial.sequence for group in groups.values() for trial in group}
    free = (number for number in count() if number not in taken)
    largest = _largest(experiment)
    waiting: list[Trial] = []
    done: set[str] = set()  # the first trial of each group that was yielded
    for trial in proposed(experiment):
        group = groups.get(trial.id)
        if group is None:
            # Other than its place only after an edit: it may stand among trials that had another.
            number = next(free)
            waiting.append(trial if number == trial.sequence else replace(trial, sequence=number))
            if len(waiting) == largest:
                yield _job(waiting, sweep=experiment.sweep)
                waiting = []
        elif group[0].id not in done:
            done.add(group[0].id)
            yield _job(group, sweep=experiment.sweep and len(group) > 1)
    if waiting:
        yield _job(waiting, sweep=experiment.sweep)
    for group in _left_over(groups.values(), done):
        yield _job(group, sweep=experiment.sweep and len(group) > 1)


def _largest(experiment: Experiment) -> int:
    """Return how many trials one job may have: what a sweep may, or so many as are packed."""
    if not experiment.sweep:
        return experiment.trials_per_job
    limits = experiment.target.job.sweeps
    return sys.maxsize if limits is None else limits.trials


def _left_over(groups: Iterable[tuple[Trial, ...]], done: set[str]) -> Iterator[tuple[Trial, ...]]:
    """Yield the groups that were submitted, and whose trials the space proposes no longer."""
    for group in {group[0].id: group for group in groups}.values():
        if group[0].id not in done:
            yield group


def packed(experiment: Experiment, trials: Iterable[Trial]) -> Iterator[Job]:
    """Yield jobs of `trials_per_job` trials each; the last may have fewer."""
    stream = iter(trials)
    while group := tuple(islice(stream, experiment.trials_per_job)):
        yield _job(group)


def proposed(experiment: Experiment) -> Iterator[Trial]:
    """Yield at most `max_trials` of an open loop, each parameter set `replicates` times."""
    allowed = Gate(experiment.constraints)
    parameter_sets = allowed.some(_propose(experiment, (), sys.maxsize, allowed))
    trials = _numbered(experiment, parameter_sets)
    most = None if experiment.max_trials is None else min(experiment.max_trials, sys.maxsize)
    return islice(_within_budget(experiment, trials), most)


def upcoming(
    experiment: Experiment,
    known: Sequence[Trial],
    records: Sequence[Record],
    *,
    room: int | None = None,
) -> Iterator[Trial]:
    """Yield the trials of an adaptive tuner behind the `known` ones, as `records` determines them.

    room: how many of them there may be at most, but for the last ones' replicates. None: all that
    no result to come can change, and beyond them as many as find room beside those that run.
    """
    ids = _Ids(experiment, known)
    sets = _sets_known(experiment, known)
    ahead = _tuner(experiment).ahead
    if room is None:
        running = sum(not record.status.ended for record in records)
        free = _sets(experiment, _in_flight(experiment) - len(sets.missing)) - running
        # Without an end to an open loop, there is none to what is certain either.
        certain = 0 if ahead is None else ahead(records, args=experiment.tuner.class_args)
        most = max(certain, initial.leading(experiment, records) if ahead else 0, free, 0)
    else:
        most = _sets(experiment, room - len(sets.missing))
    fresh: Iterable[tuple[int, Parameters]] = ()
    if most > 0:
        proposals = (
            islice(_endless_loop(experiment, sets.count), most)
            if ahead is None
            else _propose(experiment, records, most)
        )
        fresh = _replicated(experiment, proposals, start=sets.free)
    numbered = chain(sets.missing, fresh)
    trials = (ids.trial(sequence, parameters) for sequence, parameters in numbered)
    left = None
    if experiment.max_trials is not None:
        left = min(max(experiment.max_trials - len(known), 0), sys.maxsize)
    return islice(_within_budget(experiment, trials), left)


def abreast(experiment: Experiment) -> int:
    """Return how many trials of one packed job run side by side at the most.

    Without GPUs they take turns.
    """
    if not experiment.gpus_per_trial:
        return 1
    return min(experiment.concurrency, experiment.abreast or experiment.concurrency)


def _in_flight(experiment: Experiment) -> int:
    """Return how many trials are submitted at once.

    Those of a packed job that wait for their turn count too.
    """
    width = min(experiment.trials_per_job, abreast(experiment))
    return experiment.concurrency // width * experiment.trials_per_job


def _sets(experiment: Experiment, trials: int) -> int:
    """Return of how many parameter sets `trials` are."""
    return -(-trials // experiment.replicates)


def adopted(
    experiment: Experiment, parameter_sets: Iterable[Parameters], planned: Iterable[Trial]
) -> Iterator[Trial]:
    """Yield the trials that parameter sets from elsewhere are, with the ids that any have.

    planned: the experiment's own. One of those keeps its number; the others follow, replicates of a
    parameter set in a block.
    """
    numbers = {trial.id: trial.sequence for trial in planned}
    size = min(experiment.replicates, sys.maxsize)
    block = max(numbers.values(), default=-1) // size + 1
    free: dict[bytes, Iterator[int]] = {}
    ids = _Ids(experiment)
    for parameters in parameter_sets:
        trial = ids.trial(0, parameters)
        if trial.id in numbers:
            yield replace(trial, sequence=numbers[trial.id])
            continue
        key = canonical(parameters)
        number = next(free.get(key, iter(())), None)
        if number is None:
            free[key] = iter(range(block * size, (block + 1) * size))
            number, block = next(free[key]), block + 1
        yield replace(trial, sequence=number)


@dataclass(frozen=True, slots=True)
class _Known:
    """The replicated parameter sets that an experiment has trials of.

    missing: number and parameters of the replicates that they lack: a submit was cut short, or
    `amlc.replicates` was raised. Those of sets that the space no longer has are left out, since
    they would teach nothing, and of sets with a checkpoint, which each would save over. count: of
    the sets, with those in between that have no trial. free: from which number on no trial has one.
    """

    missing: tuple[tuple[int, Parameters], ...]
    count: int
    free: int


def _sets_known(experiment: Experiment, known: Sequence[Trial]) -> _Known:
    size = experiment.replicates
    end = max((trial.sequence for trial in known), default=-1) + 1
    if size == 1:
        return _Known((), end, end)
    taken = {trial.sequence for trial in known}
    ordered = sorted(known, key=lambda trial: trial.sequence)
    sets = sorted(
        in_sets(ordered, size, lambda trial: trial.parameters), key=lambda one: one[0].sequence
    )
    free = (number for number in count() if number not in taken)
    begun: set[bytes] = set()
    missing: list[tuple[int, Parameters]] = []
    left_out = 0
    for trials in sets:
        parameters = trials[0].parameters
        key = canonical(parameters)
        # Where `amlc.replicates` was lowered, what is over is no set that lacks any.
        if key not in begun or trials is sets[-1]:
            lacks = size - len(trials)
            if lacks and not _may_repeat(experiment, parameters):
                left_out += lacks
            else:
                missing += [(next(free), parameters) for _ in range(lacks)]
        begun.add(key)
    between = max(end - len(taken) - len(missing), 0) // size
    number = len(sets) + between
    return _Known(tuple(missing), number, max(number * size - left_out, end))


def _may_repeat(experiment: Experiment, parameters: Parameters) -> bool:
    """Tell whether the space has such a set, and another trial of it saves over no checkpoint.

    Of a class of the user's own only that knows.
    """
    if experiment.tuner.name is None:
        return True
    from amlc.tuners.shared.brackets import fits  # rarely needed

    return SAVE not in parameters and fits(axes(experiment.space), parameters)


def _replicated(
    experiment: Experiment, parameter_sets: Iterable[Parameters], *, start: int
) -> Iterator[tuple[int, Parameters]]:
    """Yield number and parameters of new trials, from number `start` on."""
    numbers = count(start)
    for parameters in parameter_sets:
        for _ in range(experiment.replicates):
            yield next(numbers), parameters


@dataclass(slots=True)
class _Reading:
    """The parameter sets of an open loop without an end, and how many of them were read."""

    experiment: Experiment
    sets: Iterator[Parameters]
    read: int = 0


_readings: list[_Reading] = []
"""The latest one: what was read is not to be gone through again for each further trial."""


def _endless_loop(experiment: Experiment, start: int) -> Iterator[Parameters]:
    """Yield the parameter sets of an open loop from number `start` on."""
    reading = _readings.pop() if _readings else None
    if reading is None or reading.experiment is not experiment or reading.read > start:
        allowed = Gate(experiment.constraints)
        reading = _Reading(experiment, allowed.some(_propose(experiment, (), sys.maxsize, allowed)))
    _readings.append(reading)
    for parameters in reading.sets:
        reading.read += 1
        if reading.read > start:
            yield parameters


def adaptive(experiment: Experiment) -> bool:
    """Return whether trials are proposed while others run: by results, or without an end.

    Or drawn by the platform.
    """
    return experiment.sampling is not None or learns(experiment) or _is_endless(experiment)


def learns(experiment: Experiment) -> bool:
    """Return whether later trials depend on the results of earlier ones."""
    known = find(experiment.tuner.name, "tuner")
    return known.adaptive if known is not None else _tuner(experiment).ahead is not None


def proposes_by_value(experiment: Experiment) -> bool:
    """Return whether what is proposed next follows from how good each result is.

    Not only from how those of a whole rung or generation rank.
    """
    return experiment.tuner.name is None or _tuner(experiment).by_value


def _is_endless(experiment: Experiment) -> bool:
    """Return whether it is an open loop that nothing ends."""
    return (
        experiment.max_trials is None
        and experiment.tuner.name != "Batch"
        and bool(inexhaustible(experiment.space))
    )


def _tuner(experiment: Experiment) -> Tuner:
    name = experiment.tuner.name
    if name is not None:
        return built_in(name)
    from amlc.tuners import custom  # rarely needed

    return custom.tuner(experiment.tuner, replicates=experiment.replicates)


def given_up(experiment: Experiment, records: Sequence[Record]) -> Collection[int] | None:
    """Return which running parameter sets the tuner wants to end, by place.

    None: it looks at no running ones.
    """
    tuner = _tuner(experiment)
    if tuner.given_up is None:
        return None
    args, allowed = experiment.tuner.class_args, Gate(experiment.constraints)
    known = _taught(experiment, tuner, records)
    return tuner.given_up(experiment.space, known, seed=experiment.seed, args=args, allowed=allowed)


def _propose(
    experiment: Experiment, records: Sequence[Record], count: int, allowed: Gate | None = None
) -> Iterator[Parameters]:
    tuner, args = _tuner(experiment), experiment.tuner.class_args
    gate = allowed or Gate(experiment.constraints)
    records = _taught(experiment, tuner, records)

    def propose(
        records: Sequence[Record], count: int, allowed: Callable[[Parameters], bool]
    ) -> Iterator[Parameters]:
        return tuner.propose(
            experiment.space, records, count=count, seed=experiment.seed, args=args, allowed=allowed
        )

    if not experiment.initial:
        return propose(records, count, gate)
    if tuner.ahead is None:
        return initial.first(experiment, propose(records, count, gate), allowed=gate)
    return initial.before(experiment, records, propose, count=count, allowed=gate)


def _taught(experiment: Experiment, tuner: Tuner, records: Sequence[Record]) -> Sequence[Record]:
    """Return the records, with a value for what ended without one if tuner or user asks for it."""
    if not (tuner.by_value or experiment.include_intermediate_results):
        return records
    from amlc.tuners.shared.failures import lessons  # for those that learn alone

    return lessons(
        records,
        maximize=experiment.tuner.class_args.get("optimize_mode") == "maximize",
        failed=experiment.failed_value if tuner.by_value else "ignore",
        intermediate=experiment.include_intermediate_results,
    )


def _numbered(experiment: Experiment, parameter_sets: Iterable[Parameters]) -> Iterator[Trial]:
    ids = _Ids(experiment)
    repeated = chain.from_iterable(
        repeat(parameters, min(experiment.replicates, sys.maxsize)) for parameters in parameter_sets
    )
    for sequence, parameters in enumerate(repeated):
        yield ids.trial(sequence, parameters)


def _within_budget(experiment: Experiment, trials: Iterator[Trial]) -> Iterator[Trial]:
    if experiment.budget == Budget():
        return trials

    def checked(trial: Trial) -> Trial:
        check_budget(experiment, trial.sequence + 1)
        return trial

    return map(checked, trials)


def check_budget(experiment: Experiment, count: int) -> None:
    """Raise PlanError if `count` trials may cost more than `amlc.budget` allows."""
    budget = experiment.budget
    if budget.trials is not None and count > budget.trials:
        raise _over(
            Sentence(
                f"amlc.budget.trials is {budget.trials}, and the experiment may have more trials "
                "than that.",
                hint="Lower maxTrialNumber, narrow the space, or raise the budget.",
            ),
            "trials",
        )
    if budget.node_hours is None:
        return
    if experiment.trial_seconds is None:
        raise _over(
            Sentence(
                "amlc.budget.nodeHours needs maxTrialDuration: a trial without a time limit has no "
                "upper bound.",
                hint="Set maxTrialDuration.",
            ),
            "nodeHours",
        )
    retries = experiment.retries
    hours = worst_hours(
        count * (1 + retries),
        trial_seconds=experiment.trial_seconds,
        nodes=node_count(experiment),
    )
    if hours > budget.node_hours:
        again = f" with amlc.retries, {retries} for each" if retries else ""
        also = ", maxTrialDuration or amlc.retries" if retries else " or maxTrialDuration"
        raise _over(
            Sentence(
                f"{plural(count, 'trial')} may take {hours:g} node-hours{again}, and "
                f"amlc.budget.nodeHours is {budget.node_hours:g}.",
                hint=f"Lower maxTrialNumber{also}, or raise the budget.",
            ),
            "nodeHours",
        )


def _over(message: Sentence, key: str) -> PlanError:
    return PlanError(message, path=("amlc", "budget", key), code="E-budget")


def node_count(experiment: Experiment) -> int:
    """Return on how many nodes each job runs, by `amlc.job`. Raises PlanError."""
    resources = experiment.job.get("resources")
    count = resources.get("instance_count") if isinstance(resources, Mapping) else resources
    if count is None:
        return 1
    if type(count) is not int or count < 1:
        raise PlanError(
            Sentence(
                "amlc.job.resources.instance_count must be a whole number of at least 1, "
                f"got {count!r}.",
                hint="For example `resources: {instance_count: 2}`.",
                found=repr(count),
                expected="a whole number of at least 1",
            ),
            path=("amlc", "job", "resources", "instance_count"),
            code="E-job",
        )
    return count


def _job(trials: Iterable[Trial], *, sweep: bool = False) -> Job:
    group = tuple(trials)
    return Job(job_id([trial.id for trial in group]), group, sweep)
