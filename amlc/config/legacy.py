"""Reads NNI's v1 format as the keys of today; every value keeps its place in the file.

Source: NNI 3.0, `experiment/config/convert.py`, and the schemas of v1.0 to v2.10. What NNI's
converter forgets (`maxTrialDuration`, `passphrase`, `includeIntermediateResults`) is kept here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, TypeAlias

from amlc.config.spelling import fold
from amlc.errors import Problem, Severity, did_you_mean, printable, shorten
from amlc.model import Document, JsonPath

PLATFORM: Final = "trainingServicePlatform"
_SIGNS: Final = (PLATFORM, "trial", "authorName")
_SERVICE: Final = "trainingService"


@dataclass(frozen=True, slots=True)
class _To:
    """The value goes to this path, from the top of the file or of an item of a list."""

    path: JsonPath


@dataclass(frozen=True, slots=True)
class _Gone:
    """The key has no effect today, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Items:
    """The key is a list of mappings, each of which is read by `table`, at this path."""

    path: JsonPath
    table: _Table


_Rule: TypeAlias = "_To | _Gone | _Items | Mapping[str, Any]"
_Table: TypeAlias = "Mapping[str, _Rule]"


@dataclass(frozen=True, slots=True)
class Move:
    """A key of a v1 file. new: where it stands today, None if it has no effect, for `reason`."""

    old: JsonPath
    new: JsonPath | None
    value: Any
    reason: str = ""


def _service(*names: str, **renamed: str) -> dict[str, _Rule]:
    """Return rules for keys that go to `trainingService`."""
    both = {name: name for name in names} | renamed
    return {old: _To((_SERVICE, new)) for old, new in both.items()}


def _within(*names: str, **renamed: str) -> dict[str, _Rule]:
    """Return rules for the keys of an item."""
    return {old: _To((new,)) for old, new in ({name: name for name in names} | renamed).items()}


_PERSON: Final = _Gone("it says nothing about the trials")
_OLD_NAS: Final = _Gone("NNI dropped v1's architecture search in 2.0")
_STORAGE: Final = (
    "storageType",
    "localMountPoint",
    "remoteMountPoint",
    "nfsServer",
    "exportedDirectory",
)
_BLOB: Final = ("storageAccountName", "storageAccountKey", "containerName", "localMounted")
_TRIAL: Final[_Table] = {
    "command": _To(("trialCommand",)),
    "codeDir": _To(("trialCodeDirectory",)),
    "gpuNum": _To(("trialGpuNumber",)),
    "nasMode": _OLD_NAS,
}
_ROLE: Final = _within(
    "replicas",
    "command",
    gpuNum="gpuNumber",
    cpuNum="cpuNumber",
    memoryMB="memorySize",
    image="dockerImage",
) | {"privateRegistryAuthPath": _Gone("NNI 3.0 has no successor of it")}
_TASK: Final[_Table] = _ROLE | {
    "name": _To(("name",)),
    "taskNum": _To(("taskNumber",)),
    "frameworkAttemptCompletionPolicy": {
        "minFailedTaskCount": _To(("frameworkAttemptCompletionPolicy", "minFailedTaskCount")),
        "minSucceededTaskCount": _To(("frameworkAttemptCompletionPolicy", "minSucceedTaskCount")),
    },
}
_KUBERNETES: Final[_Table] = _service(
    operator="operator", apiVersion="apiVersion", namespace="namespace"
) | {
    "serviceAccountName": _To((_SERVICE, "serviceAccountName")),
    "reuse": _To((_SERVICE, "reuseMode")),
    "storage": _To((_SERVICE, "storage", "storageType")),
    "nfs": {name: _To((_SERVICE, "storage", name)) for name in ("server", "path")},
    "azureStorage": {
        "accountName": _To((_SERVICE, "storage", "azureAccount")),
        "azureShare": _To((_SERVICE, "storage", "azureShare")),
    },
    "keyVault": {
        "vaultName": _To((_SERVICE, "storage", "keyVaultName")),
        "name": _To((_SERVICE, "storage", "keyVaultKey")),
    },
    "uploadRetryCount": _Gone("NNI 3.0 has no successor of it"),
}
_MACHINE: Final = _within(
    "port",
    "gpuIndices",
    "useActiveGpu",
    "pythonPath",
    ip="host",
    username="user",
    passwd="password",  # noqa: S106 - the name of a key
    sshKeyPath="sshKeyFile",
    passphrase="sshPassphrase",  # noqa: S106 - the name of a key
    maxTrialNumPerGpu="maxTrialNumberPerGpu",
) | {"preCommand": _Gone("NNI 3.0 has no successor of it")}


def _roles(*names: str) -> dict[str, _Rule]:
    return {
        name: {
            key: _To((_SERVICE, name, *rule.path)) if isinstance(rule, _To) else rule
            for key, rule in _ROLE.items()
        }
        for name in names
    }


_PLATFORMS: Final[Mapping[str, _Table]] = {
    "local": {
        "trial": _TRIAL,
        "localConfig": _service(
            "gpuIndices", "useActiveGpu", maxTrialNumPerGpu="maxTrialNumberPerGpu"
        ),
    },
    "remote": {
        "trial": _TRIAL,
        "remoteConfig": _service(reuse="reuseMode"),
        "machineList": _Items((_SERVICE, "machineList"), _MACHINE),
    },
    "aml": {
        "trial": {**_TRIAL, **_service("computeTarget", image="dockerImage")},
        "amlConfig": _service(
            "subscriptionId",
            "resourceGroup",
            "workspaceName",
            "computeTarget",
            "useActiveGpu",
            maxTrialNumPerGpu="maxTrialNumberPerGpu",
        ),
    },
    "pai": {
        "trial": {
            **_TRIAL,
            **_service(
                "virtualCluster",
                cpuNum="trialCpuNumber",
                memoryMB="trialMemorySize",
                image="dockerImage",
                nniManagerNFSMountPath="localStorageMountPoint",
                containerNFSMountPath="containerStorageMountPoint",
                paiStorageConfigName="storageConfigName",
                paiConfigPath="openpaiConfigFile",
            ),
        },
        "paiConfig": {
            **_service(
                "token",
                "host",
                userName="username",
                reuse="reuseMode",
                cpuNum="trialCpuNumber",
                memoryMB="trialMemorySize",
            ),
            "gpuNum": _To(("trialGpuNumber",)),
            "passWord": _Gone("OpenPAI takes a token"),
            "password": _Gone("OpenPAI takes a token"),
            "maxTrialNumPerGpu": _Gone("NNI 3.0 has no successor of it"),
            "useActiveGpu": _Gone("NNI 3.0 has no successor of it"),
        },
    },
    "kubeflow": {
        "trial": {**_TRIAL, **_roles("worker", "ps", "master")},
        "kubeflowConfig": _KUBERNETES,
    },
    "frameworkcontroller": {
        "trial": {**_TRIAL, "taskRoles": _Items((_SERVICE, "taskRoles"), _TASK)},
        "frameworkcontrollerConfig": _KUBERNETES,
    },
}
_FOREIGN: Final = {
    "dlts": "dltsConfig",
    "adl": "adlConfig",
    "paiYarn": "paiYarnConfig",
    "hybrid": "hybridConfig",
}
"""Platforms that NNI 3.0 does not convert either, and the blocks that they have."""

_WITHOUT: Final = _Gone("NNI 3.0 has no successor of it")
_COMMON: Final[_Table] = {
    PLATFORM: _To((_SERVICE, "platform")),
    "authorName": _PERSON,
    "description": _PERSON,
    "experimentName": _To(("experimentName",)),
    "trialConcurrency": _To(("trialConcurrency",)),
    "maxExecDuration": _To(("maxExperimentDuration",)),
    "maxTrialDuration": _To(("maxTrialDuration",)),
    "maxTrialNum": _To(("maxTrialNumber",)),
    "searchSpacePath": _To(("searchSpaceFile",)),
    "useAnnotation": _To(("useAnnotation",)),
    "multiPhase": _Gone("a trial has one parameter set"),
    "multiThread": _Gone("a tuner is asked for one parameter set after the other"),
    "nniManagerIp": _To(("nniManagerIp",)),
    "logDir": _To(("experimentWorkingDirectory",)),
    "debug": _To(("debug",)),
    "logLevel": _To(("logLevel",)),
    "versionCheck": _Gone("there is no second version of NNI that could differ"),
    "logCollection": _Gone("what trials print is always kept"),
    "sharedStorage": {
        name: _To(("sharedStorage", name)) for name in (*_STORAGE, *_BLOB)
    } | {"resourceGroupName": _Gone("the account's key is enough")},
    "amlc": _To(("amlc",)),
}  # fmt: skip


def _algorithm(kind: str) -> dict[str, _Rule]:
    return {
        f"builtin{kind.title()}Name": _To((kind, "name")),
        "codeDir": _To((kind, "codeDirectory")),
        "classFileName": _To((kind, "className")),
        "className": _To((kind, "className")),
        "classArgs": _To((kind, "classArgs")),
        "includeIntermediateResults": _To(("amlc", "includeIntermediateResults")),
        "gpuIndices": _To(("tunerGpuIndices",)),
    }


_ALGORITHMS: Final = {kind: _algorithm(kind) for kind in ("tuner", "assessor", "advisor")}


def is_legacy(document: Document) -> bool:
    """Return whether a file is in the v1 format, by NNI's sign or, without today's, by others."""
    if not isinstance(document.data, Mapping):
        return False
    return PLATFORM in document.data or (
        any(sign in document.data for sign in _SIGNS)
        and not any(fold(key) == "trainingservice" for key in document.data)
    )


def modern(document: Document) -> Document:
    """Return a v1 file in today's keys, each at the place of its v1 key; others as they are.

    What is wrong with the v1 keys, and which of them have no effect, is added to the remarks.
    """
    if not is_legacy(document):
        return document
    found = list(moves(document.data))
    block = f"{document.data.get(PLATFORM)}Config"
    places: dict[JsonPath, JsonPath] = {
        (_SERVICE,): (block if block in document.data else PLATFORM,)
    }
    for move in found:
        if move.new is not None:
            for length in range(1, len(move.new)):
                places.setdefault(move.new[:length], _parent(move, length))
            places[move.new] = move.old
    return replace(
        document,
        data=to_v2(found),
        moved=places,
        remarks=(*document.remarks, *_remarks(document, found)),
    )


def _parent(move: Move, length: int) -> JsonPath:
    """Return the block of the v1 file for the first `length` keys of a path of today."""
    assert move.new is not None
    depth = len(move.old) - (len(move.new) - length)
    return move.old[: max(depth, min(1, len(move.old)))]


def to_v2(found: list[Move]) -> dict[str, Any]:
    """Return what was moved; where two keys say the same, the platform's own block wins."""
    converted: dict[str, Any] = {}
    for move in sorted(found, key=lambda move: ("amlc", "trial", move.old[0]).index(move.old[0])):
        if move.new is not None:
            _put(converted, move.new, copy.copy(move.value))
    return converted


def _put(target: Any, path: JsonPath, value: Any) -> None:
    """Set a value in nested mappings and lists, which are made where they are not there."""
    for part, following in pairwise(path):
        target = _child(target, part, [] if isinstance(following, int) else {})
    if isinstance(target, list):
        target.append(value)
    else:
        target[path[-1]] = value


def _child(target: Any, part: str | int, new: Any) -> Any:
    if isinstance(target, list):
        assert isinstance(part, int)
        while len(target) <= part:
            target.append({})
        return target[part]
    if not isinstance(target.get(part), (dict, list)):
        target[part] = new
    return target[part]


def moves(data: Mapping[str, Any]) -> Iterator[Move]:
    """Yield what becomes of each key of a v1 file, in its order; unknown ones are left out.

    Keys match exactly, as in NNI; `null` counts as not given.
    """
    yield from _read(data, _table(data), (), ())
    service = data.get(f"{data.get(PLATFORM)}Config")
    if isinstance(service, Mapping) and data.get(PLATFORM) in ("kubeflow", "frameworkcontroller"):
        kind = "nfs" if "nfs" in service else "azureStorage"
        if service.get("storage") is None:
            yield Move(
                (f"{data[PLATFORM]}Config", kind), (_SERVICE, "storage", "storageType"), kind
            )


def _table(data: Mapping[str, Any]) -> _Table:
    """Return the rules for a file: those of every platform, and of its own."""
    own = _PLATFORMS.get(str(data.get(PLATFORM)), {"trial": _TRIAL})
    return {**_COMMON, **_ALGORITHMS, **own}


def _read(data: Mapping[str, Any], table: _Table, old: JsonPath, new: JsonPath) -> Iterator[Move]:
    for key, value in data.items():
        rule, here = table.get(key), (*old, key)
        if value is None or rule is None:
            continue
        match rule:
            case _Gone():
                yield Move(here, None, value, rule.reason)
            case _To() if here[0] in _ALGORITHMS:
                yield from _algorithm_move(data, here, rule.path, value)
            case _To():
                yield Move(
                    here,
                    (*new, *rule.path),
                    "openpai" if here == (PLATFORM,) and value == "pai" else value,
                )
            case _Items() if isinstance(value, list):
                for index, item in enumerate(value):
                    place = (*new, *rule.path, index)
                    if isinstance(item, Mapping):
                        yield from _read(item, rule.table, (*here, index), place)
                    else:
                        yield Move((*here, index), place, item)
            case Mapping() if isinstance(value, Mapping):
                yield from _read(value, rule, here, new)


def _algorithm_move(
    found: Mapping[str, Any], old: JsonPath, new: JsonPath, value: Any
) -> Iterator[Move]:
    key = old[-1]
    if key == "className":
        file = found.get("classFileName")
        yield Move(
            old,
            new,
            f"{str(file).removesuffix('.py')}.{value}"
            if file and isinstance(value, str)
            else value,
        )
    elif key == "classFileName":
        if found.get("className") is None:
            yield Move(old, new, value)
        else:
            yield Move(old, new, f"{str(value).removesuffix('.py')}.{found['className']}")
    elif (
        key == "classArgs"
        and isinstance(value, Mapping)
        and _is_curvefitting(found)
        and "optimize_mode" in value
    ):
        # NNI's own Curvefitting lost it in 1.8, and the files that have it are many.
        yield Move(
            (*old, "optimize_mode"),
            None,
            value["optimize_mode"],
            "Curvefitting takes larger values as better",
        )
        for name, argument in value.items():
            if name != "optimize_mode":
                yield Move((*old, name), (*new, name), argument)
    else:
        yield Move(old, new, value)


def _is_curvefitting(found: Mapping[str, Any]) -> bool:
    return str(found.get("builtinAssessorName", "")).lower() == "curvefitting"


# --- what to say about it -------------------------------------------------------------------------


def _remarks(document: Document, found: list[Move]) -> Iterator[Problem]:
    data = document.data
    first = next(key for key in data if key in _SIGNS)
    name = document.file.name
    text = "NNI's v1 format, read as NNI 3.0 converts it. To have it in today's keys: "
    text += f"amlc migrate {name} --in-place."
    yield document.problem((first,), "N-legacy", printable(text), key=True, severity=Severity.NOTE)
    if data.get("multiPhase") not in (None, False):
        text = "a trial of several phases cannot run, and NNI 3.0 does not run it either. "
        text += "Remove 'multiPhase', and let the trial ask for one parameter set; "
        text += "each further one is a trial of its own."
        yield document.problem(("multiPhase",), "E-multi-phase", text)
    for move in found:
        if move.new is None and move.old != ("multiPhase",):
            text = f"'{move.old[-1]}' has no effect: {move.reason}. Remove it."
            yield document.problem(move.old, "W-no-effect", text, key=True, severity=Severity.NOTE)
    yield from _unknown(document, data, _table(data), ())


def _unknown(
    document: Document, data: Mapping[str, Any], table: _Table, path: JsonPath
) -> Iterator[Problem]:
    """Yield a problem for each key that a v1 file has not, or not on its platform."""
    for key, value in data.items():
        here = (*path, key)
        rule = table.get(key)
        if rule is None and value is not None:
            yield from _unknown_key(document, here, table)
        elif isinstance(rule, Mapping) and isinstance(value, Mapping):
            yield from _unknown(document, value, rule, here)
        elif isinstance(rule, _Items) and isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Mapping):
                    yield from _unknown(document, item, rule.table, (*here, index))
        elif isinstance(rule, (Mapping, _Items)) and value is not None:
            kind = "a list" if isinstance(rule, _Items) else "a mapping (key: value)"
            text = f"'{key}' must be {kind}. Write its keys below it, or remove it."
            yield document.problem(here, "E-type", text)


def _unknown_key(document: Document, path: JsonPath, table: _Table) -> Iterator[Problem]:
    key, own = str(path[-1]), document.data.get(PLATFORM)
    if platforms := _platforms_with(path):
        if own not in platforms:
            others = ", ".join(platforms)
            text = f"'{key}' has no effect: it belongs to platform {others}, and this is {own}. "
            text += "Remove it."
            yield document.problem(path, "W-no-effect", text, key=True, severity=Severity.NOTE)
        return
    where = f"in '{path[-2]}'" if len(path) > 1 else "at the top level"
    hint = (
        did_you_mean(key.replace("-", "").replace("_", ""), table)
        or f" Allowed here: {', '.join(table)}."
    )
    text = f"unknown key '{shorten(key)}' {where} of NNI's v1 format.{hint}"
    yield document.problem(path, "E-unknown-key", text, key=True)


def _platforms_with(path: JsonPath) -> list[str]:
    """Return the other platforms that have a key, or the whole block that it stands in."""
    found = [name for name, block in _FOREIGN.items() if path[0] == block]
    for platform, blocks in _PLATFORMS.items():
        rule: Any = blocks
        for part in path:
            rule = rule.get(part) if isinstance(rule, Mapping) else None
        if rule is not None:
            found.append(platform)
    if path[0] == "trial" and path[-1] in _ELSEWHERE:
        found.append(_ELSEWHERE[str(path[-1])])
    return found


_ELSEWHERE: Final = {
    **dict.fromkeys(("authFile", "shmMB", "dataDir", "outputDir", "portList"), "paiYarn"),
    **dict.fromkeys(
        ("namespace", "imagePullSecrets", "nfs", "adaptive", "checkpoint", "memorySize"), "adl"
    ),
}
"""Keys of `trial` on platforms that NNI 3.0 does not have."""

_WORDS: Final = {
    "trialCommand": "trial.command",
    "trialCodeDirectory": "trial.codeDir",
    "trialGpuNumber": "trial.gpuNum",
    "maxExperimentDuration": "maxExecDuration",
    "maxTrialNumber": "maxTrialNum",
    "searchSpaceFile": "searchSpacePath",
    "experimentWorkingDirectory": "logDir",
    "dockerImage": "trial.image",
    "maxTrialNumberPerGpu": "maxTrialNumPerGpu",
    "platform": PLATFORM,
    "tunerGpuIndices": "gpuIndices",
    "codeDirectory": "codeDir",
    "reuseMode": "reuse",
    "sshKeyFile": "sshKeyPath",
}
_PHRASES: Final = {
    "'searchSpace' or 'searchSpaceFile'": "'searchSpaceFile'",
    "`trainingService: {platform: local}`": f"`{PLATFORM}: local`",
    "`tuner: {name: ": "`tuner: {builtinTunerName: ",
}
_NAMED: Final = re.compile(rf"(['`])({'|'.join(sorted(_WORDS, key=len, reverse=True))})(?=[':])")


def in_words_of_v1(problem: Problem, document: Document) -> Problem:
    """Return a problem of a v1 file with the keys in its message as they stand in the file."""
    if not document.moved:
        return problem

    def renamed(match: re.Match[str]) -> str:
        word = _WORDS[match[2]]
        return match[1] + (word.rpartition(".")[2] if match[1] == "`" else word)

    platform = document.data.get(_SERVICE, {}).get("platform")
    block = f"{'pai' if platform == 'openpai' else platform}Config" if platform else PLATFORM
    text = problem.message.replace("'trainingService'", f"'{block}'")
    for new, old in _PHRASES.items():
        text = text.replace(new, old)
    return replace(problem, message=_NAMED.sub(renamed, text))
