"""`amlc compile`: make the build folder hold exactly what the experiment file says."""

from __future__ import annotations

import difflib
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from amlc.attempts import fold
from amlc.checkpoints import folder_of, folder_then
from amlc.errors import DamageWarning
from amlc.experience import Experience, Past
from amlc.files import lock
from amlc.folders import PATIENCE_S, Folders
from amlc.ledger import DamageError, open_ledger, read_ledger
from amlc.manifest import read_manifest
from amlc.model import Experiment, Status, Trial
from amlc.plan import adaptive
from amlc.plural import plural
from amlc.refusals import check_ahead, located
from amlc.targets import target
from amlc.warm_start import outside
from amlc.write import Build, OnChange, planned, write

_LOOKED_AT = 1_000  # trials of an open loop


def compile_(
    experiment: Experiment,
    *,
    backend: str | None,
    folders: Folders,
    preview: OnChange | None = None,
) -> Build:
    """Compile the experiment.

    backend: the target to compile for, None for the experiment's own. preview: nothing is written,
    and this is told what would change. Raises ConfigError with the position of all that stops it.
    """
    with nullcontext() if preview is not None else _alone(folders, experiment):
        return compile_alone(
            experiment, backend=backend, folders=folders, preview=preview, tolerant=True
        )


def certain(experiment: Experiment, *, folders: Folders) -> Iterator[Trial]:
    """Yield the trials that `compile_` would compile as things stand. Raises ConfigError."""
    with located(experiment, leave_out=[folders.state, folders.build]):
        check_ahead(experiment)
        past, _ = _past(experiment, folders, tolerant=True)
        for job in planned(experiment, past):
            yield from job.trials


def difference(path: Path, old: bytes | None, new: bytes | None) -> Iterator[str]:
    """Yield how a file would change, as the lines of a unified diff; None: it is not there."""
    before = "/dev/null" if old is None else f"a/{path}"
    after = "/dev/null" if new is None else f"b/{path}"
    yield from difflib.unified_diff(_lines(old), _lines(new), before, after)


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode(errors="replace").splitlines(keepends=True)


def compile_ahead(
    experiment: Experiment, *, backend: str | None, rounds: int | None, folders: Folders
) -> Build:
    """Compile what is certain before a submit, which asks the tuner for more.

    With rounds, the next of them. The caller holds the experiment's lock.
    """
    # Otherwise what follows is compiled when it is submitted: until then, any result may change it.
    room = 0 if adaptive(experiment) and rounds is None else None
    return compile_alone(experiment, backend=backend, folders=folders, room=room)


def compile_alone(
    experiment: Experiment,
    *,
    backend: str | None,
    folders: Folders,
    room: int | None = None,
    preview: OnChange | None = None,
    tolerant: bool = False,
) -> Build:
    """Compile what the experiment and its ledger determine.

    Of an adaptive one, the caller holds the lock. room: as for `plan`. tolerant: a ledger that is
    damaged or lost is warned of, for without a manifest none is mended; nothing is submitted of it.
    Raises ConfigError with the position of all that stops it, DamageError if not tolerant.
    """
    with located(experiment, leave_out=[folders.state, folders.build]):
        check_ahead(experiment)
        past, is_at_work = _past(experiment, folders, tolerant=tolerant)
        with nullcontext() if preview else lock(folders.build_lock(experiment.name)):
            backend = backend or experiment.target.platform
            if target(backend).RUNS_ANY:
                _warn_of_no_checkpoints(experiment, past)
            build = write(experiment, folders, past, backend=backend, room=room, preview=preview)
        is_asked = adaptive(experiment) and experiment.sampling is None
        if is_asked and preview is None and room is None and not is_at_work:
            _note_exhausted(experiment, build, past, folders)
        return build


def _past(experiment: Experiment, folders: Folders, *, tolerant: bool) -> tuple[Past, bool]:
    """Return what the ledger knows, and whether a job is at work; tolerant: see `compile_alone`."""
    path = folders.ledger(experiment.name)
    try:
        with read_ledger(path, tolerant=tolerant) as ledger:
            past = Experience.of(experiment, ledger).past(fold(ledger.events()))
            is_at_work = bool(ledger.working() or ledger.damage)  # what is damaged may be
            damage = ledger.damage
    except DamageError as err:  # no database is left of it
        if not tolerant:
            raise
        past, is_at_work, damage = Past(), True, (str(err),)
    for text in damage:
        warnings.warn(text, DamageWarning, stacklevel=2)
    _warn_of_other_space(experiment, past.grouped())
    return past, is_at_work


def _note_exhausted(experiment: Experiment, build: Build, past: Past, folders: Folders) -> None:
    """Record that the tuner has no more to propose, if all that is compiled was submitted."""
    if build.trials == sum(map(len, past.grouped())):
        from amlc.proposals import note_exhausted  # here, because it brings all that runs jobs

        with open_ledger(folders.ledger(experiment.name)) as ledger:
            note_exhausted(read_manifest(build.folder), ledger, at=time.time())


def _warn_of_other_space(experiment: Experiment, groups: Sequence[Sequence[Trial]]) -> None:
    if experiment.tuner.name in (None, "Batch"):
        return  # a class of the user's own may propose what it likes; a row is no point of a space
    trials = [trial for group in groups for trial in group]
    if adaptive(experiment):
        what = "such trials count towards maxTrialNumber and teach the tuner nothing. Raise "
        what += "maxTrialNumber, or give the experiment another experimentName."
    else:
        what = "such trials stay among the results, and may be the best. To leave them behind, "
        what += "give the experiment another experimentName."
        trials = trials[:_LOOKED_AT]  # there may be a million, and a compile is to take no time
    count = outside(experiment.space, trials)
    if count:
        first = "the first " if len(trials) == _LOOKED_AT else ""
        of = f"{first}{plural(len(trials), 'trial')} on record"
        text = f"{count:,} of {of} {'is' if count == 1 else 'are'} outside of the search space as "
        text += f"it is now: {what}"
        warnings.warn(text, RuntimeWarning, stacklevel=2)


def _warn_of_no_checkpoints(experiment: Experiment, past: Past) -> None:
    """Say that further trials go on from nothing, though there are some to go on from."""
    folder = folder_of(experiment)
    if folder is None or Path(folder).is_dir():
        return
    trials = [trial for group in past.grouped() for trial in group]
    is_done = experiment.max_trials is not None and len(trials) >= experiment.max_trials
    count = sum(
        record.status is Status.SUCCEEDED and folder_then(record.parameters) == folder
        for record in past.records
        if not record.imported
    )
    if count and not is_done:
        text = (
            f"{folder}/ is not there, and {plural(count, 'trial')} had to save checkpoints in it: "
        )
        text += "what goes on from them begins anew. Bring the folder here before you submit."
        warnings.warn(text, RuntimeWarning, stacklevel=2)


@contextmanager
def _alone(folders: Folders, experiment: Experiment) -> Iterator[None]:
    """Keep away who submits: he goes by what is in the build folder, or adds to it.

    An open loop that was never run, or whose state nobody here may change, has none to keep away.
    """
    path = folders.lock(experiment.name)
    if not adaptive(experiment) and not os.access(path, os.W_OK):
        yield
        return
    folders.prepare_state()
    with lock(path, patience_s=PATIENCE_S):
        yield
