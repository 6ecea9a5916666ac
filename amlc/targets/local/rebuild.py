"""Rebuild what happened from the run folders alone."""

from __future__ import annotations

import errno
import hashlib
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import yaml

from amlc.attempts import Attempt, fold
from amlc.backends import Backend
from amlc.backends.run_folder import begun, is_canceled, started
from amlc.backends.trials import trials_in
from amlc.errors import DamageWarning, UsageError
from amlc.events import Event, cancel_asked, intent, observed, submitted
from amlc.files import folders_in, lock, read_bounded
from amlc.folders import Folders
from amlc.ledger import Ledger, open_ledger
from amlc.manifest import Manifest
from amlc.model import Observation, Trial
from amlc.names import JOB_NAME
from amlc.plural import plural
from amlc.render.scalars import from_yaml
from amlc.targets.local.backend import LocalBackend

_MOST_BYTES = 10_000_000  # of a job's file
_FOR_NOW = {errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass(frozen=True, slots=True)
class _Found:
    """A run folder: its job's name and id, which attempt it was, what it ran, and since when.

    sha256: of the job's file, None where that is gone.
    """

    job: str
    id: str
    number: int
    revision: str
    trials: tuple[Trial, ...]
    sha256: str | None
    at: float


def rebuild(manifest: Manifest | None, name: str | None, folders: Folders) -> str:
    """Do what `refresh` of `amlc.targets.Rebuild` promises.

    The build folder is the compiler's to make again. What left no trace in a run folder stays lost:
    that an assessor ended a job, which is `canceled` then, and what was imported.
    """
    if manifest is None:
        what = f"'{name}'" if name else "the experiment"
        raise UsageError(
            f"{what} is not compiled, and run folders say nothing without that. Compile it first: "
            "amlc compile FILE, if need be with a damaged ledger.db moved away."
        )
    experiment = manifest.header.experiment
    runs = folders.runs(experiment)
    backend = LocalBackend(runs, manifest.header, os.environ)
    folders.prepare_state()
    with lock(folders.lock(experiment)), open_ledger(folders.ledger(experiment)) as ledger:
        attempts = fold(ledger.events())
        found = _numbered(_in_order(_found(runs, manifest)), attempts.values())
        new = [one for one in found if one.job not in attempts]
        seen = {one.job: one for one in backend.poll([one.job for one in new], timeout_s=0)}
        new = [one for one in new if one.job in seen]  # the others never began
        for one in new:
            canceling = is_canceled(runs / one.job)
            _record(ledger, backend, one, seen[one.job], attempts, is_canceled=canceling)
    said = f"{experiment}: {plural(len(found), 'run folder')}, {len(new)} of them new here"
    compiled = {entry.id for entry in manifest.entries()}
    beyond = sum(one.id not in compiled for one in found)
    if beyond:  # of a tuner that learns, what came behind the first trials
        said += f"; the build folder lacks {beyond} of them: compile once more, amlc compile FILE"
    return said


def _record(
    ledger: Ledger,
    backend: Backend,
    one: _Found,
    seen: Observation,
    attempts: dict[str, Attempt],
    *,
    is_canceled: bool,
) -> None:
    """Append what a run folder says of its job, and take that up in `attempts`."""
    fetched = backend.fetch(one.job) if seen.status.ended or seen.over else None
    if seen.begun is not None and len(one.trials) == 1:
        seen = replace(seen, begun=None)  # its job says it
    end = observed(seen, at=seen.ended or time.time(), outcomes=fetched.outcomes if fetched else ())
    events = [
        _intent(one, _losses(attempts.values(), one)),
        submitted(one.job, at=one.at, url=None),
    ]
    if is_canceled:
        events.append(cancel_asked(one.job, at=end.at))
    events.append(end)
    fold(events, attempts)
    ledger.append(events, fetched.metrics if fetched else (), job=one.job)


def _intent(one: _Found, losses: int) -> Event:
    return intent(
        one.job,
        at=one.at,
        identity=one.id,
        attempt=one.number,
        trials=one.trials,
        revision=one.revision,
        backend="local",
        losses=losses,
        sha256=one.sha256,
    )


def _losses(attempts: Iterable[Attempt], one: _Found) -> int:
    return sum(
        a.id == one.id and a.number < one.number and a.latest.infrastructure for a in attempts
    )


def _found(runs: Path, manifest: Manifest) -> Iterator[_Found]:
    """Yield what each run folder of the experiment's says.

    Where its job's file is damaged or gone, what it ran is known of what is compiled, or of another
    attempt of the same trial.
    """
    compiled = {
        entry.id: {trial.id: trial for trial in entry.trials} for entry in manifest.entries()
    }
    for run in folders_in(runs):
        match = JOB_NAME.fullmatch(run.name)
        if match is None:
            continue
        content = _content(run / "job.yml")
        trials = _trials(content) if content is not None else ()
        # A trial could have written to its job's file, and must not speak for another one.
        if match["id"] in compiled:
            known = compiled[match["id"]]
            # But its number: that of a compile without this ledger need not be what it had.
            numbers = {trial.id: trial.sequence for trial in trials}
            trials = tuple(
                replace(known[name], sequence=numbers.get(name, known[name].sequence))
                for name in numbers or begun(run)
                if name in known
            )
        elif len(trials) == 1 and trials[0].id != match["id"]:
            trials = ()
        trials = trials or _of_other_attempt(run, match["id"])
        if not trials:
            if begun(run):
                text = f"run folder {run.name}: its job.yml does not say what ran; it is left out"
                warnings.warn(text, DamageWarning, stacklevel=2)
            continue
        revision = manifest.header.revision
        yield _Found(
            job=run.name,
            id=match["id"],
            number=int(match["number"] or 1),
            revision=revision if revision.startswith(match["revision"]) else match["revision"],
            trials=trials,
            sha256=hashlib.sha256(content).hexdigest() if content is not None else None,
            at=started(run) or run.stat().st_mtime,
        )


def _of_other_attempt(run: Path, identity: str) -> tuple[Trial, ...]:
    """Return the trial of this id as another run folder has it; nothing if none does."""
    if identity not in begun(run):
        return ()
    for path in sorted(run.parent.glob(f"*-{identity}-*/job.yml")):
        trials = _trials(_content(path) or b"")
        if [trial.id for trial in trials] == [identity]:
            return trials
    return ()


def _in_order(found: Iterable[_Found]) -> list[_Found]:
    """Return the jobs as they were submitted, also where the clock was set back in between."""
    least: dict[str, float] = {}
    ordered = []
    for one in sorted(found, key=lambda one: one.number):
        at = least[one.id] = max(one.at, least.get(one.id, one.at))
        ordered.append(replace(one, at=at))
    return sorted(ordered, key=lambda one: (one.at, one.number))


def _numbered(found: Sequence[_Found], attempts: Iterable[Attempt]) -> list[_Found]:
    """Return the jobs with each trial's number its own, and the same in all attempts.

    attempts: those on record. A number that another trial has gives way to one that none has.
    """
    on_record = [trial for attempt in attempts for trial in attempt.trials]
    every = [*on_record, *(trial for one in found for trial in one.trials)]
    fresh = count(max((trial.sequence for trial in every), default=-1) + 1)
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    for trial in every:
        if trial.id not in numbers:
            number = next(fresh) if trial.sequence in taken else trial.sequence
            numbers[trial.id] = number
            taken.add(number)
    return [
        replace(one, trials=tuple(replace(t, sequence=numbers[t.id]) for t in one.trials))
        for one in found
    ]


def _content(path: Path) -> bytes | None:
    """Return what a job's file says; None if it is not there, or no such file as amlc writes.

    Raises OSError where it cannot be read now: a trial that ran must not be forgotten for that.
    """
    try:
        return read_bounded(path, _MOST_BYTES)
    except OSError as err:
        if err.errno in _FOR_NOW:
            raise
        return None


def _trials(content: bytes) -> tuple[Trial, ...]:
    try:
        trials = trials_in(from_yaml(content).get("environment_variables") or {})
    except (ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError):
        return ()
    # A trial could have written to its job's file.
    return trials if all(map(_is_one, trials)) else ()


def _is_one(trial: Trial) -> bool:
    return type(trial.id) is str and type(trial.sequence) is int and trial.sequence >= 0
