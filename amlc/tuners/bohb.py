"""BOHB: Hyperband's brackets, filled with what a model of the results so far finds promising."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from amlc.model import Choice, Parameters, Record, Space
from amlc.space.points import MODEL_DIGITS, Axis, Point, axes, deliver, endless, locate
from amlc.tuners.shared.brackets import ADDED, BUDGET, Ladder, Table, begun, configuration, cycle
from amlc.tuners.shared.failures import elsewhere
from amlc.tuners.shared.feasibility import feasible
from amlc.tuners.shared.random_sequence import fresh
from amlc.tuners.shared.unit_cube import from_unit, to_unit

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from amlc.tuners.shared.densities import Kernels

_ENOUGH: Final = 10
"""With so many times `min_points_in_model` results at the largest budgets, the model looks at no
smaller ones."""
_MOST_GOOD: Final = 200
_MOST_BAD: Final = 800
"""How many results the model looks at: the best of the good ones, and bad ones evenly over their
ranks."""
_TRIES: Final = 10
"""How often the model may try to find what is allowed and new, before a random draw takes its
place."""
_FEWEST_GOOD: Final = 2
"""How many results are good at least, however small `top_n_percent` makes it."""
_WIDTH: Final = 0.15
_SHRINK: Final = 0.3
"""A kernel is `_WIDTH` wide, as a part of the whole axis, if there is one result, and with n of
them n**-_SHRINK of that: 0.05 with 50. Chosen, as the numbers in densities.py, for the best value
after 50 trials on Branin, Hartmann-6 and a mixed space."""


_STEEPNESS: Final = 10
"""Of n good results the one of rank r, the best one's being 0, counts (1 - r/n)**_STEEPNESS; equal
ones share what the first would."""
_MOST_NEEDED: Final = 10
"""With so many results there is a model in many dimensions too: BOHB's own default, one more than
there are dimensions, leaves a short experiment in 20 of them none."""

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
    """Yield parameter sets with their `TRIAL_BUDGET`, bracket after bracket.

    Budgets go from `min_budget` to `max_budget`. What runs when is as with Hyperband in parallel
    mode. The bottom of the first bracket (or, if that is less, one configuration more than there
    are dimensions, but 10 at most, of which NNI knows nothing) and `random_fraction` of all
    configurations, counted together, are those of the Random tuner. The others are the most
    promising of `num_samples` draws around the good results: where the density of the best
    `top_n_percent` is largest relative to that of the rest. The model is asked for each
    configuration anew, with all the results until then.

    A configuration counts with its result at its largest budget; that at a smaller one is shifted
    by what promotions changed there (the median). The smallest budgets are left out once there are
    results enough without them. A failed trial, or one without a result, counts as bad and stays on
    its rung; the model proposes nothing that is likely to fail, too (`feasible`). Imported trials
    count too; without a `TRIAL_BUDGET` they had `max_budget`. `allowed` is asked about each
    configuration, without the budget. Checkpoints are as with Hyperband.
    Source: Falkner et al. 2018; NNI 3.0, `algorithms/hpo/bohb_advisor/`, which begins a bracket
    only when the one before has ended, draws all of its bottom from one model, and takes the number
    of the report, 0, for the budget.
    """
    from numpy.random import default_rng

    ladder = Ladder(_cycle(args), history, repeats=not endless(space))
    space_axes = axes(space)
    number = len(history)
    for parameters in ladder.promotions(maximize=args["optimize_mode"] == "maximize"):
        if count <= 0:
            return
        yield parameters
        count, number = count - 1, number + 1
    drawn = ladder.drawn.total()
    source = _Configurations(space, space_axes, history, ladder.drawn, seed, args, allowed)
    for budget, _ in zip(ladder.vacancies(serial=False), range(count), strict=False):
        following = source.following(default_rng([seed, number]))
        if following is None:
            return
        yield begun(following, budget, number=drawn, checkpoints=args.get("all_checkpoint_dir"))
        drawn, number = drawn + 1, number + 1


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many trials are certain: promotions due; at first the first bracket's bottom."""
    tables = _cycle(args)
    ladder = Ladder(tables, history)
    due = sum(1 for _ in ladder.promotions(maximize=True))
    return due + max(tables[0][0].count - ladder.drawn.total(), 0)


def _cycle(args: Mapping[str, Any]) -> tuple[Table, ...]:
    return cycle(largest=args["max_budget"], smallest=args["min_budget"], eta=args["eta"])


class _Configurations:
    """The configurations of one call, one after the other."""

    def __init__(
        self,
        space: Space,
        space_axes: Sequence[Axis],
        history: Sequence[Record],
        drawn: Counter[bytes],
        seed: int,
        args: Mapping[str, Any],
        allowed: Callable[[Parameters], bool],
    ) -> None:
        self._space_axes = space_axes
        self._drawn = Counter(drawn)
        self._picked: Counter[bytes] = Counter()
        self._number = drawn.total()
        self._random = fresh(space, seed, drawn, allowed)
        self._allowed = allowed
        self._least = max(min(len(space_axes) + 1, _MOST_NEEDED), args["min_points_in_model"] or 0)
        self._first = max(_cycle(args)[0][0].count, self._least)
        self._args = args
        self._history = history
        self._apart = elsewhere(space_axes, [_bare(record) for record in history if record.guessed])
        self._hopeful = feasible(space_axes, history, without=ADDED)
        self._model: _Model | None = None
        self._fitted = False

    def following(self, rng: Generator) -> Parameters | None:
        """Return the next configuration; None if nothing in a finite space is allowed."""
        chosen = None if self._at_random() else self._promising(rng)
        if chosen is not None:
            self._picked[configuration(chosen)] += 1
        else:
            chosen = self._draw()
        if chosen is not None:
            self._drawn[configuration(chosen)] += 1
            self._number += 1
        return chosen

    def _at_random(self) -> bool:
        """Tell whether the configuration is a random one, among which those at the start count."""
        fraction, number = self._args["random_fraction"], self._number
        return number < self._first or math.floor((number + 1) * fraction) > max(
            self._first, math.floor(number * fraction)
        )

    def _draw(self) -> Parameters | None:
        """Return the next one of Random's sequence, leaving out what the model picked meanwhile."""
        for parameters in self._random:
            digest = configuration(parameters)
            if not self._picked[digest]:
                return parameters
            self._picked[digest] -= 1
        return None

    def _promising(self, rng: Generator) -> Parameters | None:
        if not self._fitted:
            self._model = _fit(self._space_axes, self._history, self._least, self._args)
            self._fitted = True
        if self._model is None:
            return None
        for _ in range(_TRIES):
            for parameters in self._model.suggestions(rng, self._args):
                new = not self._drawn[configuration(parameters)] and self._apart(parameters)
                if new and self._hopeful(parameters) and self._allowed(parameters):
                    return parameters
        return None


def _bare(record: Record) -> Record:
    return replace(record, parameters=_own(record.parameters))


def _own(parameters: Parameters) -> Parameters:
    return {name: value for name, value in parameters.items() if name not in ADDED}


# --- the model ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Model:
    space_axes: Sequence[Axis]
    good: Kernels
    bad: Kernels

    def suggestions(self, rng: Generator, args: Mapping[str, Any]) -> Iterator[Parameters]:
        """Yield `num_samples` configurations, the most promising first."""
        drawn = self.good.sample(args["num_samples"], rng, factor=args["bandwidth_factor"])
        promise = self.good.log_density(drawn) - self.bad.log_density(drawn)
        for row in (-promise).argsort(kind="stable"):
            yield deliver(self.space_axes, _point(self.space_axes, drawn[row]), digits=MODEL_DIGITS)


def _fit(
    space_axes: Sequence[Axis], history: Sequence[Record], least: int, args: Mapping[str, Any]
) -> _Model | None:
    """Return the model of the results so far; None if there are less than `least` of them."""
    from amlc.tuners.shared.densities import kernels

    ranking = _ranking(history, least * _ENOUGH, args)
    succeeded = sum(math.isfinite(loss) for loss, _ in ranking)
    if succeeded < least:
        return None
    split = max(_FEWEST_GOOD, math.ceil(len(ranking) * args["top_n_percent"] / 100))
    split = min(split, succeeded, len(ranking) - 1)  # there are bad ones always
    rest = ranking[split:]
    step = max(len(rest) / _MOST_BAD, 1.0)
    losses, good = _vectors(space_axes, ranking[: min(split, _MOST_GOOD)])
    _, bad = _vectors(space_axes, [rest[int(i * step)] for i in range(int(len(rest) / step))])
    if not len(good) or not len(bad):
        return None
    options = [
        len(axis.dimension.options) if isinstance(axis.dimension, Choice) else 0
        for axis in space_axes
    ]
    width, least_width = _WIDTH * len(ranking) ** -_SHRINK, args["min_bandwidth"]
    first, behind = (losses.searchsorted(losses, side) for side in ("left", "right"))
    weights = (1 - first / len(good)) ** _STEEPNESS / (behind - first)
    return _Model(
        space_axes,
        kernels(good, options, width=max(width, least_width), weights=weights),
        kernels(bad, options, width=max(width, least_width)),
    )


def _ranking(
    history: Sequence[Record], enough: int, args: Mapping[str, Any]
) -> list[tuple[float, Parameters]]:
    """Return each configuration with its loss as if run with the largest budget, the best first."""
    sign = -1.0 if args["optimize_mode"] == "maximize" else 1.0
    results: dict[bytes, dict[float, tuple[float, Parameters]]] = {}
    for record in history:
        if record.status.ended:
            loss = math.inf if record.value is None or record.guessed else sign * record.value
            at = results.setdefault(configuration(record.parameters), {})
            at[record.parameters.get(BUDGET, args["max_budget"])] = loss, record.parameters
    ranking: list[tuple[float, Parameters]] = []
    budgets = sorted({budget for at in results.values() for budget in at}, reverse=True)
    shift = 0.0
    for budget, larger in zip(budgets, [None, *budgets], strict=False):
        if len(ranking) >= enough:
            break
        if larger is not None:
            shift += _shift(results.values(), budget, larger)
        largest_here = (at[budget] for at in results.values() if max(at) == budget)
        ranking += [(loss + shift, parameters) for loss, parameters in largest_here]
    return sorted(ranking, key=lambda entry: entry[0])


def _shift(
    results: Iterable[Mapping[float, tuple[float, Parameters]]], budget: float, larger: float
) -> float:
    """Return the median change of loss of what was run with both budgets; 0 if nothing was."""
    changes = []
    for at in results:
        if budget in at and larger in at:
            change = at[larger][0] - at[budget][0]
            if math.isfinite(change):  # not so if either of them failed
                changes.append(change)
    return median(changes) if changes else 0.0


def _vectors(
    space_axes: Sequence[Axis], ranking: Iterable[tuple[float, Parameters]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return losses and rows, quantiles and indices of choices, of what fits the space."""
    import numpy as np

    losses, rows = [], []
    for loss, parameters in ranking:
        point = locate(space_axes, _own(parameters))
        if point is None:
            continue
        row = to_unit(space_axes, point)
        for place, axis in enumerate(space_axes):
            if isinstance(axis.dimension, Choice):
                row[place] = float(point[axis.key])
        losses.append(loss)
        rows.append(row)
    return np.array(losses), np.array(rows)


def _point(space_axes: Sequence[Axis], row: NDArray[Any]) -> Point:
    """Return the point of a row, the inverse of `_vectors`."""
    unit = from_unit(space_axes, row.tolist())
    return {
        axis.key: int(x) if isinstance(axis.dimension, Choice) else unit[axis.key]
        for axis, x in zip(space_axes, row, strict=True)
    }
