"""Read what the service says of a job: its status in amlc's words, trials, page, why it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amlc.backends.trials import trials_in
from amlc.model import Status, Trial

EXPERIMENT = "amlc.experiment"
TRIAL = "amlc.trial"
REVISION = "amlc.revision"
DIGEST = "amlc.digest"
HEADER = "amlc.header"
"""A job's tags, and properties of the same names; the digest is that of its compiled file."""

_STATUSES = {
    "NotStarted": Status.WAITING,
    "Scheduled": Status.WAITING,
    "Starting": Status.WAITING,
    "Provisioning": Status.WAITING,
    "Preparing": Status.WAITING,
    "Queued": Status.WAITING,
    "Running": Status.RUNNING,
    "Finalizing": Status.RUNNING,
    "CancelRequested": Status.RUNNING,
    "Completed": Status.SUCCEEDED,
    "Failed": Status.FAILED,
    "Canceled": Status.CANCELED,
}
# NotResponding and Paused are not here on purpose: a job can go on after both, and would then run
# twice.

# Codes after which a job is run again: the service's own (azure.ai.ml.exceptions.ErrorCategory, and
# what its dispatcher says), the reasons for which Kubernetes ends or does not start a pod, and what
# becomes of spot nodes.
_FAULTS = frozenset(
    {"serviceerror", "systemerror", "internalerror", "internalservererror"}
    | {"imagepullbackoff", "errimagepull"}
    | {"nodelost", "nodeshutdown", "evicted", "preempted", "jobpreempted", "preemptionerror"}
)
_FOLLOWED = (
    "jobType",
    "status",
    "experimentName",
    "limits",
    "distribution",
    "resources",
    "earlyTermination",
)
_SWEPT = ("distribution", "resources")
_OF_TRIALS = ("AMLC_TRIAL_", "AMLC_SPACE")
_LIMITS = frozenset({"jobtimeout", "deadlineexceeded"})
# How a compute target says why: its own code begins the second sentence. The service may call the
# same the user's error (MLOpsPython#346).
_COMPUTE = re.compile(
    r"(?:AzureMLCompute|Azure Machine Learning Kubernetes|AzureML Kubernetes) job failed\.\s+(\w+):"
)
_EXITED = re.compile(
    r"Execution failed\. User process (?:'[^']*' )?exited with status code ([0-9]{1,3})\b"
)
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")
_UNITS_S = (86_400, 3_600, 60, 1)


@dataclass(frozen=True, slots=True)
class View:
    """One job as the service lists it; `properties` are those of its JSON."""

    name: str
    properties: Mapping[str, Any]
    created: str = ""

    @property
    def raw_status(self) -> str:
        """The service's own word."""
        return str(self.properties.get("status") or "")

    @property
    def status(self) -> Status:
        """The status in amlc's words; a word that amlc does not know is no end."""
        return _STATUSES.get(self.raw_status, Status.UNKNOWN)

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags, empty when there are none."""
        return self.properties.get("tags") or {}

    @property
    def notes(self) -> Mapping[str, str]:
        """The properties that the user can set, which cannot be changed later."""
        return self.properties.get("properties") or {}

    @property
    def experiment(self) -> str:
        """The name of the AML experiment that it belongs to."""
        return str(self.properties.get("experimentName") or "Default")

    @property
    def compute(self) -> str:
        """The name of its compute target, empty on serverless."""
        return str(self.properties.get("computeId") or "").rpartition("/")[2]

    @property
    def is_sweep(self) -> bool:
        """Whether children of it run its trials."""
        return self.properties.get("jobType") == "Sweep"

    @property
    def is_canceling(self) -> bool:
        """Whether its end was asked for."""
        return self.raw_status in ("CancelRequested", "Canceled")

    @property
    def inner(self) -> Mapping[str, Any]:
        """What says what runs: its properties, or those of a sweep's trials."""
        return (self.properties.get("trial") or {}) if self.is_sweep else self.properties

    @property
    def variables(self) -> Mapping[str, str]:
        """Its environment variables."""
        return self.inner.get("environmentVariables") or {}

    @property
    def slim(self) -> View:
        """The same with what followers need alone: there may be thousands."""
        kept = {name: self.properties[name] for name in _FOLLOWED if name in self.properties}
        studio = (self.properties.get("services") or {}).get("Studio")
        kept["services"] = {"Studio": studio}
        trials = {
            name: text for name, text in self.variables.items() if name.startswith(_OF_TRIALS)
        }
        if self.is_sweep:
            inner = {name: self.inner[name] for name in _SWEPT if name in self.inner}
            kept["trial"] = {**inner, "environmentVariables": trials}
        else:
            kept["environmentVariables"] = trials
        return View(self.name, kept, self.created)

    @property
    def completed(self) -> View:
        """The same once it has ended well."""
        return View(self.name, {**self.properties, "status": "Completed"}, self.created)

    @property
    def is_distributed(self) -> bool:
        """Whether several processes run each trial of it."""
        count = (self.inner.get("resources") or {}).get("instanceCount") or 1
        return bool(self.inner.get("distribution")) or count > 1

    @property
    def limit_s(self) -> float | None:
        """How many seconds it may run, if that is limited."""
        return seconds_in((self.properties.get("limits") or {}).get("timeout"))

    def url(self, tenant: str | None) -> str | None:
        """Return the job's page in the studio."""
        studio = (self.properties.get("services") or {}).get("Studio") or {}
        endpoint = studio.get("endpoint")
        return f"{endpoint}&tid={tenant}" if endpoint and tenant else endpoint


def view(resource: Mapping[str, Any]) -> View:
    """Return the view of a job's JSON."""
    created = str((resource.get("systemData") or {}).get("createdAt") or "")
    return View(str(resource["name"]), resource.get("properties") or {}, created)


def trials_of(job: View) -> tuple[Trial, ...]:
    """Return the trials that a job carries, in order; none for a foreign job."""
    return trials_in(job.variables)


def seconds_in(duration: object) -> float | None:
    """Return the seconds of an ISO 8601 duration of days, hours, minutes, seconds; else None."""
    match = _DURATION.fullmatch(str(duration or ""))
    if match is None:
        return None
    return sum(
        float(amount or 0) * unit for amount, unit in zip(match.groups(), _UNITS_S, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a job ended badly. infrastructure: not by the user's code. limit: its codes name a limit.

    code: the exit code of its command, if that is said.
    """

    text: str
    infrastructure: bool
    limit: bool
    code: int | None = None


def cause(details: Mapping[str, Any]) -> Cause | None:
    """Return why a job ended badly by the run history's details; None if they do not say.

    Codes decide, never words: the message is the user's program's too. Of it only two forms of the
    service's own count, at its very beginning: the exit code of the user's process, and the code of
    the compute target.
    """
    outer = details.get("error") or {}
    error = outer.get("error") or outer
    codes: list[str] = []
    inner: Any = error
    while isinstance(inner, Mapping) and inner:
        codes.append(str(inner.get("code") or ""))
        inner = inner.get("innerError")
    said = str(error.get("message") or "").strip()
    message = " ".join(said.split())
    if not message and not any(codes):
        return None
    compute, code = _compute(said), _exit_code(said)
    users = codes[0].lower() == "usererror"
    # The exit code of a container on Kubernetes is the user's, unless a signal ended it: `ends`
    # decides.
    found = {compute} if users else {compute, *(each.lower() for each in codes)}
    return Cause(
        (f"{codes[0]}: {message}" if codes[0] else message)[:1000],
        infrastructure=code is None and bool(found & _FAULTS),
        limit=code is None and bool(found & _LIMITS),
        code=code,
    )


def is_late(job: View, why: Cause | None, ran_s: float | None) -> bool:
    """Tell whether a job that ended badly ran into its own limit. ran_s: None if it never began.

    What the service calls that is not written down anywhere. So a job that was canceled counts as
    late too when it ran for as long as it was allowed to.
    """
    limit_s = job.limit_s
    if limit_s is None or ran_s is None:
        return False
    if why is not None and (why.limit or why.infrastructure or why.code is not None):
        return why.limit
    return job.status is Status.CANCELED and ran_s >= limit_s


def _compute(message: str) -> str:
    match = _COMPUTE.match(message)
    return match[1].lower() if match else ""


def _exit_code(message: str) -> int | None:
    match = _EXITED.match(message)
    if match:
        return int(match[1])
    code = _compute(message)
    return int(code) if code.isdecimal() and int(code) < 256 else None
