"""How to submit: what the user asks for, and what that allows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amlc.backends import Backend
from amlc.collect.results import Results
from amlc.commands.trials import chosen
from amlc.errors import UsageError
from amlc.folders import Folders
from amlc.manifest import Manifest
from amlc.model import Status
from amlc.reconcile import Policy, is_retried
from amlc.targets import PARALLEL

if TYPE_CHECKING:
    from amlc.drive import Limits

RETRYABLE = ("failed", "unfinished", "canceled", "early_stopped", "missing", "changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to submit.

    retry: statuses, see RETRYABLE. only: trials to retry and nothing else. rounds: how often to
    submit what is compiled and follow it to its end, the tuner asked in between; None: without
    rounds, to the experiment's end. wait: for it. canary: a small set that covers what trials may
    be comes first, and nothing follows if one of it fails. among: ids of the only trials that are
    submitted, None: all. Raises UsageError for a status that is none of RETRYABLE.
    """

    backend: str | None = None
    retry: Collection[str] = ()
    only: Sequence[str] = ()
    max_failures: str | None = None
    rounds: int | None = None
    wait: bool = True
    canary: bool = False
    among: Collection[str] | None = None
    parallel: int = PARALLEL

    def __post_init__(self) -> None:
        for name, value in (("rounds", self.rounds), ("parallel", self.parallel)):
            if value is not None and (type(value) is not int or value < 1):
                raise UsageError(f"{name} {value!r}: expected a whole number of at least 1.")
        if self.canary and not self.wait:
            raise UsageError("--canary waits for what it runs first. Leave out --no-wait.")
        unknown = next((word for word in self.retry if word not in RETRYABLE), None)
        if unknown is not None:
            raise UsageError(f"--retry {unknown}: not one of {', '.join(RETRYABLE)}.")


def check_drawn(manifest: Manifest, options: Options, folders: Folders) -> None:
    """Raise UsageError for what there is not where the platform draws the trials of a sweep."""
    header = manifest.header
    if header.sweep != "latent":
        return
    backend = options.backend or header.backend
    if backend not in header.target:
        raise UsageError(
            f"the trials of this sweep are drawn by its platform, and '{backend}' draws none. "
            f"Compile them for it: {folders.compiling(manifest.source)} --backend {backend}."
        )
    if options.canary:
        raise UsageError(
            "--canary chooses among the trials, and the platform of this sweep has yet to draw "
            "them. Leave it out."
        )


def policy(results: Results, options: Options) -> Policy:
    """Return what the options allow, given how the trials stand now."""
    header = results.manifest.header
    only = [row.trial.id for row in chosen(results, options.only)] if options.only else []
    statuses = (*RETRYABLE, Status.SUCCEEDED.value) if only else options.retry
    retry = set()
    for row in results.rows() if statuses else ():
        trial, last = row.trial, row.attempt
        if last is None:
            continue
        if is_retried(trial, last, statuses, has_result=bool(row.final), revision=header.revision):
            retry.add((last.job, trial.id))
    among = options.among if options.among is not None else only or None
    return Policy(
        losses=header.retries,
        retry=frozenset(retry),
        only=None if among is None else frozenset(among),
        sweeps=(options.backend or header.backend) in header.target,
    )


def limits(manifest: Manifest, backend: Backend, options: Options) -> Limits:
    """Return what bounds a run on that back end."""
    from amlc.drive import Limits  # here: a plan needs none, and has to be quick

    header = manifest.header
    concurrency = header.concurrency
    if backend.slots is not None:
        concurrency = min(concurrency, backend.slots)
    # With GPUs the trials of a packed job run side by side, and those of a sweep; otherwise they
    # take turns.
    shares_gpus = header.gpus_per_trial and backend.has_gpus
    return Limits(
        concurrency=concurrency,
        abreast=min(concurrency, header.abreast or concurrency)
        if shares_gpus or header.sweep
        else 1,
        max_seconds=header.max_seconds,
        max_failures=_max_failures(options.max_failures, expected(manifest) or manifest.trials),
        wait=options.wait,
    )


def expected(manifest: Manifest) -> int | None:
    """Return how many trials the experiment is going to have, if that is known.

    No fewer than it has already, whatever `maxTrialNumber` was lowered to.
    """
    header = manifest.header
    if header.search is None:
        return manifest.trials
    return None if header.max_trials is None else max(header.max_trials, manifest.trials)


def _max_failures(text: str | None, trials: int) -> int | None:
    if text is None:
        return None
    number = text.removesuffix("%")
    if not number.isdecimal() or not int(number):
        raise UsageError(
            f"--max-failures {text}: expected a number of trials such as 3, or a part such as 10%."
        )
    if not text.endswith("%"):
        return int(number)
    return max(1, int(number) * trials // 100)  # a small part of a few trials is none
