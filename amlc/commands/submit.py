"""`amlc submit`: run what is compiled and was not run yet, and what the tuner proposes next."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from amlc.advising import GivenUp
from amlc.assessors import among_all, built_in, custom
from amlc.backends import Backend
from amlc.backlog import More
from amlc.collect import Results, Verdict, verdict
from amlc.commands.compile import compile_experiment
from amlc.commands.progress import watching
from amlc.commands.trials import chosen
from amlc.config import load_experiment
from amlc.drive import CANCELED, Limits, Progress, drive
from amlc.early_stopping import Assessor
from amlc.errors import UsageError
from amlc.events import EventKind, revision_made_of
from amlc.experience import Experience
from amlc.files import lock
from amlc.folders import PATIENCE_S, Folders
from amlc.ledger import Ledger, open_ledger
from amlc.manifest import Header, Manifest, read_manifest
from amlc.model import Experiment, Status
from amlc.numbers import scalar
from amlc.plan import adaptive
from amlc.plan import given_up as asked
from amlc.proposals import advised, following, note_exhausted
from amlc.reconcile import Policy, is_retried
from amlc.refusals import located
from amlc.revision import contents_text, read_contents
from amlc.targets import PARALLEL, open_backend

RETRYABLE = ("failed", "unfinished", "canceled", "early_stopped", "missing", "changed")
_INCOMPLETE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to submit.

    retry: statuses, see RETRYABLE. only: trials to retry and nothing else. rounds: how often to submit what is compiled
    and follow it to its end, the tuner asked in between; None: without rounds, to the experiment's end. wait: for it.
    """

    backend: str | None = None
    retry: Collection[str] = ()
    only: Sequence[str] = ()
    max_failures: str | None = None
    rounds: int | None = None
    wait: bool = True
    parallel: int = PARALLEL
    quiet: bool = False


def submit(*, target: str | None, options: Options, folders: Folders, err: TextIO) -> int:
    """Submit and follow to the end; return 0, 1 while a compiled trial stands failed, 4 if some are not submitted."""
    manifest = folders.manifest(target)
    folders.prepare_state()
    with lock(folders.lock(manifest.header.experiment), patience_s=PATIENCE_S):
        experiment = None
        if manifest.header.search is not None and not options.only and (options.rounds is None or options.rounds > 1):
            experiment = _source(manifest, options, err)
        if experiment is not None and options.rounds is None:
            manifest = compiled(experiment, manifest, options, folders)
        return submit_locked(manifest, experiment, options=options, folders=folders, err=err)


def submit_locked(
    manifest: Manifest, experiment: Experiment | None, *, options: Options, folders: Folders, err: TextIO
) -> int:
    """Do what `submit` does; the caller holds the experiment's lock.

    experiment: what the manifest was compiled of, to ask its tuner for what follows; None: nothing follows.
    """
    header = replace(manifest.header, backend=options.backend or manifest.header.backend)
    if not options.quiet:
        with open_ledger(folders.ledger(header.experiment)) as ledger:
            for line in _withheld(experiment, manifest, ledger, options):
                print(f"warning: {line}", file=err)
    code = 0
    for number in range(options.rounds or 1):
        if number > 0:
            if experiment is None:
                break
            manifest = compiled(experiment, manifest, options, folders)
        code = _round(replace(manifest, header=header), experiment, options=options, folders=folders, err=err)
    return code


def _round(
    manifest: Manifest, experiment: Experiment | None, *, options: Options, folders: Folders, err: TextIO
) -> int:
    header = manifest.header
    follows = experiment is not None and adaptive(experiment) and options.rounds is None
    with open_ledger(folders.ledger(header.experiment)) as ledger:
        backend = open_backend(header, folders.runs(header.experiment), parallel=options.parallel)
        _note_revision(manifest, ledger)
        limits = _limits(manifest, backend, options)
        more: More = lambda attempts, room: ()  # noqa: E731
        given_up: GivenUp | None = None
        if experiment is not None and follows:
            experience = Experience(ledger, replicates=experiment.replicates)
            more = following(experiment, manifest, experience, abreast=limits.abreast)
            if experiment.replicates == 1 and _follows(experiment, manifest, ledger):
                given_up = advised(experiment, experience)
        refused = located(experiment, leave_out=[folders.state, folders.build]) if experiment else nullcontext()
        with refused, watching(manifest, most=_expected(manifest), quiet=options.quiet, err=err) as watch:
            progress, stopped = drive(
                manifest,
                ledger,
                backend,
                policy=lambda: _policy(Results(manifest, ledger), options),
                limits=limits,
                clock=time.time,
                watch=watch,
                more=more,
                assessor=_assessor(manifest),
                given_up=given_up,
            )
        manifest = read_manifest(manifest.folder)
        if follows and options.wait and stopped is None:
            note_exhausted(manifest, ledger, at=time.time())
        end = verdict(Results(manifest, ledger))
    if not options.quiet:
        _report(progress, stopped, end, manifest, folders, err)
    return _exit_code(progress, end, stopped, options)


def _follows(experiment: Experiment | None, manifest: Manifest, ledger: Ledger) -> bool:
    """Return whether the tuner wants to follow running trials, of which there are some or will be."""
    if experiment is None or (experiment.tuner.class_name is not None and not _is_at_work(manifest, ledger)):
        return False  # what is done needs no class that can be imported
    return asked(experiment, ()) is not None


def _is_at_work(manifest: Manifest, ledger: Ledger) -> bool:
    return not verdict(Results(manifest, ledger)).submitted or bool(ledger.working())


def _withheld(experiment: Experiment | None, manifest: Manifest, ledger: Ledger, options: Options) -> Iterator[str]:
    """Yield what the user's own classes are not given, a line each, if they are going to be asked."""
    if experiment is not None and _follows(experiment, manifest, ledger):
        name = f"the Advisor {experiment.tuner.class_name}"
        if experiment.replicates > 1 or options.rounds is not None:
            why = "--rounds" if options.rounds is not None else "amlc.replicates"
            yield f"{name} gets no intermediate results, and its KillTrialJob ends no trial: {why} rules that out."
        elif experiment.trials_per_job > 1:
            yield f"the KillTrialJob of {name} ends no trial: amlc.trialsPerJob packs several into a job."
    assessor = manifest.header.assessor
    if assessor is not None and assessor.class_name is not None and _is_at_work(manifest, ledger):
        yield f"the assessor {assessor.class_name} is told the end of trials that succeeded, and of no others."


def _exit_code(progress: Progress, end: Verdict, stopped: str | None, options: Options) -> int:
    if end.failed or progress.failed or stopped == CANCELED:
        return 1
    if not options.wait or options.rounds is not None or options.only or stopped is not None:
        return 0  # it was asked to leave something to do
    return 0 if end.submitted else _INCOMPLETE


def _note_revision(manifest: Manifest, ledger: Ledger) -> None:
    """Record what the compiled revision is made of, so that `amlc plan` can say later what became different."""
    revision = manifest.header.revision
    if all(event.data["revision"] != revision for event in ledger.events(kind=EventKind.REVISION)):
        with suppress(UsageError):  # a build folder of `amlc refresh` does not say
            contents = json.loads(contents_text(read_contents(manifest.folder)))
            ledger.append([revision_made_of(revision, contents, at=time.time())])


def _source(manifest: Manifest, options: Options, err: TextIO) -> Experiment | None:
    """Return the experiment that the tuner has to be asked about, or None, and say so, when its files are not here."""
    header, file = manifest.header, source(manifest)
    if file is None:
        name = header.source or "the experiment's own file"
        print(
            f"warning: {name} is not here, so that the tuner cannot be asked for more trials: only what is compiled is "
            "run. Bring the experiment's files along, or run it where they are.",
            file=err,
        )
        return None
    experiment, problems = load_experiment(file, backend=options.backend or header.backend, environ=os.environ)
    if experiment.name != header.experiment:
        raise UsageError(
            f"{_short(file)}: its experimentName is now '{experiment.name}', and '{header.experiment}' is compiled. "
            f"Compile it: amlc compile {_short(file)}."
        )
    if not options.quiet:
        for problem in problems:
            print(problem, file=err)
    return experiment


def _short(file: Path) -> str:
    return os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)


def compiled(experiment: Experiment, manifest: Manifest, options: Options, folders: Folders) -> Manifest:
    """Compile what is certain now; of a tuner that learns, only the next round where there are rounds."""
    # Otherwise what follows is compiled when it is submitted: until then, any result may change it.
    room = 0 if adaptive(experiment) and options.rounds is None else None
    backend = options.backend or manifest.header.backend
    return read_manifest(compile_experiment(experiment, backend=backend, folders=folders, room=room).folder)


def _assessor(manifest: Manifest) -> Assessor | None:
    algorithm = manifest.header.assessor
    if algorithm is None:
        return None
    if algorithm.name is not None:
        assess = partial(built_in(algorithm.name), args=algorithm.class_args)
        return Assessor(assess, shown=_number, among_all=True) if among_all(algorithm.name) else Assessor(assess)
    folder = (manifest.folder / (algorithm.code_directory or "")).resolve()
    own = custom.assessor(replace(algorithm, code_directory=folder))
    return Assessor(partial(own, args=algorithm.class_args), shown=lambda value: value)


def _number(value: Any) -> float:
    number = scalar(value)
    return math.nan if number is None else number


def _policy(results: Results, options: Options) -> Policy:
    return policy(results, options, only=[row.trial.id for row in chosen(results, options.only)])


def policy(results: Results, options: Options, *, only: Collection[str] = ()) -> Policy:
    """Return what the options allow, given how the trials stand now. only: the ids of the trials to retry."""
    header = results.manifest.header
    statuses = (*RETRYABLE, Status.SUCCEEDED.value) if only else options.retry
    retry = frozenset(
        (row.attempt.job, row.trial.id)
        for row in (results.rows() if statuses else ())
        if row.attempt is not None
        and is_retried(row.trial, row.attempt, statuses, has_result=bool(row.final), revision=header.revision)
    )
    return Policy(losses=header.retries, retry=retry, only=frozenset(only) if only else None)


def _limits(manifest: Manifest, backend: Backend, options: Options) -> Limits:
    header = manifest.header
    concurrency = header.concurrency if backend.slots is None else min(header.concurrency, backend.slots)
    shares = header.gpus_per_trial and backend.has_gpus
    return Limits(
        concurrency=concurrency,
        abreast=concurrency if shares else 1,
        max_seconds=header.max_seconds,
        max_failures=_max_failures(options.max_failures, _expected(manifest) or manifest.trials),
        wait=options.wait,
    )


def _expected(manifest: Manifest) -> int | None:
    """Return how many trials the experiment is going to have, if that is known."""
    header = manifest.header
    return manifest.trials if header.search is None else header.max_trials


def _max_failures(text: str | None, trials: int) -> int | None:
    if text is None:
        return None
    number = text.removesuffix("%")
    if not number.isdecimal() or not int(number):
        raise UsageError(f"--max-failures {text}: expected a number of trials such as 3, or a part such as 10%.")
    return max(1, int(number) * trials // 100) if text.endswith("%") else int(number)


def _report(
    progress: Progress,
    stopped: str | None,
    end: Verdict,
    manifest: Manifest,
    folders: Folders,
    err: TextIO,
) -> None:
    if stopped is not None:
        print(f"stopped: {stopped}", file=err)
    print(f"{progress.submitted} submitted, {end}{hint(end, manifest, folders, stopped=stopped)}", file=err)
    if end.failed:
        print(failures(end, manifest.header, folders), file=err)


def hint(end: Verdict, manifest: Manifest, folders: Folders, *, stopped: str | None = None) -> str:
    """Return the end of a verdict's line: which command goes on, if one does."""
    if end.submitted or (stopped or "").startswith("maxExperimentDuration"):
        return ""
    command = folders.advice("submit", manifest.header.experiment)
    if end.statuses.get(Status.PENDING) or source(manifest) is not None:
        return f": {command} goes on"
    return f": {command} goes on where the experiment's file is"


def source(manifest: Manifest) -> Path | None:
    """Return the experiment's own file if it is here."""
    name = manifest.header.source
    file = (manifest.folder / name).resolve() if name else None
    return file if file is not None and file.is_file() else None


def failures(end: Verdict, header: Header, folders: Folders) -> str:
    """Return the line that says what to do about trials that stand failed."""
    found = [status.value for status in (Status.FAILED, Status.UNFINISHED) if end.statuses.get(status)]
    again = folders.advice("submit", header.experiment, "--retry", ",".join(found))
    return (
        f"{folders.advice('status', header.experiment)} says why, {folders.advice('logs', header.experiment, 'TRIAL')} "
        f"shows more; {again} runs {'them' if end.failed > 1 else 'it'} again"
    )
