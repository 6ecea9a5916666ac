"""Checks what no schema can say.

Paths, durations, names, storage, constraints, and keys without effect.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from amlc.catalogue import find
from amlc.config.durations import parse_time
from amlc.config.job import check_bound, check_job
from amlc.config.spelling import Config
from amlc.config.wording import expected_other, no_parameter, show
from amlc.errors import Problem, Sentence, Severity, shorten
from amlc.model import Choice, JsonPath, Space, parameter_names
from amlc.space.points import inexhaustible

_NO_EFFECT = {
    "nniManagerIp": "amlc has no manager process that trials would call",
    "debug": "it switches NNI's own debugging",
    "logLevel": "it is the level of NNI's own log; use amlc's -v or -q",
    "experimentWorkingDirectory": "amlc keeps what happened in '.amlc/'",
    "tunerGpuIndices": "tuners run without a GPU",
}
_DEFAULTS = {"debug": False, "logLevel": "info"}
_BAD_NAME = re.compile(r"[/\\\x00-\x1f\x7f]")
_LONGEST_NAME = 200
_EXPRESSION = re.compile(r"\$(\{\{|\[\[)")
# They stand in job files as they are; everywhere else amlc writes the dollar in another way.
_UNQUOTED = (("sharedStorage", "remoteMountPoint"), ("amlc", "environment"))
_STORAGE = {
    "AzureBlob": ("storageAccountName", "containerName"),
    "NFS": ("nfsServer", "exportedDirectory"),
}


def check_rules(config: Config) -> Iterator[Problem]:
    """Yield all findings that need no search space."""
    yield from _check_name(config)
    yield from _check_command(config)
    yield from _check_folders(config)
    yield from _check_durations(config)
    yield from _check_storage(config)
    for path in _UNQUOTED:
        yield from check_expression(config, path)
    yield from _check_no_effect(config)
    yield from check_indices(config, ("tunerGpuIndices",))
    yield from _check_seeds(config)
    yield from _check_failed_value(config)
    yield from check_job(config)
    yield from check_bound(config)


def _check_name(config: Config) -> Iterator[Problem]:
    name = config.get("experimentName")
    if isinstance(name, str) and (
        _BAD_NAME.search(name) or name in (".", "..") or len(name) > _LONGEST_NAME
    ):
        wanted = f"no '/', '\\' or control characters, at most {_LONGEST_NAME} characters"
        said = Sentence(
            f"'experimentName' becomes a folder's name: {wanted}.",
            hint="Rename it.",
            found=show(config, ("experimentName",), name),
            expected=wanted,
        )
        yield config.problem(("experimentName",), "E-name", said)


def _check_command(config: Config) -> Iterator[Problem]:
    if config.get("trialCommand") is None and ("trialCommand",) not in config.broken:
        text = Sentence(
            "the experiment needs 'trialCommand'.",
            hint="For example `trialCommand: python3 mnist.py`.",
            expected="'trialCommand'",
        )
        yield config.problem((), "E-required", text)


def _check_folders(config: Config) -> Iterator[Problem]:
    yield from _check_folder(config, ("trialCodeDirectory",), "Create it, or correct the path.")
    yield from _check_folder(config, ("amlc", "templates"), "Create it, or remove the key.")
    for kind in ("tuner", "assessor"):
        yield from _check_folder(config, (kind, "codeDirectory"), "Create it, or correct the path.")


def _check_folder(config: Config, path: JsonPath, advice: str) -> Iterator[Problem]:
    value = config.get(*map(str, path))
    if not isinstance(value, str):
        return
    folder = config.resolve(value)
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "does not exist"
        text = Sentence(
            f"the folder '{value}' {found}; paths count from this file's folder.",
            hint=advice,
            found=f"'{value}', which {found}",
            expected="a folder",
        )
        yield config.problem(path, "E-folder", text)


def _check_durations(config: Config) -> Iterator[Problem]:
    for path in (("maxExperimentDuration",), ("maxTrialDuration",), ("amlc", "jobStart")):
        value, name = config.get(*path), path[-1]
        if value is None:
            continue
        try:
            parse_time(value)  # the schema knows the form of it, and not how long it is
        except ValueError:
            hint = "Write for example '30m', or remove it for no limit."
            found, wanted = f"'{shorten(str(value))}'", "above zero and below 300 years"
            said = expected_other(f"'{name}'", wanted, found, hint=hint)
            yield config.problem(path, "E-duration", said)


def _check_storage(config: Config) -> Iterator[Problem]:
    kind = config.get("sharedStorage", "storageType")
    if not isinstance(config.get("sharedStorage"), Mapping):
        return
    path = ("sharedStorage", "storageType")
    for name in _STORAGE.get(str(kind), ()):
        is_broken = ("sharedStorage", name) in config.broken
        if config.get("sharedStorage", name) is None and not is_broken:
            text = Sentence(
                f"storage of type {kind} needs '{name}'.",
                hint="Add it to 'sharedStorage'.",
                expected=f"'{name}'",
            )
            yield config.problem(path, "E-required", text)
    if config.get("sharedStorage", "localMounted") == "nomount":
        text = Sentence(
            "'nomount' is refused by NNI itself.",
            hint="Write usermount if you mount the storage, nnimount otherwise.",
            found="'nomount'",
            expected="usermount or nnimount",
        )
        yield config.problem(("sharedStorage", "localMounted"), "E-storage", text)


def check_expression(config: Config, path: tuple[str, ...]) -> Iterator[Problem]:
    """Yield an error for an expression of AML's in a value that stands in job files as it is."""
    if _EXPRESSION.search(str(config.get(*path))):
        text = Sentence(
            f"'{path[-1]}' must not have '${{{{' or '$[[', which Azure ML would replace.",
            hint="Write what it stands for.",
            found=show(config, path, config.get(*path)),
            expected="no '${{' or '$[['",
        )
        yield config.problem(path, "E-expression", text)


def without_effect(name: str, value: Any) -> str:
    """Return why a key at the top has no effect, "" if it has one, or says what is so anyway."""
    return "" if value is None or value == _DEFAULTS.get(name) else _NO_EFFECT.get(name, "")


def _check_no_effect(config: Config) -> Iterator[Problem]:
    for name in _NO_EFFECT:
        if reason := without_effect(name, config.get(name)):
            text = Sentence(f"'{name}' has no effect: {reason}.", hint="Remove it.")
            yield config.note((name,), "W-no-effect", text)


def gpu_indices(value: Any) -> tuple[int, ...] | None:
    """Return `gpuIndices` in any of its three forms as indices, None for all GPUs."""
    if value is None:
        return None
    if isinstance(value, str):
        return tuple(int(part) for part in value.split(","))
    return (value,) if isinstance(value, int) else tuple(value)


def check_indices(config: Config, path: tuple[str, ...]) -> Iterator[Problem]:
    """Yield an error for GPUs that are named twice in text such as `0,1,0`.

    The schema sees to lists.
    """
    indices = gpu_indices(config.get(*path)) or ()
    if len(set(indices)) != len(indices):
        text = Sentence(
            f"'{path[-1]}' names the same GPU twice: {', '.join(map(str, indices))}.",
            hint="Remove one of them.",
            found=", ".join(map(str, indices)),
        )
        yield config.problem(path, "E-duplicate-item", text)


def _check_failed_value(config: Config) -> Iterator[Problem]:
    value = config.get("amlc", "failedValue")
    path = ("amlc", "failedValue")
    # Neither NaN, nor a whole number beyond all floats.
    if isinstance(value, (int, float)) and not abs(value) <= sys.float_info.max:
        found, wanted = show(config, path, value), "worst, ignore or a finite number"
        said = expected_other("'failedValue'", wanted, found, hint="Write for example worst.")
        yield config.problem(path, "E-range", said)


def _check_seeds(config: Config) -> Iterator[Problem]:
    ours, theirs = config.get("amlc", "seed"), config.get("tuner", "classArgs", "seed")
    if ours is not None and theirs is not None and ours != theirs:
        text = Sentence(
            "'amlc.seed' and the tuner's 'seed' differ; amlc.seed wins.", hint="Keep one of them."
        )
        yield config.warning(("amlc", "seed"), "W-twice", text)


def check_endless(config: Config, space: Space, tuner: str | None) -> Iterator[Problem]:
    """Yield a warning when nothing ends the experiment: neither a limit nor the space."""
    known = find(tuner, "tuner")
    bounds = ("maxTrialNumber", "maxExperimentDuration")
    if known is None or any(
        config.get(name) is not None or (name,) in config.broken for name in bounds
    ):
        return
    advice = "It runs until ^C. Set 'maxTrialNumber' or 'maxExperimentDuration'."
    if not known.ends:
        text = Sentence(f"{known.name} goes on for ever.", hint=advice)
        yield config.problem((), "W-endless", text, severity=Severity.WARNING)
    elif tuner != "Batch" and (name := inexhaustible(space)):
        text = Sentence(
            f"'{name}' has endlessly many values, so the experiment never ends.", hint=advice
        )
        yield config.problem((), "W-endless", text, severity=Severity.WARNING)


def check_constraints(config: Config, space: Space, tuner: str | None) -> Iterator[Problem]:
    """Yield what is wrong with the expressions of `amlc.constraints`.

    Their syntax, and names the space has not.
    """
    constraints = config.get("amlc", "constraints")
    if not constraints:
        return
    from jinja2 import TemplateSyntaxError

    names = _names(space, tuner)
    for index, text in enumerate(constraints):
        path = ("amlc", "constraints", index)
        try:
            used = variables(text)
        except (TemplateSyntaxError, RecursionError) as error:
            advice = "Write for example 'lr * batch_size <= 3.2'."
            why = shorten(str(getattr(error, "message", "it is nested too deep"))).rstrip(".")
            yield config.problem(
                path,
                "E-constraint",
                Sentence(f"not an expression: {why}.", hint=advice),
            )
            continue
        # `parameters` has all of them, for names that are no identifiers.
        for name in sorted(used - names - {"parameters"}):
            yield config.problem(path, "E-constraint", no_parameter(name, sorted(names)))


def variables(expression: str) -> set[str]:
    """Return the names that a Jinja expression reads; raises jinja2's TemplateSyntaxError."""
    from jinja2 import TemplateSyntaxError, meta, nodes
    from jinja2.parser import Parser

    from amlc.sandbox import BoundedSandbox

    # As `Environment.compile_expression` begins: what it returns does not tell the names.
    environment = BoundedSandbox()  # in which the compiler computes nothing of it
    parser = Parser(environment, expression, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        raise TemplateSyntaxError(f"unexpected {str(parser.stream.current.value)!r}", 1)
    template = nodes.Template([nodes.Output([tree], lineno=1)], lineno=1)
    template.set_environment(environment)
    return meta.find_undeclared_variables(template)


def _names(space: Space, tuner: str | None) -> set[str]:
    if tuner != "Batch":
        return {*parameter_names(space)}
    found: set[str] = set()
    for dimension in space:
        for row in dimension.options if isinstance(dimension, Choice) else ():
            found |= set(row) if isinstance(row, Mapping) else {dimension.name}
    return found
