"""`amlc run`: compile, submit and follow an experiment to its end; what later trials are, earlier results decide."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO

from amlc.commands.collect import collect
from amlc.commands.compile import compile_experiment, tell
from amlc.commands.submit import Options, submit_locked
from amlc.config import load_experiment
from amlc.drive import More
from amlc.errors import IncompleteError, UsageError
from amlc.files import lock
from amlc.history import History
from amlc.ledger import Attempt, Ledger, open_ledger
from amlc.manifest import Entry, Manifest, read_manifest
from amlc.model import Experiment
from amlc.places import PATIENCE_S, Places
from amlc.plan import adaptive, packed, upcoming
from amlc.warm_start import read_results_from, record_results
from amlc.write import extender


def run(
    *, file: Path, learn_from: Path | None, options: Options, places: Places, format_: str, out: BinaryIO, err: TextIO
) -> int:
    """Run the experiment of `file` and write its results to `out`; return 1 if a trial of this run failed.

    learn_from: results of earlier trials for the tuner. Killed at any point and called again it goes on: all that it
    knows is in the ledger.
    """
    experiment, problems = load_experiment(file, backend=options.backend, environ=os.environ)
    for problem in problems:
        print(problem, file=err)
    places.prepare_state()
    with lock(places.lock(experiment.name), patience_s=PATIENCE_S):
        if learn_from is not None:
            _learn(experiment, learn_from, places, err)
        # What follows is compiled when it is submitted: until then, any result may change it.
        summary = compile_experiment(experiment, backend=options.backend, places=places, room=0)
        if not options.quiet:
            tell(experiment, summary, "files changed", err)
        failed = submit_locked(
            read_manifest(summary.folder),
            options=options,
            places=places,
            err=err,
            follow=_following(experiment) if adaptive(experiment) else None,
            most=_most_jobs(experiment),
        )
    with suppress(IncompleteError) if failed else nullcontext():  # which submit has said already
        collect(
            target=str(file),
            places=places,
            format_=format_,
            history=False,
            out=out,
            err=err,
            quiet=options.quiet,
            numbers=adaptive(experiment),
        )
    return failed


def _learn(experiment: Experiment, path: Path, places: Places, err: TextIO) -> None:
    if not adaptive(experiment):
        raise UsageError(f"--from {path}: the tuner {experiment.tuner.name} does not learn from results. Leave it out.")
    results = read_results_from(path, experiment.space)
    with open_ledger(places.ledger(experiment.name)) as ledger:
        is_new = record_results(ledger, results, at=time.time())
    left_out = f", left out: {results.left_out}" if results.left_out else ""
    print(f"{path}: {len(results.rows)} results {'learnt from' if is_new else 'known already'}{left_out}", file=err)


def _most_jobs(experiment: Experiment) -> int | None:
    trials = experiment.max_trials
    return None if trials is None else -(-trials // experiment.trials_per_job)


def _following(experiment: Experiment) -> Callable[[Manifest, Ledger], More]:
    """Return what compiles the jobs that the tuner proposes next, given the build folder and the ledger."""

    def follow(manifest: Manifest, ledger: Ledger) -> More:
        history = History(ledger, replicates=experiment.replicates)
        extend = extender(experiment, manifest)

        def more(attempts: Mapping[str, Attempt], room: int) -> Sequence[Entry]:
            past = history.past(attempts)
            known = [trial for group in past.groups for trial in group]
            trials = upcoming(experiment, known, past.records, room=room * experiment.trials_per_job)
            return extend(islice(packed(experiment, trials), room))

        return more

    return follow
