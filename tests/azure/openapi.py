"""Refuse what Azure ML's public OpenAPI refuses: the fields, their types, and which of them may change later.

Source of the tables: Azure/azure-rest-api-specs, specification/machinelearningservices/resource-manager/
Microsoft.MachineLearningServices/preview/2025-01-01-preview/mfe.json, `definitions`. A field is written as its type and
then flags: `!` required, `?` may be null, `=` x-ms-mutability is create and read only, `r` read-only (ignored when sent).
"""

import re
from typing import Any, NamedTuple

JOB_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}", re.ASCII)
INPUT_NAME = re.compile(r"[a-zA-Z_]+[a-zA-Z0-9_]*", re.ASCII)
_DURATION = re.compile(r"P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)")
_TEXT = re.compile("[a-zA-Z0-9_]")  # the pattern of every required string; unanchored there too
_SHM = re.compile(r"\d+[bBkKmMgG]")
_EXPRESSION = re.compile(r"\$\{\{\s*([^}]*?)\s*\}\}")

# The service answers that these four and isArchived may change; the OpenAPI marks displayName create and read.
CHANGEABLE = frozenset({"description", "tags", "displayName", "properties", "isArchived"})

_RESOURCE = {"description": "string ?", "properties": "map:string? ?", "tags": "map:string? ?"}
# The client sends a number in a code asset's properties (hash_version), and the service takes it.
_ASSET = {**_RESOURCE, "properties": "map:scalar? ?", "isAnonymous": "bool =", "isArchived": "bool"}
_JOB = {
    **_RESOURCE,
    "componentId": "string ?=",
    "computeId": "string ?=",
    "displayName": "string ?=",
    "experimentName": "string =",
    "identity": "Identity ?=",
    "isArchived": "bool",
    "jobType": "string !=",
    "notificationSetting": "NotificationSetting ?",
    "parentJobName": "string ?",
    "services": "map:JobService? ?",
    "status": "any r",
}
_INPUT = {"description": "string ?=", "jobInputType": "string !="}
_ASSET_INPUT = {
    **_INPUT,
    "mode": "enum:ReadOnlyMount|ReadWriteMount|Download|Direct|EvalMount|EvalDownload =",
    "uri": "text !",
}
_ASSET_OUTPUT = {
    "description": "string ?=",
    "jobOutputType": "string !=",
    "assetName": "string ?",
    "mode": "enum:ReadWriteMount|Upload|Direct =",
    "uri": "string ?",
}
_DISTRIBUTION = {"distributionType": "string !="}
_IDENTITY = {"identityType": "string !="}
_STOPPING = {"delayEvaluation": "int", "evaluationInterval": "int", "policyType": "string !"}
_ASSET_TYPES = ("uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model")

_OBJECTS: dict[str, dict[str, str]] = {
    "JobBaseResource": {"id": "any r", "name": "any r", "type": "any r", "systemData": "any r", "properties": "Job !"},
    "CommandJob": {
        **_JOB,
        "codeId": "string ?=",
        "command": "text !=",
        "distribution": "Distribution ?=",
        "environmentId": "text !=",
        "environmentVariables": "map:string? ?=",
        "inputs": "map:JobInput? ?=",
        "limits": "CommandJobLimits ?=",
        "outputs": "map:JobOutput? ?=",
        "parameters": "any r",
        "queueSettings": "QueueSettings ?=",
        "resources": "JobResourceConfiguration =",
    },
    "SweepJob": {
        **_JOB,
        "earlyTermination": "EarlyTermination ?",
        "inputs": "map:JobInput? ?=",
        "limits": "SweepJobLimits ?=",
        "objective": "Objective !",
        "outputs": "map:JobOutput? ?=",
        "queueSettings": "QueueSettings ?=",
        "resources": "JobResourceConfiguration ?=",  # of 2023-08-01-preview, and the client's
        "samplingAlgorithm": "SamplingAlgorithm !",
        "searchSpace": "any !",
        "trial": "TrialComponent !",
    },
    "TrialComponent": {
        "codeId": "string ?=",
        "command": "text !=",
        "distribution": "Distribution ?=",
        "environmentId": "text !",
        "environmentVariables": "map:string? ?=",
        "resources": "JobResourceConfiguration =",
    },
    "CommandJobLimits": {"jobLimitsType": "enum:Command !", "timeout": "duration ?"},
    "SweepJobLimits": {
        "jobLimitsType": "enum:Sweep !",
        "timeout": "duration ?",
        "maxConcurrentTrials": "int ?",
        "maxTotalTrials": "int ?",
        "trialTimeout": "duration ?",
    },
    "Objective": {"goal": "enum:Minimize|Maximize !", "primaryMetric": "text !"},
    "JobResourceConfiguration": {
        "instanceCount": "int =",
        "instanceType": "string ?=",
        "properties": "map:any? ?=",
        "dockerArgs": "string ?=",
        "dockerArgsList": "list:string ?=",
        "shmSize": "shm =",
    },
    "QueueSettings": {"jobTier": "enum:Null|Spot|Basic|Standard|Premium ="},
    "JobService": {
        "endpoint": "string ?=",
        "errorMessage": "any r",
        "jobServiceType": "string ?=",
        "nodes": "Nodes ?",
        "port": "int ?=",
        "properties": "map:string? ?",
        "status": "any r",
    },
    "Nodes": {"nodesValueType": "enum:All|Custom !=", "values": "list:int ?"},
    "NotificationSetting": {
        "emailOn": "list:string ?=",
        "emails": "list:string ?=",
        "webhooks": "map:Webhook? ?",
    },
    "Webhook": {"eventType": "string ?=", "webhookType": "string !="},
    "PendingUpload": {"pendingUploadId": "string ?", "pendingUploadType": "enum:None|TemporaryBlobReference"},
    "CodeVersion": {**_ASSET, "codeUri": "string ?=", "provisioningState": "any r"},
    "BuildContext": {"contextUri": "text !=", "dockerfilePath": "string ="},
    "EnvironmentVersion": {
        **_ASSET,
        "autoRebuild": "enum:Disabled|OnBaseImageUpdate =",
        "build": "BuildContext ?=",
        "condaFile": "string ?=",
        "environmentType": "any r",
        "image": "string ?=",
        "inferenceConfig": "any ?=",
        "osType": "enum:Linux|Windows =",
        "provisioningState": "any r",
        "stage": "string ?",
    },
    "AzureBlob": {
        **_RESOURCE,
        "accountName": "string ?=",
        "containerName": "string ?=",
        "credentials": "DatastoreCredentials !",
        "datastoreType": "string !=",
        "endpoint": "string ?=",
        "isDefault": "any r",
        "protocol": "string ?=",
        "resourceGroup": "string ?",
        "serviceDataAccessAuthIdentity": "string =",
        "subscriptionId": "string ?",
    },
    "AccountKeySecrets": {"secretsType": "enum:AccountKey !", "key": "string ?"},
    "SasSecrets": {"secretsType": "enum:Sas !", "sasToken": "string ?"},
}
# Each of these is told apart by one field: the field's name, then the objects by its value.
_UNIONS: dict[str, tuple[str, dict[str, dict[str, str]]]] = {
    "Job": ("jobType", {"Command": _OBJECTS["CommandJob"], "Sweep": _OBJECTS["SweepJob"]}),
    "JobInput": (
        "jobInputType",
        {"literal": {**_INPUT, "value": "text !"}, **dict.fromkeys(_ASSET_TYPES, _ASSET_INPUT)},
    ),
    "JobOutput": ("jobOutputType", dict.fromkeys(_ASSET_TYPES, _ASSET_OUTPUT)),
    "Distribution": (
        "distributionType",
        {
            "PyTorch": {**_DISTRIBUTION, "processCountPerInstance": "int ?"},
            "Mpi": {**_DISTRIBUTION, "processCountPerInstance": "int ?="},
            "TensorFlow": {**_DISTRIBUTION, "parameterServerCount": "int =", "workerCount": "int ?="},
        },
    ),
    "Identity": (
        "identityType",
        {
            "AMLToken": _IDENTITY,
            "UserIdentity": _IDENTITY,
            "Managed": {
                **_IDENTITY,
                "clientId": "uuid ?=",
                "objectId": "uuid ?=",
                "resourceId": "string ?=",
            },
        },
    ),
    "SamplingAlgorithm": (
        "samplingAlgorithmType",
        {
            "Grid": {"samplingAlgorithmType": "string !"},
            "Bayesian": {"samplingAlgorithmType": "string !"},
            "Random": {
                "samplingAlgorithmType": "string !",
                "rule": "enum:Random|Sobol",
                "seed": "int ?",
            },
        },
    ),
    "EarlyTermination": (
        "policyType",
        {
            "MedianStopping": _STOPPING,
            "Bandit": {**_STOPPING, "slackAmount": "number", "slackFactor": "number"},
            "TruncationSelection": {**_STOPPING, "truncationPercentage": "int"},
        },
    ),
    "DatastoreCredentials": (
        "credentialsType",
        {
            "AccountKey": {"credentialsType": "string !", "secrets": "AccountKeySecrets !"},
            "Sas": {"credentialsType": "string !", "secrets": "SasSecrets !"},
            "None": {"credentialsType": "string !"},
        },
    ),
}


class Violation(NamedTuple):
    """One thing the OpenAPI does not allow."""

    where: str
    what: str


def check(kind: str, value: Any, where: str = "properties") -> list[Violation]:
    """Return everything in `value` that an object of `kind` may not be."""
    if not isinstance(value, dict):
        return [Violation(where, f"expected an object, got {_kind_of(value)}")]
    fields = _OBJECTS.get(kind)
    if fields is None:
        discriminator, variants = _UNIONS[kind]
        found = value.get(discriminator)
        fields = next((f for name, f in variants.items() if isinstance(found, str) and name == found), None)
        if fields is None:
            return [Violation(f"{where}.{discriminator}", f"{found!r} is none of {', '.join(variants)}")]
    problems = [Violation(f"{where}.{name}", "unknown field") for name in value if name not in fields]
    for name, spec in fields.items():
        kind_of_field, _, flags = spec.partition(" ")
        if name in value:
            problems += _check_field(kind_of_field, flags, value[name], f"{where}.{name}")
        elif "!" in flags:
            problems.append(Violation(f"{where}.{name}", "required"))
    return problems


def check_job(body: Any) -> list[Violation]:
    """Return what is wrong with the body of a job PUT, references apart."""
    problems = check("JobBaseResource", body, "")
    properties = body.get("properties") if isinstance(body, dict) else None
    if problems or properties["jobType"] != "Command":
        return problems
    inputs, outputs = properties.get("inputs") or {}, properties.get("outputs") or {}
    problems += [
        Violation(f".properties.inputs.{name}", f"the name does not match {INPUT_NAME.pattern}")
        for name in (*inputs, *outputs)
        if not INPUT_NAME.fullmatch(name)
    ]
    known = {f"inputs.{name}" for name in inputs} | {f"outputs.{name}" for name in outputs}
    problems += [
        Violation(".properties.command", f"nothing is bound to {match.group()}")
        for match in _EXPRESSION.finditer(properties["command"])
        if match[1] not in known
    ]
    return problems


def immutable(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return those of the fields of `value` that cannot change, without nulls and defaults."""
    fields = _OBJECTS[kind]
    fixed = {
        name: _normal(value[name])
        for name, spec in fields.items()
        if "=" in spec and name in value and name not in CHANGEABLE
    }
    fixed = {name: found for name, found in fixed.items() if found not in (None, {}, [], "")}
    if fixed.get("experimentName") == "Default":
        del fixed["experimentName"]
    return {name: found.lower() if name.endswith("Id") else found for name, found in fixed.items()}


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _normal(item) for name, item in value.items() if item is not None}
    return value


def _check_field(kind: str, flags: str, value: Any, where: str) -> list[Violation]:
    if "r" in flags or kind == "any":
        return []
    if value is None:
        return [] if "?" in flags else [Violation(where, "may not be null")]
    main, _, of = kind.partition(":")
    if main == "map":
        return _check_map(of, value, where)
    if main == "list":
        if not isinstance(value, list):
            return [Violation(where, f"expected a list, got {_kind_of(value)}")]
        return [p for i, item in enumerate(value) for p in _check_field(of, "", item, f"{where}[{i}]")]
    if main == "enum":
        good = isinstance(value, str) and value.lower() in of.lower().split("|")
        return [] if good else [Violation(where, f"{value!r} is none of {of.replace('|', ', ')}")]
    if main not in _SCALARS:
        return check(main, value, where)
    is_good, expected = _SCALARS[main]
    return [] if is_good(value) else [Violation(where, f"expected {expected}, got {_kind_of(value)}")]


def _check_map(of: str, value: Any, where: str) -> list[Violation]:
    if not isinstance(value, dict):
        return [Violation(where, f"expected an object, got {_kind_of(value)}")]
    flags = "?" if of.endswith("?") else ""
    return [p for name, item in value.items() for p in _check_field(of.rstrip("?"), flags, item, f"{where}.{name}")]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_SCALARS = {
    "string": (lambda v: isinstance(v, str), "a string"),
    "scalar": (lambda v: isinstance(v, str | int | float), "a string"),
    "text": (lambda v: isinstance(v, str) and bool(_TEXT.search(v)), "a string with a letter or digit"),
    "bool": (lambda v: isinstance(v, bool), "true or false"),
    "int": (_is_integer, "an integer"),
    "number": (lambda v: _is_integer(v) or isinstance(v, float), "a number"),
    "duration": (lambda v: isinstance(v, str) and bool(_DURATION.fullmatch(v)), "an ISO 8601 duration"),
    "shm": (lambda v: isinstance(v, str) and bool(_SHM.fullmatch(v)), "a size such as 2g"),
    "uuid": (lambda v: isinstance(v, str) and bool(re.fullmatch(r"[0-9a-fA-F-]{36}", v)), "a UUID"),
}


def _kind_of(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"[:100]
