"""`amlc reproduce`: run one row of the results again, as it was, and compare what it reports."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from amlc.checkpoints import LOAD, SAVE, folder_of, folder_then, here, moved
from amlc.collect.results import Results
from amlc.collect.rows import Row
from amlc.commands.cancel import cancel
from amlc.commands.code import folders_again, revision_of_row
from amlc.commands.observe import up_to_date
from amlc.commands.options import Options
from amlc.commands.steps import NOBODY, Listener, Run, Step, Warned
from amlc.commands.submit import submit_locked
from amlc.commands.trials import chosen
from amlc.drive import Watch
from amlc.errors import AmlcError, UsageError
from amlc.experience import Past
from amlc.files import lock
from amlc.folders import Folders
from amlc.ledger import read_ledger
from amlc.manifest import Manifest, read_manifest
from amlc.model import Algorithm, Budget, Experiment, Parameters, Trial, parameter_names
from amlc.numbers import number
from amlc.plan import replicate_of, trial_id
from amlc.revision import Contents, differences, read_contents
from amlc.targets import target
from amlc.write import write

TOLERANCE: Final = 1e-6
"""By how much of the larger one two numbers may differ, and still count as the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A metric then and again; None: it was not reported. agrees: within the tolerance."""

    name: str
    then: Any
    again: Any
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """What came of running a row again.

    changes: what is not as it was, as `revision.differences` has it: that of the experiment which
    no revision brings back. folder: where all of it is.
    """

    then: Row
    again: Row
    revision: str
    metrics: Sequence[Compared]
    changes: Sequence[str]
    folder: Path

    @property
    def agrees(self) -> bool:
        """Whether it ended as it did then, and each metric agrees."""
        return self.then.status is self.again.status and all(one.agrees for one in self.metrics)


def reproduce(
    manifest: Manifest,
    experiment: Experiment,
    name: str,
    *,
    backend: str | None,
    tolerance: float = TOLERANCE,
    folders: Folders,
    listener: Listener = NOBODY,
) -> Reproduced:
    """Run the trial that `name` stands for again, by itself, in a folder of its own.

    Its parameters, number, replicate, code, command and environment are those of its last attempt;
    all else is as the experiment's file says today. Only what it saves for others to go on from is
    saved in a folder of its own, too. Nothing is recorded of it in the experiment's
    own ledger. Whoever interrupts it ends its job, too, which nobody would follow. Raises
    UsageError when it has not ended, or its code is not kept.
    """
    with up_to_date(manifest, folders) as results:
        (then,) = chosen(results, [name])
    with read_ledger(folders.ledger(manifest.header.experiment)) as ledger:
        revision = revision_of_row(then, ledger, folders, manifest.header.experiment)
    if not then.status.ended:
        raise UsageError(f"#{then.trial.sequence} has not ended, so there is nothing to compare.")
    own = _own_folders(folders, manifest.header.experiment, then.trial)
    place = own.build.parent
    name = f"{experiment.name} {place.name}"
    code = place / "code"
    backend = backend or manifest.header.backend
    own.prepare_state()
    with lock(own.lock(name)):  # `gc` leaves what is locked
        revision.kept.check_out(revision.contents.files, code)
        alone = _alone(experiment, revision.contents, code, name=name)
        trial = _trial(experiment, alone, then.trial, place, backend=backend)
        build = write(alone, own, Past(groups=((trial,),)), backend=backend, room=0)
        made = read_manifest(build.folder)
        with _ended_with_us(made, own, listener):
            submit_locked(
                made, None, Options(backend=backend), folders=own, listener=_Underway(listener)
            )
    with read_ledger(own.ledger(name)) as ledger:
        (again,) = Results(made, ledger).rows()
    changes = [*differences(revision.contents, read_contents(build.folder))]
    changes += _of_checkpoints(then, trial, backend=backend)
    compared = list(_compared(then.result, again.result, tolerance))
    return Reproduced(
        then=then,
        again=again,
        revision=revision.name,
        metrics=compared,
        changes=changes,
        folder=place,
    )


@dataclass(frozen=True, slots=True)
class _Underway:
    """Tells all but how it ended: what is advised then is about an experiment, not a row of one."""

    listener: Listener

    def tell(self, step: Step) -> None:
        """Take note of a step, unless it is the last."""
        if not isinstance(step, Run):
            self.listener.tell(step)

    def watching(self, experiment: str, *, most: int | None) -> AbstractContextManager[Watch]:
        """Give what is told of the progress."""
        return self.listener.watching(experiment, most=most)


@contextmanager
def _ended_with_us(made: Manifest, own: Folders, listener: Listener) -> Iterator[None]:
    """End the job if it is not followed to its end."""
    try:
        yield
    except BaseException:
        try:
            cancel(made, None, folders=own)
        except AmlcError as err:
            how = own.advice("cancel", None, "--all")
            listener.tell(Warned(f"{err} If its job is at work, {how} ends it.", matters=True))
        raise


def _own_folders(folders: Folders, experiment: str, trial: Trial) -> Folders:
    """Return new folders for one more reproduction of a trial."""
    for count in itertools.count(1):
        place = folders.again(experiment) / f"{trial.sequence}-{count}"
        with suppress(FileExistsError):
            place.mkdir(parents=True)
            return folders_again(place)
    raise AssertionError


def _alone(experiment: Experiment, contents: Contents, code: Path, *, name: str) -> Experiment:
    """Return the experiment of which a revision's code is all there is, and no trial but one."""
    own = tuple(_bring_own_files(experiment, code))
    job = experiment.job
    environment = experiment.environment
    if (contents.environment or "").startswith("azureml:"):
        environment = contents.environment
    elif contents.environment not in (None, environment or experiment.target.job.image):
        environment, job = None, {**job, "environment": {"image": contents.environment}}
    return replace(
        experiment,
        name=name,
        # One that is asked for nothing: then an experiment has the trials that are on record.
        tuner=Algorithm(name="TPE", class_args={"optimize_mode": "minimize", "seed": None}),
        assessor=None,
        command=contents.command,
        code=code.resolve(),
        inputs=(*experiment.inputs, *own),
        environment=environment,
        job=job,
        max_trials=1,
        max_seconds=None,
        trials_per_job=1,
        abreast=None,
        sweep=False,
        sampling=None,
        constraints=(),
        initial=(),
        budget=Budget(),
        working_directory="copy",
    )


def _bring_own_files(experiment: Experiment, code: Path) -> Iterator[Path]:
    """Put the experiment's own files among the code, where they lay; no revision has them.

    Yield where they are there.
    """
    for path in experiment.inputs:
        if path.is_relative_to(experiment.code) and path.is_file():
            place = code / path.relative_to(experiment.code)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
                yield place


def _trial(
    experiment: Experiment, alone: Experiment, trial: Trial, place: Path, *, backend: str
) -> Trial:
    """Return the trial as the other experiment has it, which is the same replicate."""
    replicate = replicate_of(experiment, trial)
    parameters = _saving_apart(experiment, trial.parameters, place, backend=backend)
    return replace(trial, id=trial_id(alone, parameters, replicate), parameters=parameters)


def _saving_apart(
    experiment: Experiment, parameters: Parameters, place: Path, *, backend: str
) -> Parameters:
    """Return the parameters of a trial that saves a checkpoint over none of the experiment's.

    It loads what it loaded; where the two folders are the same, there was nothing to load.
    """
    then = folder_then(parameters)
    if then is None or SAVE in parameter_names(experiment.space):  # or it is the user's own
        return parameters
    known = here(parameters, folder_of(experiment))
    if target(backend).RUNS_ANY:
        apart = f"{place.resolve()}/checkpoints"
    else:  # where nobody here sees what an earlier one has left
        apart = f"{then}/again/{place.name}-{uuid4().hex[:8]}"
    saving = moved(parameters, apart)
    return saving if known[LOAD] == known[SAVE] else {**saving, LOAD: known[LOAD]}


def _of_checkpoints(then: Row, trial: Trial, *, backend: str) -> Iterator[str]:
    """Yield what is not as it was of the checkpoint that the trial began with."""
    if trial.parameters == then.trial.parameters:
        return  # it saves none
    load = trial.parameters[LOAD]
    if load == trial.parameters[SAVE]:
        if len(then.attempts) > 1:
            yield "an earlier attempt may have left a checkpoint to go on from; it began with none"
    elif target(backend).RUNS_ANY and not Path(load).is_dir():
        yield f"the checkpoint that it began with, {load}/, is not there"


def _compared(
    then: Mapping[str, Any], again: Mapping[str, Any], tolerance: float
) -> Iterator[Compared]:
    for name in [*then, *(name for name in again if name not in then)]:
        old, new = then.get(name), again.get(name)
        agrees = name in then and name in again and _agree(old, new, tolerance)
        yield Compared(name=name, then=old, again=new, agrees=agrees)


def _agree(old: Any, new: Any, tolerance: float) -> bool:
    one, other = number(old), number(new)
    if one is None or other is None:
        return repr(old) == repr(new)
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=0.0)
