"""Find packs whose trials learn nothing from each other, and more jobs than anybody wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from amlc.combinations import most_jobs
from amlc.errors import Sentence
from amlc.lint.errors import OddityError
from amlc.model import Experiment
from amlc.plan import abreast, learns, proposes_by_value

MANY: Final = 100_000
"""Jobs, from which on it takes minutes, and gigabytes of small files, to compile them."""


def about_packs(experiment: Experiment) -> Iterator[OddityError]:
    """Yield a warning where trials take turns in a job, and none knows how the others ended."""
    size, replicates = experiment.trials_per_job, experiment.replicates
    width = min(size, abreast(experiment))
    if -(-size // replicates) <= -(-width // replicates):
        return  # they run side by side anyway, or are replicates of one parameter set
    if not (learns(experiment) and proposes_by_value(experiment)):
        return
    turns = "one after the other" if width == 1 else f"{width} side by side"
    text = Sentence(
        f"the {size} trials of a job run {turns}, and are proposed together: none of them knows "
        "how the others ended.",
        hint="Take fewer, or remove 'trialsPerJob' so that the tuner learns from each result.",
    )
    yield OddityError(text, path=("amlc", "trialsPerJob"), code="W-pack")


def about_number(experiment: Experiment) -> Iterator[OddityError]:
    """Yield a warning where more jobs are compiled than anybody is likely to want."""
    most = most_jobs(experiment)
    if most is None or most.too_many or most.jobs <= MANY:
        return  # it is as it may be, or refused
    text = Sentence(
        f"{'' if most.is_certain else 'up to '}{most.jobs:,} jobs are compiled before the first "
        "one runs.",
        hint="Set a smaller maxTrialNumber if that is not meant, or pack trials: "
        "amlc.trialsPerJob.",
    )
    yield OddityError(text, path=most.path, code="W-many")
