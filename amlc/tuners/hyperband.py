"""Hyperband: random configurations; the best of each rung run again with a larger budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from amlc.model import Parameters, Record, Space
from amlc.space.points import endless
from amlc.tuners.shared.brackets import Ladder, Table, begun, cycle
from amlc.tuners.shared.random_sequence import fresh


def propose(
    space: Space,
    history: Sequence[Record],
    *,
    count: int,
    seed: int,
    args: Mapping[str, Any],
    allowed: Callable[[Parameters], bool],
) -> Iterator[Parameters]:
    """Yield parameter sets with their `TRIAL_BUDGET`, bracket after bracket for ever.

    Budgets go from 1 to `args["R"]`. Promotions that are due come first, the oldest bracket's
    before others, then the free places at the bottom of the brackets in order. With `exec_mode`
    "parallelism" a next bracket begins when there is nothing else to run; with "serial" only when
    the one before has sent out all its trials, until which there may be nothing to propose.

    Configurations are those of the Random tuner with the same seed; a finite space begins again
    when it is exhausted. `allowed` is asked once about each, without the budget. A failed trial, or
    one without a result, is the worst of its rung. Imported trials change nothing. With
    `all_checkpoint_dir` a trial goes on from a checkpoint: it gets the folders
    `load_checkpoint_dir` and `save_checkpoint_dir`, the same one twice where it has nothing to go
    on from, and `<all_checkpoint_dir>/<configuration>/<budget>` is where it saves.
    Source: NNI 3.0, `algorithms/hpo/hyperband_advisor.py`, which puts promotions behind a bracket
    that has begun.
    """
    ladder = Ladder(_cycle(args), history, repeats=not endless(space))
    vacancies = ladder.vacancies(serial=_serial(args))
    bottoms = zip(vacancies, fresh(space, seed, ladder.drawn, allowed), strict=False)
    first = (
        begun(parameters, budget, number=number, checkpoints=args.get("all_checkpoint_dir"))
        for number, (budget, parameters) in enumerate(bottoms, start=ladder.drawn.total())
    )
    promotions = ladder.promotions(maximize=args["optimize_mode"] == "maximize")
    return islice(chain(promotions, first), count)


def ahead(history: Sequence[Record], *, args: Mapping[str, Any]) -> int:
    """Return how many trials are certain: promotions due, all bottoms of the current cycle.

    With `exec_mode` "serial", the bottom of the current bracket. What a result can still change is
    their order: new promotions come before them.
    """
    return Ladder(_cycle(args), history).certain(serial=_serial(args))


def _cycle(args: Mapping[str, Any]) -> tuple[Table, ...]:
    return cycle(largest=args["R"], smallest=1, eta=args["eta"])


def _serial(args: Mapping[str, Any]) -> bool:
    return bool(args["exec_mode"] == "serial")
