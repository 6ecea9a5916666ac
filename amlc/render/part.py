"""Make the job file of some of a compiled job's trials.

What is left of a packed job to run again, or of a sweep to run; and one trial of a sweep by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from amlc.model import Trial
from amlc.render.context import as_json, in_parts
from amlc.render.scalars import from_yaml, to_yaml
from amlc.render.sweep import as_job, is_sweep, name_of, of_trials

_TRIAL: Final = re.compile(r"AMLC_TRIAL_(\d+)(?:_(\d+))?")
_SPACE: Final = re.compile(r"AMLC_SPACE(_\d+)?")
_TAG_LENGTH: Final = 1_000


def part(content: bytes, trials: Collection[str]) -> bytes:
    """Return the compiled job file `content` with no trials but those of the ids `trials`.

    All else stays as it is. Its limit stays too: it is far behind that of each trial.
    """
    job = from_yaml(content)
    if not is_sweep(job):
        return _text(_only(job, trials))
    job["environment_variables"] = job["trial"].pop("environment_variables")
    rest = _only(job, trials)
    job["trial"]["environment_variables"] = rest.pop("environment_variables")
    return _text(of_trials(rest, len(trials)))


def alone(content: bytes, trial: Trial) -> bytes:
    """Return the file of the job that runs one trial of a compiled sweep by itself."""
    job = as_job(from_yaml(content))
    variables = job["environment_variables"]
    if any(_SPACE.fullmatch(name) for name in variables):  # the platform drew it
        rest = {name: text for name, text in variables.items() if not _SPACE.fullmatch(name)}
        rest |= in_parts("AMLC_TRIAL_0", as_json(trial.as_dict()))
        job = {**job, "environment_variables": rest}
    job = _only(job, [trial.id])
    return _text({**job, "display_name": name_of(job, int(job["tags"]["amlc.sequence"]))})


def _only(job: Mapping[str, Any], trials: Collection[str]) -> dict[str, Any]:
    """Return the values of a job with no trials but those."""
    variables = job["environment_variables"]
    kept = [parts for parts in _trials(variables) if _trial(parts)["id"] in trials]
    others = {name: text for name, text in variables.items() if not _TRIAL.fullmatch(name)}
    values = [_trial(parts) for parts in kept]
    tags = {
        **(job.get("tags") or {}),
        "amlc.trial": _short(",".join(value["id"] for value in values)),
        "amlc.sequence": _short(",".join(str(value["sequence"]) for value in values)),
    }
    return {**job, "environment_variables": {**others, **_numbered(kept)}, "tags": tags}


def _text(job: Mapping[str, Any]) -> bytes:
    return "".join(f"{name}: {to_yaml(value)}\n" for name, value in job.items()).encode()


def _numbered(trials: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the variables of these trials, numbered anew from 0."""
    variables = {}
    for index, parts in enumerate(trials):
        for n, text in enumerate(parts):
            variables[_name(index, n)] = text
    return variables


def _trials(variables: Mapping[str, str]) -> list[list[str]]:
    """Return the variables of each trial, in order: a long text goes on in further ones."""
    found: dict[int, dict[int, str]] = {}
    for name, text in variables.items():
        if match := _TRIAL.fullmatch(name):
            found.setdefault(int(match[1]), {})[int(match[2] or 0)] = text
    return [[parts[n] for n in sorted(parts)] for _, parts in sorted(found.items())]


def _trial(parts: list[str]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads("".join(parts))
    return value


def _name(index: int, part_: int) -> str:
    return f"AMLC_TRIAL_{index}" if part_ == 0 else f"AMLC_TRIAL_{index}_{part_}"


def _short(text: str) -> str:
    """Return a tag's text within Azure ML's limit; the variables hold the whole."""
    return text if len(text) <= _TAG_LENGTH else f"{text[: _TAG_LENGTH - 1]}…"
