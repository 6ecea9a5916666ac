"""How many parameter sets a finite search space has, and how many of them become trials."""

from __future__ import annotations

from dataclasses import dataclass

from amlc.constraints import Gate
from amlc.errors import PlanError
from amlc.model import Experiment
from amlc.plan import adaptive
from amlc.plural import plural
from amlc.space import points
from amlc.tuners import built_in

MOST_JOBS = 1_000_000
"""Whose files no folder holds any more, and which no workspace would take."""

_MOST_TRIED = 10_000
"""Parameter sets that the constraints are asked about, one after the other, just to count them."""


@dataclass(frozen=True, slots=True)
class Combinations:
    """Of a search space whose parameter sets are all tried.

    total: those there are, each once. excluded: by the constraints; None: they are too many to ask.
    """

    total: int
    excluded: int | None

    def text(self, *, replicates: int, most: int | None) -> str:
        """Return it in words, with the trials: so many of each, and `most` at the most."""
        total = plural(self.total, "combination")
        if self.excluded is None:
            return f"{total}, some of them excluded"
        excluded = f", {self.excluded:,} excluded" if self.excluded else ""
        trials = (self.total - self.excluded) * replicates
        limit = ""
        if most is not None and most < trials:
            trials, limit = most, " by maxTrialNumber"
        times = f", {replicates:,} of each" if replicates > 1 and not limit else ""
        return f"{total}{excluded}, {plural(trials, 'trial')}{times}{limit}"


@dataclass(frozen=True, slots=True)
class MostJobs:
    """How many jobs are compiled before the first one runs.

    is_certain: not fewer, whatever the constraints exclude, so long as they leave something. path:
    the key that decides it.
    """

    jobs: int
    is_certain: bool
    path: tuple[str, ...]

    @property
    def too_many(self) -> bool:
        """Whether they are refused."""
        return self.is_certain and self.jobs > MOST_JOBS


def most_jobs(experiment: Experiment) -> MostJobs | None:
    """Return how many jobs an open loop has at the most; each child of a sweep is one.

    None where the tuner is asked as it runs.
    """
    if adaptive(experiment):
        return None
    sets, trials = points.combinations(experiment.space), experiment.max_trials
    is_certain, path = True, ("maxTrialNumber",)
    if sets is not None and (trials is None or sets * experiment.replicates < trials):
        trials = sets * experiment.replicates
        is_certain, path = not experiment.constraints, ("searchSpace",)
    elif sets is not None:
        is_certain = not experiment.constraints
    assert trials is not None  # else nothing would end it, and it were adaptive
    return MostJobs(-(-trials // experiment.trials_per_job), is_certain, path)


def combinations_of(experiment: Experiment) -> Combinations | None:
    """Return how many parameter sets there are to try, None unless that is finite and certain."""
    total = points.combinations(experiment.space)
    if total is None or adaptive(experiment) or experiment.tuner.name == "Batch":
        return None
    if not experiment.constraints:
        return Combinations(total, 0)
    if total > _MOST_TRIED:
        return Combinations(total, None)
    grid = built_in("GridSearch").propose(
        experiment.space, (), count=total, seed=0, args={}, allowed=Gate(experiment.constraints)
    )
    try:
        return Combinations(total, total - sum(1 for _ in grid))
    except PlanError:
        return None  # of a constraint, which is said elsewhere
