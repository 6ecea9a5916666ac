"""`amlc submit`: run what is compiled and was not run yet, and what the tuner proposes next."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from amlc import lint
from amlc.assessors import among_all, built_in, custom
from amlc.attempts import fold
from amlc.checkpoints import folder_of, folder_then, here
from amlc.collect.results import Results
from amlc.collect.verdict import verdict
from amlc.commands.canary import covered, what_failed
from amlc.commands.compile import compile_ahead
from amlc.commands.options import Options, check_drawn, expected, limits, policy
from amlc.commands.seal import Seal, StaleError, check_seal
from amlc.commands.steps import NOBODY, First, Listener, Run, Warned
from amlc.commands.trials import chosen
from amlc.config import load_experiment
from amlc.drawing import drawing
from amlc.drive import Guides, drive
from amlc.early_stopping import Assessor
from amlc.errors import AmlcError, UsageError
from amlc.events import EventKind, revision_made_of
from amlc.experience import Experience
from amlc.files import is_there, lock
from amlc.folders import PATIENCE_S, Folders
from amlc.kept import KeptCode
from amlc.ledger import Ledger, check_not_lost, open_ledger, read_ledger
from amlc.manifest import FILE_NAME, CutShortError, Manifest, read_manifest
from amlc.model import Experiment
from amlc.numbers import scalar
from amlc.observe import Recorder
from amlc.plan import adaptive
from amlc.plan import given_up as asked
from amlc.proposals import advised, following, note_exhausted
from amlc.refusals import located
from amlc.revision import contents_text, read_contents
from amlc.targets import open_backend
from amlc.write import header_now


@dataclass(frozen=True, slots=True)
class _Call:
    """What stays the same while it runs: what is asked for, the folders, and who is told."""

    options: Options
    folders: Folders
    listener: Listener


def submit(
    manifest: Manifest,
    options: Options,
    *,
    folders: Folders,
    listener: Listener = NOBODY,
    seal: Seal | None = None,
) -> Run:
    """Submit what is missing and follow it to the end; with rounds, return the last of them.

    seal: of the plan that this is to carry out. Raises StaleError when it is not one of what is
    compiled and recorded now.
    """
    call = _Call(options, folders, listener)
    folders.prepare_state()
    with lock(folders.lock(manifest.header.experiment), patience_s=PATIENCE_S):
        check_not_lost(folders.ledger(manifest.header.experiment))  # before compiling makes one
        experiment = None
        if _asks_the_tuner(manifest, options):
            experiment = _source(manifest, call)
        if seal is not None:
            _check(seal, manifest, experiment, call)
        if not options.only:
            _tell_what_is_odd(manifest, experiment, call)
        if experiment is not None and options.rounds is None:
            manifest = _compiled(experiment, manifest, call)
        else:
            _check_checkpoints(manifest, call)
        return submit_locked(manifest, experiment, options, folders=folders, listener=listener)


def submit_locked(
    manifest: Manifest,
    experiment: Experiment | None,
    options: Options,
    *,
    folders: Folders,
    listener: Listener,
) -> Run:
    """Do what `submit` does; the caller holds the experiment's lock.

    experiment: what the manifest was compiled of, to ask its tuner for what follows; None: nothing
    follows.
    """
    call = _Call(options, folders, listener)
    header = replace(manifest.header, backend=options.backend or manifest.header.backend)
    check_drawn(manifest, options, folders)
    with open_ledger(folders.ledger(header.experiment)) as ledger:
        for line in withheld(experiment, manifest, ledger, options):
            listener.tell(Warned(line))
        for line in _not_again(Results(manifest, ledger), options):
            listener.tell(Warned(line, matters=True))
    if options.canary:
        failed = _first(replace(manifest, header=header), experiment, call)
        if failed is not None:
            return failed
        if experiment is not None and options.rounds is None:
            manifest = _compiled(experiment, manifest, call)
    run = _told(replace(manifest, header=header), experiment, call)
    for _ in range((options.rounds or 1) - 1):
        if experiment is None:
            break
        manifest = _compiled(experiment, manifest, call)
        run = _told(replace(manifest, header=header), experiment, call)
    if options.rounds and not run.progress.submitted and run.verdict.to_propose != 0:
        follows = _next_round(manifest, folders)
        text = f"a round submits what is compiled, and all of it was. {follows}"
        listener.tell(Warned(text, matters=True))
    return run


def _tell_what_is_odd(manifest: Manifest, experiment: Experiment | None, call: _Call) -> None:
    """Say what compile warned of, where the experiment's file is here, and as it was compiled.

    Somebody else may have compiled it, elsewhere; now it is paid for.
    """
    if experiment is None and not manifest.is_outdated:
        experiment = _loaded(manifest, call)
    if experiment is None:
        return
    for problem in lint.warnings(experiment, leave_out=[call.folders.state, call.folders.build]):
        call.listener.tell(problem)


def _loaded(manifest: Manifest, call: _Call) -> Experiment | None:
    """Return what the manifest was compiled of; None where that, or what it needs, is not here."""
    file, header = manifest.source, manifest.header
    if file is None:
        return None
    try:
        backend = call.options.backend or header.backend
        experiment, _ = load_experiment(
            file, backend=backend, environ=os.environ, given=header.given
        )
    except AmlcError:
        return None
    return experiment


def _check_checkpoints(manifest: Manifest, call: _Call) -> None:
    """Raise UsageError where what is compiled leads to checkpoints that were moved since."""
    if manifest.header.search is None:
        return
    trials = (trial for entry in manifest.entries() for trial in entry.trials)
    one = next((trial for trial in trials if folder_then(trial.parameters)), None)
    experiment = None if one is None else _loaded(manifest, call)
    if one is None or experiment is None:
        return
    if here(one.parameters, folder_of(experiment)) is not one.parameters:
        raise UsageError(
            f"what is compiled leads trials to checkpoints in {folder_then(one.parameters)}/, and "
            f"they are in {folder_of(experiment)}/ now. Compile it: "
            f"{call.folders.compiling(manifest.source)}."
        )


def _check(seal: Seal, manifest: Manifest, experiment: Experiment | None, call: _Call) -> None:
    """Raise StaleError unless the plan is of what is compiled and recorded, and would be."""
    with read_ledger(call.folders.ledger(manifest.header.experiment)) as ledger:
        check_seal(seal, manifest, ledger)
    if experiment is not None:  # it is compiled anew before its tuner is asked
        backend = call.options.backend or manifest.header.backend
        if header_now(experiment, call.folders, backend=backend) != replace(
            manifest.header, backend=backend
        ):
            raise StaleError(
                "the plan is stale: the experiment's files have changed since they were compiled. "
                f"{_next_round(manifest, call.folders)} Then make it again: amlc plan -o FILE."
            )


def _first(manifest: Manifest, experiment: Experiment | None, call: _Call) -> Run | None:
    """Run a set that covers what trials may be, to its end; return what came of it if it failed.

    Of a tuner that learns, among what it proposes first.
    """
    header, options, folders = manifest.header, call.options, call.folders
    if experiment is not None and options.rounds is None:
        ahead = _compiled(experiment, manifest, replace(call, options=replace(options, rounds=1)))
        manifest = replace(ahead, header=replace(ahead.header, backend=header.backend))
    with read_ledger(folders.ledger(header.experiment)) as ledger:
        results = Results(manifest, ledger)
        chosen = covered(results, policy(results, options))
    if not chosen.trials:
        return None
    if chosen.is_all and experiment is None:
        call.listener.tell(
            Warned("no smaller set covers all trials, so all of them are run at once.")
        )
        return None
    call.listener.tell(First(chosen.numbers, manifest.trials))
    among = replace(options, among=chosen.trials, canary=False)
    run = _run(manifest, None, replace(call, options=among))
    with read_ledger(folders.ledger(header.experiment)) as ledger:
        why = what_failed(Results(manifest, ledger), chosen, stopped=run.stopped is not None)
    if why is None and run.stopped is not None and not run.verdict.out_of_time:
        why = f"stopped: {run.stopped}"
    run = replace(run, canary=why)
    call.listener.tell(run)
    return None if why is None and run.stopped is None else run


def _next_round(manifest: Manifest, folders: Folders) -> str:
    return f"Compile what follows: {folders.compiling(manifest.source)}."


def _told(manifest: Manifest, experiment: Experiment | None, call: _Call) -> Run:
    """Do what `_run` does, and tell what came of it."""
    run = _run(manifest, experiment, call)
    call.listener.tell(run)
    return run


def _run(manifest: Manifest, experiment: Experiment | None, call: _Call) -> Run:
    """Submit what is compiled and, without rounds, what the tuner proposes; return what came."""
    header, options, folders = manifest.header, call.options, call.folders
    refused: AbstractContextManager[None] = nullcontext()
    if experiment is not None:
        refused = located(experiment, leave_out=[folders.state, folders.build])
    with _kept(manifest, folders), open_ledger(folders.ledger(header.experiment)) as ledger:
        backend = open_backend(header, folders.runs(header.experiment), parallel=options.parallel)
        _note_revision(manifest, ledger, KeptCode(folders.kept_code(header.experiment)))
        bounds = limits(manifest, backend, options)
        follows = experiment is not None and adaptive(experiment) and options.rounds is None
        guides = _guides(experiment if follows else None, manifest, ledger, abreast=bounds.abreast)
        with refused, call.listener.watching(header.experiment, most=expected(manifest)) as watch:
            progress, stopped = drive(
                manifest,
                Recorder(ledger, backend, time.time, drawing(manifest, ledger)),
                bounds,
                policy=lambda: policy(Results(manifest, ledger), options),
                guides=guides,
                watch=watch,
            )
        now = read_manifest(manifest.folder)
        if experiment is not None and follows and progress.ended:
            _tell_all(experiment, ledger)
        if follows and options.wait and stopped is None:
            note_exhausted(now, ledger, at=time.time())
        end = verdict(Results(now, ledger))
    is_part = (
        not options.wait
        or options.rounds is not None
        or bool(options.only)
        or options.among is not None
        or stopped is not None
    )
    return Run(manifest=now, progress=progress, stopped=stopped, verdict=end, partial=is_part)


@contextmanager
def _kept(manifest: Manifest, folders: Folders) -> Iterator[None]:
    """Say so where what is compiled was removed meanwhile, whatever was missed of it first."""
    try:
        yield
    except (FileNotFoundError, UsageError, CutShortError) as err:
        build, lost = manifest.folder, getattr(err, "filename", None)
        if not is_there(build / FILE_NAME):
            lost = f"{build}/"
        elif lost is None or not Path(lost).is_relative_to(build):
            raise
        raise UsageError(
            f"{lost} was removed while this was at work on it. Compile and submit again: "
            f"{folders.compiling(manifest.source)}, then "
            f"{folders.advice('submit', manifest.header.experiment)}."
        ) from err


def _guides(
    experiment: Experiment | None, manifest: Manifest, ledger: Ledger, *, abreast: int
) -> Guides:
    """Return what has a say in what is run.

    experiment: one whose tuner proposes further jobs, None: there is none.
    """
    assessor = _assessor(manifest, at_work=_is_at_work(manifest, ledger))
    if experiment is None:
        return Guides(assessor=assessor)
    experience = Experience.of(experiment, ledger)
    more = following(experiment, manifest, experience, abreast=abreast)
    given_up = None
    if experiment.replicates == 1 and _follows(experiment, manifest, ledger):
        given_up = advised(experiment, experience)
    return Guides(more=more, assessor=assessor, given_up=given_up)


def _tell_all(experiment: Experiment, ledger: Ledger) -> None:
    """Tell a tuner of the user's own the last results, too, after which it had nothing to propose.

    It may keep a record of them.
    """
    if experiment.tuner.class_name is not None:
        experience = Experience.of(experiment, ledger)
        asked(experiment, experience.past(fold(ledger.events())).records)


def _asks_the_tuner(manifest: Manifest, options: Options) -> bool:
    is_drawn = manifest.header.sweep == "latent"  # by the platform
    proposes = manifest.header.search is not None and not options.only and not is_drawn
    return proposes and (options.rounds is None or options.rounds > 1)


def _follows(experiment: Experiment | None, manifest: Manifest, ledger: Ledger) -> bool:
    """Return whether the tuner wants to follow running trials, and there are or will be some."""
    if experiment is None or (
        experiment.tuner.class_name is not None and not _is_at_work(manifest, ledger)
    ):
        return False  # what is done needs no class that can be imported
    return asked(experiment, ()) is not None


def _is_at_work(manifest: Manifest, ledger: Ledger) -> bool:
    return not verdict(Results(manifest, ledger)).submitted or bool(ledger.working())


def withheld(
    experiment: Experiment | None, manifest: Manifest, ledger: Ledger, options: Options
) -> Iterator[str]:
    """Yield what the user's own classes are not given, a line each, if they will be asked."""
    if experiment is not None and _follows(experiment, manifest, ledger):
        name = f"the Advisor {experiment.tuner.class_name}"
        if experiment.replicates > 1 or options.rounds is not None:
            why = "--rounds" if options.rounds is not None else "amlc.replicates"
            yield (
                f"{name} gets no intermediate results, and its KillTrialJob ends no trial: "
                f"{why} rules that out."
            )
        elif experiment.trials_per_job > 1:
            yield (
                f"the KillTrialJob of {name} ends no trial: "
                "amlc.trialsPerJob packs several into a job."
            )
    assessor = manifest.header.assessor
    if assessor is not None and assessor.class_name is not None and _is_at_work(manifest, ledger):
        yield (
            f"the assessor {assessor.class_name} is told the end of trials that succeeded, and of "
            "no others."
        )


def _not_again(results: Results, options: Options) -> Iterator[str]:
    """Yield which trials are to run again and do not, since an attempt of theirs is at work."""
    for row in chosen(results, options.only) if options.only else ():
        if row.attempt is not None and not row.status.ended:
            number = row.trial.sequence
            yield (
                f"#{number} is at work: that attempt is followed to its end, and none begins. To "
                f"begin anew, end it first: amlc cancel {number}."
            )


def _note_revision(manifest: Manifest, ledger: Ledger, kept: KeptCode) -> None:
    """Record what the revision is made of, and keep that.

    So that `amlc plan` can say later what changed, and `amlc reproduce` run a row again.
    """
    try:
        contents = read_contents(manifest.folder)
    except UsageError:  # a build folder of `amlc refresh` does not say
        return
    kept.keep(contents.files, manifest.folder / "code")
    revision = manifest.header.revision
    if all(event.data["revision"] != revision for event in ledger.events(kind=EventKind.REVISION)):
        value = json.loads(contents_text(contents))
        ledger.append([revision_made_of(revision, value, at=time.time())])


def _source(manifest: Manifest, call: _Call) -> Experiment | None:
    """Return the experiment to ask the tuner about; None, and say so, if it is not here."""
    header, file = manifest.header, manifest.source
    if file is None:
        name = header.source or "the experiment's own file"
        text = (
            f"{name} is not here, so that the tuner cannot be asked for more trials: only what is "
            "compiled is run. Bring the experiment's files along, or run it where they are."
        )
        call.listener.tell(Warned(text, matters=True))
        return None
    experiment, problems = load_experiment(
        file,
        backend=call.options.backend or header.backend,
        environ=os.environ,
        given=header.given,
    )
    if experiment.name != header.experiment:
        raise UsageError(
            f"{file}: its experimentName is now '{experiment.name}', and "
            f"'{header.experiment}' is compiled. Compile it: {call.folders.compiling(file)}."
        )
    for problem in problems:
        call.listener.tell(problem)
    return experiment


def _compiled(experiment: Experiment, manifest: Manifest, call: _Call) -> Manifest:
    """Compile what is certain now.

    Of a tuner that learns, only the next round where there are rounds.
    """
    backend = call.options.backend or manifest.header.backend
    build = compile_ahead(
        experiment, backend=backend, rounds=call.options.rounds, folders=call.folders
    )
    return read_manifest(build.folder)


def _assessor(manifest: Manifest, *, at_work: bool) -> Assessor | None:
    algorithm = manifest.header.assessor
    if algorithm is None:
        return None
    if algorithm.name is not None:
        assess = partial(built_in(algorithm.name), args=algorithm.class_args)
        if among_all(algorithm.name):
            return Assessor(assess, shown=_number, among_all=True)
        return Assessor(assess)
    folder = (manifest.folder / (algorithm.code_directory or "")).resolve()
    # What is done needs no class that can be imported.
    own = custom.assessor(replace(algorithm, code_directory=folder), at_once=at_work)
    return Assessor(partial(own, args=algorithm.class_args), shown=lambda value: value)


def _number(value: Any) -> float:
    number = scalar(value)
    return math.nan if number is None else number
