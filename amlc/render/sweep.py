"""A sweep's file is a job's: what its children run lies in `trial`, what it sweeps beside that.

A sweep is compiled as if all of its trials were packed into one job, and a trial of it that runs
again by itself is that job with this trial alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from amlc.names import SWEEP_INDEX

SCHEMA: Final = "https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json"
IN_TRIAL: Final = (
    "code",
    "command",
    "environment",
    "environment_variables",
    "distribution",
    "resources",
)
"""What of a job's keys is its children's."""
OF_SWEEP: Final = ("sampling_algorithm", "search_space", "objective", "early_termination")
"""What only a sweep has."""
_PARAMETER: Final = re.compile(r"AMLC_(SWEEP_INDEX|LATENT_\w+)='\$\{\{search_space\.\w+\}\}' ")
_RUNNER: Final = "python3 amlc_runner.py"


def is_sweep(job: Mapping[str, Any]) -> bool:
    """Tell whether a job file is that of a sweep."""
    return job.get("type") == "sweep"


@dataclass(frozen=True, slots=True)
class Sampled:
    """How the platform draws the trials: its `sampling_algorithm`, and its `search_space`."""

    algorithm: Any
    space: Mapping[str, Any]


def as_sweep(
    job: Mapping[str, Any],
    *,
    trials: int,
    concurrency: int,
    max_s: int | None,
    goal: str,
    start_step: int | None,
    sampled: Sampled | None = None,
) -> dict[str, Any]:
    """Return the values of the sweep that runs what a job file with so many trials does.

    max_s: how long it may take. goal: `minimize` or `maximize`. start_step: how many reports of a
    trial come before NNI's Medianstop may end it, None without that. sampled: None where the job
    file says what the trials are.
    """
    inner = {name: job[name] for name in IN_TRIAL if name in job}
    outer = {name: value for name, value in job.items() if name not in IN_TRIAL}
    if not _PARAMETER.search(str(inner["command"])):
        before, runner, after = str(inner["command"]).rpartition(_RUNNER)
        inner["command"] = f"{before}{_given(sampled)}{runner}{after}"
    limits = {"max_total_trials": trials, "max_concurrent_trials": min(concurrency, trials)}
    if max_s is not None:
        limits["timeout"] = max_s
    trial_s = (outer.pop("limits", None) or {}).get("timeout")
    if trial_s is not None:
        limits["trial_timeout"] = trial_s
    values = {
        **outer,
        "type": "sweep",
        "sampling_algorithm": "grid" if sampled is None else sampled.algorithm,
        "search_space": _search_space(trials) if sampled is None else dict(sampled.space),
        "objective": {"goal": goal, "primary_metric": "default"},
        "limits": limits,
        "trial": inner,
    }
    if start_step is not None:  # a report is an interval
        values["early_termination"] = {
            "type": "median_stopping",
            "evaluation_interval": 1,
            "delay_evaluation": start_step,
        }
    return values


def flat(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sweep's values with those of its `trial` beside them."""
    inner = sweep.get("trial")
    return {**sweep, **(inner if isinstance(inner, Mapping) else {})}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `flat` made of a sweep's values as its file has it."""
    inner = {name: values[name] for name in IN_TRIAL if name in values}
    return {name: value for name, value in values.items() if name not in IN_TRIAL} | {
        "trial": {**values["trial"], **inner}
    }


def of_trials(sweep: Mapping[str, Any], trials: int) -> dict[str, Any]:
    """Return a sweep's values for so many trials, the others of which are taken out."""
    limits = {**sweep["limits"], "max_total_trials": trials}
    limits["max_concurrent_trials"] = min(limits["max_concurrent_trials"], trials)
    return {**sweep, "search_space": _search_space(trials), "limits": limits}


def as_job(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the job that runs the trials of a sweep."""
    own = (*OF_SWEEP, "limits", "trial", "$schema")
    outer = {name: value for name, value in sweep.items() if name not in own}
    limit_s = sweep["limits"].get("trial_timeout")
    job = {**outer, "type": "command", **sweep["trial"]}
    job["command"] = _PARAMETER.sub("", str(job["command"]))
    return job if limit_s is None else {**job, "limits": {"timeout": limit_s}}


def name_of(job: Mapping[str, Any], sequence: int) -> str:
    """Return the display name of the job that runs one trial of a sweep."""
    experiment = str(json.loads(job["environment_variables"]["AMLC_EXPERIMENT"]))
    return f"{experiment[:200]} #{sequence}"


def _given(sampled: Sampled | None) -> str:
    """Return what hands a child's parameters to the runner.

    So that they come along whether or not the service sets its variables for parameters that no
    command names.
    """
    if sampled is None:
        return f"AMLC_SWEEP_INDEX='${{{{search_space.{SWEEP_INDEX}}}}}' "
    return "".join(f"AMLC_LATENT_{name}='${{{{search_space.{name}}}}}' " for name in sampled.space)


def _search_space(trials: int) -> dict[str, Any]:
    return {SWEEP_INDEX: {"type": "choice", "values": list(range(trials))}}
