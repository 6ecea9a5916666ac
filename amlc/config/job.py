"""Checks `amlc.job`: what it may change of a job file, and what the file cannot do without."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from amlc.bindings import EXPRESSION, NAME, is_local, literal, local_paths
from amlc.config.spelling import Config
from amlc.config.wording import expected_other, show, wrong_type
from amlc.errors import Problem, Sentence, Severity, did_you_mean, shorten
from amlc.model import JsonPath

_JOB: JsonPath = ("amlc", "job")
_FIXED = {
    "name": "amlc makes the name, by which it finds the job again",
    "type": "a job of amlc is always a command job",
    "$schema": "a job of amlc always has that of command jobs",
}
_NEEDED = (
    "display_name",
    "experiment_name",
    "code",
    "command",
    "environment",
    "environment_variables",
    "tags",
)
_OWN_PREFIX = {"environment_variables": "AMLC_", "tags": "amlc."}
_EXAMPLES = {
    "inputs": "{type: uri_folder, path: azureml:mnist:1}",
    "outputs": "{type: uri_folder}",
}
_JOB_NAME = re.compile(r"\$\{\{\s*name\s*\}\}")
_OF_SWEEP = re.compile(r"\$\{\{\s*search_space\b[^{}]*\}\}")
_LONGEST_KEY = 1_000  # YAML readers refuse keys beyond 1,024


def check_job(config: Config) -> Iterator[Problem]:
    """Yield an error for each part of `amlc.job` that would spoil a job file or its trial."""
    job = config.get(*map(str, _JOB))
    if not isinstance(job, Mapping):
        return
    for name, reason in _FIXED.items():
        if name in job:
            text = Sentence(f"'{name}' cannot be set in 'amlc.job': {reason}.", hint="Remove it.")
            yield config.problem((*_JOB, name), "E-job", text, key=True)
    for name in _NEEDED:
        if name in job and job[name] is None:
            text = Sentence(
                f"'{name}' cannot be removed from a job by null: every job needs it.",
                hint="Remove the key, or set a value.",
                found="null",
                expected="a value",
            )
            yield config.problem((*_JOB, name), "E-job", text)
    for name, prefix in _OWN_PREFIX.items():
        yield from _check_section(config, name, job.get(name), prefix)
    yield from _check_resources(config, job.get("resources"))
    yield from _check_values(config, _JOB, job)
    yield from _check_bindings(config, "inputs", job.get("inputs"))
    yield from _check_bindings(config, "outputs", job.get("outputs"))
    yield from _check_local_paths(config, job)


def check_bound(config: Config) -> Iterator[Problem]:
    """Yield an error for each input and output of the trial command that the jobs do not have."""
    command = config.get("trialCommand")
    if not isinstance(command, str):
        return
    for text in dict.fromkeys(_OF_SWEEP.findall(command)):
        said = Sentence(
            f"the command names {shorten(text)}, which nothing fills in.",
            "A trial asks for its parameters: `nni.get_next_parameter()`.",
            found=shorten(text),
            expected="inputs and outputs alone",
        )
        yield config.problem(("trialCommand",), "E-input", said)
    for text, section, name in dict.fromkeys(
        match.group(0, 1, 2) for match in EXPRESSION.finditer(command)
    ):
        known = config.get(*map(str, _JOB), section) or {}
        if isinstance(known, Mapping) and known.get(name) is None:
            example = f"`{name}: {_EXAMPLES[section]}`"
            said = Sentence(
                f"the command names {text}, and 'amlc.job.{section}' has no '{name}'.",
                did_you_mean(name, known).strip() or f"Put there for example {example}.",
                found=text,
            )
            yield config.problem(("trialCommand",), "E-input", said)


def _check_bindings(config: Config, section: str, given: Any) -> Iterator[Problem]:
    path = (*_JOB, section)
    if given is not None and not isinstance(given, Mapping):
        example = f"{section}: {{data: {_EXAMPLES[section]}}}"
        yield _wrong_type(config, path, given, kind="object", example=example)
        return
    for name, value in (given or {}).items():
        if not NAME.fullmatch(name):
            text = Sentence(
                f"'{shorten(name)}' cannot name one of the {section}: Azure ML takes letters, "
                "digits and '_', no digit first.",
                hint="Rename it.",
                found=f"'{shorten(name)}'",
                expected="letters, digits and '_', no digit first",
            )
            yield config.problem((*path, name), "E-job", text, key=True)
        is_data = isinstance(value, Mapping) and "type" in value and literal(value) is None
        if section == "inputs" and is_data and not isinstance(value.get("path"), str):
            text = Sentence(
                f"the input '{shorten(name)}' has no path.",
                hint=f"For example `{_EXAMPLES[section]}`.",
            )
            yield config.problem((*path, name), "E-job", text)
        where = value.get("path") if isinstance(value, Mapping) else None
        if section == "outputs" and isinstance(where, str) and is_local(where):
            text = Sentence(
                f"the output '{shorten(name)}' cannot lie on this machine.",
                hint=(
                    "Leave out its path, or "
                    "write for example `azureml://datastores/workspaceblobstore/paths/models/${{name}}/`."
                ),
            )
            yield config.problem((*path, name, "path"), "E-job", text)
        elif section == "outputs" and isinstance(where, str) and not _JOB_NAME.search(where):
            text = Sentence(
                f"all jobs write the output '{shorten(name)}' to the same place, each over what "
                "others wrote.",
                hint=f"Put the job's name into it: `{where.rstrip('/')}/${{{{name}}}}/`.",
            )
            place = (*path, name, "path")
            yield config.problem(place, "W-output", text, severity=Severity.WARNING)


def _check_local_paths(config: Config, job: Mapping[str, Any]) -> Iterator[Problem]:
    code = config.resolve(config.get("trialCodeDirectory") or ".")
    for place, path in local_paths(job):
        found = config.resolve(path)
        if not found.exists():
            text = Sentence(
                f"'{path}' does not exist; paths count from this file's folder.",
                hint="Create it, or name what Azure has, such as azureml:NAME:VERSION.",
            )
            yield config.problem((*_JOB, *place), "E-file", text)
        elif place[0] == "inputs" and code.is_relative_to(found):
            text = Sentence(
                f"'{path}' holds the trial code, which each job has anyway.",
                hint="Put the data into a folder of its own.",
            )
            yield config.problem((*_JOB, *place), "E-job", text)


def _check_section(config: Config, name: str, section: Any, prefix: str) -> Iterator[Problem]:
    path = (*_JOB, name)
    if section is not None and not isinstance(section, Mapping):
        yield _wrong_type(config, path, section, kind="object", example=f"{name}: {{KEY: value}}")
        return
    for key in section or {}:
        if key.startswith(prefix):
            text = Sentence(
                f"'{shorten(key)}' is amlc's own: keys with '{prefix}' carry the trial.",
                hint="Give it another name.",
            )
            yield config.problem((*path, key), "E-job", text, key=True)


def _check_resources(config: Config, resources: Any) -> Iterator[Problem]:
    path = (*_JOB, "resources")
    if resources is not None and not isinstance(resources, Mapping):
        yield _wrong_type(
            config, path, resources, kind="object", example="resources: {instance_count: 2}"
        )
    elif resources and "instance_count" in resources:
        count, path = resources["instance_count"], (*path, "instance_count")
        if type(count) is not int:
            yield _wrong_type(config, path, count, kind="integer", example="instance_count: 2")
        elif count < 1:
            hint = "For example `instance_count: 2`."
            said = expected_other("'instance_count'", "at least 1", str(count), hint=hint)
            yield config.problem(path, "E-job", said)


def _wrong_type(config: Config, path: JsonPath, value: Any, *, kind: str, example: str) -> Problem:
    found = show(config, path, value)
    text = wrong_type(
        f"'{path[-1]}'", found, value, kinds=[kind], example=f"For example `{example}`."
    )
    return config.problem(path, "E-job", text)


def _check_values(config: Config, path: JsonPath, value: Any) -> Iterator[Problem]:
    """Yield an error for each key that YAML readers refuse, and each NaN, which equals nothing."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if len(key) > _LONGEST_KEY:
                text = Sentence(
                    f"a key in 'amlc.job' has at most {_LONGEST_KEY:,} characters, got "
                    f"{len(key):,}.",
                    hint="Shorten it.",
                    found=f"{len(key):,}",
                    expected=f"at most {_LONGEST_KEY:,} characters",
                )
                yield config.problem((*path, key), "E-job", text, key=True)
            yield from _check_values(config, (*path, key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _check_values(config, (*path, index), inner)
    elif isinstance(value, float) and math.isnan(value):
        text = Sentence(
            f"'{shorten(str(path[-1]))}' is NaN, which no job file can hold.",
            hint="Write a number, or remove it.",
            found="NaN",
            expected="a number",
        )
        yield config.problem(path, "E-job", text)
