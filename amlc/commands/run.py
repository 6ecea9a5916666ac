"""`amlc run`: compile, submit and follow an experiment to its end; what later trials are, earlier results decide."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO, TextIO

from amlc.commands.collect import collect
from amlc.commands.compile import compile_experiment, tell
from amlc.commands.submit import Options, submit_locked
from amlc.config import load_experiment
from amlc.errors import IncompleteError, UsageError
from amlc.files import lock
from amlc.folders import PATIENCE_S, Folders
from amlc.ledger import open_ledger
from amlc.manifest import read_manifest
from amlc.model import Experiment
from amlc.plan import adaptive
from amlc.warm_start import read_results_from, record_results


def run(
    *, file: Path, learn_from: Path | None, options: Options, folders: Folders, format_: str, out: BinaryIO, err: TextIO
) -> int:
    """Compile and submit the experiment of `file`, and write its results to `out`; return what submit returns.

    learn_from: results of earlier trials for the tuner. Killed at any point and called again it goes on: all that it
    knows is in the ledger.
    """
    experiment, problems = load_experiment(file, backend=options.backend, environ=os.environ)
    if not options.quiet:
        for problem in problems:
            print(problem, file=err)
    folders.prepare_state()
    with lock(folders.lock(experiment.name), patience_s=PATIENCE_S):
        if learn_from is not None:
            _learn(experiment, learn_from, options, folders, err)
        # What follows is compiled when it is submitted: until then, any result may change it.
        room = 0 if adaptive(experiment) and options.rounds is None else None
        summary = compile_experiment(experiment, backend=options.backend, folders=folders, room=room)
        if not options.quiet:
            tell(experiment, summary, "files changed", err)
        code = submit_locked(read_manifest(summary.folder), experiment, options=options, folders=folders, err=err)
    try:
        collected = collect(
            target=str(file),
            folders=folders,
            format_=format_,
            out=out,
            err=err,
            quiet=options.quiet,
            numbers=adaptive(experiment),
        )
    except IncompleteError:
        if not code:
            raise
        return code  # submit has said why
    return code or collected


def _learn(experiment: Experiment, path: Path, options: Options, folders: Folders, err: TextIO) -> None:
    if not adaptive(experiment):
        raise UsageError(f"--from {path}: the tuner {experiment.tuner.name} does not learn from results. Leave it out.")
    results = read_results_from(path, experiment.space)
    with open_ledger(folders.ledger(experiment.name)) as ledger:
        is_new = record_results(ledger, results, at=time.time())
    left_out = f", left out: {results.left_out}" if results.left_out else ""
    if not options.quiet:
        learnt = "learnt from" if is_new else "known already"
        print(f"{path}: {len(results.rows)} results {learnt}{left_out}", file=err)
