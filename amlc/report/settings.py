"""What the report says of an experiment's file: its configuration and its search space."""

from __future__ import annotations

import json
import os.path
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from amlc.model import Algorithm, Choice, Dimension, Experiment, Integer, Real, Rows
from amlc.space.points import Axis, axes

_MOST_AXES = 200
_MOST_OPTIONS = 40
_MOST_INITIAL = 20


@dataclass(frozen=True, slots=True)
class SpaceLine:
    """One parameter as people read it. condition: of a nested one, which option it takes."""

    name: str
    kind: str
    values: str
    condition: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration as (key, value), and the search space. note: what to know of them."""

    note: str
    facts: tuple[tuple[str, str], ...]
    space: tuple[SpaceLine, ...]


def settings_of(experiment: Experiment) -> Settings:
    """Return what the file says now; nothing that may be a secret, and no path of this machine."""
    found = tuple(axes(experiment.space))
    note = f"As {experiment.source.name} says."
    if len(found) > _MOST_AXES:
        note += f" The first {_MOST_AXES} of {len(found)} parameters."
    lines = tuple(_line(axis, found) for axis in found[:_MOST_AXES])
    return Settings(note, tuple(_facts(experiment)), lines)


def _facts(experiment: Experiment) -> Iterator[tuple[str, str]]:
    yield "tuner", _algorithm(experiment.tuner)
    if experiment.assessor is not None:
        yield "assessor", _algorithm(experiment.assessor)
    yield "trialCommand", experiment.command
    yield "trialCodeDirectory", os.path.relpath(experiment.code, experiment.source.parent)
    yield "trialConcurrency", str(experiment.concurrency)
    limits = {
        "maxTrialNumber": experiment.max_trials,
        "maxExperimentDuration": _seconds(experiment.max_seconds),
        "maxTrialDuration": _seconds(experiment.trial_seconds),
        "trialGpuNumber": experiment.gpus_per_trial,
    }
    yield from ((name, str(value)) for name, value in limits.items() if value is not None)
    yield from _ours(experiment)
    yield "platform", experiment.target.platform


def _ours(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Yield what `amlc:` says, but for `zip`, which the search space shows.

    Of what is the usual only what counts for every result.
    """
    if experiment.namespace:
        yield "namespace", experiment.namespace
    if experiment.sweep:
        yield "target", "sweep"
    if experiment.sampling is not None:
        yield "sampling", experiment.sampling
    if experiment.trials_per_job > 1:
        wide = f", {experiment.abreast} side by side" if experiment.abreast else ""
        yield "trialsPerJob", f"{experiment.trials_per_job}{wide}"
    if experiment.job_start is not None:
        yield "jobStart", f"{experiment.job_start} s"
    if experiment.replicates > 1:
        yield "replicates", str(experiment.replicates)
    for constraint in experiment.constraints:
        yield "constraint", constraint
    for first in experiment.initial[:_MOST_INITIAL]:
        yield "initial", _json(first)
    if len(experiment.initial) > _MOST_INITIAL:
        yield "initial", f"{len(experiment.initial) - _MOST_INITIAL} more"
    yield from _of_results(experiment)
    yield from _of_jobs(experiment)
    yield "retries", str(experiment.retries)
    yield "seed", str(experiment.seed)


def _of_results(experiment: Experiment) -> Iterator[tuple[str, str]]:
    if experiment.failed_value != "worst":
        yield "failedValue", str(experiment.failed_value)
    if experiment.include_intermediate_results:
        yield "includeIntermediateResults", "true"


def _of_jobs(experiment: Experiment) -> Iterator[tuple[str, str]]:
    said = {
        "budget.trials": experiment.budget.trials,
        "budget.nodeHours": experiment.budget.node_hours,
        "environment": experiment.environment,
        # Names alone: a value may be a secret.
        "job": ", ".join(experiment.job) or None,
        "prices": _json(experiment.prices) if experiment.prices else None,
    }
    yield from ((name, str(value)) for name, value in said.items() if value is not None)
    if experiment.templates is not None:
        yield "templates", os.path.relpath(experiment.templates, experiment.source.parent)
    if not experiment.target.job.uploads:
        yield "workingDirectory", experiment.working_directory


def _algorithm(algorithm: Algorithm) -> str:
    name = algorithm.name or algorithm.class_name or ""
    said = {key: value for key, value in algorithm.class_args.items() if value is not None}
    return f"{name} {_json(said)}" if said else name


def _seconds(value: int | None) -> str | None:
    return None if value is None else f"{value} s"


def _line(axis: Axis, every: Sequence[Axis]) -> SpaceLine:
    name = ".".join(part for part in axis.key if isinstance(part, str))
    if isinstance(axis.dimension, Rows):
        name = ", ".join(axis.dimension.names)
    kind, values = _described(axis.dimension)
    if isinstance(axis.dimension, Choice) and axis.dimension.branches:
        name += "._name"
    return SpaceLine(name, kind, values, _condition(axis, every))


def _condition(axis: Axis, every: Sequence[Axis]) -> str:
    if not axis.nested:
        return ""
    outer, option = axis.key[:-2], axis.key[-2]
    found = next(one.dimension for one in every if one.key == outer)
    chosen = found.options[int(option)] if isinstance(found, Choice) else option
    above = ".".join(part for part in outer if isinstance(part, str))
    return f"{above} is {_json(chosen)}"


def _described(dimension: Dimension) -> tuple[str, str]:
    match dimension:
        case Choice():
            together = isinstance(dimension, Rows)
            first = dimension.options[:_MOST_OPTIONS]
            shown = [_json([*one.values()] if together else one) for one in first]
            more = len(dimension.options) - len(shown)
            listed = ", ".join(shown) + (f" and {more} more" if more else "")
            return "zip" if together else "choice", listed
        case Integer():
            return "randint", f"{dimension.low} to {dimension.high - 1}"
        case Real():
            kind = "q" * (dimension.q is not None) + "log" * dimension.log
            kind += "normal" if dimension.normal else "uniform"
            bounds = ("mu {:g}, sigma {:g}" if dimension.normal else "{:g} to {:g}").format(
                dimension.a, dimension.b
            )
            return kind, bounds + (f", in steps of {dimension.q:g}" if dimension.q else "")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
