"""Rebuild what happened, and what was compiled, from the jobs of a workspace alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from amlc.manifest import Entry, Header
from amlc.model import Algorithm, Trial
from amlc.names import JOB_NAME, job_id
from amlc.plan import Job
from amlc.render.scalars import to_yaml
from amlc.render.sweep import SCHEMA as SWEEP_SCHEMA
from amlc.render.sweep import Sampled, as_sweep
from amlc.targets.aml import Storage, Workspace, latents
from amlc.targets.aml.runs import END_TAG, RESULTS_TAG, is_part
from amlc.targets.aml.views import DIGEST, EXPERIMENT, HEADER, REVISION, View, seconds_in, trials_of

_DISTRIBUTIONS = {
    "choice": ("values",),
    "randint": ("upper",),
    "uniform": ("min_value", "max_value"),
    "loguniform": ("min_value", "max_value"),
    "normal": ("mu", "sigma"),
    "lognormal": ("mu", "sigma"),
}
_MODES = {
    "ReadOnlyMount": "ro_mount",
    "ReadWriteMount": "rw_mount",
    "Download": "download",
    "Upload": "upload",
    "Direct": "direct",
    "EvalMount": "eval_mount",
    "EvalDownload": "eval_download",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A job of the workspace that amlc made: its job's id, which attempt it was, what it ran.

    draws: the numbers of the trials that the service draws for it, of which no job says what they
    are; empty: `trials` are all.
    """

    view: View
    id: str
    base: str
    number: int
    revision: str
    trials: tuple[Trial, ...]
    created: float
    draws: range = range(0)

    @property
    def sequence(self) -> int:
        """The number of its first trial."""
        return self.draws.start if self.draws else self.trials[0].sequence


def found(view: View, *, current: str = "") -> Found | None:
    """Return what a job's name and environment say of it, or None if it is not one of amlc's.

    current: the compiled revision, which a job without the property is of when the first six digits
    agree.
    """
    match, trials = JOB_NAME.fullmatch(view.name), trials_of(view)
    draws = latents.numbers(view)
    if match is None or not (trials or draws):
        return None
    revision = str(view.notes.get(REVISION) or match["revision"])
    if current.startswith(revision):
        revision = current
    number = int(match["number"] or 1)
    created = _epoch(view.created)
    return Found(view, match["id"], match["base"], number, revision, trials, created, draws)


def in_order(jobs: Iterable[Found]) -> list[Found]:
    """Return the jobs as they were submitted; the attempts of one job by their numbers."""
    return sorted(jobs, key=lambda job: (job.number, job.sequence, job.created))


def experiment_of(view: View) -> str:
    """Return the experiment's name as the user wrote it."""
    try:
        return str(json.loads(view.variables["AMLC_EXPERIMENT"]))
    except (KeyError, ValueError):
        return str(view.tags.get(EXPERIMENT) or view.experiment)


def header_of(newest: Found, workspace: Workspace) -> Header:
    """Return the manifest's header as the newest job has it, and defaults for the rest."""
    plain = Header(
        experiment=experiment_of(newest.view),
        backend="aml",
        revision=newest.revision,
        concurrency=1,
        retries=2,
        max_seconds=None,
        optimize_mode=None,
        gpus_per_trial=None,
        trials_per_gpu=1,
        target={"aml": {"workspace": asdict(workspace)}},
    )
    try:
        told = json.loads(newest.view.notes.get(HEADER) or "{}")
        storage, assessor = told.pop("storage", None), told.pop("assessor", None)
        known = {field.name for field in fields(Header)} - {"backend", "target"}
        values = {name: value for name, value in told.items() if name in known}
        part = {"workspace": asdict(workspace)}
        if storage:
            part["storage"] = asdict(Storage(**storage))
        return replace(
            plain,
            **values,
            target={"aml": part},
            assessor=Algorithm(**assessor) if assessor else None,
        )
    except (ValueError, TypeError, AttributeError):
        return plain


def entry(job: Found) -> tuple[Entry, bytes]:
    """Return the manifest's entry of a job and its file's content, which needs no code here."""
    content = _job_text(job)
    digest, sweep = hashlib.sha256(content).hexdigest(), job.view.is_sweep
    # A sweep may have had what an earlier one of that name had left.
    is_known = sweep and not job.draws
    made = job_id([trial.id for trial in job.trials]) if is_known else job.id
    name = job.base.replace(f"-{job.id}-", f"-{made}-")
    file = Job(made, job.trials, sweep, job.draws).file
    return Entry(made, name, file, digest, job.trials, sweep, draws=job.draws), content


def _job_text(job: Found) -> bytes:
    lines = [
        "# Rebuilt by amlc refresh from the workspace; the code is the asset that the job ran."
    ]
    values = _sweep_values(job) if job.view.is_sweep else _job_values(job)
    lines += [f"{name}: {to_yaml(value)}" for name, value in values.items()]
    return ("\n".join(lines) + "\n").encode()


def _sweep_values(job: Found) -> dict[str, Any]:
    given, limits = job.view.properties, job.view.properties.get("limits") or {}
    objective, policy = given.get("objective") or {}, given.get("earlyTermination") or {}
    trial_s, sweep_s = seconds_in(limits.get("trialTimeout")), seconds_in(limits.get("timeout"))
    job_values = {
        **_job_values(job),
        "limits": None if trial_s is None else {"timeout": round(trial_s)},
    }
    sweep = as_sweep(
        {name: value for name, value in job_values.items() if value},
        trials=len(job.draws or job.trials),
        concurrency=int(limits.get("maxConcurrentTrials") or 1),
        max_s=None if sweep_s is None else round(sweep_s),
        goal=str(objective.get("goal") or "Minimize").lower(),
        start_step=policy.get("delayEvaluation"),
        sampled=_sampled(job) if job.draws else None,
    )
    return {**sweep, "$schema": SWEEP_SCHEMA}


def _sampled(job: Found) -> Sampled:
    """Return how the service draws the trials, as a job file has it."""
    algorithm = _snake(job.view.properties.get("samplingAlgorithm"))
    kind = str(algorithm.pop("sampling_algorithm_type", "Random")).lower()
    space = {}
    for name, (distribution, arguments) in (job.view.properties.get("searchSpace") or {}).items():
        keys = _DISTRIBUTIONS.get(distribution, ())
        space[name] = {"type": distribution, **dict(zip(keys, arguments, strict=False))}
    return Sampled({"type": kind, **algorithm} if algorithm else kind, space)


def _job_values(job: Found) -> dict[str, Any]:
    given = {**job.view.properties, **job.view.inner}
    values: dict[str, Any] = {
        "$schema": "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json",
        "type": "command",
        "name": job.base,
        "display_name": given.get("displayName"),
        "experiment_name": job.view.experiment,
        "description": given.get("description"),
        "code": _reference(given.get("codeId")),
        "command": given.get("command"),
        "environment": _reference(given.get("environmentId")),
        "compute": f"azureml:{job.view.compute}" if job.view.compute else None,
        "environment_variables": job.view.variables,
        "inputs": _bindings(given.get("inputs"), "jobInputType"),
        "outputs": _bindings(given.get("outputs"), "jobOutputType"),
        "limits": _limits(given.get("limits") or {}),
        "resources": _snake(given.get("resources")),
        "queue_settings": _lower(_snake(given.get("queueSettings"))),
        "distribution": _distribution(given.get("distribution")),
        "tags": {
            name: value
            for name, value in job.view.tags.items()
            if name not in (DIGEST, END_TAG) and not is_part(name, RESULTS_TAG)
        },
    }
    return {name: value for name, value in values.items() if value}


def _reference(asset: str | None) -> str | None:
    return f"azureml:{asset}" if asset and not asset.startswith("azureml:") else asset


def _bindings(given: Mapping[str, Any] | None, kind: str) -> dict[str, Any]:
    bindings: dict[str, Any] = {}
    for name, value in (given or {}).items():
        if name == "default" or not value:
            continue
        if value.get(kind) == "literal":
            bindings[name] = value.get("value")
            continue
        mode = _MODES.get(str(value.get("mode")))
        parts = {"type": value.get(kind), "path": value.get("uri"), "mode": mode}
        bindings[name] = {part: text for part, text in parts.items() if text}
    return bindings


def _limits(given: Mapping[str, Any]) -> dict[str, int]:
    limit_s = seconds_in(given.get("timeout"))
    return {} if limit_s is None else {"timeout": round(limit_s)}


def _distribution(given: Mapping[str, Any] | None) -> dict[str, Any]:
    values = _snake(given)
    kind = values.pop("distribution_type", None)
    return {"type": str(kind).lower(), **values} if kind else {}


def _snake(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the service's keys as the job file spells them, those without a value left out."""
    return {
        re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower(): value
        for name, value in (given or {}).items()
        if value not in (None, {}, [])
    }


def _lower(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.lower() if isinstance(value, str) else value for name, value in values.items()
    }


def _epoch(text: str) -> float:
    # The service writes up to seven digits of a second, without the zeros at their end; Python 3.10
    # reads three or six.
    text = re.sub(r"\.(\d+)", lambda match: f".{match[1]:0<6.6}", text)
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
