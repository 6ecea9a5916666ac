"""An experiment without jobs: a tuner proposes as `amlc run` asks it to, and a function gives the results."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from amlc.catalogue import filled, find
from amlc.model import Parameters, Record, Space, Status
from amlc.tuners import Tuner
from amlc.tuners import random as random_tuner
from amlc.tuners.shared.failures import lessons


@dataclass(frozen=True)
class End:
    """How a trial ended: as a `Record` has it. curve: its intermediate results."""

    status: Status = Status.SUCCEEDED
    value: float | None = None
    curve: tuple[float, ...] = ()


def arguments(name: str, **given: Any) -> Mapping[str, Any]:
    """Return the `classArgs` of a built-in tuner as the config would, defaults filled in."""
    known = find(name, "tuner")
    assert known is not None
    return filled(known.arguments, given)


def simulate(
    tuner: Tuner,
    space: Space,
    objective: Callable[[Parameters], float | End | None],
    *,
    trials: int,
    concurrency: int = 1,
    seed: int = 0,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool] = lambda parameters: True,
    finish: bool = True,
    failed: str | float = "worst",
    order: int | None = None,
    history: Sequence[Record] = (),
) -> list[Record]:
    """Return the records of an experiment of at most `trials` trials, which end in an order of chance.

    As in `amlc run`, the tuner is asked for as many as there is room for whenever a trial ended. objective: None for a
    trial that failed. history: what ended before, of which none runs. finish: wait for the last ones, too. failed: `amlc.failedValue`. order: the seed of that chance, if it is
    not to be `seed`.
    """
    chance = random.Random(seed if order is None else order)
    history = list(history)
    clock = max((record.told or 0 for record in history), default=0)
    while True:
        running = [number for number, record in enumerate(history) if not record.status.ended]
        if room := min(concurrency - len(running), trials - len(history)):
            known: Sequence[Record] = tuple(history)
            if tuner.by_value:
                known = lessons(known, maximize=args["optimize_mode"] == "maximize", failed=failed)
            for parameters in tuner.propose(space, known, count=room, seed=seed, args=args, allowed=allowed):
                clock += 1
                running.append(len(history))
                history.append(Record(parameters=parameters, asked=clock))
        if not running or (not finish and len(history) == trials):
            return history
        clock += 1
        number = chance.choice(running)
        end = objective(history[number].parameters)
        if not isinstance(end, End):
            end = End(Status.FAILED if end is None else Status.SUCCEEDED, end)
        curve = tuple((clock, value) for value in end.curve)
        history[number] = replace(history[number], status=end.status, value=end.value, told=clock, curve=curve)


def ended(record: Record, value: float | None, now: int = 1) -> Record:
    """Return the record with its end at `now`: a result, or None for a trial that failed."""
    return replace(record, value=value, told=now, status=Status.FAILED if value is None else Status.SUCCEEDED)


def bowl(parameters: Parameters) -> float:
    """Return a loss over x and the logarithm of y that has one minimum: 0, at 0.3 and 0.01."""
    return float((parameters["x"] - 0.3) ** 2 + (math.log10(parameters["y"]) + 2) ** 2)


def finished(space: Space, trials: int, score: Callable[[Parameters], float | None] = bowl) -> list[Record]:
    """Return `trials` draws at random with their results."""
    draws = random_tuner.propose(space, (), count=trials, seed=99, args={}, allowed=lambda parameters: True)
    return [ended(Record(parameters=p, asked=2 * i), score(p), 2 * i + 1) for i, p in enumerate(draws)]
