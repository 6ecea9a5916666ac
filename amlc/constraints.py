"""`amlc.constraints`.

Conditions that every parameter set meets, as Jinja expressions over the parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from amlc.errors import PlanError, Sentence, printable
from amlc.model import Experiment, JsonPath, Parameters
from amlc.space.draws import distinct, draws, sample
from amlc.space.points import axes

# With constraints that nothing satisfies, an endless space would be searched for ever.
_MOST_REJECTED = 100_000
_LONGEST_SHOWN = 300
_PATH: JsonPath = ("amlc", "constraints")
_DRAWS = 200
_FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,  # 1e999, of which Jinja makes a name
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class _Condition:
    """One constraint. holds: raises PlanError when it cannot be evaluated."""

    text: str
    path: JsonPath
    holds: Callable[[Parameters], bool]


class Gate:
    """Whether all constraints hold for a parameter set.

    One that follows another is asked only if that holds. Raises PlanError for a constraint that is
    no expression or fails, and once nothing seems to satisfy them.
    """

    def __init__(self, constraints: Sequence[str]) -> None:
        self._conditions = [
            _condition(text, (*_PATH, index)) for index, text in enumerate(constraints)
        ]
        self._rejected = 0
        self._broken: set[JsonPath] = set()

    def __call__(self, parameters: Parameters) -> bool:
        for condition in self._conditions:
            if not condition.holds(parameters):
                self._reject(condition)
                return False
        self._rejected = 0
        return True

    def some(self, parameter_sets: Iterable[Parameters]) -> Iterator[Parameters]:
        """Yield the parameter sets, which went through this gate.

        Raises PlanError when there is none.
        """
        iterator = iter(parameter_sets)
        for first in iterator:
            yield from chain([first], iterator)
            return
        if self._rejected:
            every = "all parameter sets are"
            if self._rejected == 1:
                every = "the search space's only parameter set is"
            raise PlanError(
                Sentence(
                    f"amlc.constraints: {every} excluded, the last by "
                    f"{_clipped(repr(self._last))}.",
                    hint="Loosen the constraint, or widen the search space.",
                ),
                path=self._blamed,
                code="E-constraint",
            )

    def _reject(self, condition: _Condition) -> None:
        self._rejected += 1
        self._broken.add(condition.path)
        self._last = condition.text
        if self._rejected == _MOST_REJECTED:
            raise PlanError(
                Sentence(
                    f"amlc.constraints: {self._rejected} parameter sets in a row were excluded, "
                    f"the last by {_clipped(repr(self._last))}.",
                    hint="Loosen the constraint, or set a smaller maxTrialNumber.",
                ),
                path=self._blamed,
                code="E-constraint",
            )

    @property
    def _blamed(self) -> JsonPath:
        return next(iter(self._broken)) if len(self._broken) == 1 else _PATH


def check(experiment: Experiment, *, adaptive: bool) -> list[PlanError]:
    """Return what is wrong with the constraints, found with a sample of the search space.

    The sample takes each branch of the nested choices. For an adaptive tuner, of which nobody knows
    what it is going to propose, it takes each option, and a parameter set that satisfies the
    constraints is looked for.
    """
    conditions: list[_Condition] = []
    wrong: list[PlanError] = []
    for index, text in enumerate(experiment.constraints):
        try:
            conditions.append(_condition(text, (*_PATH, index)))
        except PlanError as error:
            wrong.append(error)
    if wrong or not conditions or (experiment.tuner.search_space and not experiment.space):
        return wrong  # of a space that is in the format of a class of the user's, nothing is known
    failed = _failing(experiment, conditions, adaptive=adaptive)
    if adaptive and not failed:
        failed = {error.path: error for error in _nothing_left(experiment)}
    return list(failed.values())


def _failing(
    experiment: Experiment, conditions: Sequence[_Condition], *, adaptive: bool
) -> dict[JsonPath, PlanError]:
    """Return the first error of each condition that cannot be evaluated for some of the sample."""
    failed: dict[JsonPath, PlanError] = {}
    count = _DRAWS if adaptive else 0
    for parameters in sample(experiment.space, seed=experiment.seed, count=count, flat=adaptive):
        try:
            all(condition.holds(parameters) for condition in conditions)
        except PlanError as error:
            failed.setdefault(error.path, error)
    return failed


def _nothing_left(experiment: Experiment) -> Iterator[PlanError]:
    from numpy.random import default_rng

    gate, rng = Gate(experiment.constraints), default_rng(experiment.seed)
    try:
        next(
            gate.some(filter(gate, distinct(experiment.space, draws(rng, axes(experiment.space))))),
            None,
        )
    except PlanError as error:
        yield error


def _condition(text: str, path: JsonPath) -> _Condition:
    """Compile a constraint.

    A Jinja expression, which can compute but reach nothing outside the parameters.
    """
    import jinja2

    from amlc.sandbox import BoundedSandbox

    environment = BoundedSandbox(undefined=jinja2.StrictUndefined)
    where = f"amlc.constraints: {_clipped(repr(text))}"
    try:
        evaluate = environment.compile_expression(text, undefined_to_none=False)
    # The last three: it is nested too deep.
    except (jinja2.TemplateSyntaxError, SyntaxError, MemoryError, RecursionError) as err:
        why = getattr(err, "message", None) or "it is nested too deep"
        raise PlanError(
            Sentence(
                f"{where} is not an expression: {_clipped(why).rstrip('.')}.",
                hint="Example: 'lr * batch_size <= 3.2'.",
            ),
            path=path,
            code="E-constraint",
        ) from err

    def holds(parameters: Mapping[str, Any]) -> bool:
        try:
            environment.begin()
            return bool(evaluate({**parameters, "parameters": parameters}))
        except (jinja2.TemplateError, *_FAILURES) as err:
            advice = "Write it so that it can be told for such values too."
            if isinstance(err, jinja2.UndefinedError):
                advice = (
                    "Names are those of the search space; "
                    "guard a nested parameter with 'NAME is defined'."
                )
            said = _clipped(str(err)).rstrip(".")
            why = Sentence(f"{where} failed for {_shown(parameters)}: {said}.", hint=advice)
            raise PlanError(why, path=path, code="E-constraint") from err

    return _Condition(text, path, holds)


def _shown(parameters: Parameters) -> str:
    return _clipped(json.dumps(parameters))


def _clipped(text: str) -> str:
    """Return a text as a message shows it: on one line, and not longer than that."""
    text = printable(text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
