"""The names of folders and jobs: public, since they are how paid work is found again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_SLUG_LENGTH = 40

MANIFEST: Final = "manifest.json"
"""What the manifest is called in each experiment's build folder."""

DOWNLOADED: Final = ".amlc-download"
"""What marks a folder as that of one trial's downloaded outputs, and says which trial's."""

JOB_NAME: Final = re.compile(
    r"(?P<base>.+-(?P<id>[0-9a-f]{16})-(?P<revision>[0-9a-f]{6}))(?:-(?P<number>[2-9]|[1-9][0-9]+))?"
)
"""What `job_name` and `attempt_name` make: the name of the first attempt, and the number of a later
one."""


SWEEP_INDEX: Final = "amlc_trial"
"""The only parameter of a sweep that runs known trials: which of them, from 0."""


@lru_cache(maxsize=8)  # asked for each job
def slug(name: str) -> str:
    """Return `name` fit for a job or folder name, the same for the same name.

    Different for names that would clash.
    """
    clean = re.sub(r"[^a-zA-Z0-9_-]+", "-", name).strip("-_")[:_SLUG_LENGTH].strip("-_")
    if clean == name:
        return clean
    return f"{clean or 'experiment'}-{hashlib.sha256(_encoded(name)).hexdigest()[:6]}"


def _encoded(name: str) -> bytes:
    """Return a name in UTF-8, also one of a command line that is not, or in a locale without it."""
    return name.encode("utf-8", "surrogateescape")


def job_id(trials: Sequence[str]) -> str:
    """Return the id of the job that runs these trials: the only one's, or a digest of them."""
    return (
        trials[0]
        if len(trials) == 1
        else hashlib.sha256("\n".join(trials).encode()).hexdigest()[:16]
    )


def job_name(experiment: str, job: str, revision: str) -> str:
    """Return the name under which the first attempt of job id `job` is created.

    The idempotency key. Matches `^[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$`, AML's rule, in lower case,
    which azure-ai-ml makes of any name.
    """
    return f"{slug(experiment)}-{job}-{revision[:6]}".lower()


def imported_name(experiment: str, trial: str) -> str:
    """Return what stands for the job of a trial that was imported; no back end has one."""
    return f"{slug(experiment)}-{trial}-imported".lower()


def attempt_name(first: str, number: int) -> str:
    """Return the name of attempt `number`, from 1, of the job whose first is called `first`."""
    return first if number == 1 else f"{first}-{number}"


@lru_cache(maxsize=8)  # asked for each job
def aml_name(experiment: str) -> str:
    """Return an experiment's name as AML takes it: letters, digits, `_` and `-` only."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", experiment)[:255]
