"""Recognises NNI's v1 format, and converts it to the keys that are written today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from amlc.config.spelling import fold
from amlc.errors import Problem
from amlc.model import Document, JsonPath

_SIGNS = ("trainingServicePlatform", "trial", "authorName")
_PLATFORMS = {"pai": "openpai"}
_SERVICES = ("amlConfig", "localConfig", "remoteConfig", "paiConfig")
_SAME = (
    "experimentName",
    "trialConcurrency",
    "maxTrialDuration",
    "nniManagerIp",
    "debug",
    "logLevel",
    "useAnnotation",
)
_MOVES: dict[JsonPath, JsonPath] = {
    ("trainingServicePlatform",): ("trainingService", "platform"),
    ("maxExecDuration",): ("maxExperimentDuration",),
    ("maxTrialNum",): ("maxTrialNumber",),
    ("searchSpacePath",): ("searchSpaceFile",),
    ("logDir",): ("experimentWorkingDirectory",),
    ("trial", "command"): ("trialCommand",),
    ("trial", "codeDir"): ("trialCodeDirectory",),
    ("trial", "gpuNum"): ("trialGpuNumber",),
    ("trial", "image"): ("trainingService", "dockerImage"),
    ("trial", "computeTarget"): ("trainingService", "computeTarget"),
    ("trial", "cpuNum"): ("trainingService", "trialCpuNumber"),
    ("trial", "memoryMB"): ("trainingService", "trialMemorySize"),
    ("trial", "virtualCluster"): ("trainingService", "virtualCluster"),
    ("trial", "nniManagerNFSMountPath"): ("trainingService", "localStorageMountPoint"),
    ("trial", "containerNFSMountPath"): ("trainingService", "containerStorageMountPoint"),
    ("trial", "paiStorageConfigName"): ("trainingService", "storageConfigName"),
    ("trial", "paiConfigPath"): ("trainingService", "openpaiConfigFile"),
    ("tuner", "gpuIndices"): ("tunerGpuIndices",),
}
_SERVICE_KEYS = {
    "maxTrialNumPerGpu": "maxTrialNumberPerGpu",
    "userName": "username",
    "reuse": "reuseMode",
    "ip": "host",
    "username": "user",
    "passwd": "password",
    "sshKeyPath": "sshKeyFile",
    "passphrase": "sshPassphrase",
}
_ALGORITHM_KEYS = {"codeDir": "codeDirectory", "classArgs": "classArgs"}
_ALGORITHMS = {"tuner": "Tuner", "assessor": "Assessor", "advisor": "Advisor"}


def refuse_legacy(document: Document) -> Problem | None:
    """Return the error for a file in NNI's v1 format, with its keys as they are written today.

    None for others.
    """
    signs = {fold(sign) for sign in _SIGNS}
    found = next((key for key in document.data if fold(key) in signs), None)
    if found is None:
        return None
    moves = [f"{_dots(old)} → {_dots(new)}" for old, new, _ in _moves(document.data) if old != new]
    rename = f" Rename: {', '.join(moves)}." if moves else ""
    dropped = to_v2(document.data)[1]
    drop = f" Remove: {', '.join(dropped)}." if dropped else ""
    text = f"'{found}' belongs to NNI's v1 format, but amlc reads v2 and v3.{rename}{drop}"
    return document.problem((found,), "E-legacy", text, key=True)


def to_v2(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a v1 experiment in v2 keys, and the v1 keys (dotted) that v2 has no place for.

    Keys match exactly, as in NNI; `null` counts as not given.
    """
    converted: dict[str, Any] = {}
    used: set[JsonPath] = set()
    for old, new, value in _moves(data):
        used.add(old)
        target = converted
        for part in new[:-1]:
            target = target.setdefault(str(part), {})
        target[str(new[-1])] = value
    return converted, [_dots(path) for path in _leaves(data) if path not in used]


def _moves(data: Mapping[str, Any]) -> Iterator[tuple[JsonPath, JsonPath, Any]]:
    """Yield the v1 path, the v2 path and the v2 value of everything that v2 can say."""
    for path in _leaves(data):
        value = _at(data, path)
        top = path[0]
        if path == ("trainingServicePlatform",):
            yield path, _MOVES[path], _PLATFORMS.get(value, value)
        elif path in _MOVES:
            yield path, _MOVES[path], value
        elif top == "machineList" and isinstance(value, list):
            yield path, ("trainingService", "machineList"), [_machine(item) for item in value]
        elif len(path) > 1:
            yield from _inner_moves(data, path, value)
        elif top in _SAME:
            yield path, path, value


def _inner_moves(
    data: Mapping[str, Any], path: JsonPath, value: Any
) -> Iterator[tuple[JsonPath, JsonPath, Any]]:
    """Yield the same of a value that is not at the top."""
    top, key = str(path[0]), str(path[-1])
    if top in _SERVICES:
        yield path, ("trainingService", _service_key(top, key)), value
    elif top in _ALGORITHMS:
        yield from _algorithm_move(data[top], top, key, value)
    elif top == "sharedStorage" or top in _SAME:
        yield path, path, value


def _algorithm_move(
    found: Mapping[str, Any], kind: str, key: str, value: Any
) -> Iterator[tuple[JsonPath, JsonPath, Any]]:
    if key == f"builtin{_ALGORITHMS[kind]}Name":
        yield (kind, key), (kind, "name"), value
    elif key == "className":
        module = str(found.get("classFileName", "")).removesuffix(".py")
        yield (kind, key), (kind, "className"), f"{module}.{value}" if module else value
    elif key == "classFileName":
        module = str(value).removesuffix(".py")
        yield (kind, key), (kind, "className"), f"{module}.{found.get('className', '')}"
    elif key in _ALGORITHM_KEYS:
        yield (kind, key), (kind, _ALGORITHM_KEYS[key]), value
    elif key == "includeIntermediateResults":
        yield (kind, key), ("amlc", key), value


def _service_key(service: str, key: str) -> str:
    return key if service == "paiConfig" and key == "username" else _SERVICE_KEYS.get(key, key)


def _machine(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    given = {str(key): value for key, value in item.items() if value is not None}
    return {_SERVICE_KEYS.get(key, key): value for key, value in given.items()}


def _leaves(data: Mapping[str, Any]) -> Iterator[JsonPath]:
    """Yield the path of each v1 key: those inside the v1 blocks, or the key at the top itself."""
    blocks = {"trial", "sharedStorage", *_SERVICES, *_ALGORITHMS}
    for key, value in data.items():
        if key in blocks and isinstance(value, Mapping):
            yield from ((key, inner) for inner, found in value.items() if found is not None)
        elif value is not None:
            yield (key,)


def _at(data: Any, path: JsonPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _dots(path: JsonPath) -> str:
    return ".".join(map(str, path))
