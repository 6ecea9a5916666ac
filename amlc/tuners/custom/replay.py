"""One instance of the user's class: it is asked and told again what it was, and then goes on."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from amlc.errors import AmlcError
from amlc.model import Algorithm, Parameters, Space
from amlc.space.canonical import canonical
from amlc.space.nni import nni_space
from amlc.tuners.custom.events import Asked, Encoded, Event, Imported, Reported, Told
from amlc.tuners.custom.patience import answered
from amlc.tuners.custom.tuner_or_advisor import Proposal, constructed, trial_job_id
from amlc.user_code import Stage, UserCodeError

Allowed: TypeAlias = "Callable[[Parameters], bool]"

_MOST_REFUSED: Final = 1000
_warned: set[str] = set()
"""The keys of the classes that were warned of: a tuner is asked dozens of times in a run."""


@dataclass(frozen=True, slots=True)
class OwnClass:
    """What is replayed: an instance of a class in a search space."""

    algorithm: Algorithm
    space: Any
    seed: int
    replicates: int
    key: str

    @classmethod
    def of(cls, algorithm: Algorithm, space: Space, seed: int, replicates: int) -> OwnClass:
        """Return it with the space as the file has it, and a text that tells it from others."""
        written = nni_space(space) if algorithm.search_space is None else algorithm.search_space
        where = [algorithm.class_name, str(algorithm.code_directory)]
        key = json.dumps([where, algorithm.class_args, written, seed], default=repr)
        return cls(algorithm, written, seed, replicates, key)

    def trial(self, index: int) -> str:
        """Return how messages name the trial, or the trials, of a parameter set."""
        first = index * self.replicates
        if self.replicates == 1:
            return f"trial {first}"
        return f"trials {first} to {first + self.replicates - 1}"


class Replay:
    """One instance of the user's class, and what it went through: `log`.

    Kept from one call to the next, which changes nothing: what it would be asked or told in another
    order than in a new process is left to a new instance.
    """

    def __init__(self, what: OwnClass, encoded: Encoded) -> None:
        self.log: list[Event] = []
        self.finished = False
        self.encoded = encoded
        self._what = what
        self._stage = Stage(what.algorithm, "tuner", seed=what.seed)
        self._issued: dict[int, tuple[Proposal, Parameters]] = {}
        self._refused: list[Parameters] = []
        self._checked: Allowed | None = None
        with self._stage.open("starting"):
            self._side = constructed(self._stage, copy.deepcopy(what.space))

    @property
    def given_up(self) -> Collection[int] | None:
        """The trials, by index, that an Advisor wants to end and that go on; None for a Tuner."""
        killed = self._side.killed
        if killed is None:
            return None
        issued = sorted(self._issued.items())
        return [index for index, (one, _) in issued if trial_job_id(one) in killed]

    def leads_to(self, events: Sequence[Event], index: int, allowed: Allowed) -> bool:
        """Return whether a new instance told `events` would be where this one is or will be."""
        common = min(len(self.log), len(events))
        if self.log[:common] != list(events[:common]) or not self._still_refused(allowed):
            return False
        if len(events) > len(self.log):
            return not self.finished
        ahead = self.log[len(events) :]
        return all(
            isinstance(one, Asked) and one.index == index + number and allowed(one.parameters)
            for number, one in enumerate(ahead)
        )

    def _still_refused(self, allowed: Allowed) -> bool:
        if allowed is not self._checked and any(map(allowed, self._refused)):
            return False
        self._checked = allowed
        return True

    def continue_with(self, events: Sequence[Event], allowed: Allowed) -> None:
        """Go through what happened, or happened before."""
        if events:
            with self._stage.kept_open():
                for event in events:
                    self._repeat(event, allowed)

    def _repeat(self, event: Event, allowed: Allowed) -> None:
        match event:
            case Imported():
                with self._stage.open("import_data"):
                    rows = ({"parameter": dict(row), "value": value} for row, value in event.rows)
                    self._side.take(list(rows))
            case Asked():
                found = self._generate(
                    event.index, lambda p: canonical(p) == event.digest or allowed(p)
                )
                if found is None or canonical(found[1]) != event.digest:
                    self._warn(event.index)
                if found is not None:
                    self._issued[event.index] = found[0], event.parameters
            case Reported() if event.index in self._issued:
                with self._stage.open(
                    f"taking an intermediate result of {self._what.trial(event.index)}"
                ):
                    self._side.report(self._issued[event.index][0], event.step, event.value)
            case Told() if event.index in self._issued:
                proposal, parameters = self._issued.pop(event.index)
                self._tell(event.index, proposal, parameters, event.event, event.value)
        self.log.append(event)

    def ask(self, index: int, allowed: Allowed) -> None:
        """Add the next proposal to the log, or note that there is none.

        Whoever was asked in vain is not continued.
        """
        found = self._generate(index, allowed)
        if found is None:
            self.finished = True
            return
        self._issued[index] = found
        self.log.append(Asked(index, canonical(found[1]), found[1]))

    def _generate(self, index: int, allowed: Allowed) -> tuple[Proposal, Parameters] | None:
        for _ in range(_MOST_REFUSED):
            with self._stage.open(f"proposing {self._what.trial(index)}"):
                # While trials run, it may sit and wait for what they are going to report.
                proposal = answered(self._side.ask) if self._issued else self._side.ask()
                if proposal is None:
                    return None
            parameters = self._received(index, proposal)
            if not isinstance(parameters, dict):
                raise UserCodeError(
                    f"{self._stage.where}: it proposed {parameters!r:.60} as "
                    f"{self._what.trial(index)}, which is no mapping by name."
                )
            if allowed(parameters):
                return proposal, parameters
            self._refused.append(parameters)
            self._tell(index, proposal, parameters, "FAILED", None)
        raise AmlcError(
            f"amlc.constraints: {_MOST_REFUSED} proposals in a row of {self._stage.where} "
            "were excluded. Loosen the constraint, or let the class know it."
        )

    def _received(self, index: int, proposal: Proposal) -> Any:
        try:
            return _plain(proposal.parameters)
        except (TypeError, ValueError) as err:
            raise UserCodeError(
                f"{self._stage.where}: it proposed {_culprit(proposal.parameters)} in "
                f"{self._what.trial(index)}, which is no JSON value. "
                "Propose finite numbers, strings, booleans, None, lists and mappings of them."
            ) from err

    def _tell(
        self, index: int, proposal: Proposal, parameters: Parameters, event: str, value: str | None
    ) -> None:
        with self._stage.open(f"taking the end of {self._what.trial(index)}"):
            own = _plain(proposal.parameters)
            same = isinstance(own, dict) and canonical(own) == canonical(parameters)
            told = proposal.parameters if same else dict(parameters)
            self._side.tell(proposal, told, event, value)

    def _warn(self, index: int) -> None:
        if self._what.key not in _warned:
            _warned.add(self._what.key)
            text = (
                f"{self._stage.where} does not propose the same again: "
                f"{self._what.trial(index)} is not the one on record. "
                "It was changed, or draws unseeded random numbers. "
                "It goes on from what is on record."
            )
            warnings.warn(text, RuntimeWarning, stacklevel=2)


def _plain(value: Any) -> Any:
    """Return what a trial receives: JSON values instead of tuples and numpy's numbers."""
    return json.loads(json.dumps(value, default=_number, allow_nan=False))


def _culprit(parameters: Any) -> str:
    """Return in one line what JSON cannot carry.

    It is the first such parameter, or all of a proposal that is no mapping.
    """
    if isinstance(parameters, Mapping):
        for name, value in parameters.items():
            try:
                _plain({name: value})
            except (TypeError, ValueError):
                return f"{name!r} = {_shown(value)}"
    return _shown(parameters)


def _shown(value: Any) -> str:
    return " ".join(repr(value).split())[:60]


def _number(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(
        f"parameters must be JSON values, and {value!r:.60} is a {type(value).__name__}"
    )
