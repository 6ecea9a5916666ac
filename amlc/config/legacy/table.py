"""Where each key of NNI's v1 format stands today: the rules, platform by platform.

Source: NNI 3.0, `experiment/config/convert.py`, and the schemas of v1.0 to v2.10. What NNI's
converter forgets (`maxTrialDuration`, `passphrase`, `includeIntermediateResults`) is kept here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from amlc.config.legacy.signs import PLATFORM, SERVICE
from amlc.model import JsonPath


@dataclass(frozen=True, slots=True)
class To:
    """The value goes to this path, from the top of the file or of an item of a list."""

    path: JsonPath


@dataclass(frozen=True, slots=True)
class Gone:
    """The key has no effect today, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Items:
    """The key is a list of mappings, each of which is read by `table`, at this path."""

    path: JsonPath
    table: Table


Rule: TypeAlias = "To | Gone | Items | Mapping[str, Any]"
Table: TypeAlias = "Mapping[str, Rule]"


def _service(*names: str, **renamed: str) -> dict[str, Rule]:
    """Return rules for keys that go to `trainingService`."""
    both = {name: name for name in names} | renamed
    return {old: To((SERVICE, new)) for old, new in both.items()}


def _within(*names: str, **renamed: str) -> dict[str, Rule]:
    """Return rules for the keys of an item."""
    return {old: To((new,)) for old, new in ({name: name for name in names} | renamed).items()}


_PERSON: Final = Gone("it says nothing about the trials")
_OLD_NAS: Final = Gone("NNI dropped v1's architecture search in 2.0")
_STORAGE: Final = (
    "storageType",
    "localMountPoint",
    "remoteMountPoint",
    "nfsServer",
    "exportedDirectory",
)
_BLOB: Final = ("storageAccountName", "storageAccountKey", "containerName", "localMounted")
_TRIAL: Final[Table] = {
    "command": To(("trialCommand",)),
    "codeDir": To(("trialCodeDirectory",)),
    "gpuNum": To(("trialGpuNumber",)),
    "nasMode": _OLD_NAS,
}
_ROLE: Final = _within(
    "replicas",
    "command",
    gpuNum="gpuNumber",
    cpuNum="cpuNumber",
    memoryMB="memorySize",
    image="dockerImage",
) | {"privateRegistryAuthPath": Gone("NNI 3.0 has no successor of it")}
_TASK: Final[Table] = _ROLE | {
    "name": To(("name",)),
    "taskNum": To(("taskNumber",)),
    "frameworkAttemptCompletionPolicy": {
        "minFailedTaskCount": To(("frameworkAttemptCompletionPolicy", "minFailedTaskCount")),
        "minSucceededTaskCount": To(("frameworkAttemptCompletionPolicy", "minSucceedTaskCount")),
    },
}
_KUBERNETES: Final[Table] = _service(
    operator="operator", apiVersion="apiVersion", namespace="namespace"
) | {
    "serviceAccountName": To((SERVICE, "serviceAccountName")),
    "reuse": To((SERVICE, "reuseMode")),
    "storage": To((SERVICE, "storage", "storageType")),
    "nfs": {name: To((SERVICE, "storage", name)) for name in ("server", "path")},
    "azureStorage": {
        "accountName": To((SERVICE, "storage", "azureAccount")),
        "azureShare": To((SERVICE, "storage", "azureShare")),
    },
    "keyVault": {
        "vaultName": To((SERVICE, "storage", "keyVaultName")),
        "name": To((SERVICE, "storage", "keyVaultKey")),
    },
    "uploadRetryCount": Gone("NNI 3.0 has no successor of it"),
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
) | {"preCommand": Gone("NNI 3.0 has no successor of it")}


def _roles(*names: str) -> dict[str, Rule]:
    return {
        name: {
            key: To((SERVICE, name, *rule.path)) if isinstance(rule, To) else rule
            for key, rule in _ROLE.items()
        }
        for name in names
    }


PLATFORMS: Final[Mapping[str, Table]] = {
    "local": {
        "trial": _TRIAL,
        "localConfig": _service(
            "gpuIndices", "useActiveGpu", maxTrialNumPerGpu="maxTrialNumberPerGpu"
        ),
    },
    "remote": {
        "trial": _TRIAL,
        "remoteConfig": _service(reuse="reuseMode"),
        "machineList": Items((SERVICE, "machineList"), _MACHINE),
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
            "gpuNum": To(("trialGpuNumber",)),
            "passWord": Gone("OpenPAI takes a token"),
            "password": Gone("OpenPAI takes a token"),
            "maxTrialNumPerGpu": Gone("NNI 3.0 has no successor of it"),
            "useActiveGpu": Gone("NNI 3.0 has no successor of it"),
        },
    },
    "kubeflow": {
        "trial": {**_TRIAL, **_roles("worker", "ps", "master")},
        "kubeflowConfig": _KUBERNETES,
    },
    "frameworkcontroller": {
        "trial": {**_TRIAL, "taskRoles": Items((SERVICE, "taskRoles"), _TASK)},
        "frameworkcontrollerConfig": _KUBERNETES,
    },
}
FOREIGN: Final = {
    "dlts": "dltsConfig",
    "adl": "adlConfig",
    "paiYarn": "paiYarnConfig",
    "hybrid": "hybridConfig",
}
"""Platforms that NNI 3.0 does not convert either, and the blocks that they have."""

_WITHOUT: Final = Gone("NNI 3.0 has no successor of it")
_COMMON: Final[Table] = {
    PLATFORM: To((SERVICE, "platform")),
    "authorName": _PERSON,
    "description": _PERSON,
    "experimentName": To(("experimentName",)),
    "trialConcurrency": To(("trialConcurrency",)),
    "maxExecDuration": To(("maxExperimentDuration",)),
    "maxTrialDuration": To(("maxTrialDuration",)),
    "maxTrialNum": To(("maxTrialNumber",)),
    "searchSpacePath": To(("searchSpaceFile",)),
    "useAnnotation": To(("useAnnotation",)),
    "multiPhase": Gone("a trial has one parameter set"),
    "multiThread": Gone("a tuner is asked for one parameter set after the other"),
    "nniManagerIp": To(("nniManagerIp",)),
    "logDir": To(("experimentWorkingDirectory",)),
    "debug": To(("debug",)),
    "logLevel": To(("logLevel",)),
    "versionCheck": Gone("there is no second version of NNI that could differ"),
    "logCollection": Gone("what trials print is always kept"),
    "sharedStorage": {
        name: To(("sharedStorage", name)) for name in (*_STORAGE, *_BLOB)
    } | {"resourceGroupName": Gone("the account's key is enough")},
    "amlc": To(("amlc",)),
}  # fmt: skip


def _algorithm(kind: str, new: str) -> dict[str, Rule]:
    return {
        f"builtin{kind.title()}Name": To((new, "name")),
        "codeDir": To((new, "codeDirectory")),
        "classFileName": To((new, "className")),
        "className": To((new, "className")),
        "classArgs": To((new, "classArgs")),
        "includeIntermediateResults": To(("amlc", "includeIntermediateResults")),
        "gpuIndices": To(("tunerGpuIndices",)),
    }


ALGORITHMS: Final = {kind: _algorithm(kind, kind) for kind in ("tuner", "assessor", "advisor")}
_ADVISOR: Final[Table] = {"advisor": _algorithm("advisor", "tuner")}
ELSEWHERE: Final = {
    **dict.fromkeys(("authFile", "shmMB", "dataDir", "outputDir", "portList"), "paiYarn"),
    **dict.fromkeys(
        ("namespace", "imagePullSecrets", "nfs", "adaptive", "checkpoint", "memorySize"), "adl"
    ),
}
"""Keys of `trial` on platforms that NNI 3.0 does not have."""


def table_of(data: Mapping[str, Any]) -> Table:
    """Return the rules for a file: those of every platform, and of its own."""
    own = PLATFORMS.get(str(data.get(PLATFORM)), {"trial": _TRIAL})
    # NNI calls an Advisor a tuner since 2.8. Where there are both, that is to be seen.
    advisor = {} if "tuner" in data else _ADVISOR
    return {**_COMMON, **ALGORITHMS, **advisor, **own}
