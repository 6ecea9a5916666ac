"""Whether the libraries are there that tuner and assessor need on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from amlc.catalogue import find
from amlc.extras import absent, lacks
from amlc.lint.errors import OddityError
from amlc.model import Experiment


def about_libraries(experiment: Experiment) -> Iterator[OddityError]:
    """Yield a warning for tuner and assessor that could not begin to learn.

    In the words of the error that would end the run, some trials on.
    """
    for kind, one in (("tuner", experiment.tuner), ("assessor", experiment.assessor)):
        known = find(one.name, kind) if one is not None else None
        if one is None or known is None:
            continue
        algorithm, modules = known.name, known.modules
        if known.samplers:
            sampler = one.class_args["sampler"]
            algorithm, modules = f"Optuna's {sampler}", known.samplers.get(sampler, ())
        if lacking := absent(modules):
            text = lacks(lacking, algorithm=algorithm, extra=known.needs)
            yield OddityError(text, path=(kind, "name"), code="W-library")
