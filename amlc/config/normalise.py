"""Turns a config without errors into the Experiment, defaults filled in and paths absolute."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from amlc.catalogue import filled, find
from amlc.config.algorithms import assesses, canonical_name
from amlc.config.durations import parse_time
from amlc.config.packing import Packing, packing
from amlc.config.spelling import Config
from amlc.config.sweep import is_sweep, sampling
from amlc.model import Algorithm, Budget, Experiment, Settings, Space
from amlc.targets import target

_CHECKPOINTS = "all_checkpoint_dir"
_DECIDED = ("namespace", "seed", "sweep", "target", "working_directory", "zip")
_PACKED = ("trials_per_job", "job_start", "gpus_per_node")
"""Keys of `amlc:` whose meaning does not lie in themselves alone."""


def normalise(
    config: Config,
    space: Space,
    inputs: tuple[Path, ...],
    *,
    raw: Any = None,
    backend: str | None = None,
) -> Experiment:
    """Return the experiment of a config whose problems hold no error.

    inputs: what was read beside the experiment file. raw: the search space as it is written.
    backend: the target that was asked for, None for the file's.
    """
    ours: Mapping[str, Any] = config.get("amlc") or {}
    name = config.get("experimentName") or config.document.file.stem
    namespace = ours.get("namespace", "")
    source = config.document.file.resolve()
    platform = config.get("trainingService", "platform")
    settings = target(platform).settings(config)
    # Another back end has no sweeps, and runs the trials as the jobs that they would be.
    sweep = is_sweep(config) and backend in (None, platform)
    jobs = Packing() if sweep else packing(config, space, settings.job)
    return Experiment(
        name=name,
        namespace=namespace,
        source=source,
        inputs=(source, *(file.resolve() for file in inputs)),
        space=space,
        tuner=_tuner(config, settings, raw),
        assessor=_assessor(config, settings),
        command=config.get("trialCommand"),
        code=config.resolve(config.get("trialCodeDirectory") or "."),
        concurrency=config.get("trialConcurrency"),
        gpus_per_trial=config.get("trialGpuNumber"),
        max_trials=config.get("maxTrialNumber"),
        max_seconds=_seconds(config.get("maxExperimentDuration")),
        trial_seconds=_seconds(config.get("maxTrialDuration")),
        target=settings,
        trials_per_gpu=config.get("trainingService", "maxTrialNumberPerGpu") or 1,
        trials_per_job=jobs.size,
        abreast=jobs.abreast,
        job_start=jobs.start_s,
        seed=_seed(config, namespace, name),
        sweep=sweep,
        sampling=sampling(config) if sweep else None,
        document=config.document,
        given=dict(sorted(config.filled.items())),
        variables={name: config.variables[name] for name in sorted(config.variables)},
        working_directory=ours.get("workingDirectory")
        or ("copy" if settings.job.uploads else "trialCodeDirectory"),
        **_own(ours, config),
    )


def _own(ours: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Return what `amlc:` says, by the names of Experiment's fields, which have the defaults."""
    found: dict[str, Any] = {}
    for key, value in ours.items():
        name = re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", key)
        if name == "budget":
            found[name] = Budget(trials=value.get("trials"), node_hours=value.get("nodeHours"))
        elif name == "templates":
            found[name] = config.resolve(value)
        elif name not in (*_DECIDED, *_PACKED):
            found[name] = tuple(value) if isinstance(value, list) else value
    return found


def _seconds(value: int | str | None) -> int | None:
    return None if value is None else parse_time(value)


def _seed(config: Config, namespace: str, name: str) -> int:
    """Return the seed that is given, or one that only the namespace and the name decide."""
    for given in (config.get("amlc", "seed"), config.get("tuner", "classArgs", "seed")):
        if given is not None:
            return int(given)
    canonical = json.dumps([namespace, name], separators=(",", ":"), ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:4], "big")


def _tuner(config: Config, settings: Settings, raw: Any) -> Algorithm:
    tuner = _algorithm(config, "tuner", settings)
    return replace(tuner, search_space=raw) if tuner.name is None else tuner


def _algorithm(config: Config, kind: str, settings: Settings) -> Algorithm:
    given = config.get(kind, "classArgs") or {}
    known = find(config.get(kind, "name"), kind)
    if known is None:
        folder = config.resolve(config.get(kind, "codeDirectory"))
        return Algorithm(
            class_name=config.get(kind, "className"), code_directory=folder, class_args=given
        )
    arguments = dict(filled(known.arguments, given))
    if known.open:  # a sampler of Optuna has arguments that the table does not know
        arguments = {**given, **arguments}
    if _CHECKPOINTS in known.arguments:
        folder = arguments[_CHECKPOINTS]
        if folder is True or (known.name == "PBT" and folder is None):
            arguments[_CHECKPOINTS] = _checkpoints(config, settings)
        elif not folder:  # so that what was compiled before there was this argument stays as it is
            del arguments[_CHECKPOINTS]
    return Algorithm(name=known.name, class_args=arguments)


def _assessor(config: Config, settings: Settings) -> Algorithm | None:
    """Return the assessor that takes effect.

    As a tuner ASHA is one too, with the same arguments.
    """
    if canonical_name(config, "tuner") == "ASHA":
        return _algorithm(config, "tuner", settings)
    return _algorithm(config, "assessor", settings) if assesses(config) else None


def _checkpoints(config: Config, settings: Settings) -> str:
    """Return where trials leave their checkpoints: in a folder that all of them see."""
    name = config.get("experimentName") or config.document.file.stem
    return f"{settings.common(str(config.resolve('.amlc')))}/{name}/checkpoints"
