"""PBT: a population trains in steps; the worst go on from checkpoints of the best, perturbed."""

from __future__ import annotations

import math
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from amlc.checkpoints import LOAD, SAVE
from amlc.model import Parameters, Real, Record, Space
from amlc.space.draws import draws
from amlc.space.points import Axis, axes, coordinate_on, coordinates, deliver
from amlc.tuners.shared.brackets import BUDGET

if TYPE_CHECKING:
    from numpy.random import Generator

# A stream of random numbers beside Random's; no 0, for default_rng([seed, 0]) is default_rng(seed).
_STEPS = 1
_TRIES = 64  # perturbations that may be refused before a draw at random takes their place
_SMALLEST = 1e-10  # NNI's lower bound for a qlognormal, so that there is a logarithm


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield what is left of this generation; nothing until all of the previous one has ended.

    Trial k of a generation is individual k: one step of training, from the checkpoint in
    `load_checkpoint_dir` to `save_checkpoint_dir`, which is
    `<all_checkpoint_dir>/<individual>/<generation>`. In generation 0, Random's draws (which may
    repeat: each individual is a model of its own), both are the same folder. From then on the worst
    ceil(fraction * size) load the checkpoint of one of as many best, whose parameters they take
    over perturbed; the others go on from their own with the parameters that they have. The order in
    which trials end changes nothing.

    A failed trial is the worst. It is copied only when all of the best have failed, and since its
    own checkpoint may not exist, what follows it loads what it loaded; NNI 3.0 goes on from the
    missing one. The last complete generation of imported trials is the one before the first. A
    generation that has fewer trials than `population_size`, since that was raised, is filled up
    with copies of the best; of one that has more, the best go on. `allowed` sees the parameters
    without the two folders.
    Source: NNI 3.0, `algorithms/hpo/pbt_tuner.py`; Jaderberg et al. 2017, arXiv 1711.09846.
    """
    from numpy.random import default_rng

    stage = _stage(history, args)
    if stage.waits:
        return
    space_axes = axes(space)
    epoch, before, individuals = stage.epoch, stage.before, stage.free[:count]
    if not before:
        points = draws(default_rng(seed), space_axes)
        sets = filter(allowed, (deliver(space_axes, point) for point in points))
        drawn = list(islice(sets, individuals[-1] + 1 if individuals else 0))
        for individual in individuals:
            folder = _folder(args, individual, epoch)
            yield {**drawn[individual], LOAD: folder, SAVE: folder}
        return
    models, copies = _best_and_worst(before, args)
    for number, individual in enumerate(individuals, start=len(history)):
        rng = default_rng([seed, number, _STEPS])
        if individual in copies or individual >= len(before):
            old = before[models[int(rng.integers(len(models)))]]
            following = _perturbed(space_axes, old.parameters, rng, args=args, allowed=allowed)
        else:
            old = before[individual]
            following = _kept(space_axes, old.parameters, rng)
        checkpoint = SAVE if old.value is not None else LOAD
        yield {
            **following,
            LOAD: old.parameters.get(checkpoint, old.parameters[SAVE]),
            SAVE: _folder(args, individual, epoch),
        }


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many of the current generation are left, if the one before has ended."""
    stage = _stage(history, args)
    return 0 if stage.waits else len(stage.free)


def stripped(parameters: Parameters) -> Parameters:
    """Return the parameters without the two folders: those of the search space."""
    return {name: value for name, value in parameters.items() if name not in (LOAD, SAVE)}


def _folder(args: Mapping[str, Any], individual: int, epoch: int) -> str:
    return posixpath.join(args["all_checkpoint_dir"], str(individual), str(epoch))


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where the population stands.

    epoch: the number of the current generation. free: the individuals that it lacks. before: the
    records of the generation that it goes on from; at first none.
    """

    epoch: int
    free: Sequence[int]
    before: Sequence[Record]

    @property
    def waits(self) -> bool:
        """Whether the generation before has not ended."""
        return any(not record.status.ended for record in self.before)


def _stage(history: Sequence[Record], args: Mapping[str, Any]) -> _Stage:
    """Return where the population stands: which checkpoints its trials have says how far it is.

    By no number or count, so that what another tuner proposed is no generation, and with another
    `population_size` no checkpoint is saved over.
    """
    size = int(args["population_size"])
    own: defaultdict[int, list[Record]] = defaultdict(list)
    imported: defaultdict[int, list[Record]] = defaultdict(list)
    taken: defaultdict[int, set[str]] = defaultdict(set)
    unused = 0  # behind the folders of Hyperband or BOHB, which end in budgets
    for record in history:
        folder, _, number = str(record.parameters.get(SAVE, "")).rpartition("/")
        if not number.isdecimal():
            continue
        epoch = int(number)
        if BUDGET in record.parameters:
            unused = max(unused, epoch + 1)
        elif record.imported:
            imported[epoch].append(record)
        else:
            own[epoch].append(record)
            taken[epoch].add(folder.rpartition("/")[2])
    complete = {
        number: [records[place] for place in _ranking(records, args)[:size]]
        for number, records in imported.items()
        if len(records) >= size
    }
    epoch = max(own or complete, default=-1)
    free = [one for one in range(size) if str(one) not in taken[epoch]] if own else []
    if not free:
        epoch, free = max(epoch + 1, unused), list(range(size))
    for generations in (own, complete):
        if before := generations.get(max((n for n in generations if n < epoch), default=-1)):
            ranking = _ranking(before, args)[:size] if len(before) > size else range(len(before))
            return _Stage(epoch, free, [before[place] for place in ranking])
    return _Stage(epoch, free, ())


def _ranking(records: Sequence[Record], args: Mapping[str, Any]) -> list[int]:
    """Return the places of `records`, best first; those without a value come last."""
    sign = -1.0 if args["optimize_mode"] == "maximize" else 1.0
    costs = [math.inf if record.value is None else sign * record.value for record in records]
    return sorted(range(len(records)), key=costs.__getitem__)


def _best_and_worst(
    before: Sequence[Record], args: Mapping[str, Any]
) -> tuple[Sequence[int], frozenset[int]]:
    """Return which individuals may be copied, and which become a copy."""
    ranking = _ranking(before, args)
    count = math.ceil(args["fraction"] * len(before))
    best, worst = ranking[: max(count, 1)], frozenset(ranking[len(before) - count :])
    models = [place for place in best if before[place].value is not None]
    return models or best, worst


def _kept(space_axes: Sequence[Axis], parameters: Parameters, rng: Generator) -> Parameters:
    """Return the parameters as they are; what an edit of the space has added is drawn at random."""
    drawn = deliver(space_axes, next(draws(rng, space_axes)))
    return {name: parameters.get(name, value) for name, value in drawn.items()}


def _perturbed(
    space_axes: Sequence[Axis],
    parameters: Parameters,
    rng: Generator,
    *,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Parameters:
    """Return `parameters`, each a step up or down or drawn anew with `resample_probability`."""
    for _ in range(_TRIES):
        point = dict(next(draws(rng, space_axes)))
        for axis in space_axes:
            resample, down = rng.random(2)
            direction = -1 if down < 0.5 else 1
            moved = _moved(axis, parameters, direction, args["factor"])
            if resample >= args["resample_probability"] and moved is not None:
                point[axis.key] = moved
        found = deliver(space_axes, point)
        if allowed(found):
            return found
    return next(filter(allowed, (deliver(space_axes, point) for point in draws(rng, space_axes))))


def _moved(axis: Axis, parameters: Parameters, direction: int, factor: float) -> float | None:
    """Return the coordinate one step from the value there is; None if the axis lacks that.

    direction: 1 or -1. A step is one option, one whole number, one q, or `factor` times the width
    (sigma, for the normal types) of the draw.
    """
    dimension, value = axis.dimension, parameters.get(str(axis.key[0]))
    if isinstance(dimension, Real) and dimension.q is not None and isinstance(value, (int, float)):
        stepped = (round(value / dimension.q) + direction) * dimension.q
        stepped = stepped if dimension.normal else min(max(stepped, dimension.a), dimension.b)
        return math.log(max(stepped, _SMALLEST)) if dimension.log else stepped
    x = coordinate_on(axis, parameters)
    if x is None:
        return None
    if axis.size is not None:
        return min(max(x + direction, 0), axis.size - 1)
    assert isinstance(dimension, Real)  # an axis without a size is one of the real types
    a, b = coordinates(dimension)
    if dimension.normal:
        return x + direction * factor * b
    return _inside(dimension, min(max(x + direction * factor * (b - a), a), b))


def _inside(dimension: Real, x: float) -> float:
    """Return `x`, or the next coordinate of a value within the bounds: exp(log(0.1)) > 0.1."""
    for _ in range(16 if dimension.log else 0):
        if dimension.a <= math.exp(x) <= dimension.b:
            break
        x += max(math.ulp(x), 1e-16) * (1 if math.exp(x) < dimension.a else -1)
    return x
