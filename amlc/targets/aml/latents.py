"""Tell which parameters the children of a sweep have that the service draws by itself.

A child's runner says it in tags as it begins, and has it in its parameter.cfg. Of one that ended
before that, the service's own note says what was drawn, of which the same formula makes the rest.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from amlc.errors import BackendError, RefusedError, TransientError
from amlc.model import Draw, Trial
from amlc.space.latents import finished, from_records
from amlc.targets.aml import runs
from amlc.targets.aml.views import View

PARAMETERS: Final = "hyperparameters"
"""The tag in which the service notes a child's parameters, as JSON."""

_SPACE: Final = "AMLC_SPACE"
_DRAWN: Final = "amlc.drawn"
_MOST_TRIES: Final = (
    5  # to read what a runner wrote down that said nothing: it may never have begun
)
_NUMBER: Final = re.compile(r".*_(\d{1,6})")
_UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def is_drawn(sweep: View) -> bool:
    """Tell whether the service draws the parameters of a sweep's trials."""
    return sweep.is_sweep and _SPACE in sweep.variables


def space_of(sweep: View) -> Mapping[str, Any]:
    """Return what such a sweep says of them, as its runner has it. Raises ValueError, KeyError."""
    parts = [sweep.variables[_SPACE]]
    while (name := f"{_SPACE}_{len(parts)}") in sweep.variables:
        parts.append(sweep.variables[name])
    space: Mapping[str, Any] = json.loads("".join(parts))
    return space


def numbers(sweep: View) -> range:
    """Return the numbers of the trials that it is to have; none where the service draws none."""
    if not is_drawn(sweep):
        return range(0)
    start = first(sweep)
    return range(start, start + most(sweep))


def namespace_of(sweep: View) -> str:
    """Return what ids are made of beside the experiment's name and the parameters."""
    try:
        return str(space_of(sweep)["namespace"])
    except _UNREADABLE:
        return ""


def first(sweep: View) -> int:
    """Return the number of its first trial."""
    try:
        return int(space_of(sweep)["first"])
    except _UNREADABLE:
        return 0


def most(sweep: View) -> int:
    """Return how many trials it is to have."""
    limits = sweep.properties.get("limits") or {}
    return int(limits.get("maxTotalTrials") or 1)


def order(run: runs.Run) -> tuple[float, float, str]:
    """Return what sorts the children of a sweep: their numbers, or when they began."""
    match = _NUMBER.fullmatch(run.job)
    number = float(match[1]) if match else float("inf")
    return number, run.started or float("inf"), run.job


def draw(trial: Trial, run: runs.Run) -> Draw:
    """Return what is told of a child: its parameters, and its trial's number if it has one."""
    sequence = trial.sequence if _NUMBER.fullmatch(run.job) else None
    return Draw(child=run.job, parameters=trial.parameters, sequence=sequence)


class Drawn:
    """The trials of children, by what they say. read: gives what a job's runner wrote down."""

    def __init__(self, read: Callable[[str], Trial | None]) -> None:
        self._read = read
        self._known: dict[str, Trial] = {}
        self._tries: Counter[str] = Counter()  # to read it of a job

    def trial(self, sweep: View, run: runs.Run, tags: Mapping[str, str]) -> Trial | None:
        """Return the trial that a child runs, None while nobody says.

        Its id is that by which its runner's records go.
        """
        if run.job not in self._known:
            found = _told(tags)
            if found is None and run.ended is not None:
                found = self._written(run.job) or _finished(sweep, run, tags)
            if found is None:
                return None
            match = _NUMBER.fullmatch(run.job)
            number = first(sweep) + (int(match[1]) if match else 0)
            self._known[run.job] = Trial(found.id, number, found.parameters)
        return self._known[run.job]

    def _written(self, job: str) -> Trial | None:
        self._tries[job] += 1
        if self._tries[job] > _MOST_TRIES:
            return None
        try:
            return self._read(job)
        except TransientError:
            raise
        except BackendError:
            return None


def _told(tags: Mapping[str, str]) -> Trial | None:
    """Return what a child's runner said in its tags."""
    try:
        value = json.loads(runs.text_in(tags, _DRAWN))
        identifier, parameters = value["id"], value["parameters"]
    except _UNREADABLE:
        return None
    is_one = isinstance(identifier, str) and isinstance(parameters, dict)
    return Trial(identifier, 0, parameters) if is_one else None


def _finished(sweep: View, run: runs.Run, tags: Mapping[str, str]) -> Trial | None:
    """Return the trial that is made of what the service noted, for a child that never ran."""
    try:
        given = json.loads(tags[PARAMETERS]).items()
        texts = {str(name).strip("-"): _text(value) for name, value in given}
        return Trial(run.job, 0, finished(from_records(space_of(sweep)["axes"]), texts))
    except (*_UNREADABLE, OverflowError, RefusedError):
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
