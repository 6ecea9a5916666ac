"""Anneal: hyperopt's annealing, which draws ever nearer to one of the best trials so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from amlc.extras import missing
from amlc.model import Choice, Integer, Parameters, Real, Record, Space
from amlc.space.draws import draws
from amlc.space.points import MODEL_DIGITS, Axis, Key, Point, coordinates, locate
from amlc.tuners import random
from amlc.tuners.shared.unseen import Unseen

if TYPE_CHECKING:
    from numpy.random import Generator

# A stream of random numbers beside Random's; no 0, for default_rng([seed, 0]) is default_rng(seed).
_SUGGESTIONS = 1
_TRIES = 8  # suggestions that may be old or refused before draws at random take their place
_BEST = 100  # results that hyperopt sees; it starts from a parameter's k-th best with chance 2^-k
_MANY = 1000  # values of a randint, for each of which hyperopt keeps a number; beyond: a uniform
_DONE = 2  # hyperopt.base.JOB_STATE_DONE
_UNLIED = 20  # trials up to which NNI ignores those that run, even with `parallel_optimize`
_LIES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "min": min,
    "max": max,
    "mean": fmean,
}

BY_VALUE: Final = True


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield Random's draws while there is no result, then what hyperopt's `anneal` suggests.

    Trials without a value are ignored, running ones too, unless `parallel_optimize`: then these
    count, after the first 20 trials, with the `constant_liar_type` of the results (of the raw ones:
    "min" is a bad lie when maximizing, as in NNI). In a finite space no trial comes twice. What is
    likely to fail (`feasible`) is drawn anew.

    All results count for how far the search has cooled down, and it draws near the best 100 of
    them. With more, how many of them used a branch of a nested choice is estimated from these.
    Source: NNI 3.0, `algorithms/hpo/hyperopt_tuner.py`; hyperopt 0.3, `anneal.py`.
    """
    results = [(record.value, record.parameters) for record in history if record.value is not None]
    if not results or not space:  # of an empty space hyperopt makes nothing
        yield from random.propose(
            space, history, count=count, seed=seed, args=args, allowed=allowed
        )
        return
    from numpy.random import default_rng

    unseen = Unseen(space, history, allowed=allowed, digits=MODEL_DIGITS)
    running = [record.parameters for record in history if not record.status.ended]
    lie: float | None = None
    if args["parallel_optimize"]:
        lie = _LIES[args["constant_liar_type"]]([value for value, _ in results])
    model: _Model | None = None
    for number in range(len(history), len(history) + count):
        lies: list[tuple[float, Parameters]] = []
        if lie is not None and number > _UNLIED:
            lies = [(lie, parameters) for parameters in running]
        if model is None or lies:
            model = _Model.of(
                space, unseen.axes, [*results, *lies], maximize=args["optimize_mode"] == "maximize"
            )
        rng = default_rng([seed, number, _SUGGESTIONS])
        candidates = chain(
            islice(model.suggestions(rng), _TRIES), islice(draws(rng, unseen.axes), _TRIES)
        )
        parameters = unseen.pick(candidates, rng)
        if parameters is None:
            return
        running.append(parameters)
        yield parameters


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return 1 for the first trial of all: any result changes what follows."""
    return 0 if history else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """hyperopt's view of space and best results, with the total of results that used each axis."""

    axes: Sequence[Axis]
    labels: Mapping[Key, str]
    domain: Any
    trials: Any
    used: Mapping[str, float]

    @classmethod
    def of(
        cls,
        space: Space,
        space_axes: Sequence[Axis],
        results: Sequence[tuple[float, Parameters]],
        *,
        maximize: bool,
    ) -> _Model:
        try:
            from hyperopt.base import Domain, trials_from_docs  # type: ignore[import-untyped]
        except ModuleNotFoundError as err:
            raise missing(err, algorithm="Anneal", extra="tuners") from err
        labels = {axis.key: str(number) for number, axis in enumerate(space_axes)}
        best = sorted(results, key=lambda result: result[0], reverse=maximize)[:_BEST]
        points: list[Point] = []
        documents = []
        for _, parameters in best:
            point = locate(space_axes, parameters)
            if point is not None:  # it may be of a space that was edited since
                values = {label: point.get(key) for key, label in labels.items()}
                documents.append(_document(len(points), values))
                points.append(point)
        share = len(results) / max(len(points), 1)
        return cls(
            axes=space_axes,
            labels=labels,
            domain=Domain(None, _expression(space, (), labels)),
            trials=trials_from_docs(documents, validate=False),
            used={
                label: share * sum(key in point for point in points)
                for key, label in labels.items()
            },
        )

    def suggestions(self, rng: Generator) -> Iterator[Point]:
        """Yield independent suggestions, for ever."""
        from hyperopt.anneal import AnnealingAlgo  # type: ignore[import-untyped]

        while True:
            algorithm = AnnealingAlgo(self.domain, self.trials, int(rng.integers(2**31)))
            algorithm.shrinking = self._shrinking  # its own counts the results that it was given
            (document,) = algorithm(len(self.trials))
            values = document["misc"]["vals"]
            yield {
                axis.key: _coordinate(axis, values[label][0])
                for axis, label in zip(self.axes, self.labels.values(), strict=True)
                if len(values[label])
            }

    def _shrinking(self, label: str) -> float:
        """Return how much a parameter's draws have narrowed; 0.1 is hyperopt's `shrink_coef`."""
        return 1 / (1 + 0.1 * self.used[label])


def _expression(space: Space, prefix: Key, labels: Mapping[Key, str]) -> dict[str, Any]:
    """Return `space` in hyperopt's terms: indices, offsets and draws.

    The draws are those before exp and rounding, which `deliver` does.
    """
    from hyperopt import hp  # type: ignore[import-untyped]

    expression: dict[str, Any] = {}
    for dimension in space:
        key = (*prefix, dimension.name)
        label = labels[key]
        match dimension:
            case Choice(branches=()):
                expression[label] = hp.randint(label, len(dimension.options))
            case Choice():
                branches = [
                    _expression(branch, (*key, i), labels)
                    for i, branch in enumerate(dimension.branches)
                ]
                expression[label] = hp.choice(label, branches)
            case Integer():
                size = dimension.high - dimension.low
                expression[label] = (
                    hp.randint(label, size) if size <= _MANY else hp.uniform(label, 0, size)
                )
            case Real() if dimension.constant:
                expression[label] = hp.randint(label, 1)
            case Real():
                draw = hp.normal if dimension.normal else hp.uniform
                expression[label] = draw(label, *coordinates(dimension))
    return expression


def _document(rank: int, values: Mapping[str, int | float | None]) -> dict[str, Any]:
    """Return a finished trial as hyperopt keeps it. values: by label, None for an inactive axis.

    rank: from 0, the best; hyperopt uses a loss for nothing else, and would leave the order of
    equal ones to numpy.
    """
    used = {label: [] if value is None else [value] for label, value in values.items()}
    places = {label: [rank] if value else [] for label, value in used.items()}
    misc = {"tid": rank, "cmd": None, "workdir": None, "idxs": places, "vals": used}
    empty = dict.fromkeys(("spec", "exp_key", "owner", "book_time", "refresh_time"))
    result = {"status": "ok", "loss": float(rank)}
    return {**empty, "tid": rank, "state": _DONE, "version": 0, "misc": misc, "result": result}


def _coordinate(axis: Axis, value: float) -> int | float:
    return float(value) if axis.size is None else min(int(value), axis.size - 1)
