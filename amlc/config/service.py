"""Decides where trials run: the platforms amlc knows, those of NNI it does not, and keys that may stand inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from amlc.config.spelling import Config, Schema, fold, fold_keys
from amlc.errors import Problem, did_you_mean, shorten

PLATFORMS = ("aml", "local")
_OTHER = ("remote", "openpai", "pai", "paiYarn", "kubeflow", "frameworkcontroller", "dlc", "adl", "dlts", "hybrid")
_HERE = ("trialCommand", "trialCodeDirectory", "trialGpuNumber", "nniManagerIp", "debug")
_WHAT_TO_DO = "Set 'platform' to aml or local, or run with --backend local."
_NO_PLATFORM = "'trainingService' needs 'platform'. Write `platform: aml` or `platform: local`."
_SERVICE = ("trainingService",)
_PLATFORM = ("trainingService", "platform")


def read_service(config: Config, schema: Schema, *, backend: str | None) -> Config:
    """Return the config with the keys of `trainingService` canonical, for the platform that it names."""
    found = config.get("trainingService")
    if isinstance(found, list):
        return _other_platform(config, "a list of training services (NNI's hybrid mode)", backend)
    if not isinstance(found, Mapping):
        return config
    key, platform = next(((k, v) for k, v in found.items() if fold(k) == "platform"), ("platform", None))
    if platform is None:
        missing = config.problem(_SERVICE, "E-required", _NO_PLATFORM, key=True)
        return config.without(_SERVICE).noted(missing)
    config = replace(config, spelling={**config.spelling, _PLATFORM: (*config.original(_SERVICE), key)})
    right = platform.lower() if isinstance(platform, str) else ""
    if right in PLATFORMS:
        return _check_case(_read_known(config, found, right, schema), platform, right)
    if platform in _OTHER:
        return _keep_shared(_other_platform(config, f"the platform '{platform}'", backend), found)
    hint = did_you_mean(str(platform), PLATFORMS) or f" {_WHAT_TO_DO}"
    text = f"unknown platform '{shorten(str(platform))}'; amlc knows aml and local.{hint}"
    return _keep_shared(config.noted(config.problem(_PLATFORM, "E-platform", text)), found)


def _check_case(config: Config, platform: str, right: str) -> Config:
    if platform == right:
        return config
    text = f"the platform is '{platform}', but NNI tells upper from lower case. Write '{right}'."
    return config.noted(config.problem(_PLATFORM, "E-platform", text))


def _read_known(config: Config, found: Mapping[str, Any], platform: str, schema: Schema) -> Config:
    spelling = {path: original for path, original in config.spelling.items() if path != _PLATFORM}
    config = fold_keys(replace(config, spelling=spelling), _SERVICE, found, schema["$defs"][platform], schema)
    return _hoist(config.with_value(_PLATFORM, platform))


def _other_platform(config: Config, what: str, backend: str | None) -> Config:
    """Return the config for a service that amlc does not have: an error, or local when that was asked for."""
    path = _PLATFORM if isinstance(config.get("trainingService"), Mapping) else _SERVICE
    if backend == "local":
        text = f"{what} is not supported; its keys have no effect, since the local back end was asked for."
        problem = config.warning(path, "W-platform", text)
    else:
        text = f"{what} is not supported: amlc runs trials on aml or local. {_WHAT_TO_DO}"
        problem = config.problem(path, "E-platform", text)
    return config.with_value(_SERVICE, {"platform": "local"}).noted(problem)


def _keep_shared(config: Config, found: Mapping[str, Any]) -> Config:
    """Return the config with those keys of a foreign service that every service has."""
    names = {fold(name): name for name in _HERE}
    kept = {names[fold(key)]: value for key, value in found.items() if fold(key) in names}
    service = config.original(_SERVICE)
    spelling = dict(config.spelling)
    spelling.update(((*_SERVICE, names[fold(key)]), (*service, key)) for key in found if fold(key) in names)
    config = replace(config, spelling=spelling)
    return _hoist(config.with_value(_SERVICE, {"platform": "local", **kept}))


def _hoist(config: Config) -> Config:
    """Move the keys that NNI accepts at either place to the top level; the inner one wins."""
    for name in _HERE:
        inside, outside = config.get("trainingService", name), config.get(name)
        if inside is None:
            continue
        path = ("trainingService", name)
        if outside is not None and outside != inside:
            text = f"'{name}' is also given at the top level, with another value; this one wins. Keep one of them."
            config = config.noted(config.warning(path, "W-twice", text))
        spelling = {**config.spelling, (name,): config.original(path)}
        config = replace(config.with_value((name,), inside).without(path, broken=False), spelling=spelling)
    return config


def check_service(config: Config) -> Iterator[Problem]:
    """Yield what is questionable about the keys of `trainingService` and the GPUs."""
    gpus = config.get("trialGpuNumber")
    per_gpu = config.get("trainingService", "maxTrialNumberPerGpu")
    if per_gpu not in (None, 1) and gpus is None:
        text = "'maxTrialNumberPerGpu' has no effect without 'trialGpuNumber'. Set it, or remove this key."
        yield config.warning((*_SERVICE, "maxTrialNumberPerGpu"), "W-no-effect", text)
    active = config.get("trainingService", "useActiveGpu")
    if config.get("trainingService", "platform") == "aml":
        if active is not None:
            text = "'useActiveGpu' has no effect: an AML job has its GPUs to itself; NNI refuses the key. Remove it."
            yield config.warning((*_SERVICE, "useActiveGpu"), "W-no-effect", text)
        return
    if gpus and active is None and not _foreign(config):
        text = "'useActiveGpu' is taken as false. Write it out: NNI demands it with 'trialGpuNumber'."
        yield config.note(_SERVICE, "N-default", text)
    if config.get("trainingService", "gpuIndices") is not None and not gpus:
        text = "'gpuIndices' has no effect without 'trialGpuNumber' above 0. Set it, or remove this key."
        yield config.warning((*_SERVICE, "gpuIndices"), "W-no-effect", text)
    if config.get("trainingService", "reuseMode"):
        text = "'reuseMode' has no effect: every job has an environment of its own. Remove it."
        yield config.note((*_SERVICE, "reuseMode"), "W-no-effect", text)


def _foreign(config: Config) -> bool:
    return any(p.code in ("E-platform", "W-platform") for p in config.problems)


def gpu_indices(value: Any) -> tuple[int, ...] | None:
    """Return `gpuIndices` in any of its three forms as indices, None for all GPUs."""
    if value is None:
        return None
    if isinstance(value, str):
        return tuple(int(part) for part in value.split(","))
    return (value,) if isinstance(value, int) else tuple(value)
