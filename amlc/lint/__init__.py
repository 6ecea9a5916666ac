"""What is odd about an experiment that compiles: warnings, before anything is paid for.

Nothing is said that is not certain: a false alarm would teach people to look away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from amlc.config import locate
from amlc.errors import Problem, Severity
from amlc.lint.command import about_command
from amlc.lint.errors import OddityError
from amlc.lint.jobs import about_number, about_packs
from amlc.lint.libraries import about_libraries
from amlc.lint.space import about_branches, about_space
from amlc.model import Experiment
from amlc.targets import target


def warnings(
    experiment: Experiment, *, leave_out: Sequence[Path] = (), within: Path | None = None
) -> tuple[Problem, ...]:
    """Return what is odd about an experiment, each with its position.

    leave_out, within: as for `snapshot`; with `within`, nothing of the environment is looked at.
    """
    assert experiment.document is not None  # it was loaded, not made by hand
    found = [
        *about_command(experiment, leave_out=leave_out, within=within),
        *about_space(experiment.space, ("searchSpace",)),
        *about_branches(experiment),
        *about_packs(experiment),
        *about_number(experiment),
        *(about_libraries(experiment) if within is None else ()),
        *_about_time(experiment),
    ]
    located = locate(found, experiment.document) if found else ()
    return tuple(replace(problem, severity=Severity.WARNING) for problem in located)


def _about_time(experiment: Experiment) -> Iterator[OddityError]:
    """Yield a warning where a trial that hangs would be paid for without end."""
    limits = experiment.job.get("limits")
    is_limited = isinstance(limits, Mapping) and limits.get("timeout") is not None
    if experiment.trial_seconds is not None or is_limited:
        return
    if not target(experiment.target.platform).RUNS_ANY:
        text = "nothing ends a trial that hangs, and its machine is paid for all the while. "
        text += "Set maxTrialDuration, for example 2h."
        yield OddityError(text, code="W-endless-trial", path=("trainingService", "platform"))
