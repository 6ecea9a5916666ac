"""Checks `amlc.job`: what it may change of a job file, and what the file cannot do without."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from amlc.config.spelling import Config
from amlc.config.wording import show, wrong_type
from amlc.errors import Problem, shorten
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
_LONGEST_KEY = 1_000  # YAML readers refuse keys beyond 1,024


def check_job(config: Config) -> Iterator[Problem]:
    """Yield an error for each part of `amlc.job` that would spoil a job file or its trial."""
    job = config.get(*map(str, _JOB))
    if not isinstance(job, Mapping):
        return
    for name, reason in _FIXED.items():
        if name in job:
            text = f"'{name}' cannot be set in 'amlc.job': {reason}. Remove it."
            yield config.problem((*_JOB, name), "E-job", text, key=True)
    for name in _NEEDED:
        if name in job and job[name] is None:
            text = (
                f"'{name}' cannot be removed from a job by null: every job needs it. "
                "Remove the key, or set a value."
            )
            yield config.problem((*_JOB, name), "E-job", text)
    for name, prefix in _OWN_PREFIX.items():
        yield from _check_section(config, name, job.get(name), prefix)
    yield from _check_resources(config, job.get("resources"))
    yield from _check_values(config, _JOB, job)


def _check_section(config: Config, name: str, section: Any, prefix: str) -> Iterator[Problem]:
    path = (*_JOB, name)
    if section is not None and not isinstance(section, Mapping):
        yield _wrong_type(config, path, section, kind="object", example=f"{name}: {{KEY: value}}")
        return
    for key in section or {}:
        if key.startswith(prefix):
            text = (
                f"'{shorten(key)}' is amlc's own: keys with '{prefix}' carry the trial. "
                "Give it another name."
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
            text = (
                f"'instance_count' must be at least 1, got {count}. For example `instance_count: "
                "2`."
            )
            yield config.problem(path, "E-job", text)


def _wrong_type(config: Config, path: JsonPath, value: Any, *, kind: str, example: str) -> Problem:
    found = show(config, path, value)
    text = wrong_type(
        f"'{path[-1]}'", found, value, kinds=[kind], example=f" For example `{example}`."
    )
    return config.problem(path, "E-job", text)


def _check_values(config: Config, path: JsonPath, value: Any) -> Iterator[Problem]:
    """Yield an error for each key that YAML readers refuse, and each NaN, which equals nothing."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if len(key) > _LONGEST_KEY:
                text = (
                    f"a key in 'amlc.job' has at most {_LONGEST_KEY:,} characters, got "
                    f"{len(key):,}. Shorten it."
                )
                yield config.problem((*path, key), "E-job", text, key=True)
            yield from _check_values(config, (*path, key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _check_values(config, (*path, index), inner)
    elif isinstance(value, float) and math.isnan(value):
        text = (
            f"'{shorten(str(path[-1]))}' is NaN, which no job file can hold. "
            "Write a number, or remove it."
        )
        yield config.problem(path, "E-job", text)
