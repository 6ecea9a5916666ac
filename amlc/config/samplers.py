"""Checks the arguments of the tuner Optuna.

By the signature of the sampler that it names, and by the sampler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from amlc.catalogue import Argument
from amlc.config.spelling import Config
from amlc.errors import Problem, Sentence, did_you_mean
from amlc.model import Document, JsonPath, Space
from amlc.space.points import axes
from amlc.tuners import optuna_samplers

_PATH: Final = ("tuner", "classArgs")
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "float": (int, float),
    "int": (int,),
    "str": (str,),
    "None": (type(None),),
}
_BOUNDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "dividing_parameter": {"low": 1},
    "n_ei_candidates": {"low": 1},
    "n_startup_trials": {"low": 0},
    "popsize": {"low": 2},
    "prior_weight": {"above": 0},
    "sigma0": {"above": 0},
}
"""Of arguments that Optuna does not check before it uses them."""


def sampler_arguments(sampler: Any) -> Mapping[str, Argument] | None:
    """Return what a sampler of Optuna takes besides the tuner's own arguments.

    None if it cannot be named.
    """
    if not isinstance(sampler, str) or sampler not in optuna_samplers.offered():
        return None
    return {key: _argument(key, found) for key, found in optuna_samplers.arguments(sampler).items()}


def _argument(key: str, parameter: Any) -> Argument:
    names = str(parameter.annotation).split(" | ")
    if not _TYPES.keys() >= set(names):
        kind = names[0].split("[")[0].rpartition(".")[2]
        return Argument(refused=f"Optuna wants a {kind}, which amlc does not hand on")
    kinds = tuple(kind for name in names for kind in _TYPES[name])
    return Argument(kinds=kinds, default=parameter.default, **_BOUNDS.get(key, {}))


def check_sampler(config: Config, sampler: Any) -> Iterator[Problem]:
    """Yield why the sampler cannot be named."""
    path = (*_PATH, "sampler")
    if not isinstance(sampler, str) or sampler in optuna_samplers.offered():
        return
    if sampler in optuna_samplers.REFUSED:
        text = Sentence(
            f"amlc does not run Optuna's '{sampler}'.",
            hint=f"{optuna_samplers.REFUSED[sampler]}.",
            found=sampler,
        )
    else:
        known = optuna_samplers.offered()
        listed = ", ".join(known)
        near = did_you_mean(sampler, known).strip()
        text = Sentence(
            f"Optuna has no sampler '{sampler}'.",
            f"{near} Known: {listed}.".strip(),
            found=sampler,
            expected=f"one of {listed}",
        )
    yield config.problem(path, "E-argument", text)


def check_construction(config: Config, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what the sampler itself says against its arguments, which are right each for itself."""
    try:
        optuna_samplers.construct(arguments, seed=0)
    except ValueError as err:
        reason = " ".join(str(err).split()).rstrip(".")
        text = Sentence(
            f"Optuna's {arguments['sampler']} refuses its arguments: {reason}.",
            hint="Correct them.",
        )
        yield config.problem(_PATH, "E-argument", text, key=True)


def check_grid(sampler: Any, space: Space, document: Document, path: JsonPath) -> Iterator[Problem]:
    """Yield what a sampler that tries everything cannot search."""
    if not isinstance(sampler, str) or sampler not in optuna_samplers.EXHAUSTIVE:
        return
    for axis in axes(space):
        if optuna_samplers.continuous(axis):
            text = Sentence(
                f"{sampler} cannot search '{axis.dimension.name}', whose values it cannot count.",
                hint="It takes choice, randint, and quniform with at most 1,000 values.",
                expected="choice, randint, and quniform with at most 1,000 values",
            )
            yield document.problem((*path, axis.key[0]), "E-space-tuner", text, key=True)
