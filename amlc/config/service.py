"""Decides where trials run.

The platforms amlc knows, those of NNI it does not, and keys that may stand inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from amlc.config.schema import load_schema
from amlc.config.spelling import Config, fold, fold_keys
from amlc.errors import Problem, Sentence, did_you_mean, nearest, shorten
from amlc.targets import exists, listed, names, target

_OTHER = (
    "remote",
    "openpai",
    "pai",
    "paiYarn",
    "kubeflow",
    "frameworkcontroller",
    "dlc",
    "adl",
    "dlts",
    "hybrid",
)
_HERE = ("trialCommand", "trialCodeDirectory", "trialGpuNumber", "nniManagerIp", "debug")
_ROLES = ("worker", "master", "ps")
_STAND_IN = "local"  # for a platform that amlc does not have
_SERVICE = ("trainingService",)
_PLATFORM = ("trainingService", "platform")


def read_service(config: Config, *, backend: str | None) -> Config:
    """Return the config with the keys of `trainingService` canonical, for its platform.

    backend: the target that was asked for instead, None for that of the file.
    """
    found = config.get("trainingService")
    if isinstance(found, list):
        return _other_platform(config, "a list of training services (NNI's hybrid mode)", backend)
    if not isinstance(found, Mapping):
        return config
    keys = [key for key in found if fold(key) == "platform"]
    platform = found[keys[0]] if keys else None
    if platform is None:
        return config.without(_SERVICE).noted(_no_platform(config, found))
    place = (*config.original(_SERVICE), keys[0])
    config = replace(config, spelling={**config.spelling, _PLATFORM: place})
    return _read_platform(config, found, platform, backend)


def _no_platform(config: Config, found: Mapping[str, Any]) -> Problem:
    """Return the error for a service without a platform: a misspelled key is what is wrong then."""
    written = " or ".join(f"`platform: {name}`" for name in names())
    known = load_schema()["$defs"]
    others = {fold(name) for one in names() if one in known for name in known[one]["properties"]}
    for key in found:
        if fold(key) not in others and nearest(fold(key), ["platform"]):
            text = f"unknown key '{shorten(key)}' in 'trainingService'."
            hint = f"Did you mean 'platform'? Write {written}."
            said = Sentence(text, hint, found=shorten(key), expected="'platform'")
            place = (*config.original(_SERVICE), key)
            return config.document.problem(place, "E-unknown-key", said, key=True)
    text = "'trainingService' needs 'platform'."
    said = Sentence(text, f"Write {written}.", expected="'platform'")
    return config.problem(_SERVICE, "E-required", said, key=True)


def _read_platform(
    config: Config, found: Mapping[str, Any], platform: Any, backend: str | None
) -> Config:
    """Return the config for what stands as its platform: one that amlc has, one of NNI, or none."""
    right = platform.lower() if isinstance(platform, str) else ""
    if right and exists(right):
        return _check_case(_read_known(config, found, right), platform, right)
    if platform in _OTHER:
        return _keep_shared(_other_platform(config, f"the platform '{platform}'", backend), found)
    hint = did_you_mean(str(platform), names()).strip() or _what_to_do()
    said = Sentence(
        f"unknown platform '{shorten(str(platform))}'; amlc knows {listed('and')}.",
        hint,
        found=shorten(str(platform)),
        expected=listed("or"),
    )
    return _keep_shared(config.noted(config.problem(_PLATFORM, "E-platform", said)), found)


def _check_case(config: Config, platform: str, right: str) -> Config:
    if platform == right:
        return config
    text = Sentence(
        f"the platform is '{platform}', but NNI tells upper from lower case.",
        hint=f"Write '{right}'.",
        found=f"'{platform}'",
        expected=f"'{right}'",
    )
    return config.noted(config.problem(_PLATFORM, "E-platform", text))


def _what_to_do() -> str:
    return f"Set 'platform' to {listed('or')}, or run with --backend local."


def _read_known(config: Config, found: Mapping[str, Any], platform: str) -> Config:
    schema = load_schema(platform)
    spelling = {path: original for path, original in config.spelling.items() if path != _PLATFORM}
    config = fold_keys(
        replace(config, spelling=spelling), _SERVICE, found, schema["$defs"][platform], schema
    )
    return _hoist(config.with_value(_PLATFORM, platform))


def _other_platform(config: Config, what: str, backend: str | None) -> Config:
    """Return the config for a service that amlc does not have.

    An error, unless one that runs any was asked for.
    """
    path = _PLATFORM if isinstance(config.get("trainingService"), Mapping) else _SERVICE
    if backend is not None and target(backend).RUNS_ANY:
        text = (
            f"{what} is not supported; "
            f"its keys have no effect, since the {backend} back end was asked for."
        )
        problem = config.warning(path, "W-platform", text)
    else:
        said = Sentence(
            f"{what} is not supported: amlc runs trials on {listed('or')}.",
            hint=_what_to_do(),
            found=what,
            expected=listed("or"),
        )
        problem = config.problem(path, "E-platform", said)
    return config.with_value(_SERVICE, {"platform": _STAND_IN}).noted(problem)


def _keep_shared(config: Config, found: Mapping[str, Any]) -> Config:
    """Return the config with those keys of a foreign service that every service has."""
    names = {fold(name): name for name in _HERE}
    kept = {names[fold(key)]: value for key, value in found.items() if fold(key) in names}
    service = config.original(_SERVICE)
    spelling = dict(config.spelling)
    spelling.update(
        ((*_SERVICE, names[fold(key)]), (*service, key)) for key in found if fold(key) in names
    )
    config = replace(config, spelling=spelling)
    return _with_role_command(
        _hoist(config.with_value(_SERVICE, {"platform": _STAND_IN, **kept})), found
    )


def _with_role_command(config: Config, found: Mapping[str, Any]) -> Config:
    """Return the config with the command of a role where the trial has none (Kubernetes)."""
    if config.get("trialCommand") is not None or ("trialCommand",) in config.spelling:
        return config
    service = config.original(_SERVICE)
    roles = [
        (key, value)
        for key, value in found.items()
        if fold(key) in _ROLES and isinstance(value, Mapping)
    ]
    tasks = found.get("taskRoles")
    for key, role in roles + list(enumerate(tasks) if isinstance(tasks, list) else ()):
        if isinstance(role, Mapping) and isinstance(role.get("command"), str):
            place = (*service, key) if isinstance(key, str) else (*service, "taskRoles", key)
            spelling = {**config.spelling, ("trialCommand",): (*place, "command")}
            return replace(config.with_value(("trialCommand",), role["command"]), spelling=spelling)
    return config


def _hoist(config: Config) -> Config:
    """Move the keys that NNI accepts at either place to the top level; the inner one wins."""
    for name in _HERE:
        inside, outside = config.get("trainingService", name), config.get(name)
        if inside is None:
            continue
        path = ("trainingService", name)
        if outside is not None and outside != inside:
            text = Sentence(
                f"'{name}' is also given at the top level, with another value; this one wins.",
                hint="Keep one of them.",
            )
            config = config.noted(config.warning(path, "W-twice", text))
        spelling = {**config.spelling, (name,): config.original(path)}
        config = replace(
            config.with_value((name,), inside).without(path, broken=False), spelling=spelling
        )
    return config


def check_service(config: Config) -> Iterator[Problem]:
    """Yield what is questionable about the keys that `trainingService` has on every platform."""
    gpus = config.get("trialGpuNumber")
    per_gpu = config.get("trainingService", "maxTrialNumberPerGpu")
    if per_gpu not in (None, 1) and gpus is None:
        text = Sentence(
            "'maxTrialNumberPerGpu' has no effect without 'trialGpuNumber'.",
            hint="Set it, or remove this key.",
        )
        yield config.warning((*_SERVICE, "maxTrialNumberPerGpu"), "W-no-effect", text)
