"""Optuna: any of Optuna's samplers, asked and told what happened here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, isabstract, signature
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from amlc.catalogue import SAMPLERS
from amlc.extras import require
from amlc.model import Parameters, Record, Space, Status
from amlc.space.canonical import canonical
from amlc.space.draws import distinct, draws
from amlc.space.points import Axis, Key, Point, axes, deliver, locate
from amlc.tuners.shared.one_thread import one_thread
from amlc.tuners.tpe import _quiet, _Scale, _scale

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

Allowed: TypeAlias = "Callable[[Parameters], bool]"

OWN: Final = ("optimize_mode", "sampler", "seed")
"""The arguments that are the tuner's; all others are the sampler's."""

REFUSED: Final[Mapping[str, str]] = {
    "AutoSampler": (
        "OptunaHub downloads its code when it is used, and amlc loads none over the network. "
        "Name one of those that it chooses from: GPSampler, TPESampler, CmaEsSampler"
    ),
    "GridSampler": "Name the tuner GridSearch instead",
    "PartialFixedSampler": "Give a parameter that is fixed a choice of one option instead",
}
"""What to do instead of naming one of these samplers."""

_FORGETFUL: Final = frozenset({"GPSampler", "RandomSampler", "TPESampler"})
"""Those that look at nothing but parameters and results. They are not asked again for what is on
record: for a hundred trials that took GPSampler minutes. Instead each proposal has a seed of its
own. All others are told the whole past."""

EXHAUSTIVE: Final = frozenset({"BruteForceSampler"})
"""Those that need a grid of every parameter."""

_TRIES: Final = 8
"""How many proposals of the sampler may be refused or repeat a trial before a draw at random takes
their place."""

BY_VALUE: Final = True

_KEPT: Final = 4
_HUGE: Final = 1e100
_SAMPLER, _DRAW = 1, 2  # streams of random numbers
_kept: dict[str, _Replay] = {}


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Allowed,
) -> Iterator[Parameters]:
    """Yield what the sampler suggests for each active parameter of a new trial.

    It is asked as by Optuna's `Trial.suggest_*`.
    args: `sampler`, the name of a class in `optuna.samplers`, and behind the tuner's own arguments
    the sampler's.

    The sampler sees each result as completed, the imported ones first, other ended trials as
    failed, and those that run as running. It never repeats a parameter set, as far as the space has
    others.
    Raises AmlcError if a package is missing that the sampler needs.
    Source: `optuna.study.Study.ask` and `tell`, Optuna 5.
    """
    sampler = args["sampler"]
    require(*SAMPLERS.get(sampler, ()), algorithm=f"Optuna's {sampler}", extra="")
    key = json.dumps([repr(space), dict(args), seed], sort_keys=True)
    events = _events(history, _kept.get(key), maximize=args["optimize_mode"] == "maximize")
    index = sum(not record.imported for record in history)
    for number in range(index, index + count):
        with _quiet(), one_thread():
            replay = _kept.pop(key, None)
            if replay is None or not replay.leads_to(events, allowed):
                replay = _Replay(space, args, seed)
            # The same objects compare faster the next time.
            replay.log[:] = events[: len(replay.log)]
            replay.follow(events[len(replay.log) :], allowed)
            asked = replay.ask(number, allowed)
        if asked is None:
            return
        while len(_kept) >= _KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = replay  # only now: what failed half-way is not to be continued
        events.append(asked)
        yield asked.parameters


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many draws at random are left with which the sampler begins."""
    settings = {**_defaults(args["sampler"]), **args}
    startup = settings.get("n_startup_trials", settings.get("population_size", 1))
    return max(int(startup) - len(history), int(not history))


# --- the samplers ---------------------------------------------------------------------------------


def offered() -> Mapping[str, Callable[..., BaseSampler]]:
    """Return the classes in `optuna.samplers` that can be named, by name."""
    from optuna import samplers

    found = {name: getattr(samplers, name) for name in samplers.__all__ if name not in REFUSED}
    return {
        name: one
        for name, one in found.items()
        if isinstance(one, type) and issubclass(one, samplers.BaseSampler) and not isabstract(one)
    }


def arguments(name: str) -> Mapping[str, Parameter]:
    """Return the arguments of a sampler that are not the tuner's own, by name."""
    found = signature(offered()[name]).parameters
    return {key: parameter for key, parameter in found.items() if key not in OWN}


def construct(args: Mapping[str, Any], *, seed: int) -> BaseSampler:
    """Return the sampler that `args` describe. Raises ValueError for arguments that it refuses."""
    given = {name: value for name, value in args.items() if name not in OWN}
    with _quiet():
        return offered()[args["sampler"]](**given, seed=seed % 2**32)


def continuous(axis: Axis) -> bool:
    """Return whether Optuna has no grid for an axis.

    It is continuous, or rounded but not a plain quniform.
    """
    from optuna.distributions import FloatDistribution

    return isinstance(_scale(axis, "").distribution, FloatDistribution)


def _defaults(name: str) -> Mapping[str, Any]:
    return {key: parameter.default for key, parameter in arguments(name).items()}


# --- what happened --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """A parameter set that was proposed; index: its number, None for an imported one."""

    index: int | None
    digest: bytes
    parameters: Parameters = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Told:
    """The end of a trial; loss: its result so that smaller is better, None for none."""

    index: int | None
    loss: float | None


_Event: TypeAlias = "_Asked | _Told"


def _events(history: Sequence[Record], kept: _Replay | None, *, maximize: bool) -> list[_Event]:
    """Return what happened, in its order: imported results, then each proposal and each end.

    kept: spares the encoding of what it has from the same records.
    """
    sign = -1.0 if maximize else 1.0
    known = {event.index: event for event in kept.log if isinstance(event, _Asked)} if kept else {}
    begun: list[_Event] = []
    events: list[tuple[int, int, _Event]] = []
    index = 0
    for record in history:
        loss = None if record.value is None else min(max(sign * record.value, -_HUGE), _HUGE)
        if record.imported:
            begun += [
                _Asked(None, canonical(record.parameters), record.parameters),
                _Told(None, loss),
            ]
            continue
        asked = known.get(index)
        if asked is None or asked.parameters is not record.parameters:
            asked = _Asked(index, canonical(record.parameters), record.parameters)
        events.append((record.asked, index, asked))
        if record.status.ended:
            told = record.asked if record.told is None else record.told
            failed = record.status is Status.FAILED and not record.guessed
            # At the same number ends come behind proposals: none stands before its own.
            events.append((told, len(history) + index, _Told(index, None if failed else loss)))
        index += 1
    return begun + [event for _, _, event in sorted(events, key=lambda one: one[:2])]


# --- the replay -----------------------------------------------------------------------------------


class _Replay:
    """A study of Optuna's, and what it went through: `log`.

    Kept from one call to the next, which changes nothing: what it would be asked or told in another
    order than in a new process is left to a new one.
    """

    def __init__(self, space: Space, args: Mapping[str, Any], seed: int) -> None:
        from optuna import create_study
        from optuna.storages import InMemoryStorage

        self.log: list[_Event] = []
        self._space = space
        self._axes = axes(space)
        self._scales: dict[Key, _Scale] = {
            axis.key: _scale(axis, str(i)) for i, axis in enumerate(self._axes)
        }
        self._args = args
        self._seed = seed
        self._forgetful = args["sampler"] in _FORGETFUL
        self._storage = InMemoryStorage()
        self._study = create_study(storage=self._storage, sampler=construct(args, seed=seed))
        self._study.stop = lambda: None  # type: ignore[method-assign]  # what BruteForceSampler does at its end
        self._study_id = self._storage.get_study_id_from_name(self._study.study_name)
        self._numbers: dict[int | None, int] = {}
        self._taken: list[Parameters] = []
        self._digests: set[bytes] = set()
        self._refused: list[Parameters] = []

    def leads_to(self, events: Sequence[_Event], allowed: Allowed) -> bool:
        """Return whether a new study, told all of `events`, would be where this one will be."""
        return self.log == events[: len(self.log)] and not any(map(allowed, self._refused))

    def follow(self, events: Sequence[_Event], allowed: Allowed) -> None:
        """Go through what happened, or happened before."""
        for event in events:
            if isinstance(event, _Asked):
                self._repeat(event, allowed)
                self._note(event)
            else:
                if event.index in self._numbers:
                    self._tell(self._numbers.pop(event.index), event.loss)
                self.log.append(event)

    def ask(self, index: int, allowed: Allowed) -> _Asked | None:
        """Return the next proposal, and add it to the log; None when the space is exhausted."""
        trial, parameters, suggested = self._generate(index, allowed)
        if parameters is None:
            return None
        asked = _Asked(index, canonical(parameters), parameters)
        self._settle(asked, trial if suggested else None, self._attributes(trial))
        self._note(asked)
        return asked

    def _repeat(self, event: _Asked, allowed: Allowed) -> None:
        if locate(self._axes, event.parameters) is None:
            return
        if self._forgetful or event.index is None:
            self._settle(event, None, {})
            return
        trial, parameters, suggested = self._generate(
            event.index, lambda p: canonical(p) == event.digest or allowed(p)
        )
        attributes = self._attributes(trial)
        if suggested and (parameters is None or canonical(parameters) != event.digest):
            self._tell(trial.number, None)
            suggested = False
        self._settle(event, trial if suggested else None, attributes)

    def _generate(self, index: int, may: Allowed) -> tuple[Trial, Parameters | None, bool]:
        """Return the sampler's last trial, parameters, and whether they are that trial's."""
        from numpy.random import default_rng

        if self._forgetful:
            own = int(default_rng([self._seed, index, _SAMPLER]).integers(2**32))
            self._study.sampler = construct(self._args, seed=own)
        for _ in range(_TRIES):
            trial = self._study.ask()
            parameters = deliver(self._axes, self._suggested(trial))
            if canonical(parameters) not in self._digests:
                if may(parameters):
                    return trial, parameters, True
                if not self._forgetful:
                    self._refused.append(parameters)
            self._tell(trial.number, None)
        points = draws(default_rng([self._seed, index, _DRAW]), self._axes)
        drawn = distinct(self._space, points, self._taken)
        return trial, next(filter(may, drawn), None), False

    def _suggested(self, trial: Trial) -> Point:
        point: dict[Key, int | float] = {}
        for axis in self._axes:
            if axis.active(point):
                scale = self._scales[axis.key]
                point[axis.key] = scale.leave(_suggest(trial, scale.name, scale.distribution))
        return point

    def _attributes(self, trial: Trial) -> dict[str, Any]:
        """Return what the sampler noted with a trial, for one that takes its place.

        Not of CMA-ES with margin, which notes a point there that is the first trial's own.
        """
        number = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, trial.number)
        found = self._storage.get_trial(number).system_attrs
        return {} if self._forgetful or "x_for_tell" in found else dict(found)

    def _settle(self, asked: _Asked, trial: Trial | None, attributes: dict[str, Any]) -> None:
        """Let a trial run: the suggested one or, if its parameters are others, a new one."""
        from optuna.trial import TrialState, create_trial

        if trial is not None and not self._forgetful:
            self._numbers[asked.index] = trial.number
            return
        if trial is not None:  # what it noted there would not be known to a new process
            self._tell(trial.number, None)
        point = locate(self._axes, asked.parameters)
        assert point is not None  # it is what the tuner proposes, or was looked at before
        scales = [(self._scales[key], x) for key, x in point.items()]
        running = create_trial(
            state=TrialState.RUNNING,
            params={scale.name: scale.enter(x) for scale, x in scales},
            distributions={scale.name: scale.distribution for scale, _ in scales},
            system_attrs=attributes,
        )
        number = self._storage.create_new_trial(self._study_id, running)
        self._numbers[asked.index] = self._storage.get_trial_number_from_id(number)

    def _tell(self, number: int, loss: float | None) -> None:
        from optuna.trial import TrialState

        state = TrialState.FAIL if loss is None else TrialState.COMPLETE
        self._study.tell(number, loss, state=state)

    def _note(self, asked: _Asked) -> None:
        self.log.append(asked)
        self._taken.append(asked.parameters)
        self._digests.add(asked.digest)


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
        case IntDistribution():
            return trial.suggest_int(name, distribution.low, distribution.high)
        case FloatDistribution():
            return trial.suggest_float(name, distribution.low, distribution.high)
    raise AssertionError(distribution)
