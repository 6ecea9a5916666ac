"""Brackets of successive halving: which trial stands on which rung, and which places are free.

A *cycle* is one bracket for each trade-off between many configurations and large budgets. A *rung*
is one row of a bracket's table: so many configurations with such a budget, of which the best go on
to the next rung as new trials.
"""

from __future__ import annotations

import math
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice, repeat
from typing import Final, TypeAlias

from amlc.checkpoints import LOAD, SAVE
from amlc.model import Parameters, Record
from amlc.space.canonical import canonical
from amlc.space.points import Axis, locate
from amlc.tuners.shared.failures import has_failed

BUDGET: Final = "TRIAL_BUDGET"
"""The parameter that tells a trial how long to train: a whole number, in what unit the user's
script decides."""

ADDED: Final = (BUDGET, LOAD, SAVE)
"""What trials get beside the parameters of the space; the two folders only where checkpoints are
asked for."""

_EPSILON = 1e-6  # NNI's own guard against a logarithm or a power just beside a whole number


@dataclass(frozen=True, slots=True)
class Rung:
    """So many configurations (`count`), each with `budget`."""

    count: int
    budget: int


Table: TypeAlias = "tuple[Rung, ...]"


def cycle(*, largest: float, smallest: float, eta: float) -> tuple[Table, ...]:
    """Return the brackets of one cycle, that with the most configurations first.

    largest, smallest: budgets, smallest <= largest. eta: more than 1; one configuration in eta goes
    on.
    Source: the code of NNI 3.0, `algorithms/hpo/hyperband_advisor.py` (the table in its docstring
    is another one) and `bohb_advisor.py`, which has the same formulas.
    """
    deepest = math.floor(math.log(largest / smallest, eta) + _EPSILON)
    return tuple(_table(s, deepest, largest, eta) for s in range(deepest, -1, -1))


def _table(s: int, deepest: int, largest: float, eta: float) -> Table:
    configurations = math.ceil((deepest + 1) * eta**s / (s + 1) - _EPSILON)
    budget = largest / eta**s
    return tuple(
        Rung(math.floor(configurations / eta**i + _EPSILON), math.floor(budget * eta**i + _EPSILON))
        for i in range(s + 1)
    )


class _Bracket:
    """A bracket with the trials that stand on its rungs, in the order of their proposal.

    settled: when the last of the trials on each rung was told; infinite while one is running.
    """

    __slots__ = ("settled", "table", "trials")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.trials: list[list[Record]] = [[] for _ in table]
        self.settled = [-math.inf for _ in table]

    def add(self, record: Record, rung: int) -> None:
        self.trials[rung].append(record)
        if not record.status.ended:
            self.settled[rung] = math.inf
        elif record.told is not None:
            self.settled[rung] = max(self.settled[rung], record.told)

    def free(self, rung: int) -> int:
        return self.table[rung].count - len(self.trials[rung])

    def filled(self, rung: int) -> bool:
        """Tell whether nothing more comes to `rung`: it is full, or too few below did not fail."""
        if self.free(rung) <= 0:
            return True
        if rung == 0 or not self.decided(rung - 1):
            return False
        return len(self.trials[rung]) >= sum(
            not has_failed(trial) for trial in self.trials[rung - 1]
        )

    def decided(self, rung: int) -> bool:
        """Tell whether it is known which trials of `rung` go on: all of them have ended."""
        return self.filled(rung) and self.settled[rung] < math.inf

    def last_is_due(self) -> bool:
        """Tell whether its last trials run or ran, or are promotions that are due now."""
        return len(self.table) == 1 or self.free(-1) <= 0 or self.decided(len(self.table) - 2)


class Ladder:
    """An experiment's brackets as far as begun: made for one call, from the history alone."""

    def __init__(
        self, brackets: Sequence[Table], history: Iterable[Record], *, repeats: bool = True
    ) -> None:
        """Find the place of each trial by its parameters and its budget.

        A trial is a promotion if the same configuration stands on the rung below, all of which
        ended before, and else takes the first free place at the bottom of a bracket with this
        budget. Trials that fit nowhere (the arguments were edited) and imported ones have no place.

        repeats: whether two configurations may be equal by chance. If not, a trial stays a
        promotion although the user runs a trial of the rung below once more.
        """
        self._cycle = brackets
        self._repeats = repeats
        self._begun: list[_Bracket] = []
        self._waiting: dict[tuple[bytes, int], list[tuple[_Bracket, int]]] = defaultdict(list)
        self._bottom: defaultdict[int, list[_Bracket]] = defaultdict(list)
        self._budgets = {table[0].budget for table in brackets}
        self.drawn: Counter[bytes] = Counter()
        """Every configuration that is no promotion, by its digest, with how often it was drawn."""
        for record in history:
            if not record.imported:
                self._place(record)

    def _place(self, record: Record) -> None:
        digest = configuration(record.parameters)
        budget = record.parameters.get(BUDGET)
        if isinstance(budget, int) and self._promoted(record, digest, budget):
            return
        self.drawn[digest] += 1
        if isinstance(budget, int) and budget in self._budgets:
            self._stand(record, digest, self._vacant(budget), 0)

    def _promoted(self, record: Record, digest: bytes, budget: int) -> bool:
        for place in self._waiting.get((digest, budget), ()):
            bracket, rung = place
            due = not self._repeats or (
                bracket.settled[rung - 1] <= record.asked and bracket.filled(rung - 1)
            )
            if due and bracket.free(rung) > 0:
                self._waiting[digest, budget].remove(place)
                self._stand(record, digest, bracket, rung)
                return True
        return False

    def _stand(self, record: Record, digest: bytes, bracket: _Bracket, rung: int) -> None:
        bracket.add(record, rung)
        if rung + 1 < len(bracket.table):
            self._waiting[digest, bracket.table[rung + 1].budget].append((bracket, rung + 1))

    def _vacant(self, budget: int) -> _Bracket:
        """Return the first bracket with room for one more at `budget`; begin those before it."""
        vacant = self._bottom[budget]
        while not vacant or vacant[0].free(0) <= 0:
            if vacant:
                vacant.pop(0)
                continue
            bracket = _Bracket(self._cycle[len(self._begun) % len(self._cycle)])
            self._begun.append(bracket)
            self._bottom[bracket.table[0].budget].append(bracket)
        return vacant[0]

    def promotions(self, *, maximize: bool) -> Iterator[Parameters]:
        """Yield what goes on to a next rung by now, the oldest bracket first, the best first.

        Only when all trials of a rung have ended is anything promoted from it. A trial without a
        value is the worst; of equal ones the one that was proposed first is the best. One that is
        marked as failed (see `lessons`) stays where it is. Where there are checkpoints, a trial
        loads what the one of the rung below has saved or, if that failed, what that one had loaded.
        """

        def rank(record: Record) -> float:
            if record.value is None or record.guessed:
                return math.inf
            return -record.value if maximize else record.value

        for bracket in self._begun:
            rungs = zip(bracket.table[1:], bracket.trials, strict=False)
            for rung, (target, below) in enumerate(rungs, start=1):
                if bracket.free(rung) > 0 and bracket.decided(rung - 1):
                    there = bracket.trials[rung]
                    gone = Counter(configuration(trial.parameters) for trial in there)
                    ranked = sorted((trial for trial in below if not has_failed(trial)), key=rank)
                    left = _without(ranked, gone)
                    for trial in islice(left, bracket.free(rung)):
                        yield _promoted(trial, target.budget)

    def vacancies(self, *, serial: bool) -> Iterator[int]:
        """Yield the budget of each free place at the bottom of a bracket, in order.

        It goes on into new brackets for ever; with `serial`, only into the next one, and only when
        the promotions that are due now are the last of the brackets before.
        """
        for bracket in self._begun:
            yield from repeat(bracket.table[0].budget, bracket.free(0))
        sent = all(bracket.last_is_due() for bracket in self._begun)
        for number in count(len(self._begun)):
            if serial and not sent:
                return
            table = self._cycle[number % len(self._cycle)]
            yield from repeat(table[0].budget, table[0].count)
            sent = len(table) == 1

    def certain(self, *, serial: bool) -> int:
        """Return how many places can be filled whatever comes.

        They are promotions due, and bottoms of the current cycle. With `serial`, the bottom of the
        current bracket.
        """
        known = len(self._begun) or 1
        if not serial:
            known = -(-known // len(self._cycle)) * len(self._cycle)
        fresh = (
            self._cycle[number % len(self._cycle)] for number in range(len(self._begun), known)
        )
        return (
            sum(1 for _ in self.promotions(maximize=True))
            + sum(max(bracket.free(0), 0) for bracket in self._begun)
            + sum(table[0].count for table in fresh)
        )


def _promoted(trial: Record, budget: int) -> Parameters:
    """Return the parameters of the trial that goes on from the checkpoint of `trial`."""
    parameters = {**trial.parameters, BUDGET: budget}
    saved = parameters.get(SAVE)
    if saved is None:  # no checkpoints were asked for when it was proposed
        return parameters
    load = saved if trial.value is not None else parameters[LOAD]
    return {**parameters, LOAD: load, SAVE: posixpath.join(posixpath.dirname(saved), str(budget))}


def begun(
    parameters: Parameters, budget: int, *, number: int, checkpoints: str | None
) -> Parameters:
    """Return the parameters of a trial at the bottom of a bracket.

    Two equal folders say that nothing is to be loaded.
    number: how many configurations were drawn before. checkpoints: the folder of all of them, None
    if there is none.
    """
    if checkpoints is None:
        return {**parameters, BUDGET: budget}
    folder = posixpath.join(checkpoints, str(number), str(budget))
    return {**parameters, BUDGET: budget, LOAD: folder, SAVE: folder}


def _without(trials: Iterable[Record], gone: Counter[bytes]) -> Iterator[Record]:
    for trial in trials:
        digest = configuration(trial.parameters)
        if gone[digest]:
            gone[digest] -= 1
        else:
            yield trial


def fits(space_axes: Sequence[Axis], parameters: Parameters) -> bool:
    """Tell whether parameters are a point of the space, but for what is added to them."""
    own = {name: value for name, value in parameters.items() if name not in ADDED}
    return locate(space_axes, own) is not None


_DIGESTS: dict[int, tuple[Parameters, bytes]] = {}
_MOST_DIGESTS = 100_000


def configuration(parameters: Parameters) -> bytes:
    """Return a digest of `parameters` that leaves out what is added to them.

    It is kept by the identity of the mapping, since every call of a tuner needs those of the whole
    history again.
    """
    kept = _DIGESTS.get(id(parameters))
    # True of every id here: what is kept is not collected.
    if kept is not None and kept[0] is parameters:
        return kept[1]
    digest = canonical({name: value for name, value in parameters.items() if name not in ADDED})
    if len(_DIGESTS) >= _MOST_DIGESTS:
        _DIGESTS.clear()
    _DIGESTS[id(parameters)] = parameters, digest
    return digest
