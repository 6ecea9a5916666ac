"""Make trials of what a platform drew for the children of a sweep.

The ledger says which there are. The manifest has them before it, so that no trial is on record that
nobody can look up; and whatever of it was not recorded is drawn again, with the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import TypeAlias

from amlc.attempts import Attempt
from amlc.ledger import Ledger
from amlc.manifest import Manifest, with_drawn
from amlc.model import Draw, Observation, Trial
from amlc.plan import identity_of
from amlc.space.canonical import canonical_json

TakeUp: TypeAlias = "Callable[[Attempt, Sequence[Draw]], Mapping[str, Trial]]"
"""Takes what was drawn for a sweep that is at work; returns the trials that are new, by child."""


def drawing(manifest: Manifest, ledger: Ledger) -> TakeUp:
    """Return what makes trials of draws and puts them into the manifest.

    The caller holds the experiment's lock, and records them.
    """
    header = manifest.header

    def take_up(attempt: Attempt, draws: Sequence[Draw]) -> Mapping[str, Trial]:
        new = [draw for draw in draws if draw.child not in attempt.children]
        if not new:
            return {}
        names = header.experiment, header.namespace or ""
        made = allotted(attempt, new, names, taken=ledger.trials())
        trials = sorted((*attempt.trials, *made.values()), key=lambda trial: trial.sequence)
        with_drawn(manifest, attempt.id, trials)
        return made

    return take_up


def allotted(
    attempt: Attempt, draws: Sequence[Draw], names: tuple[str, str], *, taken: set[str]
) -> dict[str, Trial]:
    """Return the trials that new draws of a sweep are, by child.

    Each gets the first id of its parameters that no other trial has, and its own number where that
    is free. names: of the experiment, and its namespace. taken: ids.
    """
    ids = set(taken)
    numbers = {trial.sequence for trial in attempt.trials}
    made: dict[str, Trial] = {}
    for draw in draws:
        text = canonical_json(draw.parameters)
        found = (identity_of(*names, text, occurrence) for occurrence in count())
        identifier = next(one for one in found if one not in ids)
        own = () if draw.sequence is None else (draw.sequence,)
        free = (number for number in (*own, *attempt.draws) if number not in numbers)
        number = next(free, None)
        if number is None:
            number = max((*numbers, attempt.draws[-1])) + 1
        ids.add(identifier)
        numbers.add(number)
        made[draw.child] = Trial(identifier, number, draw.parameters)
    return made


def told_by_trial(attempt: Attempt, observation: Observation) -> Observation:
    """Return what is said of a sweep with its trials' ids in the place of the children's names."""
    begun = observation.begun
    if begun is not None:
        begun = tuple(attempt.children[child] for child in begun if child in attempt.children)
    return replace(observation, begun=begun, drawn=())
