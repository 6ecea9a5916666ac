"""Build what a job template sees.

The job file's own keys as plain values, merged with the user's `amlc.job`.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from amlc.bindings import bound, literal, local_paths, variable, with_paths
from amlc.errors import PlanError, Sentence
from amlc.model import Choice, Experiment, Trial
from amlc.names import aml_name, job_name
from amlc.plan import Job, abreast, replicate_of
from amlc.render.sweep import Sampled, as_sweep
from amlc.space.latents import RANDOM, latents, records
from amlc.space.points import flattened

Own: TypeAlias = "Callable[[Job, Sequence[str]], dict[str, Any]]"
Whole: TypeAlias = "Callable[[Job, Mapping[str, Any]], dict[str, Any]]"

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_spaced = json.JSONEncoder(ensure_ascii=False).encode
# AML substitutes these and has no escape for them; in JSON, \u0024 is the same dollar.
_EXPRESSION = re.compile(r"\$(?=\{\{|\[\[)")
# NNI's image, for a job file of a local experiment, which has to be valid AML YAML too.
_DEFAULT_IMAGE = "msranni/nni:latest"
# Linux refuses one environment string of 128 KiB or more, and 2 MiB of them all under the usual
# stack limit.
_PART_BYTES = 100_000
MOST_BYTES = 1_500_000
# Azure ML's limits: 50 tags with keys of 100 and values of 1,000 characters.
_TAG_LENGTH = 256
_TAG_NAME_LENGTH = 100
_OWN_TAG_LENGTH = 1_000
_PARAMETER_TAGS = 40  # the others are amlc's and the user's
_FIRST_KEYS = (
    "$schema",
    "type",
    "name",
    "display_name",
    "experiment_name",
    "code",
    "command",
    "environment",
)
STANDARD_KEYS = frozenset({*_FIRST_KEYS, "compute", "environment_variables", "limits", "tags"})


def inert(text: str) -> str:
    r"""Return `text` without a live AML expression.

    The dollar of `${{` and `$[[` becomes `\u0024`.
    """
    return _EXPRESSION.sub(r"\\u0024", text) if "$" in text else text


def as_json(value: Any) -> str:
    """Return `value` as one line of JSON that AML passes on unchanged."""
    return inert(_compact(value))


def mapper(
    experiment: Experiment, *, revision: str, folder: Path | None = None
) -> Callable[[Job], dict[str, Any]]:
    """Return the function that gives the job file of a job as plain values, `amlc.job` merged in.

    Keys that have no value are left out. folder: the build folder, for what has to be found from
    there. It raises PlanError when the parameters do not fit into an environment.
    """
    own, whole = in_two(experiment, revision=revision, folder=folder)
    return lambda job: whole(job, own(job, job.records()))


def in_two(
    experiment: Experiment, *, revision: str, folder: Path | None = None
) -> tuple[Own, Whole]:
    """Return what gives a job's own values, and what makes of them what `mapper` returns.

    Its own, by the job and its `records`, are name, display name, environment variables and tags,
    before `amlc.job` is merged in. The rest is the same for jobs of as many trials whose files lie
    as deep, unless they are sweeps, and what is made does not depend on how those values read.
    """
    fixed, patch, export = _fixed(experiment), _patch(experiment, folder), _export(experiment)
    variables, tags = _variables(experiment), _tags(experiment, revision)
    limit = experiment.trial_seconds
    shown_name = experiment.name[:200]

    def own(job: Job, records: Sequence[str]) -> dict[str, Any]:
        first, last = job.sequence, job.draws[-1] if job.draws else job.trials[-1].sequence
        return {
            "name": job_name(experiment.name, job.id, revision),
            "display_name": inert(
                f"{shown_name} #{first}" if first == last else f"{shown_name} #{first}-{last}"
            ),
            "environment_variables": variables(job, records),
            "tags": tags(job),
        }

    def whole(job: Job, own: Mapping[str, Any]) -> dict[str, Any]:
        mapping = {
            "name": own["name"],
            "display_name": own["display_name"],
            "code": _code(job.file),
            **fixed,
            "environment_variables": own["environment_variables"],
            "tags": own["tags"],
        }
        if limit is not None:
            together = 1 if job.sweep else len(job.trials)
            mapping["limits"] = {"timeout": backstop_s(limit, trials=together)}
        if experiment.job:
            mapping = merged(mapping, patch(job.file.count("/")))
        if export:
            mapping["command"] = f"{export} && {mapping['command']}"
        return _swept(mapping, experiment, job) if job.sweep else mapping

    return own, whole


def _swept(values: Mapping[str, Any], experiment: Experiment, job: Job) -> dict[str, Any]:
    """Return the values of the sweep whose children run a job's trials, by those of the job."""
    bounds, assessor = experiment.target.job.sweeps, experiment.assessor
    assert bounds is not None  # or there would be no sweep
    limit_s = experiment.max_seconds
    return as_sweep(
        values,
        trials=len(job.draws or job.trials),
        concurrency=min(experiment.concurrency, bounds.concurrency),
        max_s=None if limit_s is None else max(limit_s, bounds.least_s),
        goal=experiment.optimize_mode or "minimize",
        start_step=None if assessor is None else assessor.class_args.get("start_step", 0),
        sampled=_sampled(experiment, job) if job.draws else None,
    )


def _sampled(experiment: Experiment, job: Job) -> Sampled:
    """Return how the platform draws the trials of a sweep."""
    algorithm: Any = experiment.sampling or RANDOM
    if algorithm == RANDOM:  # a further sweep is to draw others
        seed = (experiment.seed + job.draws.start) % 2**31
        algorithm = {"type": RANDOM, "seed": seed, "rule": RANDOM}
    drawn = latents(experiment.space, experiment.sampling or RANDOM)
    return Sampled(algorithm, {latent.name: dict(latent.space) for latent in drawn})


def _space_variables(experiment: Experiment, job: Job) -> dict[str, str]:
    """Return what tells the runner how a trial is made of what the platform drew."""
    space = {
        "namespace": experiment.namespace,
        "first": job.draws.start,
        "axes": records(latents(experiment.space, experiment.sampling or RANDOM)),
    }
    return in_parts("AMLC_SPACE", as_json(space))


def _patch(experiment: Experiment, folder: Path | None) -> Callable[[int], Mapping[str, Any]]:
    """Return what gives `amlc.job` for job files so many folders below the build folder.

    Its relative paths count from the experiment file, and in a job file from that one's folder.
    """
    patch = experiment.job
    if not any(local_paths(patch)):
        return lambda depth: patch
    base = experiment.source.parent
    top = None if folder is None else os.path.realpath(folder)

    @cache
    def of_depth(depth: int) -> Mapping[str, Any]:
        def seen_from_there(path: str) -> str:
            expanded = os.path.expanduser(path)
            if os.path.isabs(expanded):
                return expanded
            place = os.path.join(base, expanded)
            if top is None:
                return os.path.normpath(place)
            return os.path.relpath(place, os.path.join(top, *["0"] * depth))

        return with_paths(patch, seen_from_there)

    return of_depth


def _export(experiment: Experiment) -> str:
    """Return the shell text that tells the runner where the data is that the command names."""
    known = {name: experiment.job.get(name) or {} for name in ("inputs", "outputs")}
    names = [
        (section, name)
        for section, name in bound(experiment.command)
        if name in known[section] and literal(known[section][name]) is None
    ]
    # In double quotes: Azure ML may put a variable of its own there.
    pairs = [f'{variable(*each)}="${{{{{each[0]}.{each[1]}}}}}"' for each in names]
    return f"export {' '.join(pairs)}" if pairs else ""


def backstop_s(trial_seconds: int, *, trials: int) -> int:
    """Return a job's own time limit in seconds, a second line behind the runner's for trials."""
    # The runner ends each trial at its limit. Beside that it needs time to copy the code for it and
    # to see to its end (a minute, also with a large snapshot), and at its start and its end (four).
    # Trials of a job may run one by one.
    return (trial_seconds + 60) * trials + 240


def _code(file: str) -> str:
    """Return where the snapshot lies, seen from the job file of that path in the build folder."""
    return "../" * file.count("/") + "code"


def _fixed(experiment: Experiment) -> dict[str, Any]:
    """Return what all jobs of an experiment share."""
    part = experiment.target.job
    command = "python3 amlc_runner.py"
    fixed: dict[str, Any] = {
        "experiment_name": aml_name(experiment.name),
        "command": f"{part.setup} && {command}" if part.setup else command,
        "environment": experiment.environment or {"image": part.image or _DEFAULT_IMAGE},
        "compute": part.compute,
    }
    if part.outputs:
        fixed["outputs"] = part.outputs
    return fixed


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `patch` laid over it.

    Mappings merge, everything else is replaced, null removes.
    """
    result = dict(base)
    for key, value in patch.items():
        old = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(old, Mapping):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def _variables(experiment: Experiment) -> Callable[[Job, Sequence[str]], dict[str, str]]:
    shared = {
        "AMLC_EXPERIMENT": as_json(experiment.name),
        "AMLC_COMMAND": as_json(experiment.command),
    }
    if experiment.gpus_per_trial is not None:
        shared["AMLC_GPUS_PER_TRIAL"] = str(experiment.gpus_per_trial)
        shared["AMLC_TRIALS_PER_GPU"] = str(experiment.trials_per_gpu)
    if experiment.trial_seconds is not None:
        shared["AMLC_TRIAL_SECONDS"] = str(experiment.trial_seconds)
    inputs = experiment.job.get("inputs") or {}
    for section, name in bound(experiment.command):
        text = literal(inputs.get(name)) if section == "inputs" else None
        if text is not None:
            shared[variable(section, name)] = text
    mount = experiment.target.job.mount
    if mount is not None:  # below it lies what the trials write, in the places that NNI uses
        shared["AMLC_OUTPUT_ROOT"] = as_json(f"{mount}/nni/{aml_name(experiment.name)}/trials")

    bare = _bare(experiment)

    def variables(job: Job, records: Sequence[str]) -> dict[str, str]:
        variables = {**shared, **(_space_variables(experiment, job) if job.draws else {})}
        is_pack = len(job.trials) > 1 and not job.sweep
        if experiment.gpus_per_trial and is_pack:  # without GPUs they run one by one
            variables["AMLC_CONCURRENCY"] = str(min(len(job.trials), abreast(experiment)))
        for index, trial in enumerate(() if job.draws else job.trials):
            replicate = replicate_of(experiment, trial) if experiment.replicates > 1 else None
            variables |= _trial_variables(index, records[index], replicate, bare(trial))
        # In characters, of which one takes four bytes at most.
        size = sum(map(len, variables.values()))
        if (
            size * 4 > MOST_BYTES
            and (size := sum(len(text.encode()) for text in variables.values())) > MOST_BYTES
        ):
            raise _too_large(job, variables, size)
        return variables

    return variables


def _too_large(job: Job, variables: Mapping[str, str], size: int) -> PlanError:
    """Return the error for a job whose variables take `size` bytes.

    It blames the largest parameter, or the command.
    """
    if len(variables["AMLC_COMMAND"]) > size // 2:
        text = Sentence(
            f"trialCommand: it takes {size:,} bytes, and a job's environment holds {MOST_BYTES:,}.",
            hint="Put it in a file.",
        )
        return PlanError(text, path=("trialCommand",), code="E-size")
    values = (item for trial in job.trials for item in trial.parameters.items())
    name, _ = max(values, key=lambda item: len(_compact(item[1])), default=("", None))
    if job.draws:
        text = Sentence(
            f"the search space takes {size:,} bytes, and a job's environment holds {MOST_BYTES:,}.",
            hint="Put large values into files of trialCodeDirectory and let the parameter name the "
            "file.",
        )
        return PlanError(text, path=("searchSpace",), code="E-size")
    text = Sentence(
        f"trial #{job.sequence}: its parameters take {size:,} bytes, and a job's environment holds "
        f"{MOST_BYTES:,}.",
        hint="Put large values into files of trialCodeDirectory and let the parameter name the file"
        + ("." if len(job.trials) == 1 else ", or lower amlc.trialsPerJob."),
    )
    return PlanError(text, path=("searchSpace", name), code="E-size")


def _bare(experiment: Experiment) -> Callable[[Trial], str | None]:
    """Return what names the parameter whose value alone a trial receives: a plain one of Batch."""
    if experiment.tuner.name != "Batch":
        return lambda trial: None
    (choice,) = experiment.space
    options = choice.options if isinstance(choice, Choice) else ()
    plain = {
        as_json({choice.name: option}) for option in options if not isinstance(option, Mapping)
    }
    return lambda trial: choice.name if plain and as_json(trial.parameters) in plain else None


def _trial_variables(
    index: int, record: str, replicate: int | None, bare: str | None
) -> dict[str, str]:
    if bare is not None or replicate is not None:
        more = {"bare": bare, "replicate": replicate}
        told = _compact({key: value for key, value in more.items() if value is not None})
        record = f"{record[:-1]},{told[1:]}"
    return in_parts(f"AMLC_TRIAL_{index}", inert(record))


def in_parts(name: str, text: str) -> dict[str, str]:
    """Return the variable of that name, and those in which a text goes on that is too long."""
    if len(text) * 4 <= _PART_BYTES or len(text.encode()) <= _PART_BYTES:
        return {name: text}
    step = _PART_BYTES // 4  # a character takes at most four bytes
    parts = [text[start : start + step] for start in range(0, len(text), step)]
    return {name: parts[0]} | {
        f"{name}_{number}": part for number, part in enumerate(parts[1:], start=1)
    }


def _tags(experiment: Experiment, revision: str) -> Callable[[Job], dict[str, str]]:
    name = aml_name(experiment.name)

    def tags(job: Job) -> dict[str, str]:
        ids = ",".join([trial.id for trial in job.trials])
        numbers = ",".join([str(trial.sequence) for trial in job.trials])
        tags = {
            "amlc.experiment": name,
            "amlc.trial": _tag(ids, _OWN_TAG_LENGTH),
            "amlc.sequence": _tag(numbers, _OWN_TAG_LENGTH),
            "amlc.revision": revision[:6],
        }
        if job.draws:  # which they are, the children say
            del tags["amlc.trial"], tags["amlc.sequence"]
        elif len(job.trials) == 1:
            for key, value in islice(flattened(job.trials[0].parameters).items(), _PARAMETER_TAGS):
                tags.setdefault(_tag_name(key), _tag_value(value))
        return tags

    return tags


@lru_cache(maxsize=4096)
def _tag_name(key: str) -> str:
    return _tag(key, _TAG_NAME_LENGTH)


def _tag_value(value: Any) -> str:
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        text = repr(value)  # which is its JSON, and takes a tenth of the time
    else:
        text = value if isinstance(value, str) else _spaced(value)
    return _tag(text, _TAG_LENGTH)


def _tag(text: str, length: int) -> str:
    """Return `text` short enough for a tag.

    A tag is for people and for filters, the variables hold the whole.
    """
    text = inert(text)
    return text if len(text) <= length else text[: length - 1] + "…"
