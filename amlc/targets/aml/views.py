"""Read what the service says of a job: its status in amlc's words, its trials, its page, why it ended."""

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
"""Tags, and properties of the same names, that a job carries; the digest is that of its compiled file."""

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
# NotResponding and Paused are not here on purpose: a job can go on after both, and would then run twice.

_FAULTS_OF_THE_SERVICE = frozenset({"serviceerror", "systemerror", "internalerror", "preempted", "nodelost"})
_LOSSES = ("preempt", "evicted", "node lost", "node was lost", "lost node", "node failure", "unhealthy node")
# What the compute says of it, in an error that the service may call the user's all the same (MLOpsPython#346).
_PREEMPTION = "preemptionerror: nodes of this job"
_EXIT_CODE = re.compile(r"\b(?:status|exit) code:? ([0-9]{1,3})\b")
_TIME_LIMITS = (
    "time limit",
    "timed out",
    "timeout",
    "max run duration",
    "maximum run duration",
    "maximum duration",
    "exceeded the limit",
)


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
    def variables(self) -> Mapping[str, str]:
        """Its environment variables."""
        return self.properties.get("environmentVariables") or {}

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


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a job ended badly. infrastructure: not through the user's code. late: at its time limit, if it began at all.

    code: the exit code of its command, if that is said.
    """

    text: str
    infrastructure: bool
    late: bool
    code: int | None = None


def cause(details: Mapping[str, Any]) -> Cause | None:
    """Return why a job failed or was canceled, from the run history's details, or None if they do not say."""
    outer = details.get("error") or {}
    error = outer.get("error") or outer
    codes: list[str] = []
    inner: Any = error
    while isinstance(inner, Mapping) and inner:
        codes.append(str(inner.get("code") or ""))
        inner = inner.get("innerError")
    message = " ".join(str(error.get("message") or "").split())
    if not message and not any(codes):
        return None
    folded = {code.lower() for code in codes}
    lower = f"{' '.join(codes)} {message}".lower()
    code = _EXIT_CODE.search(message)
    preempted = _PREEMPTION in lower and code is None  # with an exit code, it is the command's output that says so
    users = codes[0].lower() == "usererror" and not preempted
    lost = bool(folded & _FAULTS_OF_THE_SERVICE) or any(word in lower for word in _LOSSES)
    late = any(word in lower for word in _TIME_LIMITS)
    text = f"{codes[0]}: {message}" if codes[0] else message
    return Cause(
        text[:1000],
        infrastructure=lost and not users,
        late=late,
        code=int(code[1]) if code else None,
    )
